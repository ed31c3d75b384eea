#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The registry is restarted, politely and not: running tunnels go on without negotiating again. Topology: ../lib.sh.

# shellcheck source-path=SCRIPTDIR source=../lib.sh disable=SC2119,SC2034
. "$(dirname "$0")/../lib.sh"

begin "$@"
topology
start_web
start_registry
start_client home keepalive_interval=5
address=$(status_field home local_inner)

for signal in TERM KILL; do
  stop_pid "$REGISTRY_PID" $signal
  # The packet meets a closed port: the error that comes back is no reason to give the tunnel up.
  check_fails "registry, SIG$signal: no answers while it is away" can_ping client "$WEB_V6" 1
  run_registry
  check "registry, SIG$signal: ping after the restart" wait_for 5 can_ping client "$WEB_V6" 1
  check_equal "registry, SIG$signal: no reconnection" 0 "$(status_field home reconnections)"
done

sleep 7
check_equal "registry: the keepalive found nothing wrong" 0 "$(status_field home reconnections)"
check "registry: up after both restarts" is_up home
check_equal "registry: the same address after both restarts" "$address" "$(status_field home local_inner)"
check "registry: a file over the tunnel" fetches client

write_client_config second client if_tunnel_v6udpv4=second default_route=no
spawn_client second
wait_up second || fail "registry: a new client after the restarts" "it does not come up"
check_fails "registry: a new client gets another address" test "$address" = "$(status_field second local_inner)"
stop_client second
stop_client home
