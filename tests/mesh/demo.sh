#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Shows the mesh: `make demo-mesh`. Eight machines on eight kinds of networks join, form one network, and lose two of them.
# Everything runs in network namespaces: the machine's own network is not touched. lib.sh makes and removes them.

# shellcheck source-path=SCRIPTDIR source=lib.sh disable=SC2119
. "$(dirname "$0")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=../net/demo_stage.sh
. "$(dirname "$0")/../net/demo_stage.sh"

DEMO=demo-mesh
PICTURES=$BUILD/demo

underlays() {
  cat <<'PICTURE'
                                      the Internet, and its registry
      |          |          |           |             |              |                    |
    pub1       pub2        six     [NAT, full     [NAT, sym-    [NAT, passes       [NAT, port-restricted]
   IPv4+6     IPv4+6    IPv6 only    cone]         metric]        no UDP]            |             |
                                       |             |              |               lan1          lan2
                                     cone           sym            tcp            (one LAN for the two)
PICTURE
}

# topology_lines: for tools/picture.py. The dead are given.
topology_lines() {
  local name peer
  for name in "${NODES[@]}"; do
    if [[ " $* " == *" $name "* ]]; then
      echo "down $name ${NODE_KIND[$name]}"
    else
      echo "node $name ${NODE_KIND[$name]}"
      links "$name" | while read -r peer _; do echo "link $name $peer"; done
    fi
  done
}
# draw FILE TITLE [DEAD...]
draw() {
  local file=$1 title=$2
  shift 2
  topology_lines "$@" | "$PYTHON" "$MESH_TOOLS/picture.py" --svg "$PICTURES/$file" --title "$title" | sed 's/^/    /'
  printf '\n    the same as SVG: %s\n' "${PICTURES#"$ROOT/"}/$file"
}

join_all() {
  heading "2. Each machine joins: one command"
  typed pub1 "$SIXLINK join $MESH_URL --anonymous"
  join_nodes "${NODES[@]}"
  sed 's/^/    /' "$TEMP/pub1/join.out"
  printf '\n  ... and so did the others. Their prefixes:\n'
  local name
  for name in "${NODES[@]}"; do printf '    %-6s %-20s %s\n' "$name" "${NODE_KIND[$name]}" "${NODE_PREFIX[$name]}"; done
}

start_all() {
  local said
  heading "3. All are started at once"
  if can_ping six "${NODE_ADDRESS[sym]}" 1 >/dev/null 2>&1; then give_up "the ping should have failed: no node runs yet"; fi
  echo "  before: six cannot ping sym"
  run_nodes "${NODES[@]}"
  said=$(everyone_reaches 60) || give_up "$said"
  echo "  everyone reaches everyone: $said after the start"
}

look_around() {
  heading "4. The topology that they made"
  # Links between all who can have one take longer than reaching everyone.
  sleep 10
  draw mesh-before.svg "Eight nodes and their links"
  heading "5. What a node says: six, which has IPv6 alone, and its way to sym, which has IPv4 behind a symmetric NAT"
  show six "$SIXLINK" peers -f "$TEMP/six/six.conf" || give_up "sixlink peers failed"
  printf '\n'
  show six "$SIXLINK" path "${NODE_ADDRESS[sym]}" -f "$TEMP/six/six.conf" || give_up "sixlink path failed"
}

# Two die: the one that six's traffic to sym passes, with its cable; and one more.
lose_two() {
  local transit other said gap name rest=()
  heading "6. Two machines die, one of them on the way between six and sym"
  transit=$(through six | sed -n 's/^sym //p')
  if [ -z "$transit" ]; then give_up "six reaches sym without a third, which has IPv4 and IPv6"; fi
  for other in cone lan1; do [ "$other" = "$transit" ] || break; done
  printf '  six sends to sym a datagram every 10 ms, through %s; %s and %s lose power (kill -9, cables cut)\n' "$transit" "$transit" "$other"
  kill_node "$other"
  forget_node "$transit"
  said=$(FLOW_AFTER=6 gap_when_killed six sym "$transit" off) || give_up "six did not reach sym before"
  gap=${said%% *}
  printf '  the longest time without an answer: %s s\n' "$gap"
  for name in "${NODES[@]}"; do [[ " $transit $other " == *" $name "* ]] || rest+=("$name"); done
  said=$(everyone_reaches 30 "${rest[@]}") || give_up "$said"
  printf '  the other six reach each other: all %s\n\n' "${said#all }"
  draw mesh-after.svg "Two of them dead" "$transit" "$other"
  heading "7. The way from six to sym now"
  show six "$SIXLINK" path "${NODE_ADDRESS[sym]}" -f "$TEMP/six/six.conf" || give_up "sixlink path failed"
  REASON="eight nodes on eight kinds of networks; a transit node died, and traffic stopped for $gap s"
}

main() {
  begin_demo "$(missing_for_mesh)" "This needs network namespaces, babeld and tcpdump. Run it as root (sudo make demo-mesh)." "$@"
  mkdir -p "$PICTURES"

  REASON="could not set up the network"
  mesh_network
  add_node pub1 public
  add_node pub2 public
  add_node six v6
  add_node cone full-cone
  add_node sym symmetric
  add_node tcp udp-blocked
  add_lan home port-restricted
  add_node lan1 lan:home
  add_node lan2 lan:home

  heading "1. The network under them, in namespaces of this machine, and the registry"
  underlays
  printf '\n'
  REASON="the registry does not start"
  start_mesh_registry
  sed 's/^/    /' "$TEMP/registry/init.out"
  REASON="a node could not join"
  join_all
  REASON=
  start_all
  look_around
  lose_two
  printf '\n'
}

main "$@"
