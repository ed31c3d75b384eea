#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Creates and removes a tunnel's addresses and routes on macOS, with ifconfig(8), route(8), gif(4) and rtadvd(8).
# lib.sh has the contract, lib_bsd.sh what the BSDs share: there is how a default route is made without metrics.
#
# Modes: v6v4 and v4v6 by kind kernel (gif; gif0 is the system's own, so gif1 and on) and tun (utun); v6udpv4 and wireguard by kind
# tun. Host and router; not broker.
# A forwarding macOS ignores router advertisements: a router's own IPv6 comes from the tunnel, or is static.
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

set_sysctl_words() {
  words="-w $1=$2"
}

tunnel_words() {
  family_word $((10 - inner))
  words=$word
}

# route(8): the name of a point-to-point interface will do.
device_words() {
  words="-interface $1"
}

describe_mss_clamp() {
  answer="in pf.conf: scrub on $interface max-mss $mss"
}

# DNS servers are left out: not every release's rtadvd.conf(5) has them.
advertise() {
  files=$state_dir/$interface.rtadvd
  # shellcheck disable=SC2086  # a list
  set -- rtadvd -s -c "$files.conf" -p "$files.pid" $home_interfaces
  start_daemon "$files.conf" "$(rtadvd_config '')" "$files.pid" - "$*" "$@"
}

check_router() {
  check_home
  if [ "$inner" = 6 ]; then need_program rtadvd "this release of macOS has none: set host_type=host"; fi
}

start_template "$@"
if [ "${TSP_HOST_TYPE-}" = broker ]; then refuse "this template has no host type broker: the registry does not run on macOS"; fi
operate
