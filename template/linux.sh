#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Creates and removes a tunnel on Linux, with iproute2: its interface (kind kernel), addresses, routes, and for
# routers the home network. lib.sh has the contract.
#
# The kinds of record lines; a 4 at the end is IPv4's:
#   mtu IF OLD NEW             addrgenmode IF OLD        sysctl[4] IF KEY OLD NEW   forwarding[4] IF OLD
#   up IF                      address[4] IF ADDRESS LENGTH
#   route[4] DESTINATION IF METRIC                       unreachable[4] PREFIX METRIC
#   source-default PREFIX IF METRIC                      bypass 4|6 ADDRESS GATEWAY|- IF METRIC
#   wireguard IF
#   tunnel IF sit|ip6tnl LOCAL REMOTE PORT PORT          fou PORT LOCAL
#   nft IF                     mss 4|6 forward-out|forward-in|output|input IF VALUE
#   filter IF                  chain 4|6 in|out IF       radvd DIRECTORY IF
#
# A kernel module that is loaded for a tunnel stays loaded: others may use it by then.

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
# shellcheck source-path=SCRIPTDIR source=lib_linux.sh
. "$here/lib_linux.sh"
# shellcheck source-path=SCRIPTDIR source=lib_linux_wireguard.sh
. "$here/lib_linux_wireguard.sh"
# shellcheck source-path=SCRIPTDIR source=lib_linux_filter.sh
. "$here/lib_linux_filter.sh"

# ---- the way to the broker --------------------------------------------------------------------------------------

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

# Only routes that the tunnel makes could lead there: those are IPv4's in mode v4v6, whose broker is on IPv6.
is_broker_exposed() {
  [ -n "$outer_server" ] && [ "$mode" != v4v6 ]
}

remember_way_to_broker() {
  is_broker_exposed || return 0
  find_way_to_broker
  if [ "$outer_device" = "$interface" ] && has_record && ! is_dry_run; then
    # An earlier run was killed half-way. Without what it left the old way shows.
    if ! undo_record; then exit 1; fi
    find_way_to_broker
  fi
  way_device=$outer_device way_gateway=$outer_gateway
}

keep_way_to_broker() {
  is_broker_exposed || return 0
  find_way_to_broker
  [ "$outer_device" = "$interface" ] || return 0
  if is_dry_run; then return 0; fi
  if [ -z "$way_device" ] || [ "$way_device" = "$interface" ]; then
    give_up "the broker $outer_server can be reached only through its own tunnel: add a route to it over another interface"
  fi
  add_way_to_broker
}

add_way_to_broker() {
  if [ "$outer_family" = 4 ]; then metric=0; else metric=$kBestMetric; fi
  record bypass "$outer_family" "$outer_server" "$way_gateway" "$way_device" "$metric"
  via_words "$outer_family" "$way_gateway"
  # shellcheck disable=SC2086  # via is up to three words
  run ip "-$outer_family" route add "$(host_route "$outer_family" "$outer_server")" $via \
    dev "$way_device" metric "$metric"
}

# Sets way_device and way_gateway to the best way that does not lead through the tunnel. Fails where there is none.
find_other_way() {
  query ip "-$outer_family" -o route show match "$outer_server" || return 1
  way_device='' way_gateway=- way_length=-1
  while read -r line; do
    case $line in
      '' | unreachable* | blackhole* | prohibit* | *' from '* | *linkdown*) continue ;;
    esac
    word_after dev "$line" || continue
    [ "$answer" != "$interface" ] || continue
    device=$answer
    case ${line%% *} in
      default) length=0 ;;
      */*) length=${line%% *} length=${length##*/} ;;
      *) length=128 ;;
    esac
    is_number "$length" || continue
    # Of one length the first has the best metric.
    [ "$length" -gt "$way_length" ] || continue
    way_device=$device way_length=$length way_gateway=-
    if word_after via "$line"; then
      case $answer in
        inet | inet6) word_after "$answer" "$line" ;;
      esac
      way_gateway=$answer
    fi
  done <<END
$query_output
END
  [ -n "$way_device" ]
}

# The tunnel stands, and the network around it has changed.
refresh_way_to_broker() {
  is_broker_exposed || return 0
  find_way_to_broker
  [ "$outer_device" = "$interface" ] || return 0
  find_other_way || return 0
  add_way_to_broker
}

# ---- the environment ------------------------------------------------------------------------------------------

