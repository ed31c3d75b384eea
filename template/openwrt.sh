#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Creates and removes a tunnel's addresses and routes on OpenWrt, with BusyBox's ip and sysctl. lib.sh has the contract.
#
# Modes: all by kind tun; v6v4 (sit, package kmod-sit) and wireguard (kmod-wireguard and wireguard-tools) by kind kernel. BusyBox's ip makes no tunnel over IPv6 and no FOU:
# v4v6 and v6udpv4 of kind kernel are left to the program. Host and router; not broker.
#
# Default routes have metrics, as on Linux: with default_route=backup ours comes behind the native ones, with yes before.
#
# OpenWrt's own configuration is read and never written. A home interface on which odhcpd or dnsmasq's place in
# /etc/config/dhcp says ra=server (or hybrid) gets nothing but its address: odhcpd announces the networks that it finds
# there. For one without, radvd runs with a configuration of ours, if it is installed.
#
# The kinds of record lines:
#   tunnel IF                     mtu IF OLD NEW             up IF            sysctl KEY OLD NEW
#   address IF 4|6 ADDRESS LENGTH route 4|6 DESTINATION IF METRIC             unreachable 4|6 PREFIX METRIC
#   bypass 6 ADDRESS GATEWAY IF METRIC                       file PATH        daemon PIDFILE CONFIGURATION -
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

kRouteMetric=1024
kBackupMetric=8192
kBestMetric=1
# Behind every route that anyone would make for a part of the delegated prefix, or all of it.
kUnreachableMetric=65535
fresh=

# ---- undoing --------------------------------------------------------------------------------------------------

interface_exists() {
  query ip link show "$1"
}

# A question that failed has its answer only if it says so; else nothing is known.
is_gone() { # IF
  interface_exists "$1" && return 1
  case $query_output in
    *"can't find device"* | *"does not exist"*) return 0 ;;
  esac
  return 1
}

# An undo command that failed is fine if what it should have removed is not there.
undo_on_interface() { # IF command...
  undo_device=$1
  shift
  attempt "$@" && return 0
  case $command_error in
    *"Cannot assign requested address"* | *"No such process"* | *"No such device"*) return 0 ;;
  esac
  is_gone "$undo_device"
}

undo_line() {
  case $1:$# in
    tunnel:2 | wireguard:2 | up:2) is_interface "$2" || return 2 ;;
    mtu:4) is_interface "$2" && is_number "$3" && is_number "$4" || return 2 ;;
    sysctl:4) is_sysctl "$2" && is_number "${3#-}" && is_number "$4" || return 2 ;;
    address:5) is_interface "$2" && is_family_address "$3" "$4" && is_number_between "$5" 0 128 || return 2 ;;
    route:5) is_destination "$2" "$3" && is_interface "$4" && is_number "$5" || return 2 ;;
    unreachable:4) is_destination "$2" "$3" && is_number "$4" || return 2 ;;
    bypass:6) is_family_address "$2" "$3" && is_family_address "$2" "$4" && is_interface "$5" && is_number "$6" || return 2 ;;
    file:2) is_file_of_ours "$2" || return 2 ;;
    daemon:4) is_file_of_ours "$2" && is_file_of_ours "$3" && [ "$4" = - ] || return 2 ;;
    *) return 2 ;;
  esac
  case $1 in
    tunnel) undo_on_interface "$2" ip tunnel del "$2" ;;
    wireguard) undo_on_interface "$2" ip link del dev "$2" ;;
    up) undo_on_interface "$2" ip link set "$2" down ;;
    mtu)
      # Someone changed it after us: theirs stays.
      if ! interface_exists "$2"; then
        is_gone "$2" || undo_failed "ip link show $2"
        return
      fi
      word_after mtu "$query_output" && [ "$answer" = "$4" ] || return 0
      undo_on_interface "$2" ip link set "$2" mtu "$3"
      ;;
    sysctl)
      if ! query sysctl -n "$2"; then
        case $query_output in
          *"No such file"*) return 0 ;;
        esac
        undo_failed "sysctl -n $2"
        return
      fi
      [ "$query_output" = "$4" ] || return 0
      attempt sysctl -w "$2=$3"
      ;;
    address) undo_on_interface "$2" ip "-$3" addr del "$4/$5" dev "$2" ;;
    route) undo_on_interface "$4" ip "-$2" route del "$3" dev "$4" metric "$5" ;;
    unreachable)
      attempt ip "-$2" route del unreachable "$3" metric "$4" && return 0
      case $command_error in
        *"No such process"*) return 0 ;;
      esac
      return 1
      ;;
    bypass) undo_on_interface "$5" ip "-$2" route del "$3" via "$4" dev "$5" metric "$6" ;;
    file) attempt rm -f "$2" ;;
    daemon) undo_daemon "$2" "$3" "$4" ;;
  esac
}

