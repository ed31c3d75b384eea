#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# What `sixlink doctor` says of the NAT in front of a machine on which no node runs.
#
#   open, near, far: on the Internet; cone, symmetric: each behind a NAT of its kind. Topology: tests/mesh/lib.sh
#
# covers: command doctor

# shellcheck source-path=SCRIPTDIR source=../../mesh/lib.sh disable=SC2119
. "$(dirname "$0")/../../mesh/lib.sh"

begin "$@"
mesh_network
for name in open near far; do add_node "$name" public; done
add_node cone port-restricted
add_node symmetric symmetric
start_mesh_registry
join_nodes "${NODES[@]}"

doctor() { ns_hosts "$1" "$SIXLINK" doctor -f "$TEMP/$1/$1.conf"; }
# asked NODE PATTERN: one of three answers; each takes some seconds.
asked() { doctor "$1" | grep -qE "$2"; }

nobody=$(doctor symmetric)
check_match "nobody runs: a machine behind a NAT is told that the kind is not known" \
  '^warning +nat .*there is one: the registry sees .*only the registry tells where it sees this machine: it takes two' "$nobody"
check_match "nobody runs: the registry says whether UDP gets out" '^ok +udp .*the registry answers' "$nobody"
ns registry nft -f - <<<'table inet block { chain in { type filter hook input priority 0; udp dport 443 drop; }; }' ||
  die "nft cannot block UDP at the registry"
nobody=$(doctor symmetric)
check_match "UDP blocked: is told, and what to do" '^warning +udp .*the registry does not answer at 198\.51\.100\.10:443' "$nobody"
check_match "UDP blocked: the address that HTTPS comes from is known all the same" '^warning +nat .*the registry sees 198' "$nobody"
run_nodes near
check "one node runs: it takes two" wait_for 20 asked symmetric '^warning +nat .*only 198\.51\.100\.[0-9]+ tells where it sees this machine'
ns registry nft delete table inet block
check "the registry is the second" wait_for 20 asked symmetric '^warning +nat .*"symmetric"\): the registry sees .* and 198.* sees '
run_nodes far
check "two nodes: a NAT with a mapping for each destination" wait_for 20 asked symmetric '^warning +nat .*"symmetric"\): .* sees .* and .* sees '
check_match "what to do then" 'forward UDP port 3653' "$(doctor symmetric)"
check_match "one with the same mapping for all" '^ok +nat .*hole punching passes .*: 3 others see 198\.51\.100\.' "$(doctor cone)"
check_match "none" '^ok +nat .*none: .* sees this machine' "$(doctor open)"
has_far_alone() { [ "$(node near peers --json | grep -oE '"peer":"[^"]*"' | sort -u | cut -d '"' -f 4)" = "${NODE_PREFIX[far]}" ]; }
check "no link was made for that" wait_for 20 has_far_alone
