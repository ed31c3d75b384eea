#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# A wrong password: the end with -b; without it the client tries on, and recovers when the registry has the right one.
# Topology: ../lib.sh.

# shellcheck source-path=SCRIPTDIR source=../lib.sh disable=SC2119,SC2034
. "$(dirname "$0")/../lib.sh"

begin "$@"
topology
start_registry
add_user alice right
snapshot client >"$TEMP/client.before"

for method in plain digest-md5; do
  write_client_config home client auth_method=$method userid=alice passwd=wrong
  run_client home -n -b
  check_equal "wrong password, $method: -b ends with 16" 16 $?
  check_match "wrong password, $method: the message says so" 'userid, passwd' "$(cat "$TEMP/home/out")"
done
check "wrong password: nothing is left in run_dir" run_dir_is_empty home
check "wrong password: addresses and routes are as before" is_as_before client

spawn_client home
check "wrong password: without -b the daemon stays" wait_for 5 status_is home 1
check "wrong password: status shows the error" wait_for 5 last_error_matches home 'userid, passwd'
sleep 2
check "wrong password: the daemon tries again" is_running "${CLIENT_PID[home]}"
set_password alice wrong
check "wrong password: up when the registry has the client's" wait_up home 15
check "wrong password: ping" can_ping client "$BROKER_V6"
stop_client home
