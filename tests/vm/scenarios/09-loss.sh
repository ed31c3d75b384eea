#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Packets are lost, by netem, up to half of them in each direction: a tunnel carries what gets through, stays or comes back, and is negotiated.
# Topology: ../lib.sh.

# shellcheck source-path=SCRIPTDIR source=../lib.sh disable=SC2086,SC2119,SC2034
. "$(dirname "$0")/../lib.sh"

# lose PERCENT: of what client and router send each other, each way.
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

# Half of the packets each way: of four round trips one is left.
lose 50
through=$(answered 100)
echo "# $through of 100 pings answered with half of the packets lost each way"
check "loss: a part gets through" is_over "$through" 5
check "loss: the rest is lost" is_under "$through" 60
echo "# up 20 s later: $(sleep 20; is_up home >/dev/null 2>&1 && echo yes || echo no)"
lose 0
start=$SECONDS
check "loss: without loss the tunnel is there" wait_for 40 can_ping client "$WEB_V6" 1
echo "# after $((SECONDS - start)) s"

# Half of the round trips: the tunnel stays, or comes back while it lasts. RUDP repeats what is lost of a negotiation.
stop_client home
lose 30
start=$SECONDS
spawn_client home
check "loss: a tunnel is negotiated with half of the round trips lost" wait_up home 60
echo "# up after $((SECONDS - start)) s"
check "loss: and carries packets" wait_for 30 has_answers
up=0
for ((i = 0; i < 20; i++)); do
  if is_up home >/dev/null 2>&1; then up=$((up + 1)); fi
  sleep 1
done
echo "# up at $up of 20 looks, $(status_field home reconnections) reconnections"
check "loss: it is up most of the time" is_over "$up" 9
stop_client home
check_equal "loss: stop under loss" 0 "$STOPPED_STATUS"

lose 0
spawn_client home
check "loss: all is well without" wait_up home
check "loss: a file is whole" fetches client
check_equal "loss: no ping is lost after" 20 "$(answered 20)"
stop_client home
check_equal "loss: exit status 0" 0 "$STOPPED_STATUS"
