#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# A gateway of the mesh, a node that has no other way to the Internet, and one that has links over TLS alone.
#
#   n1, n2, n3, n4 -- hub (a bridge): 198.51.100.N. The rest of the topology: tests/mesh/segment.sh
#   n1 is the gateway; behind it is web, 2001:db8:99::2. n3 sends and takes no UDP. n4 has one link, over TLS.
#
# covers: key gateway, key link_transport, key client_only, key disable_proto

# shellcheck source-path=SCRIPTDIR source=../../mesh/segment.sh disable=SC2119,SC2034
. "$(dirname "$0")/../../mesh/segment.sh"

# What outer sockets are marked with, and the table of the overlay's default routes: platform/linux/overlay.cc.
MARK=0x366c6e6b
TABLE=136

begin "$@"
segment n1 n2 n3 n4
make_nodes 2001:db8:42::/48,192.0.2.0/24 n1=198.51.100.1 n2=198.51.100.2 n3=198.51.100.3 n4=-
for node in "${NODES[@]}"; do ip -n "$PREFIX-$node" addr add "198.51.100.${node#n}/24" dev eth0; done
add_namespace web
link n1 eth1 web eth0
ip -n "$PREFIX-n1" addr add 2001:db8:99::1/64 dev eth1 nodad
ip -n "$PREFIX-web" addr add "$WEB_V6"/64 dev eth0 nodad
ip -n "$PREFIX-web" route add 2001:db8:42::/48 via 2001:db8:99::1
ns n3 nft -f - <<'NFT' || die "nft cannot block UDP"
table inet guard {
  chain out { type filter hook output priority filter; oifname "eth0" udp dport != 0 drop; }
  chain in { type filter hook input priority filter; iifname "eth0" udp dport != 0 drop; }
}
NFT

# The interface that a node's packets to web leave by, or nothing.
way_to_web() { ns "$1" ip -6 route get "$WEB_V6" "${@:2}" 2>/dev/null | sed -n 's/.* dev \([^ ]*\) .*/\1/p'; }

write_node n1 gateway=yes
write_node n2
write_node n3 link_transport=tcp
write_node n4 disable_proto=udp client_only=198.51.100.1
for node in "${NODES[@]}"; do snapshot "$node" >"$TEMP/$node.before"; done

check_fails "gateway: no way to the Internet without it" can_ping n2 "$WEB_V6" 1
for node in "${NODES[@]}"; do
  start_node "$node" || fail "gateway: $node starts" "$(tail -n 3 "$TEMP/$node/out" "$TEMP/$node/log")"
done
check "gateway: every node reaches every other" wait_for 20 all_reach
check "tcp: both links of the node without UDP are up" wait_for 10 field_is n3 status links.up 2
check_equal "tcp: what carries them" "tcp tcp" "$(field n3 peers peers.0.transport) $(field n3 peers peers.1.transport)"
check_equal "disable_proto=udp, client_only: one link, over TLS" "1 tcp" "$(field n4 status links.up) $(field n4 peers peers.0.transport)"
check "tcp: nothing listens on UDP" test -z "$(ns n3 ss -Hlun 'sport = 3653' | grep -v "$(address n3)")"

check_equal "ipv4: each node has an address of its own" "192.0.2.2/32" "$(ns n2 ip -4 -o addr show dev lo | grep -o '192[^ ]*')"
check_equal "ipv4: status tells it" 192.0.2.2 "$(field n2 status address_v4)"
check "ipv4: a node reaches another" wait_for 15 ns n1 ping -c 1 -W 1 192.0.2.2
check "ipv4: over TLS" wait_for 15 ns n3 ping -c 1 -W 1 192.0.2.2

check "gateway: a node reaches the Internet through it" wait_for 15 can_ping n2 "$WEB_V6" 1
check "gateway: so does one over TLS" wait_for 15 can_ping n3 "$WEB_V6" 1
check_match "gateway: by a link" '^sixm' "$(way_to_web n2)"
check_equal "gateway: what carries links does not go that way" "" "$(way_to_web n2 mark $MARK)"
check_match "gateway: its route is in a table of its own" '^default' "$(ns n2 ip -6 route show table $TABLE)"
check_equal "gateway: it takes no default route itself" "" "$(ns n1 ip -6 route show table $TABLE default 2>/dev/null)"

ip -n "$PREFIX-n2" -6 addr add 2001:db8:77::2/64 dev eth0 nodad
ip -n "$PREFIX-n2" -6 route add default via 2001:db8:77::1 dev eth0
check_equal "gateway: a default route of the machine's own goes before it" eth0 "$(way_to_web n2)"
ip -n "$PREFIX-n2" -6 route del default via 2001:db8:77::1 dev eth0
ip -n "$PREFIX-n2" -6 addr del 2001:db8:77::2/64 dev eth0
check "gateway: and the mesh's is there again" can_ping n2 "$WEB_V6"

for node in "${NODES[@]}"; do check_equal "stop: $node" 0 "$(exit_status node "$node" stop)"; done
for node in "${NODES[@]}"; do check "stop: $node is as before" is_as_before "$node"; done
