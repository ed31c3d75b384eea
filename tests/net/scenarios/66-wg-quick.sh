#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# A user's tunnel as a file: exported with and without a running registry, brought up by wg-quick (with wireguard-go, for the running
# kernel may have no WireGuard), as a QR code, listed, replaced and deleted. The machine with the file never speaks TSP.
#
# covers: registry key wireguard_endpoint, registry key wireguard_port

# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
begin "$@"
for program in wg wg-quick wireguard-go; do
  if ! command -v "$program" >/dev/null; then
    skip "$SCENARIO" "the program $program is not installed (make deps)"
    exit 0
  fi
done
topology

# export_to FILE WORD...: of the user alice.
export_to() {
  local file=$1
  shift
  (umask 077 && registry_command peer export alice "$@" >"$file" 2>"$TEMP/export.err")
}
# wg_quick up|down: in the client's namespace, with its own /run and /etc/resolv.conf.
wg_quick() {
  ns client env WG_QUICK_USERSPACE_IMPLEMENTATION=wireguard-go WG_I_PREFER_BUGGY_USERSPACE_TO_POLISHED_KMOD=1 \
    wg-quick "$1" "$TEMP/six-quick.conf" >"$TEMP/wg-quick.out" 2>&1
}
public_key() { sed -n 's/^PrivateKey = //p' "$1" | wg pubkey; }
latest_handshake() { registry_command peer list --json | "$PYTHON" -c 'import json,sys; print(json.load(sys.stdin)[0]["latest_handshake"])'; }
has_handshake() { latest_handshake | grep -q ^20; }

# --- Without a registry that runs, and what is wrong ---

write_registry_config registry prefix_v4=203.0.113.0/25
mkdir -p "$TEMP/registry/state"
check_fails "export: a user who does not exist" export_to "$TEMP/none"
check_match "export: says what to do" 'there is no user alice.*user add' "$(cat "$TEMP/export.err")"
add_user alice s3cret
check_fails "export: nobody knows where this machine is" export_to "$TEMP/none"
check_match "export: says what to configure" 'wireguard_endpoint=' "$(cat "$TEMP/export.err")"
write_registry_config registry prefix_v4=203.0.113.0/25 wireguard_endpoint=broker.example.net wireguard_port=51820
check "export: without a running registry" export_to "$TEMP/first.conf"
check_match "export: the endpoint has the port of its own" '^Endpoint = broker.example.net:51820$' "$(cat "$TEMP/first.conf")"
check_match "export: IPv4 is the broker's own prefix" '^AllowedIPs = ::/0, 203.0.113.0/25$' "$(cat "$TEMP/first.conf")"
first_key=$(public_key "$TEMP/first.conf")
check_match "list: without a running registry" "^alice +${first_key//+/[+]} +-" "$(registry_command peer list 2>/dev/null)"
check_equal "the database has no private key" "" \
  "$(grep -l "$(sed -n 's/^PrivateKey = //p' "$TEMP/first.conf")" -r "$TEMP/registry/state")"

# --- With one ---

run_registry
start_web 5M
check "export: from the running registry" export_to "$TEMP/six-quick.conf"
check_fails "export: each has a key of its own" test "$(public_key "$TEMP/first.conf")" = "$(public_key "$TEMP/six-quick.conf")"
check_equal "export: the same address" "$(grep ^Address "$TEMP/first.conf")" "$(grep ^Address "$TEMP/six-quick.conf")"
check_fails "before the tunnel there is no way" can_ping client $WEB_V6
sed -i "s/broker.example.net/$REGISTRY_V4/" "$TEMP/six-quick.conf" "$TEMP/first.conf"

# The wrong key first: that of the earlier file.
cp "$TEMP/six-quick.conf" "$TEMP/right.conf"
cp "$TEMP/first.conf" "$TEMP/six-quick.conf"
wg_quick up || die "wg-quick does not start: $(tail -n 3 "$TEMP/wg-quick.out")"
check_fails "an earlier file carries nothing" can_ping client $WEB_V6 3
wg_quick down
cp "$TEMP/right.conf" "$TEMP/six-quick.conf"
wg_quick up || die "wg-quick does not start: $(tail -n 3 "$TEMP/wg-quick.out")"
check "the web through the tunnel" wait_for 10 can_ping client $WEB_V6
check "the client from outside" can_ping web 2001:db8:42::2
check "IPv4 through the tunnel" ns client ping -4 -n -c 1 -W 2 203.0.113.1
check "5 MB arrive whole" fetches client
check "list: the handshake" has_handshake
check_match "list: where it is" '198\.51\.100\.1:[0-9]+, 2001:db8:42::2, 203\.0\.113\.' "$(registry_command peer list)"
check_match "wg: the handshake is there too" 'latest handshake' "$(ns client wg show six-quick)"

# --- QR, IPv4, deletion ---

registry_command peer export alice --qr >"$TEMP/qr" 2>&1
check "qr: drawn with half blocks" grep -q '▀' "$TEMP/qr"
check_fails "qr: the key is not readable beside it" grep -q PrivateKey "$TEMP/qr"
export_to "$TEMP/all.conf" --ipv4
check_match "--ipv4: all of it" '^AllowedIPs = ::/0, 0.0.0.0/0$' "$(cat "$TEMP/all.conf")"
check_fails "a new export ends the old one" can_ping client $WEB_V6 3
check "delete" registry_command peer delete alice
check_fails "delete: a second time there is nothing" registry_command peer delete alice
check_equal "delete: nobody is listed" 1 "$(registry_command peer list | wc -l)"
wg_quick down
