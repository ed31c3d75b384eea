#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Creates and removes a tunnel's addresses and routes on Linux, with iproute2. lib.sh has the contract.
#
# The kinds of record lines:
#   mtu IF OLD NEW             addrgenmode IF OLD        sysctl IF KEY OLD NEW      forwarding IF OLD
#   up IF                      address IF ADDRESS LENGTH
#   route DESTINATION IF METRIC                          unreachable PREFIX METRIC
#   bypass 4|6 ADDRESS GATEWAY|- IF METRIC

set -uf
LC_ALL=C
export LC_ALL
PATH=${PATH:-}:/usr/sbin:/sbin:/usr/bin:/bin
export PATH
unset IFS
umask 022

case $0 in
  */*) here=${0%/*} ;;
  *) here=. ;;
esac
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$here/lib.sh"

# The metric of routes that have no rival; what the kernel gives a route without one.
kRouteMetric=1024
# Behind native default routes, which mostly have 1024 and less; add_behind_others sees to the others.
kBackupMetric=8192
kBestMetric=1
kWorstMetric=4294967295
# Behind every route that anyone would make for a part of the delegated prefix, or all of it.
kUnreachableMetric=65535

# ---- undoing --------------------------------------------------------------------------------------------------

device_exists() {
  query ip -o link show dev "$1"
}

sysctl_path() { # IF KEY
  path=/proc/sys/net/ipv6/conf/$1/$2
}

write_file() { # path value
  printf '%s\n' "$2" >"$1"
}

# Sets value, empty where there is none. Not with read: some shells read byte by byte, and /proc/sys gives only one.
read_sysctl() { # path
  value=$(cat "$1" 2>/dev/null) || value=
}

# An undo command that failed is fine if what it should have removed is not there.
undo_link() { # IF command...
  undo_device=$1
  shift
  attempt "$@" || ! device_exists "$undo_device"
}

undo_route() { # family IF destination via-words...
  undo_family=$1 undo_device=$2 undo_destination=$3
  shift 3
  attempt ip "-$undo_family" route del "$undo_destination" "$@" && return 0
  device_exists "$undo_device" || return 0
  # The metric is the last word: the same destination with another metric is not ours.
  for undo_metric in "$@"; do :; done
  query ip "-$undo_family" -o route show exact "$undo_destination" dev "$undo_device" metric "$undo_metric" &&
    [ -z "$query_output" ]
}

undo_line() {
  case $1:$# in
    mtu:4) is_interface "$2" && is_number "$3" && is_number "$4" || return 2 ;;
    addrgenmode:3) is_interface "$2" && is_addrgenmode "$3" || return 2 ;;
    sysctl:5) is_interface "$2" && is_sysctl "$3" && is_number "${4#-}" && is_number "$5" || return 2 ;;
    forwarding:3) is_interface "$2" && is_number "$3" || return 2 ;;
    up:2) is_interface "$2" || return 2 ;;
    address:4) is_interface "$2" && is_ipv6 "$3" && is_number_between "$4" 0 128 || return 2 ;;
    route:4) is_destination "$2" && is_interface "$3" && is_metric "$4" || return 2 ;;
    unreachable:3) is_destination "$2" && is_metric "$3" || return 2 ;;
    bypass:6)
      case $2 in
        4) is_ipv4 "$3" || return 2 ;;
        6) is_ipv6 "$3" || return 2 ;;
        *) return 2 ;;
      esac
      [ "$4" = - ] || is_ipv4 "$4" || is_ipv6 "$4" || return 2
      is_interface "$5" && is_metric "$6" || return 2
      ;;
    *) return 2 ;;
  esac

  case $1 in
    mtu)
      # Someone changed it after us: theirs stays.
      device_exists "$2" && word_after mtu "$query_output" && [ "$answer" = "$4" ] || return 0
      undo_link "$2" ip link set dev "$2" mtu "$3"
      ;;
    addrgenmode)
      query ip -d -o link show dev "$2" && word_after addrgenmode "$query_output" && [ "$answer" = none ] || return 0
      undo_link "$2" ip link set dev "$2" addrgenmode "$3"
      ;;
    sysctl)
      sysctl_path "$2" "$3"
      read_sysctl "$path"
      [ "$value" = "$5" ] || return 0
      attempt_as "echo $4 > $path" write_file "$path" "$4" || [ ! -e "$path" ]
      ;;
    forwarding)
      # Writing "all" wrote this one too, to the value of "all".
      sysctl_path "$2" forwarding
      read_sysctl "$path"
      [ -n "$value" ] && [ "$value" != "$3" ] || return 0
      attempt_as "echo $3 > $path" write_file "$path" "$3" || [ ! -e "$path" ]
      ;;
    up) undo_link "$2" ip link set dev "$2" down ;;
    address)
      attempt ip -6 addr del "$3/$4" dev "$2" && return 0
      device_exists "$2" || return 0
      query ip -6 -o addr show dev "$2" to "$3/128" && [ -z "$query_output" ]
      ;;
    route) undo_route 6 "$3" "$2" dev "$3" metric "$4" ;;
    unreachable)
      attempt ip -6 route del unreachable "$2" metric "$3" && return 0
      query ip -6 -o route show exact "$2" type unreachable metric "$3" && [ -z "$query_output" ]
      ;;
    bypass)
      via_words "$2" "$4"
      # shellcheck disable=SC2086  # via is up to three words
      undo_route "$2" "$5" "$(host_route "$2" "$3")" $via dev "$5" metric "$6"
      ;;
  esac
}

is_addrgenmode() {
  case $1 in
    eui64 | none | stable_secret | random) ;;
    *) return 1 ;;
  esac
}

is_sysctl() {
  case $1 in
    disable_ipv6 | accept_ra | forwarding) ;;
    *) return 1 ;;
  esac
}

# Up to ten digits: a metric has 32 bits, more than every shell can compare.
is_metric() {
  case $1 in
    *[!0-9]*) return 1 ;;
  esac
  is_number "$1" || is_number "${1%?}"
}

is_destination() {
  case $1 in
    default) ;;
    */*) is_ipv6 "${1%/*}" && is_number_between "${1##*/}" 0 128 ;;
    *) return 1 ;;
  esac
}

