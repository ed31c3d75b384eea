#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Mode wireguard with the kernel's WireGuard at the client's end, behind a NAT, and the registry's own datapath at the other: our process
# moves no packet, no key is seen, the client moves, is killed, and leaves nothing.
#
#   client (sixlink, wireguard) --- NAT --- registry (TUN) --- web
#
# Topology: ../lib.sh.

# shellcheck source-path=SCRIPTDIR source=../lib.sh disable=SC2086,SC2119,SC2034
. "$(dirname "$0")/../lib.sh"

begin "$@"
needs_kernel wireguard
needs_program wg
vm_topology
start_web 10M
start_registry prefix_v4=203.0.113.0/25
# The user's own interface of that name is not taken over.
ns client ip link add wg6 type wireguard
snapshot client >"$TEMP/client.before"
check_fails "wireguard: no IPv6 before the tunnel" can_ping client "$WEB_V6" 1
write_client_config taken client tunnel_mode=wireguard datapath=kernel
check_equal "wireguard: a name in use is refused, exit status 18" 18 "$(exit_status run_client taken -n -b)"
check_match "wireguard: says which key to change" 'wg6.*if_tunnel_wireguard' "$(cat "$TEMP/taken/out")"
check "wireguard: the user's interface is untouched" is_as_before client

write_client_config home client tunnel_mode=any if_tunnel_wireguard=six0 keepalive_interval=5
spawn_client home
wait_up home || die "the tunnel does not come up: $(tail -n 2 "$TEMP/home/out" | tr '\n' ' ')"
show_link client six0
check_equal "wireguard: any prefers it" wireguard "$(status_field home mode)"
check_equal "wireguard: the interface is the kernel's" wireguard "$(link_kind client six0)"
check_equal "wireguard: status says so" kernel "$(status_field home datapath)"
check_equal "wireguard: no TUN, raw or packet socket that takes packets" 0 "$(data_sockets home)"
check "wireguard: ping through the tunnel" wait_for 10 can_ping client "$WEB_V6"
inner=$(status_field home local_inner)
check "wireguard: ping from the other side" can_ping web "$inner"
check "wireguard: IPv4 to the broker" ns client ping -4 -n -c 1 -W 3 203.0.113.1
check_match "wireguard: wg tells of a handshake" 'latest handshake' "$(ns client wg show six0)"
public=$(ns client wg show six0 public-key)
check_match "wireguard: the registry lists the peer" "${public//+/[+]}  20[0-9-]*T" "$(registry_command peer list)"
key=$(cat "$TEMP/home/state/wireguard.key")
check_equal "wireguard: the key is in no other file" wireguard.key "$(cd "$TEMP/home" && grep -rl "$key" . | sed 's|.*/||')"
check "wireguard: a file of 10 MB" fetches client
check "wireguard: the interface counted it" field_is_over home counters.bytes_in 10485760

# The client moves: another address, and nothing is negotiated anew.
ip -n "$PREFIX-client" addr del 192.0.2.2/24 dev eth0
ip -n "$PREFIX-client" addr add 192.0.2.77/24 dev eth0
ip -n "$PREFIX-client" route replace default via 192.0.2.1
check "wireguard: the tunnel goes on from another address" wait_for 20 can_ping client "$WEB_V6" 1
lose_nat_mappings 50000-59999
check "wireguard: and after the NAT forgot it" wait_for 20 can_ping client "$WEB_V6" 1
check_equal "wireguard: nothing was negotiated anew" 0 "$(status_field home reconnections)"
ip -n "$PREFIX-client" addr del 192.0.2.77/24 dev eth0
ip -n "$PREFIX-client" addr add 192.0.2.2/24 dev eth0
ip -n "$PREFIX-client" route replace default via 192.0.2.1

stop_client home
check_equal "wireguard: exit status 0" 0 "$STOPPED_STATUS"
check_fails "wireguard: no IPv6 after stop" can_ping client "$WEB_V6" 1
check "wireguard: addresses, routes and settings are as before" is_as_before client

spawn_client home
wait_up home || die "the tunnel does not come up again: $(tail -n 2 "$TEMP/home/out" | tr '\n' ' ')"
stop_client home KILL
check_equal "wireguard: kill -9 leaves the interface" wireguard "$(link_kind client six0)"
# What a kill in the middle of wg would leave.
cp "$TEMP/home/state/wireguard.key" "$TEMP/home/state/home.wireguard.conf"
spawn_client home
check "wireguard: the next start takes over from the killed one" wait_up home
check "wireguard: ping after the kill" wait_for 10 can_ping client "$WEB_V6"
check_equal "wireguard: the same address, for the key is the same" "$inner" "$(status_field home local_inner)"
check_fails "wireguard: no secret file is left" test -e "$TEMP/home/state/home.wireguard.conf"
stop_client home
check "wireguard: all is as before, after a kill too" is_as_before client
