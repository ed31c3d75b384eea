#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Half of all packets are lost, in both directions, by netem: a tunnel is negotiated, stays or comes back, and carries what gets through.
# Topology: ../lib.sh.

# shellcheck source-path=SCRIPTDIR source=../lib.sh disable=SC2086,SC2119,SC2034
. "$(dirname "$0")/../lib.sh"

# On the wire between client and router alone: 1 - sqrt(1/2) each way would be half of the round trips; this is half of each way.
lose() {
  ns client tc qdisc replace dev eth0 root netem loss "$1%"
  ns router tc qdisc replace dev lan-client root netem loss "$1%"
}

# answered COUNT: how many of so many pings.
answered() { ns client ping -6 -n -c "$1" -i 0.2 -W 1 "$WEB_V6" | sed -nE 's/.* ([0-9]+) received.*/\1/p'; }
has_answers() { [ "$(answered 20)" -gt 0 ]; }

begin "$@"
needs_kernel sch_netem
vm_topology
start_web 2M
start_registry
start_client home keepalive_interval=5
check_equal "loss: no ping is lost before" 20 "$(answered 20)"

lose 50
start=$SECONDS
through=$(answered 100)
echo "# $through of 100 pings answered with half of the packets lost each way"
check "loss: a part gets through" is_over "$through" 5
check "loss: the rest is lost" is_under "$through" 60
up=0
for ((i = 0; i < 20; i++)); do
  if is_up home >/dev/null 2>&1; then up=$((up + 1)); fi
  sleep 1
done
echo "# up at $up of 20 looks in $((SECONDS - start)) s, $(status_field home reconnections) reconnections"
check "loss: the tunnel is there most of the time, or comes back" is_over "$up" 5
check "loss: and carries packets" wait_for 30 has_answers

# A negotiation of its own through the same: RUDP repeats what is lost.
stop_client home
check_equal "loss: stop under loss" 0 "$STOPPED_STATUS"
start=$SECONDS
spawn_client home
check "loss: a tunnel is negotiated with half of the packets lost" wait_up home 60
echo "# up after $((SECONDS - start)) s"
check "loss: and carries packets" wait_for 30 has_answers

lose 0
check "loss: without loss the tunnel is there" wait_for 40 can_ping client "$WEB_V6" 1
check "loss: a file is whole" fetches client
before=$(status_field home reconnections)
sleep 12
check_equal "loss: and it stays" "$before" "$(status_field home reconnections)"
stop_client home
check_equal "loss: exit status 0" 0 "$STOPPED_STATUS"
