# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# OpenVPN in userspace: UDP, point to point, TLS with each other's certificate's fingerprint, the program's defaults besides.
# See ../lib.sh.

openvpn_subjects() {
  echo "openvpn-chacha20 OpenVPN ChaCha20-Poly1305"
  echo "openvpn-aes128 OpenVPN AES-128-GCM"
}
openvpn_missing() { missing_program openvpn openssl; }
openvpn_version() { "$(find_program openvpn)" --version | sed -n 's/^OpenVPN \([0-9][^ ]*\).*/\1/p'; }

# A certificate for each end, signed by itself.
openvpn_keys() {
  local host
  for host in left right; do
    (umask 077 && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj "/CN=$host" \
      -keyout "$TEMP/ovpn.$host.key" -out "$TEMP/ovpn.$host.crt" 2>"$TEMP/ovpn.$host.log") || return 1
    openssl x509 -in "$TEMP/ovpn.$host.crt" -noout -fingerprint -sha256 | sed 's/.*=//' >"$TEMP/ovpn.$host.print"
  done
}

openvpn_start() {  # SELF OTHER CIPHER LOCAL REMOTE INNER_SELF INNER_OTHER ROLE...
  local self=$1 other=$2 cipher=$3 local=$4 remote=$5 inner=$6 inner_other=$7
  local -a dco=()
  shift 7
  # The datapath of a kernel module is another subject than this program.
  if "$(find_program openvpn)" --help | grep -q -- --disable-dco; then dco=(--disable-dco); fi
  spawn_in "$self" "$TEMP/ovpn.$self.log" "$(find_program openvpn)" --dev ovpn0 --dev-type tun --proto udp4 --local "$local" \
    --remote "$remote" --port 1194 --ifconfig-ipv6 "$inner/64" "$inner_other" "$@" --cert "$TEMP/ovpn.$self.crt" \
    --key "$TEMP/ovpn.$self.key" --peer-fingerprint "$(cat "$TEMP/ovpn.$other.print")" --data-ciphers "$cipher" --cipher "$cipher" \
    --auth SHA256 --verb 2 "${dco[@]}"
}

openvpn_up() {
  local cipher=CHACHA20-POLY1305
  if [ "$1" = openvpn-aes128 ]; then cipher=AES-128-GCM; fi
  if ! openvpn_keys; then
    give_reason "openssl makes no certificate: $(last_words "$TEMP"/ovpn.*.log)"
    return 1
  fi
  openvpn_start right left $cipher "$RIGHT_V4" "$LEFT_V4" "$TUNNEL_RIGHT_V6" "$TUNNEL_LEFT_V6" --tls-server --dh none
  openvpn_start left right $cipher "$LEFT_V4" "$RIGHT_V4" "$TUNNEL_LEFT_V6" "$TUNNEL_RIGHT_V6" --tls-client
  inner_address "$TUNNEL_RIGHT_V6"
  if ! wait_for 20 grep -q 'Initialization Sequence Completed' "$TEMP/ovpn.left.log"; then
    give_reason "openvpn does not connect: $(last_words "$TEMP/ovpn.left.log" "$TEMP/ovpn.right.log")"
    return 1
  fi
  if ! grep -q "Data Channel.*$cipher" "$TEMP/ovpn.left.log"; then
    give_reason "openvpn did not agree on $cipher: $(grep 'Data Channel' "$TEMP/ovpn.left.log" | tail -n 1)"
    return 1
  fi
}

openvpn_down() { rm -f "$TEMP"/ovpn.*; }
