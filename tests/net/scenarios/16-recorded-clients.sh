#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# What deployed clients said in recorded sessions, replayed byte for byte, is answered in the form that they need.
# Topology: ../lib.sh; the replay runs on the client's host, behind the NAT.

# shellcheck source-path=SCRIPTDIR source=../lib.sh disable=SC2119,SC2034
. "$(dirname "$0")/../lib.sh"

begin "$@"
topology
start_registry anonymous_prefix=yes proxy=yes
add_user alice s3cret

replay() {
  local recording=$1
  shift
  ns client "$PYTHON" "$TOOLS/replay.py" "$ROOT/tests/recordings/$recording.txt" $REGISTRY_V4 "$@"
}

check "replay: anonymous, RUDP" replay anonymous-rudp --expect-type v6udpv4
check "replay: anonymous, TCP" replay anonymous-tcp --expect-type v6v4
check "replay: PLAIN, RUDP" replay plain-rudp --expect-type v6udpv4
check "replay: PLAIN, TCP" replay plain-tcp --expect-type v6v4
check "replay: PLAIN, TCP, two messages in one segment" replay plain-tcp --coalesce
check "replay: wrong password, RUDP" replay wrong-password-rudp
check "replay: DIGEST-MD5, RUDP" replay digest-md5-rudp --expect-type v6udpv4
check "replay: DIGEST-MD5, TCP, the success in a segment of its own" replay digest-md5-tcp --expect-type v6v4
check "replay: router with a prefix of 56 bits, RUDP" replay router-56-rudp --expect-type v6udpv4
check "replay: a tunnel for another machine, RUDP" replay proxy-v6v4-rudp --expect-type v6v4
check "replay: ECHO REQUEST and the session of a redirected client, RUDP" replay redirect-rudp --expect-type v6udpv4

# The same without v6v4: a request over TCP gets a status that says so.
stop_pid "$REGISTRY_PID"
start_registry tunnel_modes=v6udpv4
check "replay: v6anyv4 over TCP where only v6udpv4 is offered" replay anonymous-tcp --expect-status 303
check "replay: a prefix for anonymous where it is not allowed" replay router-56-rudp --expect-status 522
