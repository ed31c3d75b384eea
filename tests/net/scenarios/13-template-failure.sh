#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The template fails: the client says which command and why, undoes what was done, and tries on unless -b. Topology: ../lib.sh.
#
# covers: key gogoc_dir, key template

# shellcheck source-path=SCRIPTDIR source=../lib.sh disable=SC2119,SC2034
. "$(dirname "$0")/../lib.sh"

begin "$@"
topology
start_registry
snapshot client >"$TEMP/client.before"

# The real template with an `ip` before it that refuses one command.
mkdir -p "$TEMP/home_dir/template" "$TEMP/bin"
cat >"$TEMP/home_dir/template/mended.sh" <<TEMPLATE
#!/bin/sh
PATH=$TEMP/bin:\$PATH
export PATH
exec sh "$ROOT/template/linux.sh" "\$@"
TEMPLATE
ip=$(command -v ip)
broken_ip() {
  cat >"$TEMP/bin/ip" <<IP
#!/bin/sh
case "\$*" in
  *"route add default"*) echo "RTNETLINK answers: No buffer space available" >&2; exit 2 ;;
esac
exec $ip "\$@"
IP
  chmod 755 "$TEMP/bin/ip"
}
broken_ip

write_client_config home client gogoc_dir="$TEMP/home_dir" template=mended
run_client home -n -b
check_equal "template: -b ends with 18" 18 $?
output=$(cat "$TEMP/home/out")
check_match "template: names the command" 'route add default' "$output"
check_match "template: gives the command's error" 'No buffer space available' "$output"
check "template: nothing is left in run_dir" run_dir_is_empty home
check "template: addresses, routes and settings are as before" is_as_before client

spawn_client home
check "template: without -b the daemon stays" wait_for 10 last_error_matches home 'No buffer space available'
check_equal "template: the tunnel is not up" 1 "$(exit_status client home status)"
rm "$TEMP/bin/ip"
check "template: up when the template is mended" wait_up home 15
check "template: ping" can_ping client "$WEB_V6"
stop_client home
check "template mended: nothing is left in run_dir" run_dir_is_empty home
check "template mended: addresses, routes and settings are as before" is_as_before client

write_client_config home client gogoc_dir="$TEMP/home_dir" template=nowhere
run_client home -n -b
status=$?
check_match "template: a missing one is said with its path" 'nowhere' "$(cat "$TEMP/home/out")"
check_match "template: a missing one ends with 3 or 18" '^(3|18)$' "$status"

# A slow one is waited for, not killed half-way: what it created is taken down. One without end is ended after a minute.
cat >"$TEMP/home_dir/template/slow.sh" <<TEMPLATE
#!/bin/sh
echo "\$\$" >"$TEMP/slow.pid"
sleep 2
exec sh "$ROOT/template/linux.sh" "\$@"
TEMPLATE
write_client_config home client gogoc_dir="$TEMP/home_dir" template=slow
spawn_client home
wait_for 10 test -s "$TEMP/slow.pid"
check "template: status answers while one is running" wait_for 2 status_is home 1
check "template: SIGTERM while one is running" stop_client home
check "template: it is not left running" is_gone "$(cat "$TEMP/slow.pid")"
check "template slow: nothing is left in run_dir" run_dir_is_empty home
check "template slow: addresses, routes and settings are as before" is_as_before client
