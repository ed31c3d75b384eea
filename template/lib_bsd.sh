#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# What the templates of the systems with ifconfig(8), route(8) and gif(4) share, after lib.sh and lib_tunnel.sh.
#
# These systems have no metrics. The default route of the machine is left alone by not using its place at all: ours
# are two routes to halves of the address space, which are more specific than any default route. With
# default_route=yes they are made always; with backup only while there is no other default route, and taken back
# when the template runs again (the program runs it when addresses or routes change) and there is one.
#
# The kinds of record lines:
#   create IF                     mtu IF OLD NEW          up IF
#   address IF 4|6 ADDRESS        sysctl KEY OLD NEW      nd6 IF FLAG...
#   route 4|6 DESTINATION GATEWAY|- PRIORITY|-            GATEWAY -: our interface
#   reject 4|6 DESTINATION        bypass 4|6 ADDRESS GATEWAY|- IF
#   file PATH                     daemon PIDFILE CONFIGURATION SOCKET|-
#
# A template defines:
#   set_sysctl_words KEY VALUE    sets words: what follows `sysctl`
#   tunnel_words                  sets words: what precedes `tunnel` in ifconfig's arguments
#   device_words IF ADDRESS       sets words: what names an interface in the place of a route's gateway
#   advertise                     starts the router advertisements
#   describe_mss_clamp            sets answer: the line of the packet filter's configuration
# and may define again what is here.
# shellcheck disable=SC2154,SC2034  # variables that lib_tunnel.sh or the template sets or reads

# What removes an address in ifconfig(8).
delete_word=delete
fresh=
words=

# ---- undoing --------------------------------------------------------------------------------------------------

interface_exists() {
  query ifconfig "$1"
}

# A question that failed has its answer only if it says so; else nothing is known.
is_gone() { # IF
  interface_exists "$1" && return 1
  case $query_output in
    *"does not exist"* | *"no such interface"* | *"evice not configured"*) return 0 ;;
  esac
  return 1
}

# An undo command that failed is fine if what it should have removed is not there.
undo_on_interface() { # IF command...
  undo_device=$1
  shift
  attempt "$@" || is_gone "$undo_device"
}

undo_address() { # IF FAMILY ADDRESS
  family_word "$2"
  attempt ifconfig "$1" "$word" "$3" "$delete_word" && return 0
  case $command_error in
    *"assign requested address"*) return 0 ;;
  esac
  is_gone "$1"
}

undo_route() { # the arguments of route delete
  attempt_as "route -n delete $*" call_route -n delete "$@" && return 0
  case $command_error in
    *"not in table"* | *"No such process"* | *"has not been found"*) return 0 ;;
  esac
  return 1
}

is_family() {
  case $1 in
    4 | 6) ;;
    *) return 1 ;;
  esac
}

is_destination() { # family destination
  case $1:$2 in
    [46]:default) ;;
    4:*/*) is_ipv4 "${2%/*}" && is_number_between "${2##*/}" 0 32 ;;
    6:*/*) is_ipv6 "${2%/*}" && is_number_between "${2##*/}" 0 128 ;;
    *) return 1 ;;
  esac
}

is_gateway() {
  [ "$1" = - ] || is_ipv4 "$1" || is_ipv6 "$1"
}

is_sysctl() {
  case $1 in
    net.inet.ip.forwarding | net.inet6.ip6.forwarding | net.inet6.ip6.rfc6204w3) ;;
    *) return 1 ;;
  esac
}

