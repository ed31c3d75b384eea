# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# Yggdrasil over one TCP peering, with the interface's MTU of 65535 that it has by default. See ../lib.sh.

yggdrasil_subjects() { echo "yggdrasil Yggdrasil (MTU 65535)"; }
yggdrasil_missing() { missing_program yggdrasil; }
yggdrasil_version() { "$(find_program yggdrasil)" -version | sed -n 's/^Build version: //p'; }

yggdrasil_start() {  # HOST PEER LISTEN
  "$(find_program yggdrasil)" -genconf -json | "$PYTHON" -c '
import json
import sys

conf = json.load(sys.stdin)
conf["Peers"] = sys.argv[1].split()
conf["Listen"] = sys.argv[2].split()
conf["MulticastInterfaces"] = []
conf["AdminListen"] = "none"
conf["IfName"] = "ygg0"
conf["IfMTU"] = 65535
json.dump(conf, sys.stdout)' "$2" "$3" >"$TEMP/ygg.$1.conf" || return 1
  spawn_in "$1" "$TEMP/ygg.$1.log" "$(find_program yggdrasil)" -useconffile "$TEMP/ygg.$1.conf"
}

yggdrasil_up() {
  local host
  yggdrasil_start right "" "tcp://$RIGHT_V4:12345" && yggdrasil_start left "tcp://$RIGHT_V4:12345" ""
  for host in left right; do
    if ! wait_interface "$host" ygg0; then
      give_reason "yggdrasil does not start: $(last_words "$TEMP/ygg.$host.log")"
      return 1
    fi
  done
  inner_address "$("$(find_program yggdrasil)" -useconffile "$TEMP/ygg.right.conf" -address)"
}

yggdrasil_down() { rm -f "$TEMP"/ygg.*; }
