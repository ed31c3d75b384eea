#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# IPv6 in IPv4, protocol 41: the registry with one raw socket and one TUN for every client; and who gets v6v4 of v6anyv4.
#
#   far -------------------- hop -------------------- router ------+------ registry ------ web
#   203.0.113.2   203.0.113.1  .130    1400    .129   198.51.100.1 |
#                                                                  +------ crowd: 198.51.100.51 to .100
# The rest of the topology, with a client behind NAT: ../lib.sh.
#
# covers: key tunnel_mode, key datapath
# covers: registry key prefer, registry key mtu

# shellcheck source-path=SCRIPTDIR source=../lib.sh disable=SC2119,SC2034
. "$(dirname "$0")/../lib.sh"

begin "$@"
topology

add_namespace hop
add_namespace far
link far eth0 hop near0
link hop far0 router hop0
ip -n "$PREFIX-far" addr add 203.0.113.2/25 dev eth0
ip -n "$PREFIX-far" route add default via 203.0.113.1
ip -n "$PREFIX-hop" addr add 203.0.113.1/25 dev near0
ip -n "$PREFIX-hop" addr add 203.0.113.130/30 dev far0
ip -n "$PREFIX-hop" route add default via 203.0.113.129
set_sysctl hop net/ipv4/ip_forward 1
ip -n "$PREFIX-router" addr add 203.0.113.129/30 dev hop0
ip -n "$PREFIX-router" route add 203.0.113.0/25 via 203.0.113.130
ip -n "$PREFIX-registry" route add 203.0.113.0/24 via 198.51.100.1
set_hosts far "$REGISTRY_V4 broker.example.net"

raw_clients() {  # HOST ARGUMENT...
  local host=$1
  shift
  ns "$host" "$PYTHON" "$TOOLS/raw_clients.py" "$@"
}
# What left the registry's outer interface with protocol 41, and what came to the web server from nobody's address.
ns registry nft -f - <<'NFT'
table ip seen {
  counter out { }
  chain output { type filter hook output priority 0; ip protocol 41 counter name out; }
}
NFT
ns web nft -f - <<'NFT'
table ip6 seen {
  counter forged { }
  chain prerouting { type filter hook prerouting priority raw; ip6 saddr 2001:db8:bad::/48 counter name forged; }
}
NFT
packets_out() { ns registry nft list counter ip seen out | awk '$1 == "packets" { print $2 }'; }

start_web 100M
start_registry mtu=1480
check_match "v6v4: offered" 'TUNNEL=V6V4' "$(raw_clients far capabilities $REGISTRY_V4)"
check_equal "v6v4: one raw socket" 1 "$(ns registry ss -Hwnl | grep -c ':41\b\|:ipv6\b')"

# Nothing yet.
check_fails "v6v4: no ping before the tunnel" can_ping far "$WEB_V6"
check_fails "v6v4: no ping to an address that nobody has" can_ping web 2001:db8:42::2
check_equal "v6v4: and nothing left towards anyone" 0 "$(packets_out)"

start_far() {  # KEY=VALUE...
  write_client_config far far datapath=userspace if_tunnel_v6v4=six4 "$@"
  spawn_client far
  wait_up far || die "the tunnel of far does not come up: $(tail -n 2 "$TEMP/far/out" | tr '\n' ' ')"
}
start_far tunnel_mode=v6v4
check_equal "v6v4: the mode" v6v4 "$(status_field far mode)"
inner=$(status_field far local_inner)
check "v6v4: ping out" can_ping far "$WEB_V6"
check "v6v4: ping in" can_ping web "$inner"
check "v6v4: with protocol 41" test "$(packets_out)" -gt 0

# fetches_back: what `fetches` is, with the server at the client's end.
spawn_in far "$TEMP/far.web" "$PYTHON" "$TOOLS/web_server.py" "$inner" 80 "$TEMP/file"
wait_for 10 can_connect far "$inner" 80 || die "the web server at the far end does not start"
fetches_back() {
  local sum
  sum=$(ns web curl -gsS --max-time 60 "http://[$inner]/file" | sha256sum)
  [ "$sum" = "$FILE_SUM" ] || { echo "sha256 is $sum, not $FILE_SUM"; return 1; }
}
check "v6v4: 100 MB down" fetches far
check "v6v4: 100 MB up" fetches_back