# ---- doing ----------------------------------------------------------------------------------------------------

set_sysctl() { # IF KEY VALUE
  sysctl_path "$1" "$2"
  read_sysctl "$path"
  [ "$value" != "$3" ] || return 0
  if is_number "${value#-}"; then record sysctl "$1" "$2" "$value" "$3"; fi
  run_as "echo $3 > $path" write_file "$path" "$3"
}

bring_up() {
  must_query ip -d -o link show dev "$interface"
  link=$query_output
  if word_after mtu "$link" && [ "$answer" = "$mtu" ]; then :; else
    if [ -n "$answer" ]; then record mtu "$interface" "$answer" "$mtu"; fi
    run ip link set dev "$interface" mtu "$mtu"
  fi
  # IPv6 on an interface begins with its MTU being large enough: after it.
  if ! is_dry_run && [ ! -d "/proc/sys/net/ipv6/conf/$interface" ]; then
    give_up "IPv6 is switched off in this kernel: start it without ipv6.disable=1"
  fi
  # No router solicitations and multicast reports into the tunnel. Old kernels cannot: then there are some.
  if word_after addrgenmode "$link" && [ "$answer" != none ] && is_addrgenmode "$answer"; then
    record addrgenmode "$interface" "$answer"
    attempt ip link set dev "$interface" addrgenmode none || :
  fi
  set_sysctl "$interface" disable_ipv6 0
  set_sysctl "$interface" accept_ra 0
  case $link in
    *'<UP,'* | *',UP,'* | *',UP>'* | *'<UP>'*) ;;
    *)
      record up "$interface"
      run ip link set dev "$interface" up
      ;;
  esac
}

add_address() { # ADDRESS LENGTH
  must_query ip -6 -o addr show dev "$interface" to "$1/128"
  [ -z "$query_output" ] || return 0
  record address "$interface" "$1" "$2"
  run ip -6 addr add "$1/$2" dev "$interface" nodad
}

add_route() { # DESTINATION
  must_query ip -6 -o route show exact "$1" dev "$interface"
  [ -z "$query_output" ] || return 0
  add_behind_others "$1" "$kRouteMetric"
}

# Several tunnels of one machine may lead to the same destination, also when they are created in the same instant: each gets a
# metric of its own, behind those that are there.
add_behind_others() { # DESTINATION METRIC
  find_worst_metric "$1"
  metric=$2
  if [ "$worst" = "$kWorstMetric" ]; then
    metric=$kWorstMetric
  elif [ "$worst" -ge "$2" ]; then
    metric=$((worst + 1))
  fi
  add_with_free_metric "$1" "$metric"
}

add_with_free_metric() { # DESTINATION METRIC
  metric=$2
  tries=0
  while [ "$tries" -lt 32 ]; do
    record route "$1" "$interface" "$metric"
    attempt ip -6 route add "$1" dev "$interface" metric "$metric" && return 0
    case $command_error in
      *"File exists"*) ;;
      *) break ;;
    esac
    metric=$((metric + 1)) tries=$((tries + 1))
  done
  command_failed "$command_status" "$command_error" "ip -6 route add $1 dev $interface metric $metric"
}

