#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Three nodes that know each other from their caches alone, without a registry: links, routing, a node that is killed and comes
# back, and what is left in the system.
#
#   n1, n2, n3 -- hub (a bridge): 198.51.100.N. The rest of the topology: tests/mesh/segment.sh
#
# covers: key up, command status, command stop, command peers, command routes, command path

# shellcheck source-path=SCRIPTDIR source=../../mesh/segment.sh disable=SC2119,SC2034
. "$(dirname "$0")/../../mesh/segment.sh"

begin "$@"
segment n1 n2 n3
make_nodes 2001:db8:42::/48 n1=198.51.100.1 n2=198.51.100.2 n3=198.51.100.3
for node in "${NODES[@]}"; do ip -n "$PREFIX-$node" addr add "198.51.100.${node#n}/24" dev eth0; done
daemon_pid() { cat "$TEMP/$1/run/$1.pid"; }

for node in "${NODES[@]}"; do
  write_node "$node" up="echo up \$sixlink_ip \$sixlink_iface \$sixlink_subnet \$sixlink_network >$TEMP/$node/hook"
  snapshot "$node" >"$TEMP/$node.before"
done

check_fails "mesh: no way between nodes before they run" reaches n1 n2
check_equal "mesh: a node that has not joined says so" 1 "$(
  mv "$TEMP/n1/state/mesh/node.pem" "$TEMP/n1/pem"
  node n1 -n >"$TEMP/n1/early" 2>&1
  mv "$TEMP/n1/pem" "$TEMP/n1/state/mesh/node.pem"
  grep -c 'has not joined' "$TEMP/n1/log"
)"

started=$(now_ms)
for node in "${NODES[@]}"; do
  start_node "$node" || fail "mesh: $node starts" "$(tail -n 3 "$TEMP/$node/out" "$TEMP/$node/log")"
done
check "mesh: every node reaches every other" wait_for 20 all_reach
echo "all reach all after $(($(now_ms) - started)) ms"
for node in "${NODES[@]}"; do
  check "mesh: $node has two links" wait_for 10 field_is "$node" status links.up 2
done
# All chose each other at the same moment.
interfaces() { ns "$1" ip -o link show | grep -o "sixm[0-9]*" | sort -u | tr "\n" " "; }
check_equal "mesh: for each pair one link was made" "2 2 2" "$(for node in "${NODES[@]}"; do interfaces "$node" | wc -w; done | paste -sd' ')"
check_equal "status: state" up "$(field n1 status state)"
check_equal "status: address" "$(address n1)" "$(field n1 status address)"
check_equal "status: exit status 0 with a link" 0 "$(exit_status node n1 status)"
check_equal "status: babeld runs" true "$(field n1 status router.running)"
check_equal "peers: userspace" userspace "$(field n1 peers peers.0.datapath)"
check_match "peers: a round trip" '^[0-9.]+$' "$(field n1 peers peers.0.rtt_ms)"
check_match "routes: to the others" '2001:db8:42:[23]::/64' "$(node n1 routes --json)"
check_equal "path: one hop" true "$(field n1 path "$(address n2)" reached)"
check_match "path: not outside of the network" 'not in the network' "$(node n1 path 2001:db8:99::1 --json 2>&1)"
check_match "up=: run with the node's names" "^up $(address n1) lo 2001:db8:42:1::/64 2001:db8:42::/48\$" "$(cat "$TEMP/n1/hook")"
check_match "filter: what is for nobody in the network is refused" 'unreachable' \
  "$(ns n1 ip -6 route get 2001:db8:42:ffff::1 2>&1; ns n1 ip -6 route show 2001:db8:42::/48)"

# --- a node dies ---
stop_pid "$(daemon_pid n2)" KILL
check "mesh: the others go on" wait_for 5 all_reach n1 n3
check "mesh: the links of the dead node go" wait_for 10 field_is n1 status links.up 1
check "kill -9: its record is there" test -s "$TEMP/n2/run/n2.mesh"
started=$(now_ms)
start_node n2
check "mesh: it comes back" wait_for 15 all_reach
echo "all reach all again after $(($(now_ms) - started)) ms"
babelds() { for pid in $(ip netns pids "$PREFIX-$1"); do cat "/proc/$pid/comm" 2>/dev/null; done | grep -c '^babeld$'; }
check_equal "kill -9: one babeld runs afterwards" 1 "$(babelds n2)"
check "kill -9: nothing is there twice" test "$(ns n2 ip -6 addr show dev lo | grep -c "$(address n2)")" = 1

# --- a node moves ---
links_before=$(interfaces n3)
move_n3() { # OLD NEW
  ip -n "$PREFIX-n3" -batch - <<IP
addr del $1/24 dev eth0
addr add $2/24 dev eth0
IP
}
move_n3 198.51.100.3 198.51.100.33
started=$(now_ms)
n1_sees_n3_at() { node n1 peers --json | grep -q "\"$1:3653\""; }
check "mesh: a node that has another address is followed" wait_for 10 n1_sees_n3_at 198.51.100.33
check "mesh: all reach it there" wait_for 10 all_reach
echo "all reach all after $(($(now_ms) - started)) ms"
check_equal "mesh: its links are the same ones" "$links_before" "$(interfaces n3)"
move_n3 198.51.100.33 198.51.100.3

memory=$(memory_kib "$(daemon_pid n1)")
check "mesh: memory of a node with two links, $memory KiB" test "$memory" -lt 30720

for node in "${NODES[@]}"; do check_equal "stop: $node" 0 "$(exit_status node "$node" stop)"; done
for node in "${NODES[@]}"; do check "stop: $node is as before" is_as_before "$node"; done
