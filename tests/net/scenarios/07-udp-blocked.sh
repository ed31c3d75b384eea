#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# UDP is blocked on the way: the negotiation falls back to TCP, the error says why v6udpv4 cannot go over it, and when UDP works
# again the client recovers. Topology: ../lib.sh; the router drops UDP port 3653.
#
# covers: registry key tunnel_modes

# shellcheck source-path=SCRIPTDIR source=../lib.sh disable=SC2119,SC2034
. "$(dirname "$0")/../lib.sh"

begin "$@"
topology
start_registry tunnel_modes=v6udpv4
block_udp

write_client_config udp client tunnel_mode=v6udpv4
run_client udp -n -b
check_equal "udp blocked: v6udpv4 alone ends with 9, cannot connect" 9 $?
check_match "udp blocked: says that UDP brings no answer" 'UDP' "$(cat "$TEMP/udp/out")"

capture client eth0 "$TEMP/capture"
write_client_config home client tunnel_mode=v6anyv4
spawn_client home
check "udp blocked: v6anyv4 negotiates over TCP" wait_for 15 grep -qE '^tcp .*AUTHENTICATE' "$TEMP/capture"
check "udp blocked: the error says why v6udpv4 cannot be carried over TCP" \
  wait_for 15 last_error_matches home '[uU][dD][pP].*TCP|TCP.*[uU][dD][pP]'
check_equal "udp blocked: the tunnel is not up" 1 "$(exit_status client home status)"
check_fails "udp blocked: no IPv6" can_ping client "$BROKER_V6" 1

unblock_udp
check "udp unblocked: the tunnel comes up by itself" wait_up home 20
check "udp unblocked: ping" can_ping client "$WEB_V6"
stop_client home
