#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Creates and removes a tunnel's addresses and routes on OpenBSD, with ifconfig(8), route(8), gif(4) and rad(8).
# lib.sh has the contract, lib_bsd.sh what the BSDs share.
#
# Modes: v6v4 and v4v6 by kind kernel (gif) and tun, wireguard by kind kernel (wg) and tun; v6udpv4 by kind tun. Host, router, broker.
#
# Routes have priorities here: routes to the same destination stand side by side, and the lowest number wins. Native
# default routes have 8 (static) to 56. With default_route=backup ours has 60, with yes 5; the halves of the address
# space that lib_bsd.sh tells of are not needed.
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

kBestPriority=5
kBackupPriority=60

set_sysctl_words() {
  words=$1=$2
}

# ifconfig(8) takes the family from the addresses.
tunnel_words() {
  words=
}

# route(8): an interface is named by this machine's address on it.
device_words() {
  words="-iface $2"
}

choose_default() {
  destinations=default
  wants_default=yes
  case $default_route in
    no) wants_default='' priority=- ;;
    backup) priority=$kBackupPriority ;;
    yes) priority=$kBestPriority ;;
  esac
}

# With the other priority, from another configuration.
withdraw_default() { # PRIORITY
  is_recorded route "$inner" default "$server" "$1" || return 0
  route_words "$inner" default "$1"
  # shellcheck disable=SC2086  # words
  run_as "route -n delete $words $server" call_route -n delete $words "$server"
  forget route "$inner" default "$server" "$1"
}

add_default_route() {
  [ "$priority" = "$kBestPriority" ] || withdraw_default "$kBestPriority"
  [ "$priority" = "$kBackupPriority" ] || withdraw_default "$kBackupPriority"
  [ -n "$wants_default" ] || return 0
  route_words "$inner" default "$priority"
  # shellcheck disable=SC2086  # words
  put_route "route $inner default $server $priority" $words "$server"
}

# A backup captures the broker only when there is no other way.
is_captured() {
  [ -n "$way_default" ] && [ "$default_route" = yes ]
}

# route(8): an interface is named by this machine's address on it, which is not known here.
bypass_gateway() { # GATEWAY|- IF
  case $1 in
    -) return 1 ;;
    [Ff][Ee]80:*) gateway=$1%$2 ;;
    *) gateway=$1 ;;
  esac
}

describe_mss_clamp() {
  answer="in pf.conf: match on $interface scrub (max-mss $mss)"
}

# rad.conf(5). Lifetimes as radvd_config of lib.sh has them. `router preference` is too new (OpenBSD 7.6) to be used.
rad_config() {
  number=0
  for home in $home_interfaces; do
    nth_network "$number"
    number=$((number + 1))
    printf 'interface %s {\n' "$home"
    if [ "$default_route" = no ]; then
      printf '  default router no\n'
    else
      printf '  router lifetime 600\n'
    fi
    printf '  mtu %s\n' "$mtu"
    if [ -n "$dns_servers_v6" ]; then
      printf '  dns {\n    nameserver {\n'
      for name_server in $dns_servers_v6; do printf '      %s\n' "$name_server"; done
      printf '    }\n  }\n'
    fi
    printf '  no auto prefix\n'
    printf '  prefix %s::/64 {\n    preferred lifetime 2700\n    valid lifetime 5400\n  }\n}\n' "$network"
  done
}

check_daemon_configuration() {
  run rad -n -f "$1"
}

# rad writes no file with its process ID; in the foreground it is the child of a shell of its own: ksh93, in a command
# substitution, would keep a copy of the substitution's output open in it, and wait for its end.
start_rad() { # CONFIGURATION SOCKET PIDFILE
  # shellcheck disable=SC2016  # for the inner shell
  sh -c 'rad -d -f "$1" -s "$2" </dev/null >/dev/null 2>&1 & printf "%s\n" "$!" >"$3"' sh "$@"
}

# The system's rad keeps its control socket: ours has its own.
advertise() {
  files=$state_dir/$interface.rad
  start_daemon "$files.conf" "$(rad_config)" "$files.pid" "$files.sock" \
    "rad -d -f $files.conf -s $files.sock &" start_rad "$files.conf" "$files.sock" "$files.pid"
}

check_router() {
  check_home
  if [ "$inner" = 6 ]; then need_program rad "it belongs to the base system"; fi
}

start_template "$@"
operate