# Sets worst to the largest metric of other interfaces' routes to a destination, 0 without any.
find_worst_metric() { # DESTINATION
  must_query ip -6 -o route show exact "$1"
  worst=0
  while read -r line; do
    case $line in
      '' | unreachable* | blackhole* | prohibit*) continue ;;
    esac
    if ! word_after dev "$line" || [ "$answer" = "$interface" ]; then continue; fi
    word_after metric "$line" || continue
    if ! is_number "$answer"; then
      worst=$kWorstMetric
      return 0
    fi
    if [ "$answer" -gt "$worst" ]; then worst=$answer; fi
  done <<END
$query_output
END
}

add_default_route() {
  [ "$default_route" != no ] || return 0
  must_query ip -6 -o route show exact default dev "$interface"
  # One is there. Ours from an earlier run gives way when it is not in its place; the user's own stays beside ours.
  if word_after metric "$query_output" && is_recorded route default "$interface" "$answer"; then
    held=$answer
    find_worst_metric default
    case $default_route in
      yes) [ "$held" -ge "$kBackupMetric" ] || return 0 ;;
      backup) if [ "$held" -ge "$kBackupMetric" ] && [ "$held" -gt "$worst" ]; then return 0; fi ;;
    esac
    run ip -6 route del default dev "$interface" metric "$held"
  fi
  case $default_route in
    yes) add_with_free_metric default "$kBestMetric" ;;
    backup) add_behind_others default "$kBackupMetric" ;;
  esac
}

# A delegated prefix on a host: what it has not given to a network must not go back into the tunnel.
add_unreachable() {
  [ -n "${TSP_PREFIX-}" ] || return 0
  must_query ip -6 -o route show exact "$prefix" type unreachable
  [ -z "$query_output" ] || return 0
  record unreachable "$prefix" "$kUnreachableMetric"
  run ip -6 route add unreachable "$prefix" metric "$kUnreachableMetric"
}

# ---- the way to the broker --------------------------------------------------------------------------------------

host_route() { # family ADDRESS
  if [ "$1" = 4 ]; then echo "$2/32"; else echo "$2/128"; fi
}

via_words() { # family GATEWAY|-; sets via
  case $1:$2 in
    *:-) via= ;;
    4:*:*) via="via inet6 $2" ;;
    *) via="via $2" ;;
  esac
}

# Sets outer_device and outer_gateway (- if on the link), both empty where there is no way to the broker.
find_way_to_broker() {
  outer_device=''
  outer_gateway=''
  query ip "-$outer_family" -o route get "$outer_server" || return 0
  word_after dev "$query_output" || return 0
  outer_device=$answer
  outer_gateway=-
  if word_after via "$query_output"; then
    case $answer in
      inet | inet6) word_after "$answer" "$query_output" ;;
    esac
    outer_gateway=$answer
  fi
}

remember_way_to_broker() {
  [ -n "$outer_server" ] || return 0
  find_way_to_broker
  if [ "$outer_device" = "$interface" ] && has_record && ! is_dry_run; then
    # An earlier run was killed half-way. Without what it left the old way shows.
    if ! undo_record; then exit 1; fi
    find_way_to_broker
  fi
  way_device=$outer_device way_gateway=$outer_gateway
}

keep_way_to_broker() {
  [ -n "$outer_server" ] || return 0
  find_way_to_broker
  [ "$outer_device" = "$interface" ] || return 0
  if is_dry_run; then return 0; fi
  if [ -z "$way_device" ] || [ "$way_device" = "$interface" ]; then
    give_up "the broker $outer_server can be reached only through its own tunnel: add a route to it over another interface"
  fi
  if [ "$outer_family" = 4 ]; then metric=0; else metric=$kBestMetric; fi
  record bypass "$outer_family" "$outer_server" "$way_gateway" "$way_device" "$metric"
  via_words "$outer_family" "$way_gateway"
  # shellcheck disable=SC2086  # via is up to three words
  run ip "-$outer_family" route add "$(host_route "$outer_family" "$outer_server")" $via \
    dev "$way_device" metric "$metric"
}

# ---- the registry's side ----------------------------------------------------------------------------------------

# A forwarding host ignores router advertisements unless accept_ra is 2, and loses the default route that it
# learnt from one the moment forwarding is switched on: this comes first.
keep_advertised_routes() {
  must_query ip -6 -o route show default
  advertised=$query_output
  while read -r line; do
    case $line in
      default*"proto ra"*) ;;
      *) continue ;;
    esac
    previous=
    for word in $line; do
      if [ "$previous" = dev ] && is_interface "$word"; then
        sysctl_path "$word" accept_ra
        read_sysctl "$path"
        if [ "$value" = 1 ]; then set_sysctl "$word" accept_ra 2; fi
      fi
      previous=$word
    done
  done <<END
$advertised
END
}

