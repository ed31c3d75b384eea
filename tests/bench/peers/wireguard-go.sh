# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# wireguard-go, the WireGuard project's program in userspace, with wg(8) for keys and peers. See ../lib.sh.

WIREGUARD_GO_INTERFACE=wg$$

wireguard_go_subjects() { echo "wireguard-go wireguard-go"; }
wireguard_go_missing() { missing_program wireguard-go wg; }
wireguard_go_version() { wireguard-go --version | sed -n 's/^wireguard-go v//p'; }

# wireguard_go_conf SELF OTHER [ENDPOINT]
wireguard_go_conf() {
  printf '[Interface]\nPrivateKey = %s\nListenPort = 51820\n[Peer]\nPublicKey = %s\nAllowedIPs = ::/0\n' \
    "$(cat "$TEMP/wg.$1.key")" "$(wg pubkey <"$TEMP/wg.$2.key")"
  if [ -n "${3:-}" ]; then printf 'Endpoint = %s\n' "$3"; fi
}

wireguard_go_up() {
  local host interface
  for host in left right; do (umask 077 && wg genkey >"$TEMP/wg.$host.key"); done
  for host in left right; do
    # The names of both must differ: its socket in /run/wireguard is the machine's, not the namespace's.
    interface=$WIREGUARD_GO_INTERFACE${host:0:1}
    spawn_in "$host" "$TEMP/wg.$host.log" env LOG_LEVEL=error wireguard-go -f "$interface"
    if ! wait_interface "$host" "$interface" || ! wait_for 5 test -S "/var/run/wireguard/$interface.sock"; then
      give_reason "wireguard-go does not start: $(last_words "$TEMP/wg.$host.log")"
      return 1
    fi
  done
  wireguard_go_conf left right "$RIGHT_V4:51820" >"$TEMP/wg.left.conf"
  wireguard_go_conf right left >"$TEMP/wg.right.conf"
  for host in left right; do
    interface=$WIREGUARD_GO_INTERFACE${host:0:1}
    if ! ns "$host" wg setconf "$interface" "$TEMP/wg.$host.conf" 2>"$TEMP/wg.$host.log"; then
      give_reason "wg setconf failed: $(last_words "$TEMP/wg.$host.log")"
      return 1
    fi
    tunnel_addresses "$host" "$interface" 1420 || return 1
  done
  inner_address "$TUNNEL_RIGHT_V6"
}

wireguard_go_down() { rm -f "/var/run/wireguard/$WIREGUARD_GO_INTERFACE"[lr].sock "$TEMP"/wg.*; }