check_environment() {
  interface=${TSP_TUNNEL_INTERFACE-}
  mode=${TSP_TUNNEL_MODE-}
  kind_of_interface=${SIXLINK_INTERFACE_KIND-}
  mtu=${SIXLINK_MTU:-1280}
  default_route=${SIXLINK_DEFAULT_ROUTE:-backup}
  mss_clamp=${SIXLINK_MSS_CLAMP:-no}
  host_type=${TSP_HOST_TYPE-}
  outer_server=''
  outer_family=''
  prefix=''

  check_interface TSP_TUNNEL_INTERFACE "$interface"
  case $interface in
    all | default) refuse "TSP_TUNNEL_INTERFACE must be an interface of its own, not '$interface'" ;;
  esac
  case $kind_of_interface in
    tun | kernel) ;;
    none) refuse "this template sets up a tunnel of this machine: for another machine's (proxy_client) there are the templates cisco and checktunnel" ;;
    *) refuse "SIXLINK_INTERFACE_KIND must be tun or kernel, not '$kind_of_interface'" ;;
  esac
  check_one_of SIXLINK_DEFAULT_ROUTE "$default_route" "backup, yes, no"
  check_one_of SIXLINK_MSS_CLAMP "$mss_clamp" "yes, no"
  check_one_of TSP_HOST_TYPE "$host_type" "host, router, broker"
  if [ "$host_type" = broker ]; then
    check_broker
    return 0
  fi
  check_one_of TSP_TUNNEL_MODE "$mode" "v6udpv4, v6v4, v4v6, wireguard"
  if [ "$mode" = v4v6 ]; then check_inner_v4; else check_inner_v6; fi
  client_v4=
  if [ "$mode" = wireguard ]; then check_wireguard; fi
  check_outer
  if [ "$kind_of_interface" = kernel ]; then check_kernel_tunnel; fi
  if [ "$host_type" = router ]; then check_router; fi
}

check_broker() {
  if [ "$mode:$kind_of_interface" = wireguard:kernel ]; then
    check_broker_wireguard
    return 0
  fi
  [ "$kind_of_interface" = tun ] || refuse "SIXLINK_INTERFACE_KIND must be tun for TSP_HOST_TYPE broker: its clients share one interface"
  check_number SIXLINK_MTU "$mtu" 1280 65535
  check_ipv6 TSP_SERVER_ADDRESS_IPV6 "${TSP_SERVER_ADDRESS_IPV6-}"
  check_prefix TSP_PREFIX "${TSP_PREFIX-}"
  check_number TSP_PREFIXLEN "${TSP_PREFIXLEN-}" 0 128
  prefix=$prefix_address/$TSP_PREFIXLEN
  server_v4=${SIXLINK_SERVER_V4-}
  prefix_v4=${SIXLINK_PREFIX_V4-}
  [ -n "$server_v4$prefix_v4" ] || return 0
  check_ipv4 SIXLINK_SERVER_V4 "$server_v4"
  check_prefix_v4 SIXLINK_PREFIX_V4 "$prefix_v4"
  prefix_v4=$prefix_v4_address/$prefix_v4_length
}

check_inner_v6() {
  family=6
  check_number SIXLINK_MTU "$mtu" 1280 65535
  client=${TSP_CLIENT_ADDRESS_IPV6-} server=${TSP_SERVER_ADDRESS_IPV6-}
  check_ipv6 TSP_SERVER_ADDRESS_IPV6 "$server"
  if [ -n "${TSP_PREFIX-}" ]; then
    check_prefix TSP_PREFIX "$TSP_PREFIX"
    check_number TSP_PREFIXLEN "${TSP_PREFIXLEN-}" 0 128
    prefix=$prefix_address/$TSP_PREFIXLEN
  fi
  check_ipv6 TSP_CLIENT_ADDRESS_IPV6 "$client"
  check_number TSP_TUNNEL_PREFIXLEN "${TSP_TUNNEL_PREFIXLEN-}" 1 128
}