switch_on_forwarding() {
  sysctl_path all forwarding
  read_sysctl "$path"
  [ "$value" != 1 ] || return 0
  keep_advertised_routes
  # Writing "all" writes every interface. Those that differ are to be restored after "all", so recorded before.
  set +f
  for directory in /proc/sys/net/ipv6/conf/*; do
    name=${directory##*/}
    if [ "$name" = all ] || ! is_interface "$name"; then continue; fi
    read_sysctl "$directory/forwarding"
    if is_number "$value" && [ "$value" != 0 ]; then record forwarding "$name" "$value"; fi
  done
  set -f
  set_sysctl all forwarding 1
}

# ---- the operations -----------------------------------------------------------------------------------------------

check_environment() {
  interface=${TSP_TUNNEL_INTERFACE-}
  mtu=${SIXLINK_MTU:-1280}
  default_route=${SIXLINK_DEFAULT_ROUTE:-backup}
  host_type=${TSP_HOST_TYPE-}
  outer_server=''
  outer_family=''
  prefix=''

  check_interface TSP_TUNNEL_INTERFACE "$interface"
  case $interface in
    all | default) refuse "TSP_TUNNEL_INTERFACE must be an interface of its own, not '$interface'" ;;
  esac
  case ${SIXLINK_INTERFACE_KIND-} in
    tun) ;;
    *) refuse "interface kind '${SIXLINK_INTERFACE_KIND-}' is not yet supported by this template: SIXLINK_INTERFACE_KIND must be tun" ;;
  esac
  check_number SIXLINK_MTU "$mtu" 1280 65535
  check_one_of SIXLINK_DEFAULT_ROUTE "$default_route" "backup, yes, no"
  check_one_of TSP_HOST_TYPE "$host_type" "host, router, broker"
  if [ "$host_type" = router ]; then refuse "router mode is not yet supported by this template"; fi
  check_ipv6 TSP_SERVER_ADDRESS_IPV6 "${TSP_SERVER_ADDRESS_IPV6-}"
  if [ -n "${TSP_PREFIX-}" ]; then
    check_prefix TSP_PREFIX "$TSP_PREFIX"
    check_number TSP_PREFIXLEN "${TSP_PREFIXLEN-}" 0 128
    prefix=$prefix_address/$TSP_PREFIXLEN
  fi
  if [ "$host_type" = broker ]; then
    [ -n "$prefix" ] || check_prefix TSP_PREFIX ""
    return 0
  fi

  case ${TSP_TUNNEL_MODE-} in
    v6udpv4) ;;
    *) refuse "tunnel mode '${TSP_TUNNEL_MODE-}' is not yet supported by this template: TSP_TUNNEL_MODE must be v6udpv4" ;;
  esac
  check_ipv6 TSP_CLIENT_ADDRESS_IPV6 "${TSP_CLIENT_ADDRESS_IPV6-}"
  check_number TSP_TUNNEL_PREFIXLEN "${TSP_TUNNEL_PREFIXLEN-}" 1 128
  # A broker on the link itself, fe80::1%eth0, is beyond the reach of any route: nothing to keep.
  case ${SIXLINK_OUTER_SERVER-} in
    [Ff][Ee]80:*%*) if is_ipv6 "${SIXLINK_OUTER_SERVER%%%*}" && is_interface "${SIXLINK_OUTER_SERVER#*%}"; then return 0; fi ;;
  esac
  if [ -n "${SIXLINK_OUTER_SERVER-}" ]; then
    outer_server=$SIXLINK_OUTER_SERVER
    if is_ipv4 "$outer_server"; then
      outer_family=4
    else
      is_ipv6 "$outer_server" || lib_refuse_value SIXLINK_OUTER_SERVER "$outer_server" "an IPv4 or IPv6 address"
      outer_family=6
    fi
  elif [ -n "${TSP_SERVER_ADDRESS_IPV4-}" ]; then
    check_ipv4 TSP_SERVER_ADDRESS_IPV4 "$TSP_SERVER_ADDRESS_IPV4"
    outer_server=$TSP_SERVER_ADDRESS_IPV4
    outer_family=4
  fi
}

create() {
  check_environment
  remember_way_to_broker
  bring_up
  if [ "$host_type" = broker ]; then
    add_address "$TSP_SERVER_ADDRESS_IPV6" 128
    add_route "$prefix"
    switch_on_forwarding
    return 0
  fi
  add_address "$TSP_CLIENT_ADDRESS_IPV6" "$TSP_TUNNEL_PREFIXLEN"
  add_route "$TSP_SERVER_ADDRESS_IPV6/128"
  add_unreachable
  add_default_route
  keep_way_to_broker
}

start_template "$@"
case $TSP_OPERATION in
  TSP_TUNNEL_CREATION) create ;;
  TSP_TUNNEL_TEARDOWN) undo_record ;;
esac
