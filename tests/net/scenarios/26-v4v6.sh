#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# IPv4 in IPv6, protocol 4: clients with IPv6 only get IPv4 addresses and prefixes of the registry's, through one raw socket and
# the same TUN.
#
#   far ------------------- hop ------------------- router ------------+------ registry --------------- web
#   2001:db8:b::2     b::1      c::2     1400      c::1    2001:db8:a::1 | a::10     192.0.2.129   192.0.2.130
#   lan: 203.0.113.x                                                     +------ crowd: 2001:db8:a::51 to ::100
#
# The rest of the topology: ../lib.sh. There is no IPv4 between far and registry.
#
# covers: key if_tunnel_v4v6, key client_v6, key host_type, key prefixlen, key if_prefix

# shellcheck source-path=SCRIPTDIR source=../lib.sh disable=SC2119,SC2034
. "$(dirname "$0")/../lib.sh"

begin "$@"
topology
SERVER=2001:db8:a::10
WEB_V4=192.0.2.130

add_namespace hop
add_namespace far
add_namespace crowd
link far eth0 hop near0
link hop far0 router hop0
link crowd eth0 router wan-crowd
ip -n "$PREFIX-router" link set wan-crowd master wan0
for one in "router wan0 a::1" "router hop0 c::1" "hop far0 c::2" "hop near0 b::1" "far eth0 b::2" "registry eth0 a::10" \
  "crowd eth0 a::50"; do
  # shellcheck disable=SC2086 # three words
  set -- $one
  ip -n "$PREFIX-$1" addr add "2001:db8:$3/64" dev "$2" nodad
done
for host in router hop; do set_sysctl $host net/ipv6/conf/all/forwarding 1; done
ip -n "$PREFIX-far" route add default via 2001:db8:b::1
ip -n "$PREFIX-hop" route add default via 2001:db8:c::1
ip -n "$PREFIX-router" route add 2001:db8:b::/64 via 2001:db8:c::2
ip -n "$PREFIX-registry" route add default via 2001:db8:a::1
ip -n "$PREFIX-registry" addr add 192.0.2.129/25 dev eth1
ip -n "$PREFIX-web" addr add $WEB_V4/25 dev eth0
ip -n "$PREFIX-web" route add 203.0.113.0/24 via 192.0.2.129
set_hosts far "$SERVER broker.example.net"

raw_clients() {  # HOST ARGUMENT...
  local host=$1
  shift
  ns "$host" "$PYTHON" "$TOOLS/raw_clients.py" "$@"
}
can_ping4() { ns "$1" ping -4 -n -c 1 -W "${3:-2}" "$2"; }
ns registry nft -f - <<'NFT'
table ip6 seen {
  counter out { }
  chain output { type filter hook output priority 0; ip6 nexthdr 4 counter name out; }
}
NFT
ns web nft -f - <<'NFT'
table ip seen {
  counter forged { }
  chain prerouting { type filter hook prerouting priority raw; ip saddr 198.51.100.66 counter name forged; }
}
NFT
packets_out() { ns registry nft list counter ip6 seen out | awk '$1 == "packets" { print $2 }'; }

start_web 100M
spawn_in web "$TEMP/web4.out" "$PYTHON" "$TOOLS/web_server.py" $WEB_V4 80 "$TEMP/file"
wait_for 10 can_connect web $WEB_V4 80 || die "the web server does not start: $(cat "$TEMP/web4.out")"

# Without addresses to give it is not offered.
start_registry "listen=0.0.0.0 [::]"
check_fails "v4v6: not offered without prefix_v4" grep V4V6 <<<"$(raw_clients far capabilities $SERVER)"
write_client_config far far datapath=userspace if_tunnel_v4v6=six46 tunnel_mode=v4v6
check_equal "v4v6: a client is told so" 15 "$(exit_status run_client far -b -n)"
stop_pid "$REGISTRY_PID"

# Anonymous clients may have prefixes here, for the router at the end.
REGISTRY_SETTINGS=("listen=0.0.0.0 [::]" prefix_v4=203.0.113.0/24 mtu=1480 anonymous_prefix=yes)
start_registry "${REGISTRY_SETTINGS[@]}"
check_match "v4v6: offered" 'TUNNEL=V4V6' "$(raw_clients far capabilities $SERVER)"
# One moves the packets, one has the kernel learn path MTUs.
sockets=$(ns registry ss -6Hwnl | wc -l)
check_equal "v4v6: two raw sockets" 2 "$sockets"
check "v4v6: the registry's own address" can_ping4 web 203.0.113.1
check_fails "v4v6: no ping before the tunnel" can_ping4 far $WEB_V4
check_match "v4v6: an address that nobody has: network unreachable" 'Net Unreachable' \
  "$(ns web ping -4 -n -c 1 -W 2 203.0.113.77 2>&1)"
check_equal "v4v6: and nothing left towards anyone" 0 "$(packets_out)"

start_far() {  # KEY=VALUE...
  write_client_config far far datapath=userspace if_tunnel_v4v6=six46 tunnel_mode=v4v6 "$@"
  spawn_client far
  wait_up far || die "the tunnel of far does not come up: $(tail -n 2 "$TEMP/far/out" | tr '\n' ' ')"
  inner=$(status_field far local_inner)
}
fetches_v4() {  # HOST ADDRESS
  local sum
  sum=$(ns "$1" curl -gsS --max-time 60 "http://$2/file" | sha256sum)
  [ "$sum" = "$FILE_SUM" ] || { echo "sha256 is $sum, not $FILE_SUM"; return 1; }
}
serve_far() {
  spawn_in far "$TEMP/far.web" "$PYTHON" "$TOOLS/web_server.py" "$inner" 80 "$TEMP/file"
  wait_for 10 can_connect far "$inner" 80 || die "the web server at the far end does not start"
}

