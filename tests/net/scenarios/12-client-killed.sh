#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The client is killed with -9: the next start cleans up first. Topology: ../lib.sh.

# shellcheck source-path=SCRIPTDIR source=../lib.sh disable=SC2119,SC2034
. "$(dirname "$0")/../lib.sh"

begin "$@"
topology
start_registry
snapshot client >"$TEMP/client.before"

write_client_config home client default_route=yes
run_client home || die "the client does not come up"
pid=$(daemon_pid home)
kill -KILL "$pid"
wait_for 5 is_gone "$pid"
check_fails "killed: leaves its files, as a crash does" run_dir_is_empty home
check_equal "killed: status 2" 2 "$(exit_status client home status)"

run_client home
check_equal "killed: starts again" 0 $?
check "killed: ping" can_ping client "$WEB_V6"
check_equal "killed: the pid file is the new one's" "$(daemon_pid home)" "$(pgrep_in client)"
check_equal "killed: stop" 0 "$(exit_status client home stop)"
check "killed: nothing is left in run_dir" run_dir_is_empty home
check "killed: addresses, routes and settings are as before" is_as_before client

# A pid file that names a process of someone else: it is not ours to stop, and no reason not to start.
run_client home || die "the client does not come up"
pid_file=$(echo "$TEMP"/home/run/*.pid)
stop_pid "$(daemon_pid home)" KILL
spawn "$TEMP/sleep.out" sleep 1000
other=$SPAWNED
echo "$other" >"$pid_file"
run_client home
check_equal "stale pid file: starts" 0 $?
check "stale pid file: ping" can_ping client "$WEB_V6"
check "stale pid file: the other process lives" is_running "$other"
check_equal "stale pid file: stop" 0 "$(exit_status client home stop)"
check "stale pid file: the other process lives on" is_running "$other"
check "stale pid file: nothing is left in run_dir" run_dir_is_empty home
check "stale pid file: addresses, routes and settings are as before" is_as_before client
