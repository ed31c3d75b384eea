#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Eight nodes on eight kinds of networks: in the open twice, on IPv6 alone, behind an address-restricted and a symmetric NAT, where UDP
# is blocked, and two on one LAN behind a port-restricted NAT. Everyone reaches everyone; the network is cut in two and heals; the LAN
# goes on without its uplink; two nodes die. Nothing passes in the clear. Topology: tests/mesh/lib.sh.

# shellcheck source-path=SCRIPTDIR source=../../mesh/lib.sh disable=SC2119
. "$(dirname "$0")/../../mesh/lib.sh"

begin "$@"
mesh_network
add_node pub1 public
add_node pub2 public
add_node six v6
add_node addr address-restricted
add_node sym symmetric
add_node tcp udp-blocked
add_lan home port-restricted
add_node lan1 lan:home
add_node lan2 lan:home

start_mesh_registry
start_captures
join_nodes "${NODES[@]}"
for name in lan1 lan2; do set_node_key "$name" lan_interface=eth0; done
check_fails "mesh-8: no ping before the nodes run" can_ping sym "${NODE_ADDRESS[six]}" 1
run_nodes "${NODES[@]}"
nodes_run "${NODES[@]}"
check "mesh-8: everyone reaches everyone" everyone_reaches 40
check "udp blocked: has a link by TCP" wait_for 10 has_link_by tcp tcp
check "lan: the two have a link" wait_for 15 has_link lan1 lan2

# LAN traffic stays there, also without the uplink. 200 pings of 1,000 bytes are 400 KB with their replies.
uplink_bytes() {
  ip -n "$PREFIX-rhome" -s -j link show dev eth0 | "$PYTHON" -c 'import json, sys; print(sum(way["bytes"] for way in json.load(sys.stdin)[0]["stats64"].values()))'
}
# uplink_carries NODE: how many KB the LAN's uplink carries while lan1 pings that one.
uplink_carries() {
  local before
  before=$(uplink_bytes)
  ns lan1 ping -6 -n -q -c 200 -i 0.005 -s 1000 "${NODE_ADDRESS[$1]}" >"$TEMP/ping.out" 2>&1
  grep -q ' [1-9][0-9]* received' "$TEMP/ping.out" || return 1
  echo $((($(uplink_bytes) - before) / 1000))
}
goes_by_lan() { ns lan1 ip -6 route get "${NODE_ADDRESS[lan2]}" | grep -q "dev $(links lan1 | awk '$1 == "lan2" { print $2 }') "; }
check "lan: what is for a neighbour on it goes by the link to it" wait_for 10 goes_by_lan
check "lan: what is for others goes by the uplink" test "$(uplink_carries pub1)" -gt 300
check "lan: what is for the neighbour does not" test "$(uplink_carries lan2)" -lt 100
cut_off lan1
check "lan: with the uplink cut the two reach each other" wait_for 10 can_ping lan1 "${NODE_ADDRESS[lan2]}" 1
check_fails "lan: with the uplink cut nobody else does" can_ping lan1 "${NODE_ADDRESS[pub1]}" 1
plug_in lan1
check "lan: plugged in again, everyone reaches everyone" everyone_reaches 40

# Cut in two: each side is a network of its own.
partition pub1 six sym
check "partition: the side of pub1 is whole" everyone_reaches 40 pub1 six sym
check "partition: the other side is whole" everyone_reaches 40 pub2 addr tcp lan1 lan2
check_fails "partition: nothing passes between them" can_ping six "${NODE_ADDRESS[addr]}" 1
healed=$(now_ms)
heal
check "partition: healed, everyone reaches everyone" everyone_reaches 60
echo "# mesh-8: all pairs $(($(now_ms) - healed)) ms after the partition"

check "mesh-8: words through the mesh" says_marker six sym
stop_captures
check "mesh-8: nothing in the clear on backbone and LANs" cleartext --marker "$MARKER" --expect WireGuard --expect negotiation --expect "TLS records" --expect beacons

# Two die. Nothing that is left needs them.
kill_node addr
kill_node pub2
check "two dead: the other six reach each other" everyone_reaches 20 pub1 six sym tcp lan1 lan2
run_nodes addr pub2
check "two dead: back, everyone reaches everyone" everyone_reaches 40
