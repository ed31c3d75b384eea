#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# A node with an address of IPv6's behind a router that lets nobody in: the real miniupnpd opens its firewall for the node, by PCP;
# a peer outside gets in; it is asked to close with the node. A router that does not speak PCP, and a default route that goes and
# comes back.
#
#   node 2001:db8:1::2 ---- fe80::1 router 2001:db8:2::1 ---- 2001:db8:2::2 peer
#        port_mapping=yes   (firewall, miniupnpd)
#
# covers: nothing

# shellcheck source-path=SCRIPTDIR source=../port_router.sh disable=SC2034,SC2119
. "$(dirname "$0")/../port_router.sh"

NODE=2001:db8:1::2
OUTSIDE=$NODE
PEER_SOURCE="ip6 saddr 2001:db8:2::2"
MAPPING=port_mapping.ipv6

begin "$@"
node_behind_router
set_sysctl router net/ipv6/conf/all/forwarding 1
ip -n "$PREFIX-router" -batch - <<IP
addr add fe80::1/64 dev lan0 nodad
addr add 2001:db8:1::1/64 dev lan0 nodad
addr add 2001:db8:2::1/64 dev wan0 nodad
IP
ip -n "$PREFIX-node" addr add $NODE/64 dev eth0 nodad
add_default_route() { ip -n "$PREFIX-node" -6 route add default via fe80::1 dev eth0; }
add_default_route
ip -n "$PREFIX-peer" addr add 2001:db8:2::2/64 dev eth0 nodad
ip -n "$PREFIX-peer" -6 route add 2001:db8:1::/64 via 2001:db8:2::1

ns router nft -f - <<'NFT'
table inet filter {
  chain miniupnpd { }
  chain prerouting_miniupnpd { }
  chain postrouting_miniupnpd { }
  chain forward {
    type filter hook forward priority filter;
    ct state established,related accept
    jump miniupnpd
    iifname "wan0" drop
  }
}
NFT

is_without_router() { [ "$(status protocol)" = none ] && ! status gateway; }

# --- Nobody opens ---

start_node
wait_for 20 status problem || fail "router firewall: without a router that opens it" "the node says nothing"
check_match "router firewall: a router that does not speak PCP is told" "does not speak PCP" "$(status problem)"
check_fails "router firewall: UDP does not get in before" udp_arrives
check_fails "router firewall: TLS does not get in before" answers_tls
stop_pid "$NODE_PID"

# --- PCP ---

run_router enable_natpmp=yes enable_upnp=no
start_node
if wait_for 10 is_mapped_by PCP; then
  pass "router firewall: PCP opens it for UDP and TCP"
else
  fail "router firewall: PCP opens it for UDP and TCP" "$(status problem) $(tail -n 3 "$TEMP/node/log" | tr '\n' ' ')"
fi
check_equal "router firewall: the address is the node's own" $NODE "$(status mapped.0.external)"
check "router firewall: UDP gets in" udp_arrives
check "router firewall: TLS gets in" answers_tls

# --- The way to the Internet goes and comes back ---

ip -n "$PREFIX-node" -6 route del default
check "router firewall: without a default route nobody is asked" wait_for 10 is_without_router
add_default_route
check "router firewall: with another it is asked again" wait_for 15 is_mapped_by PCP

stop_pid "$NODE_PID"
# This miniupnpd does not find the nonce again that it keeps of a pinhole, and refuses: that one ends with its lifetime.
is_asked_to_close() { grep -qi "remove.* PCP mapping internal port 3653, protocol $1" "$TEMP/router/out"; }
check "router firewall: the router is asked to close UDP with the node" wait_for 3 is_asked_to_close UDP
check "router firewall: and TCP" wait_for 3 is_asked_to_close TCP