undo_line() {
  case $1:$# in
    create:2 | up:2) is_interface "$2" || return 2 ;;
    mtu:4) is_interface "$2" && is_number "$3" && is_number "$4" || return 2 ;;
    address:4) is_interface "$2" && is_family "$3" && { is_ipv4 "$4" || is_ipv6 "$4"; } || return 2 ;;
    sysctl:4) is_sysctl "$2" && is_number "${3#-}" && is_number "$4" || return 2 ;;
    nd6:3) is_interface "$2" && is_nd6_flag "$3" || return 2 ;;
    route:5) is_destination "$2" "$3" && is_gateway "$4" && { [ "$5" = - ] || is_number_between "$5" 1 63; } || return 2 ;;
    reject:3) is_destination "$2" "$3" || return 2 ;;
    bypass:5) is_family "$2" && is_gateway "$3" && [ "$3" != - ] && is_gateway "$4" && is_interface "$5" || return 2 ;;
    file:2) is_file_of_ours "$2" || return 2 ;;
    daemon:4) is_file_of_ours "$2" && is_file_of_ours "$3" && { [ "$4" = - ] || is_file_of_ours "$4"; } || return 2 ;;
    *)
      undo_own_line "$@"
      return
      ;;
  esac
  case $1 in
    create) undo_on_interface "$2" ifconfig "$2" destroy ;;
    up) undo_on_interface "$2" ifconfig "$2" down ;;
    mtu)
      # Someone changed it after us: theirs stays.
      if ! interface_exists "$2"; then
        is_gone "$2" || undo_failed "ifconfig $2"
        return
      fi
      word_after mtu "$query_output" && [ "$answer" = "$4" ] || return 0
      undo_on_interface "$2" ifconfig "$2" mtu "$3"
      ;;
    address) undo_address "$2" "$3" "$4" ;;
    sysctl)
      if ! query sysctl -n "$2"; then
        undo_failed "sysctl -n $2"
        return
      fi
      [ "$query_output" = "$4" ] || return 0
      set_sysctl_words "$2" "$3"
      # shellcheck disable=SC2086  # words
      attempt sysctl $words
      ;;
    nd6) undo_on_interface "$2" ifconfig "$2" inet6 "$3" ;;
    route)
      route_words "$2" "$3" "$5"
      if [ "$4" = - ]; then gateway=; else gateway=$4; fi
      # shellcheck disable=SC2086
      undo_route $words $gateway
      ;;
    reject)
      route_words "$2" "$3" -
      loopback_gateway "$2"
      # shellcheck disable=SC2086
      undo_route $words "$gateway"
      ;;
    bypass)
      route_words "$2" "$3/" -
      bypass_gateway "$4" "$5" || return 2
      # shellcheck disable=SC2086
      undo_route $words $gateway
      ;;
    file) attempt rm -f "$2" ;;
    daemon) undo_daemon "$2" "$3" "$4" ;;
  esac
}

# Kinds of one system alone.
undo_own_line() {
  return 2
}

is_nd6_flag() {
  return 1
}

# ---- words ----------------------------------------------------------------------------------------------------

family_word() { # sets word
  if [ "$1" = 4 ]; then word=inet; else word=inet6; fi
}

# Sets words: a route's destination as route(8) takes it. ADDRESS/ without a length is a host.
route_words() { # family destination priority
  family_word "$1"
  words=-$word
  if [ "$3" != - ]; then words="$words -priority $3"; fi
  case $1:$2 in
    *:default) words="$words default" ;;
    *:*/ | 4:*/32 | 6:*/128) words="$words -host ${2%/*}" ;;
    4:*) words="$words -net $2" ;;
    6:*) words="$words -net ${2%/*} -prefixlen ${2##*/}" ;;
  esac
}

loopback_gateway() { # sets gateway
  if [ "$1" = 4 ]; then gateway=127.0.0.1; else gateway=::1; fi
}

# Sets gateway: words again; 1: this system cannot express it. A link-local one needs its interface.
bypass_gateway() { # GATEWAY|- IF
  case $1 in
    -) gateway="-interface $2" ;;
    [Ff][Ee]80:*) gateway=$1%$2 ;;
    *) gateway=$1 ;;
  esac
}

