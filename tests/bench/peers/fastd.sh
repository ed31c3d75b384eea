# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# fastd with a TUN, without encryption (null) and with its fast cipher (salsa2012+umac). See ../lib.sh.

fastd_subjects() {
  echo "fastd-null fastd null"
  echo "fastd-salsa2012 fastd salsa2012+umac"
}
fastd_missing() { missing_program fastd; }
fastd_version() { fastd --version | sed 's/^fastd v*//'; }

fastd_start() {  # SELF OUTER OTHER_OUTER OTHER_KEY METHOD
  local conf=$TEMP/fastd.$1.conf
  (umask 077 && cat >"$conf" <<CONF
mode tun;
interface "fastd0";
# What is left of 1500 bytes: IPv4, UDP, 24 bytes of its own.
mtu 1426;
method "$5";
bind $2:10000;
secret "$(cat "$TEMP/fastd.$1.key")";
peer "other" {
  key "$4";
  remote $3:10000;
}
CONF
  )
  spawn_in "$1" "$TEMP/fastd.$1.log" fastd --config "$conf"
}

fastd_up() {
  local method=null host
  if [ "$1" = fastd-salsa2012 ]; then method=salsa2012+umac; fi
  for host in left right; do
    (umask 077 && fastd --generate-key >"$TEMP/fastd.$host.keys" 2>&1)
    sed -n 's/^Secret: //p' "$TEMP/fastd.$host.keys" >"$TEMP/fastd.$host.key"
    sed -n 's/^Public: //p' "$TEMP/fastd.$host.keys" >"$TEMP/fastd.$host.public"
  done
  fastd_start left "$LEFT_V4" "$RIGHT_V4" "$(cat "$TEMP/fastd.right.public")" $method
  fastd_start right "$RIGHT_V4" "$LEFT_V4" "$(cat "$TEMP/fastd.left.public")" $method
  for host in left right; do
    if ! wait_interface "$host" fastd0 || ! tunnel_addresses "$host" fastd0 1426; then
      give_reason "fastd does not start: $(last_words "$TEMP/fastd.$host.log")"
      return 1
    fi
  done
  inner_address "$TUNNEL_RIGHT_V6"
  if ! wait_for 15 grep -q "connection with .*established" "$TEMP/fastd.left.log"; then
    give_reason "fastd does not connect: $(last_words "$TEMP/fastd.left.log")"
    return 1
  fi
}

fastd_down() { rm -f "$TEMP"/fastd.*; }
