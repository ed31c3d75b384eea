#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# A node where things are not as they should be: IPv6 switched off, a cable that carries less than 1,500 bytes, a second daemon by
# mistake, a network that goes away and comes back as another one, a name of client_only= that leads elsewhere. Without a registry.
# Topology: tests/mesh/lib.sh.
#
#   one, two (public)   old (IPv4 alone, IPv6 switched off)   small (an MTU of 1,300)   client (client_only)
#
# covers: key client_only

# shellcheck source-path=SCRIPTDIR source=../../mesh/lib.sh disable=SC2119
. "$(dirname "$0")/../../mesh/lib.sh"

begin "$@"
mesh_network
add_node one public
add_node two public
add_node old v4
add_node small public
add_node client v4
SERVER_NAME=gateway.example.net
for interface in all default lo; do set_sysctl old net/ipv6/conf/$interface/disable_ipv6 1; done
ip -n "$PREFIX-small" link set eth0 mtu 1300
ip -n "$PREFIX-backbone" link set bsmall mtu 1300

equip_nodes $NETWORK link_transport=udp port_mapping=no
set_node_key client client_only=$SERVER_NAME

# --- a name that nobody knows yet ---
set_hosts client "$REGISTRY_V4 $REGISTRY_NAME"
spawn_in client "$TEMP/client/early" "$SIXLINK" -f "$TEMP/client/client.conf" -n
early=$SPAWNED
check "client_only: a name without an address is told" wait_for 15 grep -q "cannot find client_only=$SERVER_NAME" "$TEMP/client/early"
check "client_only: it waits" test -n "$(pids_called client sixlink)"
started=$(now_ms)
stop_pid "$early"
check_equal "client_only: it ends at once all the same" "" "$(pids_called client sixlink)"
check "client_only: within a moment" test $(($(now_ms) - started)) -lt 2000

# Before the one that answers, an address of a kind that this machine cannot reach, and one where nobody is.
set_hosts client "2001:db8:ff:99::9 $SERVER_NAME" "198.51.100.99 $SERVER_NAME" "${NODE_V4[one]} $SERVER_NAME"
check_fails "nobody reaches anybody before" can_ping one "${NODE_ADDRESS[two]}" 1
run_nodes "${NODES[@]}"
check "everyone reaches everyone" everyone_reaches 30

# --- IPv6 switched off ---
check_equal "disable_ipv6: off again for lo while it runs" 0 "$(ns old cat /proc/sys/net/ipv6/conf/lo/disable_ipv6)"
stop_node old
check_equal "disable_ipv6: on afterwards, as it was" 1 "$(ns old cat /proc/sys/net/ipv6/conf/lo/disable_ipv6)"

# --- a narrow cable: the first one finds out how narrow ---
large() { ns "$1" ping -6 -c 3 -i 0.3 -M "do" -s 1372 -W 1 "${NODE_ADDRESS[$2]}" | grep -q '[23] received'; }
check "MTU of 1,300: what fits into the link gets there" large one small
check "MTU of 1,300: and back" large small one

# --- a second daemon ---
mkdir -p "$TEMP/twin/state"
cp -r "$TEMP/mesh/two" "$TEMP/twin/state/mesh"
write_node_config twin registry=https://registry.example.net port_mapping=no link_port=4000
ns one timeout 5 "$SIXLINK" -f "$TEMP/twin/twin.conf" -n >"$TEMP/twin/out" 2>&1
check_equal "two daemons: the second one ends" 1 $?
check_match "two daemons: it says why" 'runs on this machine already \(process [0-9]+\)' "$(cat "$TEMP/twin/out")"
check "two daemons: the first one's routes are there" can_ping one "${NODE_ADDRESS[two]}" 2

# --- another network, after a while without any ---
started=$(now_ms)
ip -n "$PREFIX-one" link del eth0
sleep 6
check_fails "no network: nobody is reached" can_ping one "${NODE_ADDRESS[two]}" 1
plug one bone2 203.0.113.5 ""
started=$(now_ms)
reaches_again() { can_ping one "${NODE_ADDRESS[two]}" 1 && can_ping two "${NODE_ADDRESS[one]}" 1; }
check "another network: it is back" wait_for 15 reaches_again
echo "another network: back after $(($(now_ms) - started)) ms"

# --- and its name with it ---
set_hosts client "203.0.113.5 $SERVER_NAME"
check "client_only: the name is looked up again" wait_for 50 can_ping client "${NODE_ADDRESS[two]}" 1
