#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# A client without an account gets IPv6 through a NAT, uses it, and leaves nothing behind. Topology: ../lib.sh.
#
# covers: command status, command stop

# shellcheck source-path=SCRIPTDIR source=../lib.sh disable=SC2119,SC2034
. "$(dirname "$0")/../lib.sh"

begin "$@"
topology
start_web 10M
snapshot client >"$TEMP/client.before"
snapshot registry >"$TEMP/registry.before"

check_fails "anonymous: no IPv6 before the tunnel" can_ping client "$WEB_V6" 1

start_registry
write_client_config home client
check_equal "status: 2 when there is no daemon" 2 "$(exit_status client home status)"
check_equal "stop: fails when there is no daemon" 2 "$(exit_status client home stop)"

run_client home
check_equal "anonymous: the parent's exit status says that the tunnel is up" 0 $?
pid=$(daemon_pid home)
check "anonymous: the daemon is in the background" is_running "$pid"
check "anonymous: ping over the tunnel" can_ping client "$WEB_V6"
check "anonymous: a file over the tunnel" fetches client

check_equal "status: 0 when the tunnel is up" 0 "$(exit_status client home status)"
text=$(client home status)
check_match "status: says that it is up" 'up' "$text"
check_match "status: names the broker" "$REGISTRY_V4" "$text"
check_match "status: names the mode" 'v6udpv4' "$text"
check_match "status: shows the inner address" '2001:db8:42:' "$text"
check_equal "status --json: state" up "$(status_field home state)"
check_equal "status --json: mode" v6udpv4 "$(status_field home mode)"
check_equal "status --json: no reconnection" 0 "$(status_field home reconnections)"
check_match "status --json: the negotiation's round trips" '^[0-9]+$' "$(status_field home timings.round_trips)"

check_equal "stop: 0 when it ended" 0 "$(exit_status client home stop)"
check "stop: the daemon is gone" wait_for 5 is_gone "$pid"
check_equal "status: 2 after stop" 2 "$(exit_status client home status)"
check_fails "anonymous: no IPv6 after stop" can_ping client "$WEB_V6" 1
check "anonymous: nothing is left in run_dir" run_dir_is_empty home
check "anonymous: addresses, routes and settings are as before" is_as_before client

stop_pid "$REGISTRY_PID"
check_equal "registry: exit status 0 on SIGTERM" 0 "$STOPPED_STATUS"
check "registry: nothing is left in run_dir" run_dir_is_empty registry
check "registry: addresses, routes and settings are as before" is_as_before registry

spawn_client home
check "status: 1 while the tunnel is not up" wait_for 5 status_is home 1
check_match "status: says why it is not up" '.' "$(status_field home last_error)"
stop_client home
check_equal "anonymous: exit status 0 when stopped while it retries" 0 "$STOPPED_STATUS"
