#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Two nodes behind NATs that nobody gets into unasked, and no third node: the registry tells each of the other, and both knock until
# the holes meet. Where the NATs change the port, the registry also tells each by UDP which one it sees. (With a node as the
# rendezvous: 91-hole-punching.) Topology: tests/mesh/lib.sh.
#
#   one, two (behind NATs that keep the port), three, four (behind NATs that change it), registry
#
# covers: nothing

# shellcheck source-path=SCRIPTDIR source=../../mesh/lib.sh disable=SC2119
. "$(dirname "$0")/../../mesh/lib.sh"

begin "$@"
mesh_network
add_node one port-kept
add_node two port-kept
add_node three port-restricted
add_node four port-restricted
start_mesh_registry
join_nodes one two three four
# By UDP: TCP does not get into them either.
for name in one two three four; do set_node_key "$name" link_transport=udp port_mapping=no; done

# is_direct NODE PEER PORT: of the outside of the peer's NAT.
is_direct() { endpoint_of "$1" "$2" | grep -qxF "${NODE_V4[$2]}:$3"; }

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
check "rendezvous: through a hole in each NAT" is_direct one two 3653
check "rendezvous: the other way as well" is_direct two one 3653

# What was punched needs the registry no more.
stop_mesh_registry
check "rendezvous: the link holds without the registry" can_ping one "${NODE_ADDRESS[two]}" 2
# They take their leave of the registry: it tells nobody of them any more.
start_mesh_registry
stop_node one
stop_node two

# Who is seen only by HTTPS does not know the port that its NAT gave its links.
block_udp() { ns registry nft -f - <<<'table inet block { chain in { type filter hook input priority 0; udp dport 443 drop; }; }'; }
says_why() { node "$1" status | grep -q 'does not tell by UDP where it sees this node: no answer from .*:443; let UDP'; }
block_udp || die "nft cannot block UDP at the registry"
run_nodes three four
nodes_run three four
check "changed ports: with the registry's UDP blocked, status says so" wait_for 10 says_why three
check "changed ports: also the other's" wait_for 10 says_why four
check_fails "changed ports: and they do not meet" wait_for 4 can_ping three "${NODE_ADDRESS[four]}" 1
check_equal "changed ports: nor is there a link" "" "$(links three)$(links four)"
stop_node three
stop_node four
ns registry nft delete table inet block
run_nodes three four
nodes_run three four
started=$(now_ms)
check "changed ports: with the registry's UDP they reach each other" everyone_reaches 60 three four
echo "# changed ports: $(($(now_ms) - started)) ms after they started"
check "changed ports: through the port that the NAT chose" is_direct three four $((MAPPED_PORTS + 2))
check "changed ports: the other way as well" is_direct four three $((MAPPED_PORTS + 2))
stop_mesh_registry
check "changed ports: the link holds without the registry" can_ping three "${NODE_ADDRESS[four]}" 2
