#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# v6udpv4 behind a NAT, handed to the kernel once it is negotiated: a sit with FOU encapsulation on the negotiation's own port, so that the
# NAT's mapping stays. The registry's end is its own datapath. Topology: ../lib.sh.

# shellcheck source-path=SCRIPTDIR source=../lib.sh disable=SC2086,SC2119,SC2034
. "$(dirname "$0")/../lib.sh"

# The UDP ports of the client's tunnel as the NAT has them: "inside outside".
nat_mapping() {
  ns router cat /proc/net/nf_conntrack | awk '/udp/ && /dport=3653/ {
    inside = ""
    for (i = 1; i <= NF; i++) {
      if ($i ~ /^sport=/ && inside == "") { inside = substr($i, 7) }
      if ($i ~ /^dport=/) outside = substr($i, 7)
    }
    print inside, outside
  }' | sort -u
}

sockets_of_port() { ns client ss -Hunap "sport = :$1"; }
kept_alive() { [ "$(status_field home keepalive.last_reply_s)" -lt 6 ] 2>/dev/null; }

begin "$@"
needs_kernel sit fou
vm_topology
finishes_checksums client eth0
start_web 5M
start_registry
# A NAT that gives every connection a port of its own would show a second one.
nat_ports 40000-49999
snapshot client >"$TEMP/client.before"
check_fails "fou: no IPv6 before the tunnel" can_ping client "$WEB_V6" 1

write_client_config home client tunnel_mode=v6udpv4 datapath=kernel if_tunnel_v6udpv4=six0 keepalive_interval=5
spawn_client home
wait_up home || die "the tunnel does not come up: $(tail -n 2 "$TEMP/home/out" | tr '\n' ' ')"
show_link client six0
ns client ip fou show | sed 's/^/# fou: /'
check_equal "fou: the interface is the kernel's sit" sit "$(link_kind client six0)"
check_match "fou: with FOU encapsulation" 'encap fou' "$(ns client ip -d -o link show dev six0)"
check_equal "fou: status says that the kernel moves the packets" kernel "$(status_field home datapath)"
check_equal "fou: the mode" v6udpv4 "$(status_field home mode)"
port=$(ns client ip fou show | grep -oE 'port [0-9]+' | head -n 1)
port=${port#port }
check_equal "fou: no TUN, raw or packet socket that takes packets" 0 "$(data_sockets home)"
check_equal "fou: no socket of ours on the tunnel's port" '' "$(sockets_of_port "$port" | grep sixlink)"
check "fou: ping through the tunnel" can_ping client "$WEB_V6"
inner=$(status_field home local_inner)
check "fou: ping from the other side" can_ping web "${inner%%/*}"
if [ -r /proc/net/nf_conntrack ]; then
  mapping=$(nat_mapping)
  check_equal "fou: one NAT mapping for negotiation and tunnel" 1 "$(wc -l <<<"$mapping")"
  check_equal "fou: it is the port that the negotiation had" "$port" "${mapping%% *}"
else
  skip "fou: one NAT mapping for negotiation and tunnel" "the kernel has no /proc/net/nf_conntrack"
fi
check "fou: a file of 5 MB" fetches client
check "fou: the interface counted it" field_is_over home counters.bytes_in 5242880
sleep 6
check "fou: the keepalive goes on" wait_for 6 kept_alive

# The registry comes back with the same leases: same tunnel, or a new negotiation.
stop_pid "$REGISTRY_PID"
run_registry
check "fou: a registry that was restarted is recovered from" wait_for 40 can_ping client "$WEB_V6" 1
check_equal "fou: with the kernel's interface" sit "$(link_kind client six0)"

# Another mapping: the registry's packets go where nobody is, and only a negotiation tells it.
lose_nat_mappings 50000-59999
lost=$SECONDS
check "fou: a NAT that forgot its mapping is recovered from" wait_for 40 can_ping client "$WEB_V6" 1
echo "# recovered after $((SECONDS - lost)) s"
check_equal "fou: with the kernel's interface again" sit "$(link_kind client six0)"

stop_client home
check_equal "fou: exit status 0" 0 "$STOPPED_STATUS"
check_equal "fou: the port is given back" '' "$(ns client ip fou show)"
check "fou: addresses, routes and settings are as before" is_as_before client

spawn_client home
wait_up home || die "the tunnel does not come up again: $(tail -n 2 "$TEMP/home/out" | tr '\n' ' ')"
stop_client home KILL
spawn_client home
check "fou: the next start takes over from a killed one" wait_up home
check "fou: ping after the kill" can_ping client "$WEB_V6"
stop_client home
check_equal "fou: no port is left" '' "$(ns client ip fou show)"
check "fou: all is as before, after a kill too" is_as_before client
