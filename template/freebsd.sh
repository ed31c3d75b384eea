#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Creates and removes a tunnel's addresses and routes on FreeBSD, with ifconfig(8), route(8), gif(4) and rtadvd(8).
# lib.sh has the contract, lib_bsd.sh what the BSDs share: there is how a default route is made without metrics.
#
# Modes: v6v4 and v4v6 by kind kernel (gif) and tun, wireguard by kind kernel (wg) and tun; v6udpv4 by kind tun. Host, router, broker.
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

has_wg=yes

set_sysctl_words() {
  words=$1=$2
}

tunnel_words() {
  family_word $((10 - inner))
  words=$word
}

# route(8): the name of a point-to-point interface will do.
device_words() {
  words="-interface $1"
}

is_nd6_flag() {
  case $1 in
    ifdisabled | accept_rtadv) ;;
    *) return 1 ;;
  esac
}

# New interfaces have IPv6 switched off unless rc.conf says otherwise, and may listen to router advertisements.
prepare_interface() {
  [ "$inner" = 6 ] || return 0
  if [ -n "$fresh" ]; then
    run ifconfig "$interface" inet6 -ifdisabled -accept_rtadv
    return 0
  fi
  nd6_options=${1#*"nd6 options="}
  [ "$nd6_options" != "$1" ] || return 0
  nd6_options=${nd6_options%%>*},
  clear_nd6_flag IFDISABLED ifdisabled
  clear_nd6_flag ACCEPT_RTADV accept_rtadv
}

clear_nd6_flag() { # as it is shown, as it is set
  case $nd6_options in
    *[\<,]"$1",*) ;;
    *) return 0 ;;
  esac
  record nd6 "$interface" "$2"
  run ifconfig "$interface" inet6 "-$2"
}

# A forwarding kernel ignores router advertisements, and so loses its own default route, unless it is told to keep on.
switch_on_forwarding() {
  if [ "$1" = 4 ]; then
    set_sysctl net.inet.ip.forwarding 1
    return 0
  fi
  if query sysctl -n net.inet6.ip6.forwarding && [ "$query_output" = 0 ] && has_other_default 6; then
    set_sysctl net.inet6.ip6.rfc6204w3 1
  fi
  set_sysctl net.inet6.ip6.forwarding 1
}

describe_mss_clamp() {
  answer="in pf.conf: scrub on $interface max-mss $mss"
}

# The system's rtadvd keeps its control socket: ours has its own.
advertise() {
  files=$state_dir/$interface.rtadvd
  # shellcheck disable=SC2086  # a list
  set -- rtadvd -s -c "$files.conf" -C "$files.sock" -p "$files.pid" $home_interfaces
  start_daemon "$files.conf" "$(rtadvd_config yes)" "$files.pid" "$files.sock" "$*" "$@"
}

check_router() {
  check_home
  if [ "$inner" = 6 ]; then need_program rtadvd "it belongs to the base system"; fi
}

start_template "$@"
operate
