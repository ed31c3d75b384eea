# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# tinc 1.0 in router mode, with its own choice of cipher. See ../lib.sh.

tinc_subjects() { echo "tinc tinc"; }
tinc_missing() { missing_program tincd; }
tinc_version() { "$(find_program tincd)" --version | sed -n 's/^tinc version \([^ ]*\).*/\1/p'; }

tinc_configure() {  # SELF OTHER OUTER INNER
  local dir=$TEMP/tinc.$1
  mkdir -p "$dir/hosts"
  printf 'Name = %s\nInterface = tinc0\nAddressFamily = ipv4\nBindToAddress = %s\n' "$1" "$3" >"$dir/tinc.conf"
  if [ "$1" = left ]; then echo "ConnectTo = $2" >>"$dir/tinc.conf"; fi
  printf 'Address = %s\nSubnet = %s/128\n' "$3" "$4" >"$dir/hosts/$1"
  # shellcheck disable=SC2016 # expanded by the script
  printf '#!/bin/sh\nip addr add %s/64 dev "$INTERFACE" nodad\nip link set "$INTERFACE" up\n' "$4" >"$dir/tinc-up"
  chmod 755 "$dir/tinc-up"
  # It asks where the keys are to go; an empty answer is its own choice.
  "$(find_program tincd)" -c "$dir" -K2048 </dev/null >"$dir/log" 2>&1
}

tinc_up() {
  local host
  if ! tinc_configure left right "$LEFT_V4" "$TUNNEL_LEFT_V6" || ! tinc_configure right left "$RIGHT_V4" "$TUNNEL_RIGHT_V6"; then
    give_reason "tincd makes no keys: $(last_words "$TEMP"/tinc.*/log)"
    return 1
  fi
  cp "$TEMP/tinc.left/hosts/left" "$TEMP/tinc.right/hosts/left"
  cp "$TEMP/tinc.right/hosts/right" "$TEMP/tinc.left/hosts/right"
  for host in right left; do
    spawn_in "$host" "$TEMP/tinc.$host/log" "$(find_program tincd)" -c "$TEMP/tinc.$host" -D -d 1 --pidfile="$TEMP/tinc.$host/pid"
    if ! wait_interface "$host" tinc0; then
      give_reason "tincd does not start: $(last_words "$TEMP/tinc.$host/log")"
      return 1
    fi
  done
  inner_address "$TUNNEL_RIGHT_V6"
}

tinc_down() { rm -rf "$TEMP"/tinc.*; }
