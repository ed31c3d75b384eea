#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# A server that answers exactly as a recorded one is understood, and our client says what the recorded one said.
# Topology: ../lib.sh; the registry's host runs tools/fake_server.py in place of the registry.

# shellcheck source-path=SCRIPTDIR source=../lib.sh disable=SC2119,SC2034
. "$(dirname "$0")/../lib.sh"

begin "$@"
topology
SERVER_PID=
FLAGS=()  # of the client
# fake_server RECORDING [REFUSED-VERSION...]
fake_server() {
  spawn_in registry "$TEMP/server.out" "$PYTHON" "$TOOLS/fake_server.py" "$ROOT/tests/recordings/$1.txt" $REGISTRY_V4 "${@:2}"
  SERVER_PID=$SPAWNED
  wait_for 5 grep -q '^serving' "$TEMP/server.out" || die "the fake server does not start: $(cat "$TEMP/server.out")"
}

# understood RECORDING [KEY=VALUE...]
understood() {
  local recording=$1
  shift
  fake_server "$recording"
  write_client_config home client keepalive_interval=30 "$@"
  spawn_client home "${FLAGS[@]}"
  check "recorded server, $recording: the tunnel comes up" wait_up home 10
  check "recorded server, $recording: the recorded address" grep -q '2001:db8:f:f::2/128' <(ns client ip -6 addr show dev six0)
  check "recorded server, $recording: ping through the tunnel" can_ping client 2001:db8:f:f::1
  check "recorded server, $recording: all but create is what the recorded client said" \
    test "$(grep '^differs' "$TEMP/server.out" | grep -cv 'action="create"')" = 0
  check_equal "recorded server, $recording: as many messages" "$(grep -c 'C>S RUDP' "$ROOT/tests/recordings/$recording.txt")" \
    "$(grep -cE '^(same|differs)' "$TEMP/server.out")"
  # The recorded create has the recorded client's address; else ours is the same.
  sed -i 's/192\.0\.2\.2/10.99.0.2/' "$TEMP/server.out"
  check "recorded server, $recording: create differs in the address alone" \
    grep -qFf <(created "$recording") "$TEMP/server.out"
  stop_client home
  stop_pid "$SERVER_PID"
}

# The create message of a recording, as the fake server shows messages.
created() {
  PYTHONPATH=$TOOLS "$PYTHON" -c '
import sys, tsp
for entry in tsp.read_recording(sys.argv[1]):
    if b"create" in entry.data:
        print(repr(entry.data[8:]))' "$ROOT/tests/recordings/$1.txt"
}

understood anonymous-rudp tunnel_mode=v6anyv4
understood plain-rudp tunnel_mode=v6udpv4 auth_method=plain userid=alice passwd=s3cret
fake_server passdss-rudp
write_client_config home client tunnel_mode=v6udpv4 auth_method=any userid=alice passwd=s3cret
run_client home -n -b
check_equal "recorded server, passdss-rudp: its host key is not known" 16 $?
stop_pid "$SERVER_PID"
FLAGS=(-y)
understood passdss-rudp tunnel_mode=v6udpv4 auth_method=any userid=alice passwd=s3cret
FLAGS=()
understood passdss-rudp tunnel_mode=v6udpv4 auth_method=passdss-3des-1 userid=alice passwd=s3cret

# The recorded server of the first session asks for a keepalive every second: it is answered, and counted as proof.
fake_server anonymous-rudp
start_client home
check "recorded server: the keepalive's echo is understood" wait_for 8 field_is_over_zero home keepalive.rtt_ms
stop_client home
stop_pid "$SERVER_PID"

fake_server wrong-password-rudp
write_client_config home client auth_method=plain userid=alice passwd=wrong
run_client home -n -b
check_equal "recorded server: a refused password ends with 16" 16 $?
stop_pid "$SERVER_PID"

# An old server: the client goes back through the versions, a session each.
fake_server anonymous-rudp 2.0.2 2.0.1
start_client home
check_equal "old server: refused versions were offered in order" "refused b'VERSION=2.0.2\\r\\n' refused b'VERSION=2.0.1\\r\\n'" \
  "$(grep '^refused' "$TEMP/server.out" | tr '\n' ' ' | sed 's/ $//')"
check_match "old server: 2.0.0 was taken" 'VERSION=2\.0\.0' "$(cat "$TEMP/server.out")"
check "old server: ping through the tunnel" can_ping client 2001:db8:f:f::1
stop_client home
stop_pid "$SERVER_PID"
fake_server anonymous-rudp 2.0.2 2.0.1 2.0.0 1.0.1
write_client_config home client
run_client home -n -b
check_equal "old server: no version in common ends with 11" 11 $?
check_match "old server: 1.0.1 was the last offer" "1\.0\.1" "$(tail -n 1 "$TEMP/server.out")"
stop_pid "$SERVER_PID"

# A tunnel of a kind that was not asked for.
fake_server proxy-v6v4-rudp
write_client_config home client tunnel_mode=v6udpv4
run_client home -n -b
check_match "recorded server: v6v4 in answer to v6udpv4 is refused with 15 or 19" '^(15|19)$' "$?"
stop_pid "$SERVER_PID"

# A redirection to servers that are not there, and then to one that is: the router sends the recorded address to registry2.
ip -n "$PREFIX-router" route add 10.99.0.0/24 dev wan0
ns router nft -f - <<'NFT'
table ip nowhere {
  chain forward {
    type filter hook forward priority filter;
    ip daddr 10.99.0.0/24 reject
  }
}
NFT
fake_server redirect-rudp
write_client_config home client
run_client home -n -b
check_equal "recorded server: a redirection to nowhere ends with 14" 14 $?
check_match "recorded server: each broker of the redirection was tried" '10\.99\.0\.11.*10\.99\.0\.12' "$(tr -d '\n' <"$TEMP/home/out")"

add_internet_host registry2 198.51.100.20
ns router nft -f - <<'NFT'
table ip elsewhere {
  chain prerouting {
    type nat hook prerouting priority dstnat;
    ip daddr 10.99.0.12 dnat to 198.51.100.20
  }
}
NFT
spawn_in registry2 "$TEMP/server2.out" "$PYTHON" "$TOOLS/fake_server.py" "$ROOT/tests/recordings/anonymous-rudp.txt" 198.51.100.20
wait_for 5 grep -q '^serving' "$TEMP/server2.out"
spawn_client home
check "recorded server: a redirection is followed to the broker that answers" wait_up home 10
check "recorded server: ping through that broker's tunnel" can_ping client 2001:db8:f:f::1
stop_client home
stop_pid "$SERVER_PID"
