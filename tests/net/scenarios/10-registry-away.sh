#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The registry is away for longer than the keepalive waits: the client says so, and recovers by itself. Topology: ../lib.sh.

# shellcheck source-path=SCRIPTDIR source=../lib.sh disable=SC2119,SC2034
. "$(dirname "$0")/../lib.sh"

begin "$@"
topology
start_registry
start_client home keepalive_interval=5
check "registry away: ping before" can_ping client "$WEB_V6"

stop_pid "$REGISTRY_PID"
check "registry away: noticed" wait_for 40 status_is home 1
check_match "registry away: status says why" '.' "$(status_field home last_error)"
check "registry away: the daemon stays" is_running "${CLIENT_PID[home]}"
check_fails "registry away: no route into the dead tunnel" ns client ip -6 route get "$WEB_V6"

run_registry
check "registry back: the client recovers by itself" wait_up home 15
check "registry back: ping" can_ping client "$WEB_V6"
stop_client home
