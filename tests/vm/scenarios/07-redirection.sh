#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# A broker that only redirects, and three others at different distances: the closest that lives is used, and the files say so.
#
#   direct --- router --- registry (redirects), far 300 ms, near 5 ms, middle 100 ms: delays by netem
#
# Topology: ../lib.sh.

# shellcheck source-path=SCRIPTDIR source=../lib.sh disable=SC2086,SC2119,SC2034
. "$(dirname "$0")/../lib.sh"

begin "$@"
needs_kernel sch_netem
vm_topology
declare -A ADDRESS=([far]=198.51.100.51 [near]=198.51.100.52 [middle]=198.51.100.53) DELAY=([far]=300 [near]=5 [middle]=100) PID=()
number=43
for broker in far near middle; do
  add_internet_host $broker ${ADDRESS[$broker]}
  ns $broker tc qdisc add dev eth0 root netem delay ${DELAY[$broker]}ms || die "no netem"
  write_registry_config $broker prefix=2001:db8:$number::/48
  run_registry $broker
  PID[$broker]=$REGISTRY_PID
  number=$((number + 1))
done
start_registry "redirect=${ADDRESS[far]} ${ADDRESS[near]} ${ADDRESS[middle]}"

round_trip() { ns direct ping -4 -n -c 3 -i 0.2 "$1" | sed -nE 's|^rtt min/avg/max/mdev = ([0-9.]+)/.*|\1|p'; }
for broker in near middle far; do echo "# $broker: $(round_trip ${ADDRESS[$broker]}) ms"; done

used() { status_field home broker.address; }
list() { cat "$TEMP/home/state/tsp-broker-list.txt" 2>/dev/null; }
# Which of the three the file of brokers has in which order.
order() { list | grep -oE '198\.51\.100\.5[123]' | tr '\n' ' '; }

write_client_config home direct tunnel_mode=v6udpv4 keepalive_interval=5
spawn_client home
wait_up home 40 || die "no tunnel by redirection: $(tail -n 3 "$TEMP/home/out" | tr '\n' ' ')"
check_match "redirection: the closest is used" "${ADDRESS[near]}" "$(used)"
check "redirection: ping over its tunnel" can_ping direct 2001:db8:44::1
check_equal "redirection: the list is in the order of distance" "${ADDRESS[near]} ${ADDRESS[middle]} ${ADDRESS[far]} " "$(order)"
check_match "redirection: the last server is kept" "${ADDRESS[near]}" "$(cat "$TEMP/home/state/tsp-last-server.txt" 2>&1)"

# The closest dies under the client.
stop_pid ${PID[near]} KILL
lost=$SECONDS
is_used() { is_up home && [[ $(used) == *"$1"* ]]; }
check "redirection: the closest dead, the next is used" wait_for 45 is_used ${ADDRESS[middle]}
echo "# on the next one after $((SECONDS - lost)) s"
check "redirection: ping over its tunnel" wait_for 5 can_ping direct 2001:db8:45::1
stop_client home

# The closest dead from the start, without files of an earlier run.
rm -f "$TEMP"/home/state/tsp-*
spawn_client home
check "redirection: the closest dead from the start, the next is used" wait_for 45 is_used ${ADDRESS[middle]}
check_match "redirection: the last server is the one in use" "${ADDRESS[middle]}" "$(cat "$TEMP/home/state/tsp-last-server.txt" 2>&1)"
stop_client home
check_equal "redirection: exit status 0" 0 "$STOPPED_STATUS"
