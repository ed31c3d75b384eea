#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The networks that the mesh's scenarios run on are what they say they are: each kind of NAT by the tests of RFC 4787, blocked UDP,
# IPv6 alone, one LAN for two, partitions; and the search for cleartext finds what is planted. Topology: tests/mesh/lib.sh.

# shellcheck source-path=SCRIPTDIR source=../../mesh/lib.sh disable=SC2119
. "$(dirname "$0")/../../mesh/lib.sh"

begin "$@"
mesh_network
# The second address of the host that the NATs are tested against.
ip -n "$PREFIX-registry" addr add 198.51.100.11/32 dev eth0
ip -n "$PREFIX-backbone" route add 198.51.100.11/32 dev bregistry

kinds="full-cone address-restricted port-restricted symmetric udp-blocked"
for kind in $kinds; do add_node "${kind%%-*}" "$kind"; done
add_node pub public
add_node six v6
add_node kept port-kept
add_lan home port-restricted
add_node lan1 lan:home
add_node lan2 lan:home

outer() { ns "$1" ping -n -c 1 -W 1 "$2"; }

# --- NATs ---

probe() { ns "$1" "$PYTHON" "$MESH_TOOLS/nat_kind.py" ask "${2:-3653}" "$REGISTRY_V4" 198.51.100.11 3478 3479 2>&1; }
check_match "nats: nothing answers where nothing serves" 'no answer' "$(probe pub)"
spawn_in registry "$TEMP/nat_kind.out" "$PYTHON" "$MESH_TOOLS/nat_kind.py" serve "$REGISTRY_V4" 198.51.100.11 3478 3479
wait_for 10 grep -q '^serving' "$TEMP/nat_kind.out" || die "the NAT tests' server does not start: $(cat "$TEMP/nat_kind.out")"

for name in full address port symmetric udp kept lan1 lan2; do probe $name >"$TEMP/probe.$name" & done
wait_for_probes() {
  local name
  for name in full address port symmetric udp kept lan1 lan2; do [ -s "$TEMP/probe.$name" ] || return 1; done
}
wait_for 20 wait_for_probes
independent=endpoint-independent dependent=address-and-port-dependent
check_equal "nats: a public host has none" "$independent $independent port-kept" "$(probe pub)"
check_equal "nats: full cone" "$independent $independent port-changed" "$(cat "$TEMP/probe.full")"
check_equal "nats: address-restricted" "$independent address-dependent port-changed" "$(cat "$TEMP/probe.address")"
check_equal "nats: port-restricted" "$independent $dependent port-changed" "$(cat "$TEMP/probe.port")"
check_equal "nats: port-restricted, with the port kept" "$independent $dependent port-kept" "$(cat "$TEMP/probe.kept")"
check_equal "nats: symmetric" "$dependent $dependent port-changed" "$(cat "$TEMP/probe.symmetric")"
check_match "nats: no UDP where it is blocked" 'no answer' "$(cat "$TEMP/probe.udp")"
check "nats: but ping, and so TCP, passes there" outer udp "$REGISTRY_V4"
check_equal "lan: the first host's mapping" "$independent $dependent port-changed" "$(cat "$TEMP/probe.lan1")"
check_equal "lan: the second host's, with the same port" "$independent $dependent port-changed" "$(cat "$TEMP/probe.lan2")"

# --- Underlays ---

check_fails "nats: nobody outside reaches a host behind one" outer pub 192.0.2.2
check_fails "ipv6: no IPv4" outer six "$REGISTRY_V4"
check "ipv6: the registry by IPv6" outer six $REGISTRY_V6
check_fails "nats: no IPv6 behind them" outer full $REGISTRY_V6
check "lan: the two reach each other" outer lan1 192.0.2.3

partition pub six
check_fails "partition: nothing leaves its side" outer pub "$REGISTRY_V4"
check_fails "partition: nor by IPv6" outer six $REGISTRY_V6
check "partition: its side is whole" outer pub "${NODE_V6[six]}"
check "partition: and so is the other" outer full "$REGISTRY_V4"
heal
check "partition: healed" outer pub "$REGISTRY_V4"
cut_off lan1
check_fails "uplink: cut, nothing passes" outer lan1 "$REGISTRY_V4"
check "uplink: cut, the LAN goes on" outer lan1 192.0.2.3
plug_in lan1
check "uplink: whole again" outer lan1 "$REGISTRY_V4"

