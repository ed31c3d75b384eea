#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# What an administrator, a shell or another program may do to both programs. Topology: ../lib.sh.

# shellcheck source-path=SCRIPTDIR source=../lib.sh disable=SC2119
. "$(dirname "$0")/../lib.sh"

begin "$@"
topology
start_registry
start_client home keepalive_interval=5
check "rough: ping before" can_ping client "$WEB_V6"

# The interface is set down: its routes are gone, which only the interface itself can tell.
ns client ip link set dev six0 down
check "interface set down: noticed" wait_for 15 field_is_over home reconnections 0
check "interface set down: up again" wait_up home 15
check "interface set down: ping" can_ping client "$WEB_V6"
check_match "interface set down: said" 'six0 cannot be used any more' "$(cat "$TEMP/home/log")"
ns client ip link del dev six0
check "interface deleted: noticed" wait_for 15 field_is_over home reconnections 1
check "interface deleted: up again" wait_up home 15
check "interface deleted: ping" can_ping client "$WEB_V6"
stop_client home

# Standard descriptors closed by the caller.
write_client_config closed client
run_closed() { ns_hosts client timeout 20 "$SIXLINK" -f "$TEMP/closed/closed.conf" <&- >&- 2>&-; }
check "closed descriptors: into the background" run_closed
check "closed descriptors: ping" can_ping client "$WEB_V6"
check "closed descriptors: stop" client closed stop
check "closed descriptors: nothing is left in run_dir" run_dir_is_empty closed

# A directory that others may write to is no place for what root runs again.
write_client_config shared client run_dir="$TEMP/open"
mkdir -m 0777 "$TEMP/open"
check_equal "run_dir of everyone: refused" 1 "$(exit_status run_client shared -n -b)"
check_match "run_dir of everyone: says why" 'other users may write to it' "$(cat "$TEMP/shared/out")"

# The registry ends cleanly with a connection open, and with a failure when it loses its interface.
ns client bash -c "exec 3<>/dev/tcp/$REGISTRY_V4/3653; sleep 30" &
connection=$!
sleep 0.5
stop_pid "$REGISTRY_PID"
check_equal "registry: ends cleanly with a TCP connection open" 0 "$STOPPED_STATUS"
kill "$connection"
run_registry
ns registry ip link del dev sixlink0
check "registry: ends when its interface is gone" wait_for 5 is_gone_or_zombie "$REGISTRY_PID"
wait "$REGISTRY_PID"
check_equal "registry: with a failure" 1 $?
check_equal "registry: which it says once" 1 "$(grep -c 'cannot be used any more' "$TEMP/registry/log")"