check_inner_v4() {
  family=4
  check_number SIXLINK_MTU "$mtu" 576 65535
  client=${TSP_CLIENT_ADDRESS_IPV4-} server=${TSP_SERVER_ADDRESS_IPV4-}
  check_ipv4 TSP_SERVER_ADDRESS_IPV4 "$server"
  check_ipv4 TSP_CLIENT_ADDRESS_IPV4 "$client"
  check_number TSP_TUNNEL_PREFIXLEN "${TSP_TUNNEL_PREFIXLEN-}" 1 32
  [ -n "${TSP_PREFIX-}" ] || return 0
  check_prefix_v4 TSP_PREFIX "$TSP_PREFIX/${TSP_PREFIXLEN-}"
  prefix=$prefix_v4_address/$prefix_v4_length
}

check_outer() {
  outer_client=${SIXLINK_OUTER_CLIENT-}
  outer_server=${SIXLINK_OUTER_SERVER-}
  outer_family=''
  if [ "$mode" = v4v6 ]; then
    outer_client=${outer_client:-${TSP_CLIENT_ADDRESS_IPV6-}}
    outer_server=${outer_server:-${TSP_SERVER_ADDRESS_IPV6-}}
  elif [ "$mode" != wireguard ]; then
    outer_client=${outer_client:-${TSP_CLIENT_ADDRESS_IPV4-}}
    outer_server=${outer_server:-${TSP_SERVER_ADDRESS_IPV4-}}
  fi
  # A broker on the link itself, fe80::1%eth0, is beyond the reach of any route: nothing to keep.
  case $outer_server in
    [Ff][Ee]80:*%*)
      if is_ipv6 "${outer_server%%%*}" && is_interface "${outer_server#*%}"; then
        outer_server=''
        return 0
      fi
      ;;
  esac
  [ -n "$outer_server" ] || return 0
  if is_ipv4 "$outer_server"; then
    outer_family=4
  else
    is_ipv6 "$outer_server" || lib_refuse_value SIXLINK_OUTER_SERVER "$outer_server" "an IPv4 or IPv6 address"
    outer_family=6
  fi
}

# What the kernel's tunnels need to know of the outside.
check_kernel_tunnel() {
  case $interface in
    sit0 | ip6tnl0 | tunl0 | ip6gre0 | gre0 | gretap0 | erspan0 | ip_vti0 | ip6_vti0)
      refuse "the interface $interface is the kernel's own for what belongs to no tunnel: choose another name with if_tunnel_$mode"
      ;;
  esac
  # It has no end of its own: wherever the peer is heard of.
  [ "$mode" != wireguard ] || return 0
  case $outer_client in
    *%*) unsupported "the kernel's tunnels cannot have the link-local address $outer_client for an end" ;;
  esac
  if [ -z "$outer_server" ]; then unsupported "the kernel's tunnels cannot have the link-local address ${SIXLINK_OUTER_SERVER-} for an end"; fi
  if [ "$mode" = v4v6 ]; then
    check_ipv6 SIXLINK_OUTER_CLIENT "$outer_client"
    check_ipv6 SIXLINK_OUTER_SERVER "$outer_server"
    return 0
  fi
  if [ "$mode:$outer_family" = v6udpv4:6 ]; then unsupported "the kernel's tunnel of mode v6udpv4 is over IPv4, but the broker's address is $outer_server"; fi
  check_ipv4 SIXLINK_OUTER_CLIENT "$outer_client"
  check_ipv4 SIXLINK_OUTER_SERVER "$outer_server"
  if [ "$mode" = v6udpv4 ]; then
    check_number SIXLINK_OUTER_CLIENT_PORT "${SIXLINK_OUTER_CLIENT_PORT-}" 1 65535
    check_number SIXLINK_OUTER_SERVER_PORT "${SIXLINK_OUTER_SERVER_PORT-}" 1 65535
  fi
}

check_router() {
  check_home_interfaces
  if [ "$family" = 4 ]; then
    [ -n "$prefix" ] || refuse "router mode needs a prefix, but the broker delegated none: TSP_PREFIX is empty"
    [ "$home_count" -eq 1 ] || refuse "SIXLINK_HOME_INTERFACES (if_prefix) must be one interface in mode v4v6, not '$home_interfaces'"
    return 0
  fi
  check_home_networks
  check_dns_servers
  check_state_dir
}

# ---- the home network -----------------------------------------------------------------------------------------

# Sets home_mtu.
bring_up_home() { # IF
  must_query ip -o link show dev "$1"
  link=$query_output
  home_mtu=
  if word_after mtu "$link"; then home_mtu=$answer; fi
  if [ "$family" = 6 ]; then set_sysctl 6 "$1" disable_ipv6 0; fi
  if ! is_up "$link"; then
    record up "$1"
    run ip link set dev "$1" up
  fi
}

