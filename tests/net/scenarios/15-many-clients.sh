#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# 200 clients at once against one registry, each pinging; and one that forges its inner source address.
#
#   c1 .. c200, 192.0.2.10 .. 192.0.2.209, one process each --- router (NAT) --- registry
#
# The rest of the topology: ../lib.sh.

# shellcheck source-path=SCRIPTDIR source=../lib.sh disable=SC2119,SC2034
. "$(dirname "$0")/../lib.sh"

begin "$@"
topology
COUNT=${COUNT:-200}

start_web
start_registry
before=$(memory_kib "$REGISTRY_PID")

# Faster than one `ip` for each step.
add_many_home_hosts() {
  local index name
  for ((index = 1; index <= COUNT; index++)); do
    name=$PREFIX-c$index
    echo "netns add $name"
    echo "link add v$index netns $PREFIX-router type veth peer name eth0 netns $name"
    NAMESPACES+=("c$index")
    echo "$name" >>"$TEMP/namespaces"
  done >"$TEMP/batch"
  ip -batch "$TEMP/batch" || return 1
  for ((index = 1; index <= COUNT; index++)); do echo "link set v$index master lan0 up"; done | ip -n "$PREFIX-router" -batch - ||
    return 1
  for ((index = 1; index <= COUNT; index++)); do
    set_hosts "c$index" "$REGISTRY_V4 broker.example.net"
    ip -n "$PREFIX-c$index" -batch - <<IP || return 1
link set lo up
link set eth0 up
addr add 192.0.2.$((index + 9))/24 dev eth0
route add default via 192.0.2.1
IP
  done
}
add_many_home_hosts || die "cannot make $COUNT hosts"

count_up() {
  local index up=0
  for ((index = 1; index <= COUNT; index++)); do
    if is_up "c$index" >/dev/null 2>&1; then up=$((up + 1)); fi
  done
  echo "$up"
}
count_pings() {
  local index answered=0 pids=()
  for ((index = 1; index <= COUNT; index++)); do
    can_ping "c$index" "$1" 5 >/dev/null 2>&1 &
    pids+=($!)
  done
  for index in "${pids[@]}"; do
    if wait "$index"; then answered=$((answered + 1)); fi
  done
  echo "$answered"
}

started=$SECONDS
for ((index = 1; index <= COUNT; index++)); do
  write_client_config "c$index" "c$index" keepalive_interval=30 log_file=1 if_tunnel_v6udpv4="six$index"
  spawn_client "c$index"
done
up=0
while [ "$up" != "$COUNT" ] && [ $((SECONDS - started)) -lt 90 ]; do up=$(count_up); done
check_equal "many: all are up within 90 s" "$COUNT" "$up"
echo "# $up up after $((SECONDS - started)) s"
check_equal "many: each ping is answered" "$COUNT" "$(count_pings "$WEB_V6")"
check_equal "many: every client has an address of its own" "$COUNT" \
  "$(for ((index = 1; index <= COUNT; index++)); do ns "c$index" ip -6 -o addr show dev "six$index" scope global; done |
    awk '{ print $4 }' | sort -u | wc -l)"
after=$(memory_kib "$REGISTRY_PID")
echo "# the registry's memory: $before KiB before, $after KiB with $COUNT tunnels"
check "many: at most 64 KiB of the registry's memory for each" test $((after - before)) -lt $((64 * COUNT))
check "many: a file over one of the tunnels" fetches c1

# A forged inner source address: the client's own datapath drops what is not from its address ...
ns c2 ip -6 addr add 2001:db8:bad::1/128 dev lo nodad
check_fails "forged source: no answer" ns c2 ping -6 -n -c 2 -i 0.2 -W 1 -I 2001:db8:bad::1 "$WEB_V6"
check "forged source: the client counts it" wait_for 3 field_is_over_zero c2 counters.drops.foreign-source
check "forged source: the good address still works" can_ping c2 "$WEB_V6"

# ... and a client that does not is stopped by the registry.
ns web nft -f - <<'NFT'
table ip6 seen {
  counter forged { }
  chain prerouting {
    type filter hook prerouting priority raw;
    ip6 saddr 2001:db8:bad::/48 counter name forged
  }
}
NFT
check "forged source: a client that sends it gets through only with its own" ns client "$PYTHON" "$TOOLS/hostile.py" spoof $REGISTRY_V4 50
check_match "forged source: none of 50 packets got past the registry" 'packets 0 ' "$(ns web nft list counter ip6 seen forged)"
stop_pid "$REGISTRY_PID"
check "forged source: the registry counts them" grep -qE 'foreign-source' "$TEMP/registry/log"
