#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The wall clock is set, forwards and backwards, and disks are full: the tunnel stays, for both ends.
#
# Suspend and resume cannot be shown here: an emulated machine has no sleep state that it wakes from by itself. What the programs see of it,
# a jump of the wall clock, is the first part.
#
# Topology: ../lib.sh.

# shellcheck source-path=SCRIPTDIR source=../lib.sh disable=SC2086,SC2119,SC2034
. "$(dirname "$0")/../lib.sh"

begin "$@"
if ! date -s @"$(date +%s)" >/dev/null 2>&1 || [ -z "${TEST_VM:-}" ]; then
  skip "$SCENARIO" "sets the clock of the machine: only in the VM, with tests/vm/boot.sh"
  exit 0
fi
vm_topology
start_web 2M

# Logs and state on a disk of their own, small.
mkdir -p "$TEMP/home" "$TEMP/registry"
mount -t tmpfs -o size=512k tmpfs "$TEMP/home" || die "cannot mount"
mount -t tmpfs -o size=1m tmpfs "$TEMP/registry" || die "cannot mount"
start_registry
start_client home keepalive_interval=5
check "clock: ping before" can_ping client "$WEB_V6"

kept_alive() { [ "$(status_field home keepalive.last_reply_s)" -lt 8 ] 2>/dev/null; }
set_clock() { date -s "@$(($(date +%s) + $1))" >/dev/null; }
for step in 7200 -14400 7200; do
  before=$(status_field home reconnections)
  set_clock $step
  check "clock: ping right after a step of $step s" can_ping client "$WEB_V6"
  sleep 8
  check "clock: up 8 s after a step of $step s" is_up home
  check "clock: ping 8 s after a step of $step s" can_ping client "$WEB_V6"
  check "clock: keepalives are answered after a step of $step s" wait_for 8 kept_alive
  check_equal "clock: no reconnection for a step of $step s" "$before" "$(status_field home reconnections)"
  check_match "clock: status shows no absurd time after a step of $step s" '^[0-9]{1,3}$' "$(status_field home keepalive.last_reply_s)"
done

fill() { cat /dev/zero >"$1/filler" 2>/dev/null; }
is_full() { ! echo 0123456789 2>/dev/null >"$1/probe" || [ ! -s "$1/probe" ]; }
fill "$TEMP/home"
fill "$TEMP/registry"
check "disk: the client's is full" is_full "$TEMP/home"
check "disk: the registry's is full" is_full "$TEMP/registry"
check "disk: ping with full disks" can_ping client "$WEB_V6"
check "disk: a file with full disks" fetches client

# A new tunnel with nowhere to write: the client's record of what it creates must not be lost silently.
lose_nat_mappings 40000-49999
check "disk: a lost mapping is noticed with full disks" wait_for 40 is_not_up home
sleep 5
echo "# last error: $(status_field home last_error)"
rm -f "$TEMP/home/filler" "$TEMP/home/probe" "$TEMP/registry/filler" "$TEMP/registry/probe"
check "disk: with room again the tunnel comes back" wait_for 40 can_ping client "$WEB_V6" 1
check "disk: and its client answers" is_up home
stop_client home
check_equal "disk: exit status 0" 0 "$STOPPED_STATUS"
check "disk: nothing is left in run_dir" run_dir_is_empty home
stop_pid "$REGISTRY_PID"
check_equal "disk: the registry's exit status 0" 0 "$STOPPED_STATUS"
umount "$TEMP/home" "$TEMP/registry"