is_family_address() {
  case $1 in
    4) is_ipv4 "$2" ;;
    6) is_ipv6 "$2" ;;
    *) return 1 ;;
  esac
}

is_destination() { # family destination
  case $1:$2 in
    [46]:default) ;;
    [46]:*/*) is_family_address "$1" "${2%/*}" && is_number_between "${2##*/}" 0 128 ;;
    *) return 1 ;;
  esac
}

is_sysctl() {
  case $1 in
    net.ipv4.ip_forward | net.ipv6.conf.all.forwarding) ;;
    net.ipv6.conf.*.disable_ipv6 | net.ipv6.conf.*.accept_ra)
      sysctl_interface=${1#net.ipv6.conf.}
      is_interface "${sysctl_interface%.*}" && case ${sysctl_interface%.*} in *.*) return 1 ;; esac
      ;;
    *) return 1 ;;
  esac
}

# ---- doing ----------------------------------------------------------------------------------------------------

# BusyBox's ps knows no process by its number.
read_pid() { # PIDFILE CONFIGURATION
  pid=
  [ -r "$1" ] || return 0
  read -r pid <"$1" || :
  if is_number "$pid"; then
    # Its number may be another program's by now.
    case $(tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline") in
      *"$2"*) return 0 ;;
    esac
  fi
  pid=
}

set_sysctl() { # KEY VALUE
  must_query sysctl -n "$1"
  [ "$query_output" != "$2" ] || return 0
  if is_number "${query_output#-}"; then record sysctl "$1" "$query_output" "$2"; fi
  run sysctl -w "$1=$2"
}

# Set up by wg(8) from a file, so that no key is on a command line.
make_wireguard_interface() {
  command -v wg >/dev/null 2>&1 || is_dry_run ||
    unsupported "the kernel's WireGuard needs the program wg, which is not installed: opkg install wireguard-tools"
  if interface_exists "$interface"; then
    is_recorded wireguard "$interface" || give_up "interface $interface exists already, and is not ours: choose another name for the tunnel's interface"
  else
    fresh=yes
    record wireguard "$interface"
    if ! attempt ip link add dev "$interface" type wireguard; then
      forget wireguard "$interface"
      case $command_error in
        *"No such device"* | *"ot supported"* | *"nknown"* | *"nvalid"*) unsupported "this kernel has no WireGuard: opkg install kmod-wireguard; $command_error" ;;
      esac
      command_failed "$command_status" "$command_error" "ip link add dev $interface type wireguard"
    fi
  fi
  run wg setconf "$interface" "$wireguard_conf"
}

make_tunnel_interface() {
  if [ "$mode" = wireguard ]; then
    make_wireguard_interface
    return
  fi
  [ "$mode" = v6v4 ] || unsupported "this system has no tunnel interface for $mode: BusyBox's ip makes sit alone"
  [ "$interface" != sit0 ] || refuse "TSP_TUNNEL_INTERFACE must not be sit0, which is the kernel's own: choose another name"
  if interface_exists "$interface"; then
    is_recorded tunnel "$interface" || give_up "interface $interface exists already, and is not ours: choose another name for the tunnel's interface"
    must_query ip tunnel show "$interface"
    if word_after remote "$query_output" && [ "$answer" = "$outer_remote" ] &&
      word_after local "$query_output" && [ "$answer" = "$outer_local" ]; then return 0; fi
    run ip tunnel change "$interface" mode sit remote "$outer_remote" local "$outer_local" ttl 64
    return 0
  fi
  fresh=yes
  record tunnel "$interface"
  attempt ip tunnel add "$interface" mode sit remote "$outer_remote" local "$outer_local" ttl 64 && return 0
  forget tunnel "$interface"
  case $command_error in
    *"No such device"* | *"not supported"*) unsupported "this kernel has no sit: opkg install kmod-sit; $command_error" ;;
  esac
  command_failed "$command_status" "$command_error" "ip tunnel add $interface mode sit remote $outer_remote local $outer_local ttl 64"
}

is_up() { # the output of ip link show
  case $1 in
    *'<UP,'* | *',UP,'* | *',UP>'* | *'<UP>'*) ;;
    *) return 1 ;;
  esac
}

