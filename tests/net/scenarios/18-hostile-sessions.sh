#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Hostile sessions: whatever comes, good clients are served and the registry's memory stays bounded.
#
#   enemy 198.51.100.66, on the Internet
#
# The rest of the topology: ../lib.sh.

# shellcheck source-path=SCRIPTDIR source=../lib.sh disable=SC2119,SC2034
. "$(dirname "$0")/../lib.sh"

begin "$@"
topology
add_internet_host enemy 198.51.100.66
start_web
start_registry log_file=1
start_client home keepalive_interval=5
before=$(memory_kib "$REGISTRY_PID")

hostile() { ns enemy "$PYTHON" "$TOOLS/hostile.py" "$1" $REGISTRY_V4 "${2:-1}"; }

# survived KIND: a new client gets its tunnel, the old one never lost it, and memory is bounded.
survived() {
  local now
  check "hostile, $1: the registry runs" is_running "$REGISTRY_PID"
  check "hostile, $1: the running tunnel works" can_ping client "$WEB_V6"
  write_client_config second client if_tunnel_v6udpv4=second default_route=no
  CLIENT_TIMEOUT=15 run_client second
  check_equal "hostile, $1: a new client is served" 0 $?
  check "hostile, $1: the new tunnel works" ns client ping -6 -n -c 1 -W 2 -I second "$BROKER_V6"
  client second stop >/dev/null
  now=$(memory_kib "$REGISTRY_PID")
  echo "# the registry's memory: $before KiB before, $now KiB after $1"
  check "hostile, $1: memory grew by less than 32 MiB" test $((now - before)) -lt 32768
}

check "hostile: malformed sessions end" hostile malformed
survived malformed

check "hostile: flood of 10,000 first messages" hostile flood 10000
survived flood

check "hostile: noise through a good tunnel" hostile noise 500
survived noise

spawn_in enemy "$TEMP/half.out" "$PYTHON" "$TOOLS/hostile.py" half $REGISTRY_V4 300
half_pid=$SPAWNED
wait_for 60 grep -q "^done" "$TEMP/half.out"
spawn_in enemy "$TEMP/slow.out" "$PYTHON" "$TOOLS/hostile.py" slow $REGISTRY_V4 600
slow_pid=$SPAWNED
wait_for 60 grep -q "^done" "$TEMP/slow.out"
survived "half-finished and slow sessions"
check "hostile: TCP serves others while slow connections are open" ns client "$PYTHON" "$TOOLS/replay.py" \
  "$ROOT/tests/recordings/anonymous-tcp.txt" $REGISTRY_V4 --expect-status 303
stop_pid "$half_pid"
stop_pid "$slow_pid"

check "hostile: a file over the tunnel afterwards" fetches client
check_equal "hostile: the running tunnel was never negotiated again" 0 "$(status_field home reconnections)"
check "hostile: the log is bounded" test "$(wc -c <"$TEMP/registry/log")" -lt 1000000
stop_client home
stop_pid "$REGISTRY_PID"
check_equal "hostile: the registry ends as it should" 0 "$STOPPED_STATUS"
