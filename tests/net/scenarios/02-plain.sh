#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# A user with a password, PLAIN: the same address every time, and no password at rest. Topology: ../lib.sh.
#
# covers: key userid, key passwd, key auth_method
# covers: registry key anonymous

# shellcheck source-path=SCRIPTDIR source=../lib.sh disable=SC2119,SC2034
. "$(dirname "$0")/../lib.sh"

begin "$@"
topology
start_web
start_registry anonymous=no
check "plain: add the user" add_user alice s3cret
check_fails "plain: the user exists already" add_user alice other
check_match "plain: the user is listed" 'alice' "$(registry_command user list)"

check_fails "plain: no IPv6 before the tunnel" can_ping client "$WEB_V6" 1
start_client home auth_method=plain userid=alice passwd=s3cret
check "plain: ping over the tunnel" can_ping client "$WEB_V6"
check "plain: a file over the tunnel" fetches client
address=$(status_field home local_inner)
check_match "plain: status shows the inner address" '^2001:db8:42:' "$address"
stop_client home

stop_pid "$REGISTRY_PID"
run_registry
spawn_client home
check "plain: up again after both were restarted" wait_up home
check_equal "plain: the same address after both were restarted" "$address" "$(status_field home local_inner)"
stop_client home

check_fails "plain: the registry's files do not hold the password" grep -rqa s3cret "$TEMP/registry/state"
check_fails "plain: no log holds the password" grep -qa s3cret "$TEMP/registry/log" "$TEMP/home/log" "$TEMP/home/out"

write_client_config stranger client auth_method=anonymous
run_client stranger -n -b
check_equal "plain: anonymous is refused where it is switched off" 17 $?

check "plain: delete the user" registry_command user del alice
run_client home -n -b
check_equal "plain: a deleted user is refused" 16 $?
