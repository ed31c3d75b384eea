#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Our client, with its own datapath, and wireguard-go at the broker's end: what the client does in mode wireguard is WireGuard to
# others. (The other role, wireguard-go at our registry, is 66-wg-quick.sh's.) The topology is lib.sh's: client, NAT, registry.

# shellcheck source-path=SCRIPTDIR source=../lib.sh disable=SC2119,SC2034
. "$(dirname "$0")/../lib.sh"

begin "$@"
for program in wireguard-go wg; do
  if ! command -v "$program" >/dev/null; then
    skip "$SCENARIO" "the program '$program' is not installed (make deps)"
    exit 0
  fi
done
topology

# The sockets of `wg` are files: their names must not be another run's.
INTERFACE=wg$(($$ % 100000))e
mkdir -p "$TEMP/theirs"
(umask 077 && { echo '[Interface]'; echo "PrivateKey = $(wg genkey)"; echo 'ListenPort = 51820'; } >"$TEMP/theirs/conf")

start_theirs() {
  spawn_in registry "$TEMP/theirs/out" env LOG_LEVEL=error wireguard-go -f "$INTERFACE"
  THEIRS=$SPAWNED
  wait_for 10 wg show "$INTERFACE" || die "wireguard-go does not start: $(cat "$TEMP/theirs/out")"
  wg setconf "$INTERFACE" "$TEMP/theirs/conf" || die "wg setconf failed"
  ip -n "$PREFIX-registry" link set "$INTERFACE" mtu 1400 up
  ip -n "$PREFIX-registry" -6 addr add 2001:db8:e::1/48 dev "$INTERFACE" nodad
}
theirs() { wg show "$INTERFACE" "$1" | cut -f 2-; }
has_handshake() { theirs latest-handshakes | grep -qE '[1-9]'; }

start_theirs
spawn_in registry "$TEMP/theirs/broker" "$PYTHON" "$TOOLS/wireguard_broker.py" "$REGISTRY_V4" "$INTERFACE" 51820
wait_for 10 grep -q ready "$TEMP/theirs/broker" || die "the broker does not start: $(cat "$TEMP/theirs/broker")"
snapshot client >"$TEMP/client.before"

check_fails "client and wireguard-go: nothing before the tunnel" can_ping client 2001:db8:e::1 1
write_client_config home client tunnel_mode=wireguard datapath=userspace default_route=no
spawn_client home
wait_up home || die "the tunnel does not come up: $(tail -n 2 "$TEMP/home/out" | tr '\n' ' ')"
check "client and wireguard-go: ping" can_ping client 2001:db8:e::1
check "client and wireguard-go: ping from the other side" can_ping registry 2001:db8:e::2
check "wg show: a handshake" has_handshake
check_match "wg show: the client is behind the NAT" '^198\.51\.100\.1:[0-9]+$' "$(theirs endpoints)"
check_equal "wg show: the client's key is the granted one" "$(sed -n 's/^granted //p' "$TEMP/theirs/broker" | tail -n 1)" \
  "$(wg show "$INTERFACE" peers)"

head -c 20M /dev/urandom >"$TEMP/file"
FILE_SUM=$(sha256sum <"$TEMP/file")
spawn_in registry "$TEMP/web.out" "$PYTHON" "$TOOLS/web_server.py" 2001:db8:e::1 8080 "$TEMP/file"
wait_for 10 can_connect registry 2001:db8:e::1 8080 || die "the web server does not start: $(cat "$TEMP/web.out")"
spawn_in client "$TEMP/web2.out" "$PYTHON" "$TOOLS/web_server.py" 2001:db8:e::2 8080 "$TEMP/file"
wait_for 10 can_connect client 2001:db8:e::2 8080 || die "the web server does not start: $(cat "$TEMP/web2.out")"
fetches_at() { # HOST ADDRESS
  local sum
  sum=$(ns "$1" curl -gsS --max-time 120 "http://[$2]:8080/file" | sha256sum)
  [ "$sum" = "$FILE_SUM" ] || {
    echo "sha256 is $sum, not $FILE_SUM"
    return 1
  }
}
check "client and wireguard-go: a file from them" fetches_at client 2001:db8:e::1
check "client and wireguard-go: a file to them" fetches_at registry 2001:db8:e::2

received=$(theirs transfer | cut -f 1)
sent=$(theirs transfer | cut -f 2)
check "wg show: they sent and received the files" test "$received" -gt 20000000 -a "$sent" -gt 20000000

before=$(theirs endpoints)
lose_nat_mappings 20000-20999
check "roaming: the NAT forgets, the tunnel goes on" wait_for 10 can_ping client 2001:db8:e::1
check "roaming: they have the new endpoint" test "$(theirs endpoints)" != "$before"
check "roaming: they reach us there" can_ping registry 2001:db8:e::2

# Without its keys: the client notices within 15 seconds that nothing comes back.
peer=$(wg show "$INTERFACE" peers)
stop_pid "$THEIRS"
start_theirs
wg set "$INTERFACE" peer "$peer" allowed-ips 2001:db8:e::2/128
check "restart: the client finds the restarted end" wait_for 40 can_ping client 2001:db8:e::1

stop_client home
check_equal "client: exit status 0" 0 "$STOPPED_STATUS"
check "client: nothing is left" is_as_before client
