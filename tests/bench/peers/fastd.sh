# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# fastd with a TUN, without encryption (null) and with its fast cipher (salsa2012+umac). See ../lib.sh.

fastd_subjects() {
  echo "fastd-null fastd null"
  echo "fastd-salsa2012 fastd salsa2012+umac"
}
fastd_missing() { missing_program fastd; }
fastd_version() { fastd --version | sed 's/^fastd v*//'; }

fastd_start() {  # SELF OUTER OTHER_KEY METHOD [OTHER_OUTER]
  local conf=$TEMP/fastd.$1.conf
  (umask 077 && cat >"$conf" <<CONF
mode tun;
interface "fastd0";
# What is left of 1500 bytes: IPv4, UDP, 24 bytes of its own.
mtu 1426;
method "$4";
bind $2:10000;
secret "$(cat "$TEMP/fastd.$1.key")";
peer "other" {
  key "$3";
  ${5:+remote $5:10000;}
}
CONF
  )
  spawn_in "$1" "$TEMP/fastd.$1.log" fastd --config "$conf"
}

fastd_interface() {
  if ! wait_interface "$1" fastd0 || ! tunnel_addresses "$1" fastd0 1426; then
    give_reason "fastd does not start: $(last_words "$TEMP/fastd.$1.log")"
    return 1
  fi
}

fastd_up() {
  local method=null host
  if [ "$1" = fastd-salsa2012 ]; then method=salsa2012+umac; fi
  for host in left right; do
    (umask 077 && fastd --generate-key >"$TEMP/fastd.$host.keys" 2>&1)
    sed -n 's/^Secret: //p' "$TEMP/fastd.$host.keys" >"$TEMP/fastd.$host.key"
    sed -n 's/^Public: //p' "$TEMP/fastd.$host.keys" >"$TEMP/fastd.$host.public"
  done
  # One end calls and the other listens: when both call at once, the next attempt may be 20 seconds away.
  fastd_start right "$RIGHT_V4" "$(cat "$TEMP/fastd.left.public")" $method
  fastd_interface right || return 1
  fastd_start left "$LEFT_V4" "$(cat "$TEMP/fastd.right.public")" $method "$RIGHT_V4"
  fastd_interface left || return 1
  for host in left right; do
    if ! wait_for 45 grep -q "connection with .*established" "$TEMP/fastd.$host.log"; then
      give_reason "fastd does not connect: $(last_words "$TEMP/fastd.$host.log")"
      return 1
    fi
  done
  inner_address "$TUNNEL_RIGHT_V6"
}

fastd_down() { rm -f "$TEMP"/fastd.*; }
