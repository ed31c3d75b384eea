#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The operator gives a mesh IPv4, another range of it, and none again, while the nodes run: network_v4= and a restart of the registry.
# Three nodes in the open; IPv6 inside is used all the time. Topology: tests/mesh/lib.sh.
#
# covers: registry key network_v4

# shellcheck source-path=SCRIPTDIR source=../../mesh/lib.sh disable=SC2119
. "$(dirname "$0")/../../mesh/lib.sh"

begin "$@"
mesh_network
for name in n1 n2 n3; do add_node $name v4; done
start_mesh_registry
join_nodes "${NODES[@]}"
for name in "${NODES[@]}"; do set_node_key "$name" port_mapping=no; snapshot "$name" >"$TEMP/$name.before"; done

address_v4() { node "$1" status --json | "$PYTHON" "$TOOLS/json_field.py" address_v4; }
# have_v4 PATTERN: the addresses of all nodes; none: that they have none.
have_v4() {
  local name
  for name in "${NODES[@]}"; do
    if [ "$1" = none ]; then
      [ -z "$(address_v4 "$name")" ] || return 1
    else
      # shellcheck disable=SC2053 # a pattern
      [[ $(address_v4 "$name") == $1 ]] || return 1
    fi
  done
}
reach_over_v4() {
  local from to
  for from in "${NODES[@]}"; do
    for to in "${NODES[@]}"; do
      [ "$from" = "$to" ] || ns "$from" ping -4 -q -c 1 -W 1 "$(address_v4 "$to")" || return 1
    done
  done
}
# use_range RANGE: nothing else is told to anybody.
use_range() {
  stop_mesh_registry
  start_mesh_registry "network_v4=$1"
}
interfaces() { for name in "${NODES[@]}"; do links "$name" | sed "s/^/$name /"; done | sort; }

run_nodes "${NODES[@]}"
check "ipv4: IPv6 inside, before" everyone_reaches 20
check "ipv4: no node has IPv4" have_v4 none
check_equal "ipv4: nor an address of it on main_interface" "" "$(ns n1 ip -4 -o addr show dev lo | grep -v 127.0.0.1)"
interfaces >"$TEMP/links.before"
spawn_in n1 "$TEMP/ping.out" ping -6 -q -i 0.05 "${NODE_ADDRESS[n2]}"
PINGING=$SPAWNED
spawn_in n3 "$TEMP/ping3.out" ping -6 -q -i 0.05 "${NODE_ADDRESS[n1]}"
PINGING3=$SPAWNED

begun=$(now_ms)
use_range "203.0.113.0/24 28"
check "ipv4: all nodes have it" wait_for 30 have_v4 '203.0.113.*'
check "ipv4: and reach each other over it" wait_for 15 reach_over_v4
echo "# after $(($(now_ms) - begun)) ms"
first=$(address_v4 n1)
check_match "ipv4: an address of main_interface" "inet $first/32" "$(ns n1 ip -4 -o addr show dev lo)"
check "ipv4: who is not of the network's range does not pass a link" \
  sh -c "ip -n $PREFIX-n1 addr add 192.0.2.77/32 dev lo && ! nsenter --net=$(netns n1) ping -q -c 1 -W 1 -I 192.0.2.77 $(address_v4 n2)"
ip -n "$PREFIX-n1" addr del 192.0.2.77/32 dev lo

begun=$(now_ms)
use_range "192.0.2.0/24 29"
check "ipv4: all nodes have one of another range" wait_for 30 have_v4 '192.0.2.*'
check "ipv4: and reach each other over that" wait_for 15 reach_over_v4
echo "# after $(($(now_ms) - begun)) ms"
check_fails "ipv4: the old address is gone" grep -q "$first" <<<"$(ns n1 ip -4 -o addr)"
# Those that babeld has retracted say so for a while.
has_no_route() { [ -z "$(ns n1 ip -4 route show table all root "$1")" ]; }
check "ipv4: and no route is left of the old range" wait_for 10 has_no_route 203.0.113.0/24
check_equal "ipv4: the registry lists the new ones" 3 \
  "$(ns registry "$REGISTRY" nodes -f "$TEMP/registry/registry.conf" | grep -c ' 192\.0\.2\.[0-9]*/29 ')"

use_range ""
check "ipv4: none again" wait_for 30 have_v4 none
check_equal "ipv4: the last address is gone, too" "" "$(ns n1 ip -4 -o addr show dev lo | grep -v 127.0.0.1)"

sleep 1
kill -INT "$PINGING" "$PINGING3"
wait "$PINGING" "$PINGING3"
check_match "ipv4: IPv6 from n1 to n2 lost less than one in a hundred meanwhile" ' 0(\.[0-9]+)?% packet loss' "$(grep loss "$TEMP/ping.out")"
check_match "ipv4: nor from n3 to n1" ' 0(\.[0-9]+)?% packet loss' "$(grep loss "$TEMP/ping3.out")"
interfaces >"$TEMP/links.after"
check "ipv4: and every link is the one that it was" diff "$TEMP/links.before" "$TEMP/links.after"
check_fails "ipv4: nobody was taken for a liar" grep -h 'should be revoked' "$TEMP"/n[123]/log
for name in "${NODES[@]}"; do check "ipv4: $name stops" stop_node "$name"; done
for name in "${NODES[@]}"; do check "ipv4: $name is as before" wait_for 5 is_as_before "$name"; done