# route(8) of some systems reports to stdout, and of some ends with status 0 whatever happened.
call_route() {
  call_status=0
  call_output=$(route "$@" 2>&1) || call_status=$?
  case $call_output in
    *"writing to routing socket"* | *"File exists"* | *"not in table"* | *"etwork is unreachable"* | *"entry exists"*)
      [ "$call_status" -ne 0 ] || call_status=1
      ;;
  esac
  [ "$call_status" -eq 0 ] || printf '%s\n' "$call_output" >&2
  return "$call_status"
}

# ---- doing ----------------------------------------------------------------------------------------------------

# Adds a route; one that is there from an earlier run is fine.
put_route() { # "the record line" arguments of route add...
  put_line=$1 put_known=
  shift
  # shellcheck disable=SC2086  # its fields
  if is_recorded $put_line; then put_known=yes; fi
  # shellcheck disable=SC2086
  record $put_line
  attempt_as "route -n add $*" call_route -n add "$@" && return 0
  case $put_known:$command_error in
    yes:*"File exists"* | yes:*"entry exists"*) return 0 ;;
    :*"File exists"* | :*"entry exists"*)
      # Not ours to remove.
      # shellcheck disable=SC2086
      forget $put_line
      case $put_line in
        # All of the prefix is in use, or its owner has seen to the rest.
        reject*) return 0 ;;
      esac
      ;;
  esac
  command_failed "$command_status" "$command_error" "route -n add $*"
}

set_sysctl() { # KEY VALUE
  must_query sysctl -n "$1"
  [ "$query_output" != "$2" ] || return 0
  if is_number "${query_output#-}"; then record sysctl "$1" "$query_output" "$2"; fi
  set_sysctl_words "$1" "$2"
  # shellcheck disable=SC2086  # words
  run sysctl $words
}

switch_on_forwarding() { # family
  if [ "$1" = 4 ]; then set_sysctl net.inet.ip.forwarding 1; else set_sysctl net.inet6.ip6.forwarding 1; fi
}

# An interface that exists already is not taken over: another program's tunnel would end.
make_tunnel_interface() {
  if [ "$mode" = wireguard ]; then
    make_wireguard_interface
    return
  fi
  if [ "$mode" = v6udpv4 ]; then unsupported "this system has no tunnel interface for IPv6 in UDP"; fi
  case $interface in
    gif[0-9]*) is_number "${interface#gif}" || refuse_tunnel_name ;;
    *) refuse_tunnel_name ;;
  esac
  if interface_exists "$interface"; then
    is_recorded create "$interface" || give_up "interface $interface exists already, and is not ours: choose another name for the tunnel's interface"
  else
    fresh=yes
    record create "$interface"
    if ! attempt ifconfig "$interface" create; then
      forget create "$interface"
      case $command_error in
        *"Invalid argument"* | *"not supported"* | *"No such device"*) unsupported "this kernel has no gif(4): $command_error" ;;
      esac
      command_failed "$command_status" "$command_error" "ifconfig $interface create"
    fi
  fi
  if [ -z "$fresh" ] && is_tunnel_between "$outer_local" "$outer_remote"; then return 0; fi
  tunnel_words
  # shellcheck disable=SC2086  # words
  run ifconfig "$interface" $words tunnel "$outer_local" "$outer_remote"
}

# wg(4), set up by wg(8) from a file: ifconfig would have the key on its command line.
make_wireguard_interface() {
  [ -n "${has_wg-}" ] || unsupported "this system has no WireGuard interface that wg(8) sets up"
  command -v wg >/dev/null 2>&1 || is_dry_run ||
    unsupported "the kernel's WireGuard needs the program wg, which is not installed: install wireguard-tools"
  case $interface in
    wg[0-9]*) is_number "${interface#wg}" || refuse_wireguard_name ;;
    *) refuse_wireguard_name ;;
  esac
  if interface_exists "$interface"; then
    is_recorded create "$interface" || give_up "interface $interface exists already, and is not ours: choose another name for the tunnel's interface"
  else
    fresh=yes
    record create "$interface"
    if ! attempt ifconfig "$interface" create; then
      forget create "$interface"
      case $command_error in
        *"Invalid argument"* | *"not supported"* | *"No such device"*) unsupported "this kernel has no wg(4): $command_error" ;;
      esac
      command_failed "$command_status" "$command_error" "ifconfig $interface create"
    fi
  fi
  run wg setconf "$interface" "$wireguard_conf"
}