# Each home interface gets its network, the first address in it, and a part of radvd's configuration. Duplicate address
# detection is left out: the network is new, and nobody else can have its first address.
add_home_networks() {
  radvd_text=
  index=0
  for home in $home_interfaces; do
    bring_up_home "$home"
    if [ "$family" = 4 ]; then
      first_ipv4 "${prefix%/*}" "${prefix#*/}"
      add_address 4 "$home" "$answer" "${prefix#*/}"
      return 0
    fi
    nth_network "$index"
    add_address 6 "$home" "$network::1" 64 nodad
    # Hosts that know the tunnel's MTU send nothing larger, where an error about it might get lost.
    link_mtu=
    if [ "$mtu" -lt 1500 ] && [ "$mtu" -le "${home_mtu:-1500}" ]; then link_mtu=$mtu; fi
    radvd_text="${radvd_text:+$radvd_text
}$(radvd_config "$home" "$network::/64" "$link_mtu" "$default_route" "$dns_servers_v6")"
    index=$((index + 1))
  done
}

is_home_there() {
  if is_dry_run; then return 0; fi
  for home in $home_interfaces; do
    device_exists "$home" || give_up "there is no interface $home for the home network: correct if_prefix"
  done
}

# ---- the operations -----------------------------------------------------------------------------------------------

create() {
  check_environment
  if [ "$host_type" = broker ]; then
    if [ "$mode:$kind_of_interface" = wireguard:kernel ]; then create_broker_wireguard; else create_broker; fi
    return 0
  fi
  if [ "${SIXLINK_REFRESH-}" = yes ]; then
    refresh_way_to_broker
    return 0
  fi
  if [ "$host_type" = router ]; then
    is_home_there
    if [ "$family" = 6 ]; then need_radvd; fi
  fi
  remember_way_to_broker
  if [ "$kind_of_interface" = kernel ]; then
    case $mode in
      v6v4) create_tunnel sit "$outer_client" "$outer_server" ;;
      v6udpv4) create_tunnel sit "$outer_client" "$outer_server" "$SIXLINK_OUTER_CLIENT_PORT" "$SIXLINK_OUTER_SERVER_PORT" ;;
      v4v6) create_tunnel ip6tnl "$outer_client" "$outer_server" ;;
      wireguard) create_wireguard ;;
    esac
    # Before the interface is up.
    check_inner_addresses "$family"
  fi
  bring_up "$family"
  if [ "$family" = 4 ]; then
    add_address 4 "$interface" "$client" "$TSP_TUNNEL_PREFIXLEN"
  else
    add_address 6 "$interface" "$client" "$TSP_TUNNEL_PREFIXLEN" nodad
  fi
  add_route "$family" "$(host_route "$family" "$server")"
  if [ "$host_type" = router ]; then add_home_networks; fi
  if [ -n "$prefix" ]; then add_unreachable "$family" "$prefix"; fi
  if [ "$mode" = wireguard ]; then
    add_wireguard_v4
    add_allowed_routes
  else
    add_default_route "$family"
  fi
  if [ "$host_type:$family:$default_route" = router:6:backup ]; then add_source_default "$prefix"; fi
  if [ "$host_type" = router ]; then switch_on_forwarding "$family"; fi
  keep_way_to_broker
  if [ "$mss_clamp" = yes ]; then clamp_mss "$family"; fi
  if [ "$kind_of_interface" = tun ]; then keep_kernel_quiet "$outer_server" "$mode"; fi
  if [ "$host_type:$family" = router:6 ]; then start_radvd "$radvd_text"; fi
}

# The registry's side: one interface for all clients.
create_broker() {
  bring_up 6
  add_address 6 "$interface" "$TSP_SERVER_ADDRESS_IPV6" 128 nodad
  add_route 6 "$prefix"
  switch_on_forwarding 6
  if [ -n "$prefix_v4" ]; then
    loosen_source_check "$interface"
    add_address 4 "$interface" "$server_v4" 32
    add_route 4 "$prefix_v4"
    switch_on_forwarding 4
  fi
  keep_kernel_quiet '' v6v4 v4v6
}

start_template "$@"
case $TSP_OPERATION in
  TSP_TUNNEL_CREATION) create ;;
  TSP_TUNNEL_TEARDOWN) undo_record ;;
esac
