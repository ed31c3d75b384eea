#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# What deployed clients said in recorded sessions, replayed byte for byte, is answered in the form that they need.
#
#   deployed 10.99.0.2 --- 10.99.0.1 registry      the addresses of the recordings, without a NAT
#
# The rest of the topology: ../lib.sh; the replays from "client" pass its NAT.
#
# covers: registry key anonymous_prefix

# shellcheck source-path=SCRIPTDIR source=../lib.sh disable=SC2119
. "$(dirname "$0")/../lib.sh"

begin "$@"
topology
add_namespace deployed
link deployed eth0 registry eth2
ip -n "$PREFIX-deployed" addr add 10.99.0.2/24 dev eth0
ip -n "$PREFIX-registry" addr add 10.99.0.1/24 dev eth2
start_registry anonymous_prefix=yes proxy=yes
add_user alice s3cret

# replay HOST RECORDING [OPTION...]
replay() {
  local host=$1 recording=$2 server=10.99.0.1
  shift 2
  if [ "$host" = client ]; then server=$REGISTRY_V4; fi
  ns "$host" "$PYTHON" "$TOOLS/replay.py" "$ROOT/tests/recordings/$recording.txt" "$server" "$@"
}

check "replay: anonymous, RUDP" replay deployed anonymous-rudp --expect-type v6udpv4
check "replay: anonymous, TCP" replay deployed anonymous-tcp --expect-type v6v4
check "replay: PLAIN, RUDP" replay deployed plain-rudp --expect-type v6udpv4
check "replay: PLAIN, TCP" replay deployed plain-tcp --expect-type v6v4
check "replay: PLAIN, TCP, two messages in one segment" replay deployed plain-tcp --coalesce --expect-type v6v4
check "replay: wrong password, RUDP" replay deployed wrong-password-rudp
check "replay: DIGEST-MD5, RUDP" replay deployed digest-md5-rudp --expect-type v6udpv4
check "replay: DIGEST-MD5, TCP, the success in a segment of its own" replay deployed digest-md5-tcp --expect-type v6v4
check "replay: PASSDSS-3DES-1, RUDP" replay deployed passdss-rudp --expect-type v6udpv4
check "replay: PASSDSS-3DES-1, TCP" replay deployed passdss-tcp --expect-type v6v4
check "replay: PASSDSS-3DES-1, TCP, two messages in one segment" replay deployed passdss-tcp --coalesce --expect-type v6v4
check "replay: router with a prefix of 56 bits, RUDP" replay deployed router-56-rudp --expect-type v6udpv4
check "replay: a tunnel for another machine, RUDP" replay deployed proxy-v6v4-rudp --expect-type v6v4
check "replay: ECHO REQUEST and the session of a redirected client, RUDP" replay deployed redirect-rudp --expect-type v6udpv4

check "replay behind NAT: anonymous, RUDP" replay client anonymous-rudp --expect-type v6udpv4
check "replay behind NAT: DIGEST-MD5, RUDP" replay client digest-md5-rudp --expect-type v6udpv4
check "replay behind NAT: PASSDSS-3DES-1, RUDP" replay client passdss-rudp --expect-type v6udpv4
check "replay behind NAT: router with a prefix of 56 bits, RUDP" replay client router-56-rudp --expect-type v6udpv4
check "replay behind NAT: v6v4 to an address that is not the client's is refused" replay client plain-tcp --expect-status 501

# Without v6v4, and with other rules: a status that says so.
stop_pid "$REGISTRY_PID"
start_registry tunnel_modes=v6udpv4
check "replay: v6anyv4 over TCP where only v6udpv4 is offered" replay deployed anonymous-tcp --expect-status 303
check "replay: a prefix for anonymous where it is not allowed" replay deployed router-56-rudp --expect-status 522