bring_up() {
  if [ -n "$fresh" ]; then
    run ip link set "$interface" mtu "$mtu"
    # What new interfaces have may be switched off for all.
    run sysctl -w "net.ipv6.conf.$interface.disable_ipv6=0"
    run sysctl -w "net.ipv6.conf.$interface.accept_ra=0"
    run ip link set "$interface" up
    return 0
  fi
  must_query ip link show "$interface"
  link=$query_output
  if word_after mtu "$link" && [ "$answer" = "$mtu" ]; then :; else
    if is_number "$answer"; then record mtu "$interface" "$answer" "$mtu"; fi
    run ip link set "$interface" mtu "$mtu"
  fi
  if [ "$inner" = 6 ]; then
    set_sysctl "net.ipv6.conf.$interface.disable_ipv6" 0
    set_sysctl "net.ipv6.conf.$interface.accept_ra" 0
  fi
  if ! is_up "$link"; then
    record up "$interface"
    run ip link set "$interface" up
  fi
}

add_address() { # IF FAMILY ADDRESS LENGTH
  if [ -z "$fresh" ] || [ "$1" != "$interface" ]; then
    must_query ip "-$2" addr show dev "$1"
    # shellcheck disable=SC2086  # its words
    if names_address "$3" $query_output; then return 0; fi
  fi
  record address "$1" "$2" "$3" "$4"
  run ip "-$2" addr add "$3/$4" dev "$1"
}

# A route of ours; one that is there from an earlier run is fine.
put_route() { # "the record line" arguments of ip...
  put_line=$1 put_known=
  shift
  # shellcheck disable=SC2086  # its fields
  if is_recorded $put_line; then put_known=yes; fi
  # shellcheck disable=SC2086
  record $put_line
  attempt ip "$@" && return 0
  case $command_error in
    *"File exists"*) ;;
    *) command_failed "$command_status" "$command_error" "ip $*" ;;
  esac
  [ -z "$put_known" ] || return 0
  # Someone else's.
  # shellcheck disable=SC2086
  forget $put_line
  return 1
}

add_route() { # DESTINATION METRIC
  metric=$2
  # Several tunnels may lead to the same destination: each has a metric of its own.
  while [ "$metric" -lt $(($2 + 32)) ]; do
    if put_route "route $inner $1 $interface $metric" "-$inner" route add "$1" dev "$interface" metric "$metric"; then return 0; fi
    metric=$((metric + 1))
  done
  command_failed "$command_status" "$command_error" "ip -$inner route add $1 dev $interface metric $metric"
}

add_default_route() {
  case $default_route in
    yes) wanted=$kBestMetric ;;
    backup) wanted=$kBackupMetric ;;
    no) wanted= ;;
  esac
  # Ours from a run with another configuration.
  for held in "$kBestMetric" "$kBackupMetric"; do
    if [ "$held" != "$wanted" ] && is_recorded route "$inner" default "$interface" "$held"; then
      run ip "-$inner" route del default dev "$interface" metric "$held"
      forget route "$inner" default "$interface" "$held"
    fi
  done
  [ -z "$wanted" ] || add_route default "$wanted"
}

# What the prefix's owner has not given to a network must not go back into the tunnel.
add_unreachable() {
  [ -n "$prefix" ] || return 0
  put_route "unreachable $inner $prefix $kUnreachableMetric" "-$inner" route add unreachable "$prefix" metric "$kUnreachableMetric" || :
}

# ---- the way to the broker --------------------------------------------------------------------------------------

# Sets way_device and way_gateway (empty if on the link), both empty without a way.
find_way_to_broker() {
  way_device='' way_gateway=''
  query ip "-$inner" route get "$broker_server" || return 0
  word_after dev "$query_output" || return 0
  way_device=$answer
  word_after via "$query_output" || :
  way_gateway=$answer
}

# Before anything is done: the way that the default route of the tunnel would take away.
remember_way_to_broker() {
  [ -n "$broker_server" ] && [ "$default_route" != no ] || return 0
  find_way_to_broker
  if [ "$way_device" = "$interface" ] && has_record && ! is_dry_run; then
    # An earlier run was killed half-way. Without what it left the old way shows.
    if ! undo_record; then exit 1; fi
    find_way_to_broker
  fi
  if is_dry_run; then return 0; fi
  if [ -z "$way_device" ] || [ "$way_device" = "$interface" ]; then
    give_up "the broker $broker_server can be reached only through its own tunnel: add a route to it over another interface"
  fi
}

# A backup comes behind the broker's way; what is on the link has a route of its own.
keep_way_to_broker() {
  [ -n "$broker_server" ] && [ "$default_route" = yes ] && [ -n "$way_gateway" ] || return 0
  if is_interface "$way_device" && is_family_address "$inner" "$way_gateway"; then :; else
    give_up "cannot read the way to the broker $broker_server: via $way_gateway dev $way_device"
  fi
  put_route "bypass $inner $broker_server $way_gateway $way_device $kBestMetric" \
    "-$inner" route add "$broker_server" via "$way_gateway" dev "$way_device" metric "$kBestMetric" || :
}