# Who is not who it says: the good address still works afterwards.
add_internet_host other 198.51.100.30
stop_client far
raw_clients far forge v6v4 $REGISTRY_V4 203.0.113.2 2001:db8:bad::1 "$WEB_V6" 30
raw_clients other forge v6v4 $REGISTRY_V4 198.51.100.30 "$inner" "$WEB_V6" 40
raw_clients other forge v6v4 $REGISTRY_V4 198.51.100.30 2001:db8:bad::1 "$WEB_V6" 2
check_match "v6v4: spoofed inner sources get no further" 'packets 0 ' "$(ns web nft list counter ip6 seen forged)"

# Many through one socket. The registry's memory of the far client's lease does not disturb.
add_internet_host crowd 198.51.100.50
addresses=()
for ((index = 51; index <= 100; index++)); do addresses+=("198.51.100.$index"); done
printf 'addr add %s/24 dev eth0\n' "${addresses[@]}" | ip -n "$PREFIX-crowd" -batch -
check_equal "v6v4: 50 clients through one socket" "50 answered, 50 addresses" \
  "$(raw_clients crowd many v6v4 $REGISTRY_V4 "${addresses[@]}" 2>&1)"
check_equal "v6v4: still one raw socket" 1 "$(ns registry ss -Hwnl | grep -c ':41\b\|:ipv6\b')"

# A path of 1400 bytes in the middle, which the ends have to find out.
ip -n "$PREFIX-hop" link set far0 mtu 1400
ip -n "$PREFIX-router" link set hop0 mtu 1400
start_far tunnel_mode=v6v4
check "v6v4: path of 1400: ping" can_ping far "$WEB_V6"
check "v6v4: path of 1400: large packets in" wait_for 5 ns web ping -6 -n -c 1 -W 1 -s 1400 "$inner"
check "v6v4: path of 1400: large packets out" wait_for 5 ns far ping -6 -n -c 1 -W 1 -s 1400 "$WEB_V6"
spawn_in far "$TEMP/far.web" "$PYTHON" "$TOOLS/web_server.py" "$inner" 80 "$TEMP/file"
wait_for 10 can_connect far "$inner" 80 || die "the web server at the far end does not start"
check "v6v4: path of 1400: 100 MB down" fetches far
check "v6v4: path of 1400: 100 MB up" fetches_back
stop_client far

# For another machine's address: only where the operator allows it.
check_fails "proxy: refused by default" raw_clients other proxy v6v4 $REGISTRY_V4 198.51.100.30 198.51.100.50
check_match "proxy: as an address that may not be used" '501' \
  "$(raw_clients other proxy v6v4 $REGISTRY_V4 198.51.100.30 198.51.100.50 2>&1)"

# v6anyv4: behind NAT always UDP, else what the registry prefers.
start_far tunnel_mode=v6anyv4
check_equal "v6anyv4: without NAT, UDP is the default" v6udpv4 "$(status_field far mode)"
stop_client far
stop_pid "$REGISTRY_PID"
check "v6v4: the registry counted the spoofed sources" grep -qE 'foreign-source 30\b' "$TEMP/registry/log"
check "v6v4: and those who have no tunnel" grep -qE 'unknown-peer 42\b' "$TEMP/registry/log"
start_registry prefer=v6v4 proxy=yes
start_far tunnel_mode=v6anyv4
check_equal "v6anyv4: without NAT, prefer=v6v4" v6v4 "$(status_field far mode)"
check "v6anyv4: ping" can_ping far "$WEB_V6"
start_client home tunnel_mode=v6anyv4
check_equal "v6anyv4: behind NAT, UDP all the same" v6udpv4 "$(status_field home mode)"
check "v6anyv4: ping behind NAT" can_ping client "$WEB_V6"

read -r broker inner <<<"$(raw_clients other proxy v6v4 $REGISTRY_V4 198.51.100.30 198.51.100.50)"
check_equal "proxy: the other machine's tunnel works" answered \
  "$(raw_clients crowd echo v6v4 $REGISTRY_V4 198.51.100.50 "$inner" "$broker")"
check_equal "proxy: not from who asked for it" "no answer" \
  "$(raw_clients other echo v6v4 $REGISTRY_V4 198.51.100.30 "$inner" "$broker")"
