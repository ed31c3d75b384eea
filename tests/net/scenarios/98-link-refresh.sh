#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Links that are of little use are replaced, and nothing is lost of what passes them: ten nodes in the open that know each other from their caches, two
# links begun by each, a new one in the place of another every ten seconds, and traffic between all of them meanwhile.
# Topology: tests/mesh/lib.sh.
#
# covers: nothing

# shellcheck source-path=SCRIPTDIR source=../../mesh/lib.sh disable=SC2119
. "$(dirname "$0")/../../mesh/lib.sh"

begin "$@"
mesh_network
for number in 1 2 3 4 5 6 7 8 9 10; do add_node n$number v4; done
equip_nodes $NETWORK port_mapping=no client_count=1 most_served=4 tunnel_refresh=10

check_fails "refresh: no ping before the nodes run" can_ping n1 "${NODE_ADDRESS[n10]}" 1
run_nodes "${NODES[@]}"
started=$SECONDS
check "refresh: everyone reaches everyone" everyone_reaches 20

all_links() { for name in "${NODES[@]}"; do links "$name" | sed "s/^/$name /"; done | sort; }
pairs=()
for source in 1 2 3 4 5 6 7 8 9 10; do
  for distance in 1 3; do
    sink=$(((source + distance - 1) % 10 + 1))
    pairs+=("$(netns n$source)=${NODE_ADDRESS[n$source]}" "$(netns n$sink)=${NODE_ADDRESS[n$sink]}")
  done
done
# For its first half minute a link is on trial.
while [ $((SECONDS - started)) -lt 26 ]; do sleep 0.2; done
all_links >"$TEMP/links.before"
"$PYTHON" "$MESH_TOOLS/flow.py" "$TEMP/flow.json" 2 "${REFRESH_SECONDS:-18}" "${pairs[@]}" -- true >"$TEMP/flow.out" 2>&1 ||
  fail "refresh: traffic" "$(tail -n 3 "$TEMP/flow.out")"
all_links >"$TEMP/links.after"
replaced=$(comm -23 "$TEMP/links.before" "$TEMP/links.after" | wc -l)
check "refresh: links were replaced ($replaced ends of $(wc -l <"$TEMP/links.before"))" test "$replaced" -ge 4
# flows FIELD: of all that were measured, how many changed their way, and how much they lost: datagrams of a hundred a second each.
flows() { "$PYTHON" -c '
import json, sys
flows = json.load(open(sys.argv[1]))["flows"]
print({"measured": sum(flow["gap"] is not None for flow in flows), "moved": sum(len(flow["hop_limits"]) > 1 for flow in flows),
       "loss": sum(flow["loss"] for flow in flows)}[sys.argv[2]])' "$TEMP/flow.json" "$1"; }
check_equal "refresh: all traffic was measured" $((${#pairs[@]} / 2)) "$(flows measured)"
check "refresh: some of it took another way" test "$(flows moved)" -ge 1
# babeld replaces a route by removing it first: what comes in between is lost, and no fault of the link that goes.
check "refresh: and at most one packet in a hundred was lost" awk -v loss="$(flows loss)" 'BEGIN { exit !(loss / '$((${#pairs[@]} / 2))' <= 0.01) }'
lost_links() { cat "$TEMP"/n*/log | grep 'is lost\|gives no answer'; }
check_fails "refresh: no link was lost" lost_links