# ---- routers ----------------------------------------------------------------------------------------------------

check_router() {
  for home in $home_interfaces; do
    interface_exists "$home" || is_dry_run ||
      give_up "the home interface $home does not exist: correct if_prefix in the configuration"
  done
  [ "$inner" = 6 ] || return 0
  must_query uci -q show network
  networks=$query_output
  advertised_here=
  for home in $home_interfaces; do
    is_announced_by_odhcpd "$home" || advertised_here=${advertised_here:+$advertised_here }$home
  done
  [ -z "$advertised_here" ] || need_program radvd \
    "set ra='server' for the network of $advertised_here in /etc/config/dhcp, or opkg install radvd"
}

# Whether /etc/config/dhcp has odhcpd announce what is on this interface.
is_announced_by_odhcpd() { # IF
  while read -r line; do
    case $line in
      network.*.device="'$1'" | network.*.ifname="'$1'") ;;
      *) continue ;;
    esac
    network_name=${line#network.}
    network_name=${network_name%%.*}
    is_interface "$network_name" || continue
    query uci -q get "dhcp.$network_name.ignore" && [ "$query_output" = 1 ] && continue
    query uci -q get "dhcp.$network_name.ra" || continue
    case $query_output in
      server | hybrid) return 0 ;;
    esac
  done <<END
$networks
END
  return 1
}

switch_on_forwarding() {
  if [ "$inner" = 4 ]; then set_sysctl net.ipv4.ip_forward 1; else set_sysctl net.ipv6.conf.all.forwarding 1; fi
}

serve_home() {
  switch_on_forwarding
  number=0 configuration=
  for home in $home_interfaces; do
    must_query ip link show "$home"
    if ! is_up "$query_output"; then
      record up "$home"
      run ip link set "$home" up
    fi
    if [ "$inner" = 4 ]; then
      first_ipv4 "${prefix%/*}" "${prefix##*/}"
      add_address "$home" 4 "$answer" "${prefix##*/}"
    else
      nth_network "$number"
      add_address "$home" 6 "$network::1" 64
      case " $advertised_here " in
        *" $home "*)
          configuration="${configuration:+$configuration
}$(radvd_config "$home" "$network::/64" "$mtu" "$default_route" "$dns_servers_v6")"
          ;;
      esac
    fi
    number=$((number + 1))
  done
  if [ "$inner" = 4 ]; then return 0; fi
  add_unreachable
  [ -n "$advertised_here" ] || return 0
  files=$state_dir/$interface.radvd
  start_daemon "$files.conf" "$configuration" "$files.pid" - "radvd -C $files.conf -p $files.pid" \
    radvd -C "$files.conf" -p "$files.pid"
}

# The firewall forwards nothing for an interface that no zone has.
mention_firewall() {
  if is_dry_run || [ "$host_type" != router ]; then return 0; fi
  query uci -q show firewall || return 0
  case $query_output in
    *"'$interface'"*) return 0 ;;
  esac
  note "the firewall has no zone for $interface and will forward nothing through it: uci add_list firewall.@zone[1].device=$interface; uci commit firewall; service firewall reload (and mtu_fix=1 in the zone, for TCP's MSS)"
}

# ---- the operations ---------------------------------------------------------------------------------------------

create() {
  check_tunnel_environment
  case $interface in
    *.*) refuse "TSP_TUNNEL_INTERFACE must be a name without a dot, not '$interface'" ;;
  esac
  [ "$host_type" != broker ] || refuse "this template has no host type broker: the registry does not run on OpenWrt"
  if [ "$kind" = kernel ] && [ "$mode" = v6udpv4 ]; then unsupported "this system has no tunnel interface for IPv6 in UDP"; fi
  # Where the network changed so that the broker is not reached, keepalives tell, and the tunnel is made anew.
  if [ "${SIXLINK_REFRESH-}" = yes ]; then return 0; fi
  if [ "$host_type" = router ]; then check_router; fi
  remember_way_to_broker
  if [ "$kind" = kernel ]; then make_tunnel_interface; fi
  bring_up
  add_address "$interface" "$inner" "$client" "$client_length"
  if [ "$inner" = 4 ]; then add_route "$server/32" "$kRouteMetric"; else add_route "$server/128" "$kRouteMetric"; fi
  if [ -n "$client_v4" ]; then add_address "$interface" 4 "$client_v4" 32; fi
  if [ "$host_type" = router ]; then serve_home; else add_unreachable; fi
  keep_way_to_broker
  add_default_route
  mention_firewall
}

start_template "$@"
case $TSP_OPERATION in
  TSP_TUNNEL_CREATION) create ;;
  TSP_TUNNEL_TEARDOWN) undo_record ;;
esac
