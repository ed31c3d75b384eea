#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Three nodes, one of them in the open, one behind a full cone and one behind a symmetric NAT: they join, find each other, are seen in
# every command, survive babeld's end and a restart without the registry, show nothing in the clear, and leave nothing behind.
# Topology: tests/mesh/lib.sh.
#
# covers: command peers, command routes, command path, command topology

# shellcheck source-path=SCRIPTDIR source=../../mesh/lib.sh disable=SC2119
. "$(dirname "$0")/../../mesh/lib.sh"

begin "$@"
mesh_network
add_node open public
add_node cone full-cone
add_node sym symmetric
for name in "${NODES[@]}"; do snapshot "$name" >"$TEMP/$name.before"; done

check_fails "mesh-3: nobody joins while there is no registry" join_node open
start_mesh_registry
start_captures
join_nodes "${NODES[@]}"
check_match "join: says the node's subnet" "${NODE_PREFIX[open]}" "$(cat "$TEMP/open/join.out")"
check_match "join: says when the certificate will be renewed" 'renew' "$(cat "$TEMP/open/join.out")"
check_fails "mesh-3: no ping before the nodes run" can_ping cone "${NODE_ADDRESS[sym]}" 1
check_equal "peers: 2 when there is no daemon" 2 "$(exit_status node open peers)"

started=$(now_ms)
run_nodes "${NODES[@]}"
nodes_run "${NODES[@]}"
check "mesh-3: everyone reaches everyone" everyone_reaches 30
echo "# mesh-3: all pairs $(($(now_ms) - started)) ms after the start"

check_equal "status: up" 0 "$(exit_status node open status)"
check_match "status: names the node's prefix" "${NODE_PREFIX[open]}" "$(node open status)"
check_match "peers: names the other two" "${NODE_PREFIX[cone]}.*${NODE_PREFIX[sym]}|${NODE_PREFIX[sym]}.*${NODE_PREFIX[cone]}" \
  "$(node open peers | tr '\n' ' ')"
check_match "routes: to a node's prefix" "${NODE_PREFIX[sym]}" "$(node cone routes)"
check_match "path: ends at the node" "${NODE_ADDRESS[sym]}" "$(node cone path "${NODE_PREFIX[sym]}")"
check_match "topology --dot: is a graph" '^(di)?graph' "$(node cone topology --dot)"
for what in status peers routes topology; do
  check "$what --json: is JSON" is_json "$(node cone $what --json)"
done
has_every_field() {
  node cone peers --json | "$PYTHON" -c '
import json, sys
kinds = dict(peer=str, endpoint=str, transport=str, datapath=str, rtt_ms=float, loss=(int, float), routes=int, age_s=int, bytes=int)
missing = [(peer["peer"], name) for peer in json.load(sys.stdin)["peers"] for name in kinds if not isinstance(peer.get(name), kinds[name])]
sys.exit(str(missing) if missing else 0)'
}
check "peers --json: each link has all that an operator asks for" wait_for 10 has_every_field
check "path --json: is JSON" is_json "$(node cone path "${NODE_PREFIX[sym]}" --json)"

# What a stranger could read.
check "mesh-3: words through the mesh" says_marker cone sym
stop_captures
check "mesh-3: nothing in the clear on backbone and LANs" cleartext --marker "$MARKER" --expect WireGuard --expect negotiation --expect "TLS records"

# babeld is restarted with what it knew.
before=$(babeld_pid cone)
kill -KILL "$before"
check "babeld: killed, is there again" wait_for 10 has_other_babeld cone "$before"
check "babeld: and so are the routes" everyone_reaches 30

# Without the registry: all at once, from their caches, which are written a second after a link is up.
stop_mesh_registry
for name in "${NODES[@]}"; do kill_node "$name"; done
check_fails "mesh-3: dead nodes answer nothing" can_ping cone "${NODE_ADDRESS[sym]}" 1
run_nodes "${NODES[@]}"
check "registry down: nodes that restart find each other again" everyone_reaches 30
start_mesh_registry

for name in "${NODES[@]}"; do
  stop_node "$name"
  check_equal "stop: exit status 0 of $name" 0 "$STOPPED_STATUS"
  check "stop: $name is as before" is_as_before "$name"
  check_equal "stop: nothing is left in run_dir of $name" "" "$(find "$TEMP/$name/run" -mindepth 1)"
done
