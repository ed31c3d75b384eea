#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Creates and removes a tunnel's addresses and routes on NetBSD, with ifconfig(8), route(8), gif(4) and rtadvd(8).
# lib.sh has the contract, lib_bsd.sh what the BSDs share: there is how a default route is made without metrics.
#
# Modes: v6v4 and v4v6 by kind kernel (gif) and tun; v6udpv4 and wireguard by kind tun. Host, router, broker.
# shellcheck disable=SC2154,SC2034  # variables shared with the libraries

set -uf
LC_ALL=C
export LC_ALL
PATH=${PATH:-}:/sbin:/usr/sbin:/bin:/usr/bin
export PATH
unset IFS
umask 022

case $0 in
  */*) here=${0%/*} ;;
  *) here=. ;;
esac
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$here/lib.sh"
# shellcheck source-path=SCRIPTDIR source=lib_tunnel.sh
. "$here/lib_tunnel.sh"
# shellcheck source-path=SCRIPTDIR source=lib_bsd.sh
. "$here/lib_bsd.sh"

# "delete does not work for IPv6 addresses"
delete_word=-alias

set_sysctl_words() {
  words="-w $1=$2"
}

# ifconfig(8) takes the family from the addresses.
tunnel_words() {
  words=
}

# route(8): an interface is named by this machine's address on it.
device_words() {
  words="-interface $2"
}

describe_mss_clamp() {
  answer="in npf.conf, for $interface: procedure \"mss\" { normalize: \"max-mss\" $mss }"
}

advertise() {
  files=$state_dir/$interface.rtadvd
  # shellcheck disable=SC2086  # a list
  set -- rtadvd -s -c "$files.conf" -p "$files.pid" $home_interfaces
  start_daemon "$files.conf" "$(rtadvd_config yes)" "$files.pid" - "$*" "$@"
}

check_router() {
  check_home
  if [ "$inner" = 6 ]; then need_program rtadvd "it belongs to the base system"; fi
}

start_template "$@"
operate
