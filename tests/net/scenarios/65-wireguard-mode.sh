#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Mode wireguard between our client and our registry, both moving the packets themselves: negotiated, encrypted, through a NAT, in
# both families, after an address change, and with keys that are not the right ones. The topology is lib.sh's.
#
# covers: key tunnel_mode, key if_tunnel_wireguard, key private_key_file, registry key wireguard

# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
begin "$@"
topology

WG_CLIENT_V6=2001:db8:42::2
WEB_V4=203.0.113.250

# The web's IPv4 address is beyond the registry too.
set_up_v4() {
  ip -n "$PREFIX-registry" addr add 203.0.113.249/30 dev eth1
  ip -n "$PREFIX-web" addr add $WEB_V4/30 dev eth0
  ip -n "$PREFIX-web" route add 203.0.113.0/25 via 203.0.113.249
}
can_ping_v4() { ns "$1" ping -4 -n -c 1 -W 2 "$2"; }

start_registry prefix_v4=203.0.113.0/25
set_up_v4
start_web 100M
check "registry: its key is its owner's alone" test "$(stat -c %a "$TEMP/registry/state/wireguard.key")" = 600
check_fails "before the tunnel there is no way" can_ping client $WEB_V6

capture router wan0 "$TEMP/capture"
capture_pid=$SPAWNED
write_client_config home client tunnel_mode=wireguard datapath=userspace if_tunnel_wireguard=six-wg private_key_file=own.key \
  default_route=yes
spawn_client home
wait_up home || die "the tunnel does not come up: $(tail -n 2 "$TEMP/home/out" | tr '\n' ' ')"
check_equal "status: mode" wireguard "$(status_field home mode)"
check_equal "status: interface" six-wg "$(status_field home interface)"
check_equal "status: datapath" userspace "$(status_field home datapath)"
check "client: its key is its owner's alone" test "$(stat -c %a "$TEMP/home/state/own.key")" = 600
check "client: the broker's key is kept" grep -q '^broker.example.net [A-Za-z0-9+/]\{43\}=$' "$TEMP/home/state/wireguard-servers"
check "ping: the web through the tunnel" wait_for 5 can_ping client $WEB_V6
check "ping: the client from outside" can_ping web $WG_CLIENT_V6
ns client ping -6 -n -c 1 -W 2 -p 5349584c494e4b "$WEB_V6" >/dev/null
stop_pid "$capture_pid"
check "TSP and WireGuard share the port and the socket" grep -q "$(sed -n "s/^udp \([0-9.:]*\) > .*VERSION.*/\1/p" "$TEMP/capture" |
  head -n 1) > $REGISTRY_V4:3653 b[\"'].x01.x00.x00.x00" "$TEMP/capture"
check_fails "no inner packet is readable outside" grep -q 'SIXLINKSIXLINK' "$TEMP/capture"
check "ping: IPv4 through the tunnel" can_ping_v4 client $WEB_V4
check "the broker is not reached through the tunnel" ns client ping -4 -n -c 1 -W 2 $REGISTRY_V4
check "100 MB arrive whole" fetches client

# A client that moves: another address, and the NAT forgets it.
before=$(status_field home reconnections)
ip -n "$PREFIX-client" addr del 192.0.2.2/24 dev eth0
ip -n "$PREFIX-client" addr add 192.0.2.77/24 dev eth0
ip -n "$PREFIX-client" route replace default via 192.0.2.1
check "roaming: the tunnel goes on from another address" wait_for 10 can_ping client $WEB_V6
check "roaming: status has the new address" wait_for 5 field_is home local_outer 192.0.2.77
lose_nat_mappings 20000-30000
check "roaming: the tunnel goes on after the NAT forgot it" wait_for 15 can_ping client $WEB_V6
check_equal "roaming: nothing was negotiated anew" "$before" "$(status_field home reconnections)"

# kill -9: the next start has the same addresses, and nothing secret is left.
stop_pid "${CLIENT_PID[home]}" KILL
spawn_client home
check "kill -9: up again" wait_up home
check_equal "kill -9: the same address, for the key is the same" $WG_CLIENT_V6 "$(status_field home local_inner)"
check "kill -9: and it carries" wait_for 5 can_ping client $WEB_V6
stop_client home
check_equal "stop: the interface is gone" "" "$(ns client ip -o link show six-wg 2>/dev/null)"
check_equal "stop: no secret file but the key" own.key "$(cd "$TEMP/home/state" && grep -l "$(cat own.key)" -r . | sed 's|^\./||')"

# Another key at the broker: a person has to say that it is right.
sed -i 's/^broker.example.net .*/broker.example.net hSDwCYkwp1R0i33ctD73Wg2\/Og0mOBr066SpjqqbTmo=/' "$TEMP/home/state/wireguard-servers"
spawn_client home -b
wait_for 10 is_gone_or_zombie "${CLIENT_PID[home]}"
wait "${CLIENT_PID[home]}"
check_equal "a changed key of the broker: exit status" 16 $?
check_match "a changed key of the broker: said" "has CHANGED" "$(cat "$TEMP/home/out")"
: >"$TEMP/home/state/wireguard-servers"

# any: WireGuard where it is offered, else what there was.
write_client_config any client tunnel_mode=any datapath=userspace if_tunnel_wireguard=six-any
spawn_client any
wait_up any
check_equal "any: takes WireGuard" wireguard "$(status_field any mode)"
stop_client any
stop_pid "$REGISTRY_PID"
start_registry wireguard=no
spawn_client any
wait_up any
check_equal "any: takes v6udpv4 without" v6udpv4 "$(status_field any mode)"
stop_client any
write_client_config only client tunnel_mode=wireguard
spawn_client only -b
wait_for 10 is_gone_or_zombie "${CLIENT_PID[only]}"
wait "${CLIENT_PID[only]}"
check_equal "wireguard=no: exit status" 15 $?
check_match "wireguard=no: said" "offers no wireguard tunnels" "$(cat "$TEMP/only/out")"
