#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# auth_method=any takes the strongest that the broker offers: no password on the wire while there is a stronger one than PLAIN.
# Topology: ../lib.sh; the capture is at the client's interface.
#
# covers: registry key auth_digest_md5, registry key auth_passdss

# shellcheck source-path=SCRIPTDIR source=../lib.sh disable=SC2119,SC2034
. "$(dirname "$0")/../lib.sh"

begin "$@"
topology
# PASSDSS-3DES-1, stronger still, has a scenario of its own.
start_registry auth_passdss=no
add_user alice s3cret

capture client eth0 "$TEMP/digest.capture"
pid=$SPAWNED
start_client home auth_method=any userid=alice passwd=s3cret
stop_client home
stop_pid "$pid"
check "any: asks for DIGEST-MD5" grep -q 'AUTHENTICATE DIGEST-MD5' "$TEMP/digest.capture"
check_fails "any: does not ask for PLAIN" grep -q 'AUTHENTICATE PLAIN' "$TEMP/digest.capture"
check_fails "any: the password is not on the wire, nor in base64" grep -q 's3cret' "$TEMP/digest.capture"
check "any: the capture decodes base64" grep -q 'decoded:.*alice' "$TEMP/digest.capture"

# A wrong password must not make it fall to PLAIN.
capture client eth0 "$TEMP/wrong.capture"
pid=$SPAWNED
write_client_config home client auth_method=any userid=alice passwd=mistyped
run_client home -n -b
check_equal "any: a wrong password ends with 16" 16 $?
stop_pid "$pid"
check_fails "any: no PLAIN after DIGEST-MD5 was refused" grep -q 'AUTHENTICATE PLAIN' "$TEMP/wrong.capture"

stop_pid "$REGISTRY_PID"
start_registry auth_passdss=no auth_digest_md5=no
capture client eth0 "$TEMP/plain.capture"
pid=$SPAWNED
start_client home auth_method=any userid=alice passwd=s3cret
stop_client home
stop_pid "$pid"
check "any: takes PLAIN where nothing stronger is offered" grep -q 'AUTHENTICATE PLAIN' "$TEMP/plain.capture"
