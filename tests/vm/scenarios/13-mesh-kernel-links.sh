#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Links of the mesh that are the kernel's WireGuard: between two nodes that both have it, and with one whose datapath is ours; what passes
# them, what does not, a node that is killed, a firewall that lets only the shared port in, and nothing left.
#
#   a (kernel) --- b (kernel)        c (userspace) has a link with both
#
# Topology: ../../mesh/lib.sh.

# shellcheck source-path=SCRIPTDIR source=../../mesh/lib.sh disable=SC2119
. "$(dirname "$0")/../../mesh/lib.sh"
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"

begin "$@"
needs_kernel wireguard
needs_program babeld nft

# datapath_of NODE PEER: kernel or userspace, as `sixlink peers --json` has it, where the link is up.
datapath_of() {
  node "$1" peers --json | "$PYTHON" -c 'import json, sys
for peer in json.load(sys.stdin)["peers"]:
    if peer["peer"] == sys.argv[1] and peer["state"] == "up":
        print(peer["datapath"])' "${NODE_PREFIX[$2]}"
}
# interface_of NODE PEER
interface_of() {
  node "$1" peers --json | "$PYTHON" -c 'import json, sys
for peer in json.load(sys.stdin)["peers"]:
    if peer["peer"] == sys.argv[1]:
        print(peer["interface"])' "${NODE_PREFIX[$2]}"
}
has_link() { [ "$(datapath_of "$1" "$2")" = "$3" ] || { node "$1" peers; return 1; }; }
kernel_links() { ns "$1" ip -o link show type wireguard | wc -l; }
has_no_link() { [ -z "$(datapath_of "$1" "$2")" ]; }
# An emulated machine with other work may need more than the 3 s that a handshake to a link's own port has; c forgets that when it is started
# anew.
has_mixed_link() {
  local try
  for try in 1 2 3; do
    if wait_for 5 has_link a c kernel; then return; fi
    echo "try $try: $(node a peers)"
    stop_node c
    run_nodes c
    nodes_run c
  done
  return 1
}
drop_filter() { ns "$1" nft delete table inet "$(ns "$1" nft list tables | sed -n 's/^table inet \(sixlink_mesh_.*\)/\1/p')"; }
# foreign_arrives: packets of an address that is not the network's are sent to b; whether any has come there.
foreign_arrives() {
  ns a ping -6 -n -c 3 -i 0.2 -W 1 -I 2001:db8:bad::1 "${NODE_ADDRESS[b]}" >/dev/null 2>&1
  ns b nft list table inet spy | grep -q 'counter packets [1-9]'
}
# has_rtt NODE PEER: in-link echoes are answered.
has_rtt() {
  node "$1" peers --json | "$PYTHON" -c 'import json, sys
sys.exit(not any(peer["peer"] == sys.argv[1] and peer["rtt_ms"] for peer in json.load(sys.stdin)["peers"]))' "${NODE_PREFIX[$2]}"
}
# counts_packets NODE PEER: of both ways.
counts_packets() {
  node "$1" peers --json | "$PYTHON" -c 'import json, sys
peer, = [peer for peer in json.load(sys.stdin)["peers"] if peer["peer"] == sys.argv[1]]
sys.exit(not (peer["packets_in"] > 0 and peer["packets_out"] > 0))' "${NODE_PREFIX[$2]}"
}

mesh_network
for name in a b c; do add_node $name public; done
ns a ip link add sixm7 type wireguard  # somebody's own
for name in a b c; do snapshot $name >"$TEMP/$name.before"; done
for name in a b; do write_node_config $name port_mapping=no; done
write_node_config c port_mapping=no datapath=userspace
start_mesh_registry
join_nodes a b c
check_fails "kernel links: no ping before the nodes run" can_ping a "${NODE_ADDRESS[b]}" 1
run_nodes a b c
nodes_run a b c
check "kernel links: everyone reaches everyone" everyone_reaches 40
check "kernel links: a and b have one of the kernel's" wait_for 20 has_link a b kernel
check "kernel links: so says b" wait_for 10 has_link b a kernel
check "kernel links: a's end of the one with c is the kernel's" has_mixed_link
check "kernel links: c's end is ours" wait_for 10 has_link c a userspace
link=$(interface_of a b)
check_equal "kernel links: it is WireGuard" wireguard "$(link_kind a "$link")"
show_link a "$link"
check "kernel links: ping through it" can_ping a "${NODE_ADDRESS[b]}" 3
check "kernel links: the packets are counted" counts_packets a b
check "kernel links: ping between kernel and ours" can_ping c "${NODE_ADDRESS[a]}" 3
check "kernel links: echoes inside of them are answered" wait_for 10 has_rtt a b
check "kernel links: and with ours" wait_for 10 has_rtt c a

# What may not pass: a lets out what b's filter then drops; without that, too, it arrives.
check_match "filter: there are the rules" 'table inet sixlink_mesh_' "$(ns a nft list tables)"
ns a ip addr add 2001:db8:bad::1/128 dev lo
# By the link that is tested, whatever babel thinks of its round trips on a machine that is emulated.
ns a ip -6 route add "${NODE_ADDRESS[b]}/128" dev "$link" metric 1
ns b nft -f - <<'NFT'
table inet spy {
  chain input {
    type filter hook input priority filter;
    ip6 saddr 2001:db8:bad::1 counter
  }
}
NFT
drop_filter a
check_fails "filter: from outside of the network nothing comes through" foreign_arrives
drop_filter b
check "filter: without it, it would have" wait_for 20 foreign_arrives
ns a ip -6 route del "${NODE_ADDRESS[b]}/128" dev "$link" metric 1
ns b nft delete table inet spy
ns a ip addr del 2001:db8:bad::1/128 dev lo

# The kernel's end of the link outlives the daemon; what was to be done by that is not.
kill_node a
check_equal "kill -9: leaves the interfaces" 3 "$(kernel_links a)"
check "kill -9: the peers notice" wait_for 30 has_no_link b a
run_nodes a
nodes_run a
check "kill -9: started anew it has a link of the kernel's" wait_for 30 has_link b a kernel
check "kill -9: and with ours" wait_for 20 has_link c a userspace
check "kill -9: ping" wait_for 10 can_ping b "${NODE_ADDRESS[a]}" 1
check_equal "kill -9: what it left is gone, and somebody's own is not" 3 "$(kernel_links a)"

# b's firewall knows the shared port alone.
stop_node a
ns b nft -f - <<'NFT'
table inet wall {
  chain input {
    type filter hook input priority filter;
    iifname "eth0" udp dport 61000-65535 drop
  }
  chain output {
    type filter hook output priority filter;
    oifname "eth0" udp sport 61000-65535 drop
  }
}
NFT
set_node_key a datapath=userspace
run_nodes a
nodes_run a
check "firewall: the link is made over the shared port" wait_for 30 has_link b a userspace
check "firewall: ping" wait_for 10 can_ping a "${NODE_ADDRESS[b]}" 1
ns b nft delete table inet wall

for name in a b c; do
  stop_node $name
  check_equal "stop: exit status 0 of $name" 0 "$STOPPED_STATUS"
  check "stop: $name is as before" is_as_before $name
done
