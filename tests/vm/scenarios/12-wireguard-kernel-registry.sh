#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Mode wireguard with the kernel's WireGuard at the registry's end: clients come and go while others stay, with our datapath at the
# client's end and with the kernel's; users and anonymous clients, prefixes, IPv4; a registry that is killed. Topology: ../lib.sh.
#
# covers: registry key wireguard_datapath, registry key wireguard_interface

# shellcheck source-path=SCRIPTDIR source=../lib.sh disable=SC2086,SC2119,SC2034
. "$(dirname "$0")/../lib.sh"

# How many peers the registry's kernel has.
peers() { ns registry wg show six-wg peers | wc -l; }
has_peers() { [ "$(peers)" = "$1" ]; }
registry_lists() { registry_command peer list | grep -qE "^$1 .*  20[0-9-]*T"; }
has_no_route() { ! has_route "$1"; }
has_route() { ns registry ip -6 route show dev six-wg | grep -q "^$1 "; }

begin "$@"
needs_kernel wireguard
needs_program wg
vm_topology
start_web 10M
snapshot registry >"$TEMP/registry.before"
start_registry prefix_v4=203.0.113.0/25 wireguard_port=51820 wireguard_datapath=kernel wireguard_interface=six-wg
add_user alice s3cret
show_link registry six-wg
check_equal "registry: the interface is the kernel's" wireguard "$(link_kind registry six-wg)"
check_equal "registry: it has the port" 51820 "$(ns registry wg show six-wg listen-port)"
check_equal "registry: and the key" "$(wg pubkey <"$TEMP/registry/state/wireguard.key")" "$(ns registry wg show six-wg public-key)"
check_equal "registry: the key is in no other file" wireguard.key \
  "$(cd "$TEMP/registry" && grep -rl "$(cat state/wireguard.key)" . | sed 's|.*/||')"
check_fails "no IPv6 before the tunnel" can_ping client "$WEB_V6" 1

# Our datapath behind a NAT.
write_client_config home client tunnel_mode=wireguard datapath=userspace if_tunnel_wireguard=six0 keepalive_interval=5
spawn_client home
wait_up home || die "the tunnel does not come up: $(tail -n 2 "$TEMP/home/out" | tr '\n' ' ')"
check_equal "userspace client: its datapath" userspace "$(status_field home datapath)"
check "userspace client: ping through the tunnel" wait_for 15 can_ping client "$WEB_V6" 1
inner=$(status_field home local_inner)
check "userspace client: ping from the other side" can_ping web "$inner"
check "userspace client: IPv4" ns client ping -4 -n -c 1 -W 3 203.0.113.1
check "userspace client: a file of 10 MB" fetches client
check "registry: a peer" has_peers 1
check "registry: and its route" has_route "$inner"

# The kernel's at both ends, with a user and a prefix; the first one goes on.
write_client_config other direct tunnel_mode=wireguard datapath=kernel if_tunnel_wireguard=six0 userid=alice passwd=s3cret \
  auth_method=digest-md5 host_type=host
spawn_client other
wait_up other || die "the second tunnel does not come up: $(tail -n 2 "$TEMP/other/out" | tr '\n' ' ')"
check_equal "kernel client: the interface is the kernel's" wireguard "$(link_kind direct six0)"
check "kernel client: ping through the tunnel" wait_for 15 can_ping direct "$WEB_V6" 1
second=$(status_field other local_inner)
check "kernel client: ping from the other side" can_ping web "$second"
check "kernel client: a file of 10 MB" fetches direct
check "kernel client: to the other client" can_ping direct "$inner"
check "registry: two peers" has_peers 2
check "the first client goes on" can_ping client "$WEB_V6"
check_equal "the first client was not made anew" 0 "$(status_field home reconnections)"

# A user's tunnel as a file.
write_registry_config registry prefix_v4=203.0.113.0/25 wireguard_port=51820 wireguard_datapath=kernel wireguard_interface=six-wg \
  wireguard_endpoint=$REGISTRY_V4
stop_client other
registry_command peer export alice >"$TEMP/alice.conf"
ns direct ip link add wg0 type wireguard
grep -vE '^(Address|DNS|MTU)' "$TEMP/alice.conf" >"$TEMP/set.conf"
ns direct wg setconf wg0 "$TEMP/set.conf"
ns direct ip addr add "$second/128" dev wg0
ns direct ip link set wg0 up
ns direct ip -6 route add default dev wg0
check "export: the file's key carries" wait_for 15 can_ping direct "$WEB_V6" 1
check "export: listed with its handshake" wait_for 40 registry_lists alice
ns direct ip link del wg0

# A client that gives its lease back is a peer no more.
check "delete: the user's peer" registry_command peer delete alice
check "registry: one peer again" wait_for 5 has_peers 1
check "registry: and no route" wait_for 20 has_no_route "$second"

stop_pid "$REGISTRY_PID" KILL
check_equal "kill -9 leaves the interface" wireguard "$(link_kind registry six-wg)"
run_registry
check "the next start takes over from the killed one" wait_for 5 has_peers 1
check "and the client is carried again" wait_for 30 can_ping client "$WEB_V6" 1
stop_client home
stop_pid "$REGISTRY_PID"
check "registry: addresses, routes and settings are as before" is_as_before registry

# Without a port of its own the kernel cannot have it; auto goes on without the kernel.
write_registry_config registry wireguard_port=51820 wireguard_datapath=userspace
run_registry
check_equal "userspace: no interface of the kernel's" '' "$(link_kind registry sixlink-wg0)"
spawn_client home
wait_up home
check "userspace: carried on the port of its own" wait_for 15 can_ping client "$WEB_V6" 1
stop_client home
