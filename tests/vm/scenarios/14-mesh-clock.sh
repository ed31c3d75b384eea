#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Machines without a battery for their clock: nodes start with a wrong one, while there is no registry, and nobody's certificate is valid by
# it. Once the clock is set they find each other, and have IPv4 inside, without being started anew. Then it jumps while they run.
#
#   a (public) --- b (public)
#
# Topology: ../../mesh/lib.sh.

# shellcheck source-path=SCRIPTDIR source=../../mesh/lib.sh disable=SC2119
. "$(dirname "$0")/../../mesh/lib.sh"

begin "$@"
if ! date -s @"$(date +%s)" >/dev/null 2>&1 || [ -z "${TEST_VM:-}" ]; then
  skip "$SCENARIO" "sets the clock of the machine: only in the VM, with tests/vm/boot.sh"
  exit 0
fi
if [ ! -x "$BUILD/tools/mesh_files" ]; then die "$BUILD/tools/mesh_files is missing: run make tests first"; fi
mesh_network
for name in a b; do add_node $name public; done
equip_nodes $NETWORK,192.0.2.0/24 link_transport=udp port_mapping=no datapath=userspace
set_clock() { date -s "@$(($(date +%s) + $1))" >/dev/null; }
links_of() { node "$1" status --json | "$PYTHON" "$TOOLS/json_field.py" links.up; }
pid_of() { pids_called "$1" sixlink; }
can_ping_v4() { ns "$1" ping -n -c 1 -W 1 "$2" >/dev/null 2>&1; }

ago=$((20 * 365 * 86400))
set_clock -$ago
run_nodes a b
nodes_run a b
sleep 3
check_equal "wrong clock: nobody is believed" "0 0" "$(links_of a) $(links_of b)"
check_fails "wrong clock: no ping" can_ping a "${NODE_ADDRESS[b]}" 1
check_fails "wrong clock: no IPv4 inside" can_ping_v4 a 192.0.2.2
before="$(pid_of a) $(pid_of b)"
set_clock $ago
started=$(now_ms)
check "clock set: ping" wait_for 25 can_ping a "${NODE_ADDRESS[b]}" 1
echo "clock set: reached after $(($(now_ms) - started)) ms"
check "clock set: IPv4 inside" wait_for 15 can_ping_v4 a 192.0.2.2
check "clock set: and back" wait_for 5 can_ping_v4 b 192.0.2.1
check_equal "clock set: the processes are the same" "$before" "$(pid_of a) $(pid_of b)"

# Two and a half hours back nobody's certificate is valid.
set_clock -9000
sleep 2
set_clock 9000
check "clock jumps while they run: ping" wait_for 25 can_ping a "${NODE_ADDRESS[b]}" 1
check_equal "clock jumps while they run: the processes are the same" "$before" "$(pid_of a) $(pid_of b)"
for name in a b; do
  stop_node $name
  check_equal "stop: exit status 0 of $name" 0 "$STOPPED_STATUS"
done
