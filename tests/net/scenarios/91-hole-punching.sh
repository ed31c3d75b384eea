#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Who can make a link with whom through which NATs, with one public node as the only common neighbour and no registry at all: two
# nodes whose NATs keep one mapping for all destinations always can; one of them may be behind a symmetric NAT if the other's does
# not look at ports. The rest reach each other through the public node. Topology: tests/mesh/lib.sh.
#
#   open (public)   pr1, pr2 (port-restricted)   ar (address-restricted)   sym1, sym2 (symmetric)
#
# covers: nothing

# shellcheck source-path=SCRIPTDIR source=../../mesh/lib.sh disable=SC2119
. "$(dirname "$0")/../../mesh/lib.sh"

begin "$@"
mesh_network
add_node open public
add_node pr1 port-restricted
add_node pr2 port-restricted
add_node ar address-restricted
add_node sym1 symmetric
add_node sym2 symmetric

# By TCP the public node is reached through every NAT; what is to be seen here is UDP.
equip_nodes $NETWORK link_transport=udp port_mapping=no

# has_link NODE PEER: with the outside of the peer's NAT.
has_link() { endpoint_of "$1" "$2" | grep -qF "${NODE_V4[$2]}:"; }
has_no_link() { [ -z "$(endpoint_of "$1" "$2")" ]; }

check_fails "punching: nobody reaches a NAT's inside before" can_ping pr1 "${NODE_ADDRESS[pr2]}" 1

run_nodes "${NODES[@]}"
check "punching: everyone reaches everyone" everyone_reaches 30

expect_link() {
  if wait_for 45 has_link "$1" "$2"; then
    pass "punching: ${NODE_KIND[$1]} and ${NODE_KIND[$2]} ($1, $2) link directly"
  else
    fail "punching: ${NODE_KIND[$1]} and ${NODE_KIND[$2]} ($1, $2) link directly" \
      "$1 has '$(endpoint_of "$1" "$2")'; $(grep -F "${NODE_PREFIX[$2]}" "$TEMP/$1/log" | tail -n 2 | tr '\n' ' ')"
  fi
}
expect_link pr1 open
expect_link pr1 pr2
expect_link pr2 pr1
expect_link pr1 ar
expect_link sym1 ar
check "punching: no link between two symmetric NATs" has_no_link sym1 sym2
check "punching: no link between a symmetric and a port-restricted NAT" has_no_link sym1 pr1
check "punching: those without a link reach each other all the same" can_ping sym1 "${NODE_ADDRESS[sym2]}" 2

# The kind of NAT that each has found out.
nat_of() { node "$1" status --json | "$PYTHON" "$TOOLS/json_field.py" nat; }
nat_is() { [ "$(nat_of "$1")" = "$2" ]; }
for expected in open=none pr1=independent ar=independent sym1=dependent; do
  check "punching: ${NODE_KIND[${expected%=*}]} is found to be ${expected#*=}" wait_for 20 nat_is "${expected%=*}" "${expected#*=}"
done

# The common neighbour goes: what was punched stays.
kill_node open
# Routes that led through it take a moment.
check "punching: links hold without the node that introduced them" wait_for 10 can_ping pr1 "${NODE_ADDRESS[pr2]}" 1