refuse_wireguard_name() {
  refuse "TSP_TUNNEL_INTERFACE must be this system's name for such a tunnel, wg6 or another number, not '$interface'"
}

refuse_tunnel_name() {
  refuse "TSP_TUNNEL_INTERFACE must be this system's name for such a tunnel, gif1 or another number, not '$interface'"
}

is_tunnel_between() { # LOCAL REMOTE, in query_output: "... LOCAL --> REMOTE"
  case $query_output in
    *tunnel*" --> "*) ;;
    *) return 1 ;;
  esac
  tunnel_line=${query_output#*tunnel}
  tunnel_left=${tunnel_line%%" --> "*}
  tunnel_right=${tunnel_line#*" --> "}
  tunnel_right=${tunnel_right%%[!0-9A-Fa-f:.]*}
  names_address "$1" "${tunnel_left##* }" && names_address "$2" "$tunnel_right"
}

is_up() { # the output of ifconfig
  case $1 in
    *'<UP,'* | *',UP,'* | *',UP>'* | *'<UP>'*) ;;
    *) return 1 ;;
  esac
}

bring_up() {
  if [ -n "$fresh" ]; then
    prepare_interface ''
    run ifconfig "$interface" mtu "$mtu"
    run ifconfig "$interface" up
    return 0
  fi
  must_query ifconfig "$interface"
  link=$query_output
  prepare_interface "$link"
  if word_after mtu "$link" && [ "$answer" = "$mtu" ]; then :; else
    if is_number "$answer"; then record mtu "$interface" "$answer" "$mtu"; fi
    run ifconfig "$interface" mtu "$mtu"
  fi
  if ! is_up "$link"; then
    record up "$interface"
    run ifconfig "$interface" up
  fi
}

# What one system alone needs before the MTU is set.
prepare_interface() { # the output of ifconfig, empty for a new interface
  :
}

add_address() { # IF FAMILY ADDRESS words behind it...
  if [ -z "$fresh" ] || [ "$1" != "$interface" ]; then
    must_query ifconfig "$1"
    # shellcheck disable=SC2086  # its words
    if names_address "$3" $query_output; then return 0; fi
  fi
  add_device=$1 add_family=$2 add_address=$3
  shift 3
  record address "$add_device" "$add_family" "$add_address"
  family_word "$add_family"
  run ifconfig "$add_device" "$word" "$add_address" "$@" alias
}

add_inner_address() {
  if [ "$inner" = 4 ]; then
    cut_ipv4 255.255.255.255 "$client_length"
    add_address "$interface" 4 "$client" "$server" netmask "$answer"
  elif [ "$client_length" = 128 ]; then
    # The other end's route comes with it.
    add_address "$interface" 6 "$client" "$server" prefixlen 128
  else
    add_address "$interface" 6 "$client" prefixlen "$client_length"
    add_device_route 6 "$server/128" "$client"
  fi
}

# Mode wireguard: beside the IPv6 one.
add_inner_v4() {
  add_address "$interface" 4 "$client_v4" "$server_v4" netmask 255.255.255.255
}

# A route onto our interface itself.
add_device_route() { # family DESTINATION ADDRESS: our own on the interface
  route_words "$1" "$2" -
  route_to=$words
  device_words "$interface" "$3"
  # shellcheck disable=SC2086  # words
  put_route "route $1 $2 - -" $route_to $words
}

# What the prefix's owner has not given to a network must not go back into the tunnel.
add_reject() {
  [ -n "$prefix" ] || return 0
  route_words "$inner" "$prefix" -
  loopback_gateway "$inner"
  # shellcheck disable=SC2086  # words
  put_route "reject $inner $prefix" $words "$gateway" -reject
}

