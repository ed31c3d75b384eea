#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Twenty nodes on every kind of network: everyone reaches everyone; traffic goes on when a node that it passes is killed; a revoked
# node is cut off by all; all restart at once without the registry. `make bench-mesh` has the figures; here the limits are wide, as
# other tests run beside. Topology: tests/mesh/lib.sh.

# shellcheck source-path=SCRIPTDIR source=../../mesh/lib.sh disable=SC2119
. "$(dirname "$0")/../../mesh/lib.sh"

begin "$@"
mesh_network
twenty_nodes
start_mesh_registry
start_captures
join_nodes "${NODES[@]}"
check_fails "mesh-20: no ping before the nodes run" can_ping sym1 "${NODE_ADDRESS[six1]}" 1
run_nodes "${NODES[@]}"
nodes_run "${NODES[@]}"
check "mesh-20: everyone reaches everyone" everyone_reaches 60
echo "# mesh-20: $(cat "$TEMP/check.out")"
check "mesh-20: words through the mesh" says_marker six1 sym1
stop_captures
check "mesh-20: nothing in the clear on backbone and LANs" cleartext --marker "$MARKER" --expect WireGuard --expect negotiation --expect "TLS records"
echo "# mesh-20: $(tail -n 1 "$TEMP/check.out")"

# Where a node is killed that others' traffic passes.
is_short() { awk -v gap="$1" -v most="$2" 'BEGIN { exit !(gap + 0 > 0 && gap + 0 <= most) }'; }
for how in kill off; do
  if ! found=$(wait_for 10 a_transit && a_transit); then
    fail "gap, $how" "no node reaches another through a third"
    continue
  fi
  read -r source sink transit <<<"$found"
  forget_node "$transit"
  said=$(gap_when_killed "$source" "$sink" "$transit" "$how")
  check "gap, $how: traffic goes on around the dead node" is_short "${said%% *}" 8
  echo "# mesh-20: $source to $sink through $transit, $how: $said (gap in s, lost, hop limits)"
  if [ "$how" = off ]; then plug_in "$transit"; fi
  run_nodes "$transit"
  check "gap, $how: the node comes back" everyone_reaches 40
done

# Revoked, it is cut off at once.
victim=pub2
watched=()
for name in "${NODES[@]}"; do
  while read -r peer interface _; do
    # What one end has taken away is cut.
    if [ "$peer" = $victim ]; then watched+=("${NODE_PID[$name]}/$interface"); fi
  done < <(links "$name")
done
check "revocation: all links of the node are cut" "$PYTHON" "$MESH_TOOLS/links_gone.py" 15 "${watched[@]}" -- \
  nsenter --net="$(netns registry)" "$REGISTRY" revoke "${NODE_PREFIX[$victim]}" -f "$TEMP/registry/registry.conf"
echo "# mesh-20: ${#watched[@]} links cut in $(cat "$TEMP/check.out") s"
check_fails "revocation: it reaches nobody" can_ping $victim "${NODE_ADDRESS[pub1]}" 1
rest=()
for name in "${NODES[@]}"; do [ "$name" = $victim ] || rest+=("$name"); done
check "revocation: the others reach each other" everyone_reaches 40 "${rest[@]}"

# Without the registry, all at once, from their caches; the revoked one among them.
stop_mesh_registry
kill_node "${NODES[@]}"
run_nodes "${NODES[@]}"
check "registry down: everyone is back" everyone_reaches 60 "${rest[@]}"
echo "# mesh-20: restarted at once without the registry: $(cat "$TEMP/check.out")"
check_fails "registry down: the revoked one is not" can_ping $victim "${NODE_ADDRESS[pub1]}" 1