start_far
check_equal "v4v6: the mode" v4v6 "$(status_field far mode)"
check "v4v6: the interface of if_tunnel_v4v6" ns far ip link show dev six46
check_match "v4v6: an address of prefix_v4" '^203\.0\.113\.[0-9]+$' "$inner"
check "v4v6: ping out" can_ping4 far $WEB_V4
check "v4v6: ping in" can_ping4 web "$inner"
check "v4v6: with protocol 4" test "$(packets_out)" -gt 0
serve_far
check "v4v6: 100 MB down" fetches_v4 far $WEB_V4
check "v4v6: 100 MB up" fetches_v4 web "$inner"
check "v4v6: large packets that may be fragmented, in" ns web ping -4 -n -c 1 -W 2 -M "dont" -s 4000 "$inner"
check "v4v6: large packets that may be fragmented, out" ns far ping -4 -n -c 1 -W 2 -M "dont" -s 4000 $WEB_V4
# 1460 is what v4v6 carries of mtu=1480.
ns web ip -4 route flush cache
check_match "v4v6: larger than the tunnel: fragmentation needed" 'mtu ?= ?1460|too long, mtu=1460' \
  "$(ns web ping -4 -n -c 2 -i 0.3 -W 2 -M "do" -s 1450 "$inner" 2>&1)"
check "v4v6: as large as the tunnel" ns web ping -4 -n -c 1 -W 2 -M "do" -s 1432 "$inner"

# Who is not who it says.
stop_client far
raw_clients far forge v4v6 $SERVER 2001:db8:b::2 198.51.100.66 $WEB_V4 30
raw_clients crowd forge v4v6 $SERVER 2001:db8:a::50 "$inner" $WEB_V4 40
raw_clients crowd forge v4v6 $SERVER 2001:db8:a::50 198.51.100.66 $WEB_V4 2
check_match "v4v6: spoofed inner sources get no further" 'packets 0 ' "$(ns web nft list counter ip seen forged)"

# Many through one socket.
addresses=()
for ((index = 51; index <= 100; index++)); do addresses+=("2001:db8:a::$index"); done
printf 'addr add %s/64 dev eth0 nodad\n' "${addresses[@]}" | ip -n "$PREFIX-crowd" -batch -
check_equal "v4v6: 50 clients through one socket" "50 answered, 50 addresses" \
  "$(raw_clients crowd many v4v6 $SERVER "${addresses[@]}" 2>&1)"
check_equal "v4v6: no more sockets than before" "$sockets" "$(ns registry ss -6Hwnl | wc -l)"

# A path of 1400 bytes in the middle.
ip -n "$PREFIX-hop" link set far0 mtu 1400
ip -n "$PREFIX-router" link set hop0 mtu 1400
start_far
check "v4v6: path of 1400: ping" can_ping4 far $WEB_V4
check "v4v6: path of 1400: large packets in" wait_for 5 ns web ping -4 -n -c 1 -W 1 -M "dont" -s 1420 "$inner"
check "v4v6: path of 1400: large packets out" wait_for 5 ns far ping -4 -n -c 1 -W 1 -M "dont" -s 1420 $WEB_V4
serve_far
check "v4v6: path of 1400: 100 MB down" fetches_v4 far $WEB_V4
check "v4v6: path of 1400: 100 MB up" fetches_v4 web "$inner"
stop_client far

# A router gets a prefix, and its LAN is reached.
stop_pid "$REGISTRY_PID"
check "v4v6: the registry counted the spoofed sources" grep -qE 'foreign-source 30\b' "$TEMP/registry/log"
check "v4v6: and those who have no tunnel" grep -qE 'unknown-peer 42\b' "$TEMP/registry/log"
start_registry "${REGISTRY_SETTINGS[@]}"
add_namespace lan
link far home0 lan eth0
# The far client's earlier lease is alive for a minute, without a prefix; another address of its own is another client.
ip -n "$PREFIX-far" addr add 2001:db8:b::3/64 dev eth0 nodad
start_far host_type=router prefixlen=29 if_prefix=home0 client_v6=2001:db8:b::3
check_equal "v4v6: from the address of client_v6" 2001:db8:b::3 "$(status_field far local_outer)"
prefix=$(status_field far prefix)
check_match "v4v6: a prefix of the length asked for" '^203\.0\.113\.[0-9]+/29$' "$prefix"
network=${prefix%/*}
first=203.0.113.$((${network##*.} + 1))
second=203.0.113.$((${network##*.} + 2))
check "v4v6: the router's address in it" can_ping4 web "$first"
ip -n "$PREFIX-lan" addr add "$second/29" dev eth0
ip -n "$PREFIX-lan" route add default via "$first"
check "v4v6: the LAN behind it, out" can_ping4 lan $WEB_V4
check "v4v6: the LAN behind it, in" can_ping4 web "$second"
check "v4v6: 100 MB to the LAN" fetches_v4 lan $WEB_V4