# ---- the default route, and the way to the broker -------------------------------------------------------------

# Whether another interface has a default route.
has_other_default() { # family
  family_word "$1"
  must_query netstat -rn -f "$word"
  routes=$query_output
  while read -r line; do
    case $line in
      default[!A-Za-z0-9]* | ::/0[!0-9]* | 0.0.0.0/0[!0-9]*) ;;
      *) continue ;;
    esac
    case " $line " in
      *[!A-Za-z0-9]"$interface"[!A-Za-z0-9]*) ;;
      *) return 0 ;;
    esac
  done <<END
$routes
END
  return 1
}

# Sets destinations: what stands for a default route, and priority.
choose_default() {
  if [ "$inner" = 4 ]; then destinations="0.0.0.0/1 128.0.0.0/1"; else destinations="::/1 8000::/1"; fi
  priority=-
  wants_default=yes
  case $default_route in
    no) wants_default= ;;
    backup) if has_other_default "$inner"; then wants_default=; fi ;;
  esac
}

add_default_route() {
  for destination in $destinations; do
    route_words "$inner" "$destination" "$priority"
    if [ -n "$wants_default" ]; then
      # shellcheck disable=SC2086  # words
      put_route "route $inner $destination $server $priority" $words "$server"
    elif is_recorded route "$inner" "$destination" "$server" "$priority"; then
      # shellcheck disable=SC2086
      run_as "route -n delete $words $server" call_route -n delete $words "$server"
      forget route "$inner" "$destination" "$server" "$priority"
    fi
  done
}

# Sets way_device, way_gateway (- if on the link) and way_default (yes: by the default route); empty without a way.
find_way_to_broker() {
  way_device='' way_gateway='' way_default=''
  family_word "$inner"
  query route -n get "-$word" "$broker_server" || return 0
  way_gateway=-
  while read -r key value; do
    case "$key $value" in
      "destination: default" | "destination: ::" | "destination: ::/0" | "destination: 0.0.0.0") way_default=yes ;;
      "gateway: "*) way_gateway=${value%%%*} ;;
      "interface: "*) way_device=$value ;;
    esac
  done <<END
$query_output
END
}

# Before anything is done: the way that the default route of the tunnel would take away.
remember_way_to_broker() {
  [ -n "$broker_server" ] || return 0
  find_way_to_broker
  if [ "$way_device" = "$interface" ] && has_record && ! is_dry_run; then
    # An earlier run was killed half-way. Without what it left the old way shows.
    if ! undo_record; then exit 1; fi
    find_way_to_broker
  fi
  if [ -n "$way_device" ] && { ! is_interface "$way_device" || ! is_gateway "$way_gateway"; }; then
    give_up "cannot read the way to the broker $broker_server: gateway $way_gateway, interface $way_device"
  fi
}

is_captured() {
  [ -n "$way_default" ]
}

keep_way_to_broker() {
  [ -n "$broker_server" ] && [ -n "$wants_default" ] || return 0
  if [ -z "$way_device" ] || [ "$way_device" = "$interface" ]; then
    if is_dry_run; then return 0; fi
    give_up "the broker $broker_server can be reached only through its own tunnel: add a route to it over another interface"
  fi
  is_captured || return 0
  route_words "$inner" "$broker_server/" -
  bypass_gateway "$way_gateway" "$way_device" ||
    give_up "the default route over $way_device has no gateway, so the broker $broker_server cannot be kept outside the tunnel: set default_route=backup"
  # shellcheck disable=SC2086  # words
  put_route "bypass $inner $broker_server $way_gateway $way_device" $words $gateway
}

# ---- routers ----------------------------------------------------------------------------------------------------

# Before anything is done.
check_home() {
  for home in $home_interfaces; do
    interface_exists "$home" || is_dry_run ||
      give_up "the home interface $home does not exist: correct if_prefix in the configuration"
  done
}

