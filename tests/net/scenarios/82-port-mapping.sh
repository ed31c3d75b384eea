#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# A node behind a router that runs the real miniupnpd: its ports are mapped by PCP, by NAT-PMP where PCP is lost, and by UPnP where
# the router knows neither; a peer outside reaches it through the mapping; a router that restarts is asked again; the mappings go
# with the node.
#
#   node 192.0.2.2 ---- 192.0.2.1 router 198.51.100.1, 25.0.0.1 ---- 198.51.100.2 peer
#        port_mapping=yes      (NAT, miniupnpd)
#
# covers: nothing

# shellcheck source-path=SCRIPTDIR source=../port_router.sh disable=SC2034,SC2119
. "$(dirname "$0")/../port_router.sh"

OUTSIDE=$OUTER
PEER_SOURCE="ip saddr 198.51.100.2"
MAPPING=port_mapping

begin "$@"
node_behind_router
ip -n "$PREFIX-node" addr add 192.0.2.2/24 dev eth0
ip -n "$PREFIX-node" route add default via 192.0.2.1
ip -n "$PREFIX-router" addr add 198.51.100.1/24 dev wan0
ip -n "$PREFIX-peer" addr add 198.51.100.2/24 dev eth0
ip -n "$PREFIX-peer" route add $OUTER/32 via 198.51.100.1
set_sysctl router net/ipv4/ip_forward 1

# What comes unasked does not pass, unless miniupnpd's chains admit it.
router_rules() {
  ns router nft -f - <<'NFT'
table inet filter
delete table inet filter
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
  chain prerouting {
    type nat hook prerouting priority dstnat;
    jump prerouting_miniupnpd
  }
  chain postrouting {
    type nat hook postrouting priority srcnat;
    jump postrouting_miniupnpd
    oifname "wan0" ip saddr 192.0.2.0/24 masquerade
  }
}
NFT
}
# lose_pcp: the router knows NAT-PMP only, and says nothing to PCP.
lose_pcp() {
  ns router nft -f - <<'NFT'
table inet lossy {
  chain input {
    type filter hook input priority filter;
    udp dport 5351 @th,64,8 2 drop
  }
}
NFT
}
mapped_ports() { ns router nft list chain inet filter prerouting_miniupnpd | grep -c dnat; }
has_mapped() { [ "$(mapped_ports)" = "$1" ]; }

# start_router enable_natpmp
start_router() {
  router_rules
  run_router enable_natpmp="$1" enable_upnp=yes
}

# --- Nobody maps ---

router_rules
start_node
wait_for 20 status problem || fail "port mapping: without a router that maps" "the node says nothing"
check_match "port mapping: a router that maps nothing is told" "no UPnP gateway answers at 192.0.2.1" "$(status problem)"
check_fails "port mapping: UDP does not get in before" udp_arrives
check_fails "port mapping: TLS does not get in before" answers_tls
stop_pid "$NODE_PID"

# --- PCP ---

start_router yes
start_node
if wait_for 10 is_mapped_by PCP; then
  pass "port mapping: PCP maps UDP and TCP"
else
  fail "port mapping: PCP maps UDP and TCP" "$(status problem) $(tail -n 3 "$TEMP/node/log" | tr '\n' ' ')"
fi
check_equal "port mapping: the router's outer address is known" $OUTER "$(status mapped.0.external)"
check "port mapping: UDP gets in" udp_arrives
check "port mapping: TLS gets in" answers_tls

# A router that has forgotten everything says so when it starts, and by its epoch.
stop_router
start_router yes
check "port mapping: a router that restarted has nothing" has_mapped 0
check "port mapping: it is asked again without waiting for the renewal" wait_for 15 has_mapped 2
check "port mapping: UDP gets in again" udp_arrives
stop_pid "$NODE_PID"
check "port mapping: PCP's mappings go with the node" wait_for 3 has_mapped 0

# --- NAT-PMP ---

lose_pcp
start_node
check "port mapping: NAT-PMP maps where PCP is not answered" wait_for 15 is_mapped_by NAT-PMP
check "port mapping: UDP gets in by NAT-PMP" udp_arrives
stop_pid "$NODE_PID"
check "port mapping: NAT-PMP's mappings go with the node" wait_for 3 has_mapped 0
stop_router

# --- UPnP ---

# helper_user: of the process that speaks UPnP, once it has looked around for some time.
helper_user() {
  local pid
  for pid in $(ip netns pids "$PREFIX-node"); do
    if tr '\0' ' ' <"/proc/$pid/cmdline" | grep -q ' igd-helper '; then sed -n 's/^Uid:[[:space:]]*\([0-9]*\).*/\1/p' "/proc/$pid/status"; fi
  done
}
helper_is_nobody() { [ "$(helper_user)" = 65534 ]; }

start_router no
start_node
if in_user_namespace; then
  skip "port mapping: UPnP is spoken without privileges" "this user namespace has no other user"
else
  check "port mapping: UPnP is spoken without privileges" wait_for 20 helper_is_nobody
fi
if wait_for 15 is_mapped_by UPnP; then
  pass "port mapping: UPnP maps where the router knows nothing else"
else
  fail "port mapping: UPnP maps where the router knows nothing else" "$(status problem)"
fi
check_equal "port mapping: UPnP tells the outer address" $OUTER "$(status mapped.0.external)"
check "port mapping: UDP gets in by UPnP" udp_arrives
stop_pid "$NODE_PID"
check "port mapping: UPnP's mappings go with the node" wait_for 5 has_mapped 0
