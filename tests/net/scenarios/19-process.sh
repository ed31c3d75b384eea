#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Flags, signals, exit statuses, the PID file and the single instance. Topology: ../lib.sh.
#
# covers: flag -n, flag -b, flag -h, flag -?, flag --help, flag --version, key keepalive

# shellcheck source-path=SCRIPTDIR source=../lib.sh disable=SC2119,SC2034
. "$(dirname "$0")/../lib.sh"

begin "$@"
topology
start_registry
snapshot client >"$TEMP/client.before"

# --- Ending: each signal takes the tunnel down ---

write_client_config home client
for signal in TERM INT HUP; do
  spawn_client home
  wait_up home || die "the tunnel does not come up"
  check "process, SIG$signal: -n stays in the foreground" is_running "${CLIENT_PID[home]}"
  check_equal "process, SIG$signal: the pid file names the process" "${CLIENT_PID[home]}" "$(daemon_pid home)"
  check "process, SIG$signal: ends" stop_client home $signal
  check_equal "process, SIG$signal: exit status" 0 "$STOPPED_STATUS"
  check "process, SIG$signal: nothing is left in run_dir" run_dir_is_empty home
  check "process, SIG$signal: addresses, routes and settings are as before" is_as_before client
done

# session_of PID: field 6 of its stat line.
session_of() { sed -E 's/^.*\) //' "/proc/$1/stat" | cut -d ' ' -f 4; }

# --- In the background, and one instance a configuration ---

run_client home
check_equal "process: the parent ends with 0 when the tunnel is up" 0 $?
pid=$(daemon_pid home)
check_equal "process: one process, the daemon" "$pid" "$(pgrep_in client)"
check_equal "process: the daemon is in a session of its own" other "$(session_of "$pid" | sed "s/^$(session_of $$)$/ours/; s/^[0-9]*$/other/")"
run_client home -n -b
check_match "process: a second instance of the configuration is refused" '^[1-9][0-9]*$' $?
check_match "process: the message names the running one" "$pid" "$(cat "$TEMP/home/out")"
check "process: the first one lives on" is_up home
check "process: its pid file stays" test "$(daemon_pid home)" = "$pid"
write_client_config other client if_tunnel_v6udpv4=other default_route=no
run_client other
check_equal "process: another configuration runs beside it" 0 $?
client other stop >/dev/null
check "process: still up after the other stopped" can_ping client "$WEB_V6"
kill -TERM "$pid"
check "process: SIGTERM ends the daemon" wait_for 5 is_gone "$pid"
check "process: nothing is left in run_dir" run_dir_is_empty home
check "process: addresses, routes and settings are as before" is_as_before client

# --- Without keepalive: in mode v6udpv4 the program moves the packets, so it stays ---

write_client_config home client keepalive=no
run_client home
check_equal "process, keepalive=no: the parent ends with 0" 0 $?
check "process, keepalive=no: the tunnel works" can_ping client "$WEB_V6"
check "process, keepalive=no: status is up" is_up home
client home stop >/dev/null
check "process, keepalive=no: nothing is left in run_dir" run_dir_is_empty home

# --- Nobody answers ---

stop_pid "$REGISTRY_PID"
write_client_config home client tunnel_mode=v6udpv4
started=$SECONDS
run_client home -b
check_equal "process: -b in the background: the parent ends with 9 when nobody answers" 9 $?
check "process: -b gives up at once" test $((SECONDS - started)) -lt 15
check "process: -b leaves nothing in run_dir" run_dir_is_empty home

write_client_config home client "server=nowhere.example.invalid"
run_client home -b
check_equal "process: -b ends with 8 when the name is not known" 8 $?

# --- The command line ---

for flag in -h '-?' --help; do
  check "process: $flag" ns client "$SIXLINK" "$flag"
done
check_match "process: --version" '^sixlink [0-9]' "$("$SIXLINK" --version)"
check_match "process: --help has the flags" '--foreground' "$("$SIXLINK" --help)"
check_equal "process: an unknown flag ends with 3" 3 "$(exit_status "$SIXLINK" --frobnicate)"