# --- The search for cleartext ---

# say HOST FAMILY ADDRESS PORT TCP|UDP HEX
say() {
  ns "$1" "$PYTHON" - "$2" "$3" "$4" "$5" "$6" <<'PY'
import socket
import sys
family, address, port, kind, data = sys.argv[1:]
with socket.socket(socket.AF_INET6 if family == "6" else socket.AF_INET, socket.SOCK_STREAM if kind == "TCP" else socket.SOCK_DGRAM) as sock:
    sock.connect((address, int(port)))
    sock.sendall(bytes.fromhex(data))
PY
}
# finding NAME EXPECTED COMMAND...: what the search says after the command's packets have passed.
finding() {
  local name=$1 expected=$2
  shift 2
  start_captures
  "$@" || die "cannot send what is to be found"
  stop_captures
  check_match "$name" "$expected" "$(cleartext)"
}
zeros() { head -c "$1" /dev/zero | od -An -v -tx1 | tr -d ' \n'; }
hex() { printf %s "$1" | od -An -v -tx1 | tr -d ' \n'; }

ns registry "$PYTHON" -m http.server --bind "$REGISTRY_V4" 8080 >"$TEMP/http.out" 2>&1 &
PIDS+=("$!")
wait_for 10 can_connect pub "$REGISTRY_V4" 8080 || die "the web server does not start"
# shellcheck disable=SC2016 # expanded by eval
finding "cleartext: none in messages of WireGuard" '^no cleartext: .*[1-9] WireGuard' eval '
  say full 4 "$REGISTRY_V4" 3653 UDP "01000000$(zeros 144)"; say six 6 $REGISTRY_V6 3653 UDP "04000000$(zeros 28)"'
finding "cleartext: finds a message that is only called WireGuard's" '^cleartext: a WireGuard message of type 1' \
  say full 4 "$REGISTRY_V4" 3653 UDP "01000000$(zeros 140)"
finding "cleartext: finds an inner address in one" '^cleartext: an inner address' \
  say pub 4 "$REGISTRY_V4" 3653 UDP "04000000$(zeros 12)20010db80042000700000000000000010000"
finding "cleartext: finds a plain inner packet" '^cleartext: UDP port' say pub 4 "$REGISTRY_V4" 3653 UDP "60000000$(zeros 60)"
finding "cleartext: finds it on a LAN" '^cleartext: UDP port' say lan1 4 192.0.2.3 3653 UDP "60000000$(zeros 60)"
finding "cleartext: finds control that holds something else" '^cleartext: control that is no part' \
  say pub 6 $REGISTRY_V6 3653 UDP "f0000001$(zeros 4)$(hex 'some words')"
finding "cleartext: finds words in a question to the registry" '^cleartext: control that is no part' \
  say pub 4 "$REGISTRY_V4" 443 UDP "f0000000$(zeros 4)$(hex "$(printf 'ENDPOINT REQUEST %-69s' 'some words')")0d0a"
part=$'PART 1/1 0123456789abcdef\r\n'
finding "cleartext: finds a message that holds something else" '^cleartext: control that is no XML' \
  say pub 6 $REGISTRY_V6 3653 UDP "f0000001$(zeros 4)$(hex "${part}some words")"
finding "cleartext: finds words that no negotiation has" '^cleartext: control with <words>' say full 4 "$REGISTRY_V4" 3653 UDP \
  "f0000001$(zeros 4)$(hex "$part<tunnel><words>some</words></tunnel>")"
finding "cleartext: finds a contact that is not signed" '^cleartext: <contact> that is not signed' say pub 4 "$REGISTRY_V4" 3653 UDP \
  "f0000001$(zeros 4)$(hex "$part<tunnel action=\"create\"><contact>$(zeros 30)</contact></tunnel>")"
finding "cleartext: finds TCP that is not TLS" '^cleartext: TCP port' say pub 4 "$REGISTRY_V4" 8080 TCP "$(hex $'GET / HTTP/1.0\r\n\r\n')"
start_captures
stop_captures
check_fails "cleartext: a capture of nothing shows nothing" cleartext --expect WireGuard
