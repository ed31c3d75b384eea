#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Two nodes behind NATs that nobody gets into unasked, and no third node: the registry tells each of the other, and both knock until
# the holes meet. (With a node as the rendezvous: 91-hole-punching.) Topology: tests/mesh/lib.sh.
#
#   one, two (behind NATs that keep the port), registry
#
# covers: nothing

# shellcheck source-path=SCRIPTDIR source=../../mesh/lib.sh disable=SC2119
. "$(dirname "$0")/../../mesh/lib.sh"

begin "$@"
mesh_network
add_node one port-kept
add_node two port-kept
start_mesh_registry
join_nodes one two
# By UDP: TCP does not get into them either.
for name in one two; do set_node_key "$name" link_transport=udp port_mapping=no; done

# link_of NODE PEER: where NODE has its link to PEER that is up; nothing: there is none.
link_of() {
  node "$1" peers --json | "$PYTHON" -c '
import json, sys
for peer in json.load(sys.stdin)["peers"]:
    if peer["peer"] == sys.argv[1] and peer["state"] == "up":
        print(peer["endpoint"])' "${NODE_PREFIX[$2]}"
}
is_direct() { link_of "$1" "$2" | grep -qxF "${NODE_V4[$2]}:3653"; }

# Without the registry they never hear of each other.
stop_mesh_registry
run_nodes one two
nodes_run one two
check_fails "rendezvous: nothing without the registry" wait_for 3 can_ping one "${NODE_ADDRESS[two]}" 1
check_equal "rendezvous: and no link" "" "$(links one)$(links two)"
start_mesh_registry
started=$(now_ms)
check "rendezvous: the two reach each other" everyone_reaches 50 one two
echo "# rendezvous: $(($(now_ms) - started)) ms after the registry was there"
check "rendezvous: through a hole in each NAT" is_direct one two
check "rendezvous: the other way as well" is_direct two one

# What was punched needs the registry no more.
stop_mesh_registry
check "rendezvous: the link holds without the registry" can_ping one "${NODE_ADDRESS[two]}" 2
