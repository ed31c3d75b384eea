#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# A node with an address of IPv6's behind a router that lets nobody in: the real miniupnpd opens its firewall for the node, by PCP;
# a peer outside gets in; it is asked to close with the node. A router that does not speak PCP, and a default route that goes and
# comes back.
#
#   node 2001:db8:1::2 ---- fe80::1 router 2001:db8:2::1 ---- 2001:db8:2::2 peer
#        port_mapping=yes   (firewall, miniupnpd)
#
# The router's IPv4 serves miniupnpd alone, which does not start without.
#
# covers: nothing

# shellcheck source-path=SCRIPTDIR source=../lib.sh disable=SC2119
. "$(dirname "$0")/../lib.sh"

PATH=$PATH:/usr/sbin:/sbin
NODE=2001:db8:1::2

begin "$@"
why=$(missing_for_namespaces)
for program in miniupnpd babeld openssl; do
  [ -n "$why" ] || command -v $program >/dev/null || why="the program '$program' is not installed (make deps)"
done
skip_where_missing "$why"

add_namespace node
add_namespace router
add_namespace peer
link node eth0 router lan0
link peer eth0 router wan0
set_sysctl router net/ipv6/conf/all/forwarding 1
ip -n "$PREFIX-router" -batch - <<IP
addr add 25.0.0.1/32 dev wan0
addr add 192.0.2.1/24 dev lan0
addr add fe80::1/64 dev lan0 nodad
addr add 2001:db8:1::1/64 dev lan0 nodad
addr add 2001:db8:2::1/64 dev wan0 nodad
IP
ip -n "$PREFIX-node" addr add $NODE/64 dev eth0 nodad
add_default_route() { ip -n "$PREFIX-node" -6 route add default via fe80::1 dev eth0; }
add_default_route
ip -n "$PREFIX-peer" addr add 2001:db8:2::2/64 dev eth0 nodad
ip -n "$PREFIX-peer" -6 route add 2001:db8:1::/64 via 2001:db8:2::1

ns router nft -f - <<'NFT'
table inet filter {
  chain miniupnpd { }
  chain prerouting_miniupnpd { }
  chain postrouting_miniupnpd { }
  chain forward {
    type filter hook forward priority filter;
    ct state established,related accept
    jump miniupnpd
    iifname "wan0" drop
  }
}
NFT

start_router() {
  cat >"$TEMP/miniupnpd.conf" <<CONF
ext_ifname=wan0
ext_ip=25.0.0.1
listening_ip=lan0
http_port=5000
enable_natpmp=yes
enable_upnp=no
secure_mode=yes
min_lifetime=120
max_lifetime=86400
uuid=5b1a9f2e-0000-4000-8000-000000000083
allow 1024-65535 192.0.2.0/24 1024-65535
deny 0-65535 0.0.0.0/0 0-65535
CONF
  mkdir -p "$TEMP/router"
  spawn "$TEMP/router/out" nsenter --net="$(netns router)" -- miniupnpd -d -f "$TEMP/miniupnpd.conf" -P "$TEMP/router/pid"
  wait_for 5 grep -q 'Listening for NAT-PMP/PCP' "$TEMP/router/out" || die "miniupnpd does not start: $(tail -n 3 "$TEMP/router/out")"
}

mkdir -p "$TEMP/mesh" "$TEMP/node/state"
"$BUILD/tools/mesh_files" "$TEMP/mesh" 2001:db8:42::/48 node=2001:db8:42:1::/64=- other=2001:db8:42:2::/64=198.51.100.2 ||
  die "mesh_files failed"
cp -r "$TEMP/mesh/node" "$TEMP/node/state/mesh"
write_config "$TEMP/node/node.conf" <<CONF
registry=https://registry.example.net:3654
port_mapping=yes
run_dir=$TEMP/node/run
state_dir=$TEMP/node/state
log_stderr=0
log_file=3
log_filename=$TEMP/node/log
log_rotation=no
CONF
start_node() {
  spawn_in node "$TEMP/node/out" "$SIXLINK" -f "$TEMP/node/node.conf" -n
  NODE_PID=$SPAWNED
}
status() { ns node "$SIXLINK" status --json -f "$TEMP/node/node.conf" | "$PYTHON" "$TOOLS/json_field.py" "port_mapping.ipv6.$1"; }
is_open() { [ "$(status protocol)" = PCP ] && [ "$(status mapped.1.external_port)" = 3653 ]; }
is_without_router() { [ "$(status protocol)" = none ] && ! status gateway; }

# The node's TLS answers, and what is sent to its UDP port arrives.
answers_tls() {
  timeout 5 nsenter --net="$(netns peer)" -- openssl s_client -connect "[$NODE]:3653" -alpn sixlink -brief </dev/null 2>&1 |
    grep -q '^CONNECTION ESTABLISHED'
}
arrived() { ns node nft list counter inet seen arrivals | sed -n 's/.*packets \([0-9]*\).*/\1/p'; }
udp_arrives() {
  local before
  before=$(arrived)
  ns peer bash -c "printf x >/dev/udp/$NODE/3653"
  sleep 0.2
  [ "$(arrived)" -gt "$before" ]
}
ns node nft -f - <<'NFT'
table inet seen {
  counter arrivals { }
  chain input {
    type filter hook input priority filter;
    ip6 saddr 2001:db8:2::2 udp dport 3653 counter name arrivals
  }
}
NFT

# --- Nobody opens ---

start_node
wait_for 20 status problem || fail "router firewall: without a router that opens it" "the node says nothing"
check_match "router firewall: a router that does not speak PCP is told" "does not speak PCP" "$(status problem)"
check_fails "router firewall: UDP does not get in before" udp_arrives
check_fails "router firewall: TLS does not get in before" answers_tls
stop_pid "$NODE_PID"

# --- PCP ---

start_router
start_node
if wait_for 10 is_open; then
  pass "router firewall: PCP opens it for UDP and TCP"
else
  fail "router firewall: PCP opens it for UDP and TCP" "$(status problem) $(tail -n 3 "$TEMP/node/log" | tr '\n' ' ')"
fi
check_equal "router firewall: the address is the node's own" $NODE "$(status mapped.0.external)"
check "router firewall: UDP gets in" udp_arrives
check "router firewall: TLS gets in" answers_tls

# --- The way to the Internet goes and comes back ---

ip -n "$PREFIX-node" -6 route del default
check "router firewall: without a default route nobody is asked" wait_for 10 is_without_router
add_default_route
check "router firewall: with another it is asked again" wait_for 15 is_open

stop_pid "$NODE_PID"
# This miniupnpd does not find the nonce again that it keeps of a pinhole, and refuses: that one ends with its lifetime.
is_asked_to_close() { grep -qi "remove.* PCP mapping internal port 3653, protocol $1" "$TEMP/router/out"; }
check "router firewall: the router is asked to close UDP with the node" wait_for 3 is_asked_to_close UDP
check "router firewall: and TCP" wait_for 3 is_asked_to_close TCP