serve_home() {
  switch_on_forwarding "$inner"
  number=0
  for home in $home_interfaces; do
    bring_up_home "$home"
    if [ "$inner" = 4 ]; then
      first_ipv4 "${prefix%/*}" "${prefix##*/}"
      home_address=$answer
      cut_ipv4 255.255.255.255 "${prefix##*/}"
      add_address "$home" 4 "$home_address" netmask "$answer"
    else
      nth_network "$number"
      add_address "$home" 6 "$network::1" prefixlen 64
    fi
    number=$((number + 1))
  done
  if [ "$inner" = 4 ]; then return 0; fi
  # A prefix of one network leaves no rest.
  if [ "${prefix##*/}" -lt 64 ]; then add_reject; fi
  advertise
}

bring_up_home() { # IF
  must_query ifconfig "$1"
  if ! is_up "$query_output"; then
    record up "$1"
    run ifconfig "$1" up
  fi
}

# rtadvd.conf(5): one line an interface. Lifetimes as radvd_config of lib.sh has them; raflags 24 (0x18): low preference.
rtadvd_config() { # with_rdnss: yes or nothing
  number=0
  for home in $home_interfaces; do
    nth_network "$number"
    number=$((number + 1))
    printf '%s:\\\n' "$home"
    case $default_route in
      no) printf '\t:maxinterval#200:rltime#0:\\\n' ;;
      backup) printf '\t:maxinterval#200:rltime#600:raflags#24:\\\n' ;;
      *) printf '\t:maxinterval#200:rltime#600:\\\n' ;;
    esac
    if [ -n "$1" ] && [ -n "$dns_servers_v6" ]; then
      rdnss=
      for name_server in $dns_servers_v6; do rdnss=${rdnss:+$rdnss,}$name_server; done
      printf '\t:rdnss="%s":\\\n' "$rdnss"
    fi
    printf '\t:mtu#%s:addr="%s::":prefixlen#64:vltime#5400:pltime#2700:\n' "$mtu" "$network"
  done
}

# ---- the operations ---------------------------------------------------------------------------------------------

mention_mss_clamp() {
  if [ "${SIXLINK_MSS_CLAMP:-no}" = no ] || [ "$kind" != kernel ] || is_dry_run; then return 0; fi
  # TCP's and IP's headers.
  if [ "$inner" = 4 ]; then mss=$((mtu - 40)); else mss=$((mtu - 60)); fi
  describe_mss_clamp
  note "TCP's MSS is not clamped by this template, which leaves the packet filter alone: $answer"
}

create() {
  check_tunnel_environment
  if [ "$host_type" = broker ]; then
    bring_up
    add_address "$interface" 6 "$server" prefixlen 128
    add_device_route 6 "$prefix" "$server"
    switch_on_forwarding 6
    [ -n "$prefix_v4" ] || return 0
    add_address "$interface" 4 "$server_v4" "$server_v4" netmask 255.255.255.255
    add_device_route 4 "$prefix_v4" "$server_v4"
    switch_on_forwarding 4
    return 0
  fi
  # Where the network changed so that the broker is not reached, keepalives tell, and the tunnel is made anew.
  if [ "${SIXLINK_REFRESH-}" = yes ]; then return 0; fi
  if [ "$host_type" = router ]; then check_router; fi
  choose_default
  remember_way_to_broker
  if [ "$kind" = kernel ]; then make_tunnel_interface; fi
  bring_up
  add_inner_address
  if [ -n "$client_v4" ]; then add_inner_v4; fi
  if [ "$host_type" = router ]; then serve_home; else add_reject; fi
  keep_way_to_broker
  add_default_route
  mention_mss_clamp
}

check_router() {
  check_home
}

operate() {
  case $TSP_OPERATION in
    TSP_TUNNEL_CREATION) create ;;
    TSP_TUNNEL_TEARDOWN) undo_record ;;
  esac
}
