#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# A registry that is drained for maintenance, or has enough tunnels, and another one that newcomers are sent to:
#
#   registry   198.51.100.10 (broker.example.net)   2001:db8:42::/48
#   registry2  198.51.100.20                        2001:db8:43::/48
#
# The rest of the topology: ../lib.sh.
#
# covers: registry key redirect_when, registry key redirect_above_tunnels

# shellcheck source-path=SCRIPTDIR source=../lib.sh disable=SC2119,SC2034
. "$(dirname "$0")/../lib.sh"

uses() { field_is "$1" broker.address "$2" && is_up "$1"; }
registry_field() { registry_command status --json | "$PYTHON" "$TOOLS/json_field.py" "$1"; }
registry_field_is() { [ "$(registry_field "$1")" = "$2" ]; }
answers_echo() { ns client "$PYTHON" "$TOOLS/echo.py" $REGISTRY_V4; }
# start NAME [KEY=VALUE...]: a client on the host "client".
start() {
  local name=$1
  shift
  write_client_config "$name" client tunnel_mode=v6udpv4 keepalive_interval=3 default_route=no "if_tunnel_v6udpv4=six-$name" "$@"
  spawn_client "$name"
}
# Through which tunnel the packets go is told by their source.
can_ping_from() { ns client ping -6 -n -c 1 -W 2 -I "six-$1" "$2"; }

begin "$@"
topology
add_internet_host registry2 198.51.100.20
write_registry_config registry2 prefix=2001:db8:43::/48
run_registry registry2

# --- Negative ---

write_registry_config registry
check_equal "drain: status 1 when no registry runs" 1 "$(exit_status registry_command drain)"
check_match "drain: and it says so" 'no registry answers on .*registry\.sock' "$(registry_command status 2>&1)"

# --- With another broker ---

start_registry redirect=198.51.100.20 redirect_when=drain
check_equal "drain: a registry that runs is not drained" false "$(registry_field draining)"
start old
check "drain: before, a client is served" wait_for 20 uses old $REGISTRY_V4
check "drain: before, echoes are answered" answers_echo
check_match "drain: the command tells what happens to newcomers" 'newcomers +are redirected to 198\.51\.100\.20 \(drain\)' \
  "$(registry_command drain)"
check_fails "drain: echoes are not answered any more" answers_echo
start new
check "drain: a newcomer goes to the other broker" wait_for 30 uses new 198.51.100.20
check_equal "drain: by redirection" "redirected by broker.example.net" "$(status_field new broker.found)"
check "drain: the newcomer's tunnel works" can_ping_from new 2001:db8:43::1
check "drain: the tunnel that was up works on" can_ping_from old 2001:db8:42::1
check_equal "drain: it is still the same tunnel" 0 "$(status_field old reconnections)"
check_equal "drain: one tunnel is in use" 1 "$(registry_field tunnels_in_use)"
check_match "drain: undone" 'draining +no' "$(registry_command drain --undo)"
check "drain: echoes are answered again" answers_echo
start later
check "drain: a newcomer is served again" wait_for 30 uses later $REGISTRY_V4
for name in later new; do stop_client "$name"; done

# A registry that is restarted is not drained.
registry_command drain >/dev/null
stop_pid "$REGISTRY_PID"
run_registry
check_equal "drain: a restart ends it" false "$(registry_field draining)"
stop_client old
stop_pid "$REGISTRY_PID"

# --- Without another broker, and stopping ---

start_registry
start old
check "alone: before, a client is served" wait_for 20 uses old $REGISTRY_V4
check_match "alone: the command tells that newcomers are refused" 'newcomers +are refused as busy' "$(registry_command drain)"
# One that remembers no broker.
write_client_config fresh client tunnel_mode=v6udpv4 if_tunnel_v6udpv4=six-fresh
run_client fresh -n -b
check_equal "alone: a newcomer is told that the broker is busy (12)" 12 $?
check "alone: the tunnel that was up works on" can_ping_from old 2001:db8:42::1
check_equal "alone: bad deadlines are refused" 3 "$(exit_status registry_command drain --stop --deadline soon)"
check_match "alone: stopping at a time" 'stops when no tunnel is in use, in [0-9]+ s at the latest' \
  "$(registry_command drain --stop --deadline 12)"
sleep 3
check "alone: until then the tunnel works" can_ping_from old 2001:db8:42::1
check "alone: it ends at that time" wait_for 30 is_gone_or_zombie "$REGISTRY_PID"
wait "$REGISTRY_PID"
check_equal "alone: with exit status 0" 0 $?
stop_client old

# --- Enough tunnels ---

# A database of its own: the tunnels above count as used for 90 s after their last packet.
start_registry redirect=198.51.100.20 redirect_above_tunnels=1 "state_dir=$TEMP/registry/state2"
add_user alice s3cret
check_equal "load: no tunnel is in use" 0 "$(registry_field tunnels_in_use)"
start mine userid=alice passwd=s3cret auth_method=digest-md5
check "load: the first is served" wait_for 40 uses mine $REGISTRY_V4
check "load: the registry has enough" wait_for 10 registry_field_is redirects load
start new
check "load: the second goes to the other broker" wait_for 30 uses new 198.51.100.20
stop_client mine
start mine userid=alice passwd=s3cret auth_method=digest-md5
check "load: who holds a tunnel is served again" wait_for 30 uses mine $REGISTRY_V4
check "load: and it works" can_ping_from mine 2001:db8:42::1
