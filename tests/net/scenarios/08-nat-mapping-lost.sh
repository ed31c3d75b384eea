#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The router forgets its NAT mappings and gives the client another port: the dead tunnel is noticed by the keepalive and negotiated
# again. Topology: ../lib.sh.

# shellcheck source-path=SCRIPTDIR source=../lib.sh disable=SC2119,SC2034
. "$(dirname "$0")/../lib.sh"

begin "$@"
topology
start_web
start_registry
start_client home keepalive_interval=5
check "nat: ping over the tunnel" can_ping client "$WEB_V6"

lose_nat_mappings 40000-49999
lost=$SECONDS
check_fails "nat: the old mapping is lost" can_ping client "$WEB_V6" 1
# One interval, three timeouts of 5 s, the retry delay, and room for a slow machine.
check "nat: noticed and negotiated again" wait_for 40 field_is_over home reconnections 0
check "nat: ping over the new tunnel" wait_for 10 can_ping client "$WEB_V6" 1
echo "# recovered after $((SECONDS - lost)) s"
check "nat: a file over the new tunnel" fetches client
check_equal "nat: one reconnection" 1 "$(status_field home reconnections)"
check "nat: the keepalive proves the new tunnel" wait_for 10 field_is_over_zero home keepalive.rtt_ms
stop_client home
