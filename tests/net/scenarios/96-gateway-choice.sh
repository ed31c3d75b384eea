#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Two gateways of the mesh, and a node that prefers one of them.
#
#   n1, n2, n3 -- hub (a bridge): 198.51.100.N. The rest of the topology: tests/mesh/segment.sh
#   n1 and n2 are gateways; 2001:db8:99::1 is behind n1, 2001:db8:99::2 behind n2, and each is nowhere else.
#
# covers: key prefer_gateway

# shellcheck source-path=SCRIPTDIR source=../../mesh/segment.sh disable=SC2119,SC2034
. "$(dirname "$0")/../../mesh/segment.sh"

begin "$@"
segment n1 n2 n3
make_nodes 2001:db8:42::/48 n1=198.51.100.1 n2=198.51.100.2 n3=198.51.100.3
for node in "${NODES[@]}"; do ip -n "$PREFIX-$node" addr add "198.51.100.${node#n}/24" dev eth0; done
for node in n1 n2; do ip -n "$PREFIX-$node" addr add "2001:db8:99::${node#n}/128" dev lo; done

# What n3's default route leads to, and nothing else.
uses() {
  local other=n1
  [ "$1" = n1 ] && other=n2
  can_ping n3 "2001:db8:99::${1#n}" 1 && ! can_ping n3 "2001:db8:99::${other#n}" 1
}
start() { start_node "$1" || fail "start: $1" "$(tail -n 3 "$TEMP/$1/out" "$TEMP/$1/log")"; }

write_node n3 gateway=yes prefer_gateway=2001:db8:42:2::/64
check_equal "a gateway prefers none: exit status 3" 3 "$(exit_status node n3)"
write_node n1 gateway=yes
write_node n2 gateway=yes
write_node n3 prefer_gateway=2001:db8:42:2::/64
for node in "${NODES[@]}"; do start "$node"; done
check "start: every node reaches every other" wait_for 20 all_reach
check "prefer_gateway=n2: n3 uses that" wait_for 15 uses n2

check_equal "n3 ends with 0" 0 "$(exit_status node n3 stop)"
write_node n3 "prefer_gateway=$(address n1) 2001:db8:42:2::/64"
start n3
check "prefer_gateway=n1 n2: n3 uses the first" wait_for 20 uses n1
mapfile -t PIDS < <(pids_called n1 sixlink; pids_called n1 babeld)
kill -KILL "${PIDS[@]}"
check "the first is killed: n3 uses the other" wait_for 15 uses n2
start n1
check "the first is there again: n3 uses it again" wait_for 30 uses n1
for node in "${NODES[@]}"; do check_equal "stop: $node" 0 "$(exit_status node "$node" stop)"; done
