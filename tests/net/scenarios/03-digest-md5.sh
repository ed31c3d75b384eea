#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# A user with a password, DIGEST-MD5, and a changed password. Topology: ../lib.sh.
#
# covers: key auth_method
# covers: registry key auth_plain

# shellcheck source-path=SCRIPTDIR source=../lib.sh disable=SC2119,SC2034
. "$(dirname "$0")/../lib.sh"

begin "$@"
topology
start_web
start_registry anonymous=no auth_plain=no
check "digest-md5: add the user" add_user 'alice' 's3cret with "quotes" \ and blanks'

check_fails "digest-md5: no IPv6 before the tunnel" can_ping client "$WEB_V6" 1
start_client home auth_method=digest-md5 userid=alice 'passwd=s3cret with "quotes" \ and blanks'
check "digest-md5: ping over the tunnel" can_ping client "$WEB_V6"
check "digest-md5: a file over the tunnel" fetches client
stop_client home

check "digest-md5: change the password" set_password alice changed
run_client home -n -b
check_equal "digest-md5: the old password is refused" 16 $?
start_client home auth_method=digest-md5 userid=alice passwd=changed
check "digest-md5: ping with the new password" can_ping client "$WEB_V6"
stop_client home

write_client_config plain client auth_method=plain userid=alice passwd=changed
run_client plain -n -b
check_equal "digest-md5: a client that insists on PLAIN finds no common method" 17 $?
