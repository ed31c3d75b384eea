#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The configuration of a Cisco router, running IOS or IOS XE, whose tunnel it is (proxy_client=yes). lib.sh has the
# contract. Nothing on this machine is changed: create prints what is to be entered in the router's configuration mode
# and keeps it in $SIXLINK_STATE_DIR/cisco-$TSP_TUNNEL_INTERFACE.txt, with what takes it back as comments at the end;
# teardown prints the latter, and removes the file. --dry-run prints only.
#
# Modes: v6v4 (tunnel mode ipv6ip) and v4v6 (tunnel mode ipv6). The number of the router's interface is that at the end
# of TSP_TUNNEL_INTERFACE: Tunnel1 for sit1. Home interfaces are called as IOS calls them: GigabitEthernet0/1.
# default_route: yes is a static route of the usual distance 1, backup one of distance 250.
#
# The kind of record lines: file DIRECTORY IF

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

# Worse than anything that a routing protocol of IOS has: the largest of those is 200.
kBackupDistance=250
# What has no number of its own in IOS: out of the way of loopback interfaces that people have.
kLoopbackBase=365300

undo_line() {
  case $1:$# in
    file:3) is_directory_name "$2" && is_interface "$3" || return 2 ;;
    *) return 2 ;;
  esac
  attempt rm -f "$2/cisco-$3.txt"
}

is_ios_interface() {
  case $1 in
    [A-Za-z]*) ;;
    *) return 1 ;;
  esac
  case $1 in
    *[!A-Za-z0-9/.:-]*) return 1 ;;
  esac
  [ "${#1}" -le 64 ]
}

# Sets mask to the netmask of an IPv4 prefix length.
find_mask() { # LENGTH
  cut_ipv4 255.255.255.255 "$1"
  mask=$answer
}

# ---- the environment ------------------------------------------------------------------------------------------

check_environment() {
  interface=${TSP_TUNNEL_INTERFACE-}
  mode=${TSP_TUNNEL_MODE-}
  mtu=${SIXLINK_MTU:-1280}
  default_route=${SIXLINK_DEFAULT_ROUTE:-backup}
  mss_clamp=${SIXLINK_MSS_CLAMP:-no}
  prefix='' home_interfaces='' home_count=0
  check_interface TSP_TUNNEL_INTERFACE "$interface"
  [ "${SIXLINK_INTERFACE_KIND:-none}" = none ] ||
    refuse "the template cisco is for another machine's tunnel: set proxy_client=yes (SIXLINK_INTERFACE_KIND is '$SIXLINK_INTERFACE_KIND', not none)"
  check_one_of TSP_HOST_TYPE "${TSP_HOST_TYPE-}" "host, router"
  check_one_of SIXLINK_DEFAULT_ROUTE "$default_route" "backup, yes, no"
  check_one_of SIXLINK_MSS_CLAMP "$mss_clamp" "yes, no"
  check_state_dir
  # The router's end is in TSP_CLIENT_ADDRESS_*; SIXLINK_OUTER_CLIENT is this machine's.
  case $mode in
    v6v4)
      local_address=${TSP_CLIENT_ADDRESS_IPV4-}
      remote_address=${SIXLINK_OUTER_SERVER:-${TSP_SERVER_ADDRESS_IPV4-}}
      check_ipv4 TSP_CLIENT_ADDRESS_IPV4 "$local_address"
      check_ipv4 SIXLINK_OUTER_SERVER "$remote_address"
      client=${TSP_CLIENT_ADDRESS_IPV6-} server=${TSP_SERVER_ADDRESS_IPV6-}
      check_ipv6 TSP_CLIENT_ADDRESS_IPV6 "$client"
      check_ipv6 TSP_SERVER_ADDRESS_IPV6 "$server"
      check_number TSP_TUNNEL_PREFIXLEN "${TSP_TUNNEL_PREFIXLEN-}" 1 128
      check_number SIXLINK_MTU "$mtu" 1280 9216
      if [ -n "${TSP_PREFIX-}" ]; then
        check_prefix TSP_PREFIX "$TSP_PREFIX"
        check_number TSP_PREFIXLEN "${TSP_PREFIXLEN-}" 0 128
        prefix=$prefix_address/$TSP_PREFIXLEN
      fi
      ;;
    v4v6)
      local_address=${TSP_CLIENT_ADDRESS_IPV6-}
      remote_address=${SIXLINK_OUTER_SERVER:-${TSP_SERVER_ADDRESS_IPV6-}}
      check_ipv6 TSP_CLIENT_ADDRESS_IPV6 "$local_address"
      check_ipv6 SIXLINK_OUTER_SERVER "$remote_address"
      client=${TSP_CLIENT_ADDRESS_IPV4-} server=${TSP_SERVER_ADDRESS_IPV4-}
      check_ipv4 TSP_CLIENT_ADDRESS_IPV4 "$client"
      check_ipv4 TSP_SERVER_ADDRESS_IPV4 "$server"
      check_number TSP_TUNNEL_PREFIXLEN "${TSP_TUNNEL_PREFIXLEN-}" 1 32
      check_number SIXLINK_MTU "$mtu" 576 9216
      if [ -n "${TSP_PREFIX-}" ]; then
        check_prefix_v4 TSP_PREFIX "$TSP_PREFIX/${TSP_PREFIXLEN-}"
        prefix=$prefix_v4_address/$prefix_v4_length
      fi
      ;;
    *) refuse "TSP_TUNNEL_MODE must be v6v4 or v4v6, not '$mode': a Cisco router has no tunnels of another mode of ours" ;;
  esac
  # The digits at the end of the name.
  number=${interface##*[!0-9]}
  is_number "$number" || number=0
  if [ "$TSP_HOST_TYPE" = router ]; then check_router; fi
}

check_router() {
  [ -n "$prefix" ] || refuse "router mode needs a prefix, but the broker delegated none: TSP_PREFIX is empty"
  for name in ${SIXLINK_HOME_INTERFACES:-${TSP_HOME_INTERFACE-}}; do
    is_ios_interface "$name" || lib_refuse_value SIXLINK_HOME_INTERFACES "$name" "a list of IOS interface names, as GigabitEthernet0/1"
    case " $home_interfaces " in
      *" $name "*) refuse "SIXLINK_HOME_INTERFACES (if_prefix) names $name twice" ;;
    esac
    home_interfaces=${home_interfaces:+$home_interfaces }$name
    home_count=$((home_count + 1))
  done
  [ "$home_count" -gt 0 ] || refuse "router mode needs the interface of the home network: set if_prefix (SIXLINK_HOME_INTERFACES is empty)"
  if [ "$mode" = v4v6 ]; then
    [ "$home_count" -eq 1 ] || refuse "SIXLINK_HOME_INTERFACES (if_prefix) must be one interface in mode v4v6, not '$home_interfaces'"
    return 0
  fi
  check_home_networks
  check_dns_servers
}

# ---- what the router is told ------------------------------------------------------------------------------------

# Sets distance to what ends a default route.
find_distance() {
  distance=''
  if [ "$default_route" = backup ]; then distance=" $kBackupDistance"; fi
}

print_tunnel_v6v4() {
  cat <<END
ipv6 unicast-routing
interface Tunnel$number
 description sixlink: IPv6 over IPv4 to $remote_address
 no ip address
 ipv6 enable
 ipv6 address $client/$TSP_TUNNEL_PREFIXLEN
 ipv6 mtu $mtu
END
  [ "$mss_clamp" = no ] || echo " ipv6 tcp adjust-mss $((mtu - 60))"
  cat <<END
 tunnel mode ipv6ip
 tunnel source $local_address
 tunnel destination $remote_address
 no shutdown
 exit
ipv6 route $server/128 Tunnel$number
END
  [ -z "$prefix" ] || echo "ipv6 route $prefix Null0"
  [ "$default_route" = no ] || echo "ipv6 route ::/0 Tunnel$number$distance"
}

# IOS has no netmask of 32 bits but on loopback interfaces: the tunnel's interface borrows from one.
print_tunnel_v4v6() {
  find_mask "$TSP_TUNNEL_PREFIXLEN"
  if [ "$TSP_TUNNEL_PREFIXLEN" = 32 ]; then
    cat <<END
interface Loopback$loopback
 description sixlink: address of Tunnel$number
 ip address $client $mask
 exit
END
    tunnel_address="ip unnumbered Loopback$loopback"
  else
    tunnel_address="ip address $client $mask"
  fi
  cat <<END
interface Tunnel$number
 description sixlink: IPv4 over IPv6 to $remote_address
 $tunnel_address
 ip mtu $mtu
END
  [ "$mss_clamp" = no ] || echo " ip tcp adjust-mss $((mtu - 40))"
  cat <<END
 tunnel mode ipv6
 tunnel source $local_address
 tunnel destination $remote_address
 no shutdown
 exit
ip route $server 255.255.255.255 Tunnel$number
END
  if [ -n "$prefix" ]; then
    find_mask "${prefix#*/}"
    echo "ip route ${prefix%/*} $mask Null0"
  fi
  [ "$default_route" = no ] || echo "ip route 0.0.0.0 0.0.0.0 Tunnel$number$distance"
}

# Router advertisements are IOS's own doing once the interface has an address and IPv6 is routed.
print_home_v6() {
  index=0
  for home in $home_interfaces; do
    nth_network "$index"
    index=$((index + 1))
    cat <<END
interface $home
 ipv6 address $network::1/64
END
    case $default_route in
      backup) echo " ipv6 nd router-preference low" ;;
      no) echo " ipv6 nd ra lifetime 0" ;;
    esac
    for server_v6 in $dns_servers_v6; do echo " ipv6 nd ra dns server $server_v6 600"; done
    echo " exit"
  done
}

print_home_v4() {
  first_ipv4 "${prefix%/*}" "${prefix#*/}"
  address=$answer
  find_mask "${prefix#*/}"
  cat <<END
! Takes the place of the interface's IPv4 address, where it has one.
interface $home_interfaces
 ip address $address $mask
 exit
END
}

print_configuration() {
  echo "! sixlink: enter this in the router's configuration mode (configure terminal)"
  if [ "$mode" = v6v4 ]; then print_tunnel_v6v4; else print_tunnel_v4v6; fi
  if [ "$TSP_HOST_TYPE" = router ]; then
    if [ "$mode" = v6v4 ]; then print_home_v6; else print_home_v4; fi
  fi
  echo "end"
  echo "! To take it back later, without the exclamation marks:"
  print_removal | sed -e '/^!/d' -e 's/^/! /'
}

print_removal_v6() {
  index=0
  for home in $home_interfaces; do
    nth_network "$index"
    index=$((index + 1))
    echo "interface $home"
    for server_v6 in $dns_servers_v6; do echo " no ipv6 nd ra dns server $server_v6"; done
    case $default_route in
      backup) echo " no ipv6 nd router-preference" ;;
      no) echo " no ipv6 nd ra lifetime" ;;
    esac
    cat <<END
 no ipv6 address $network::1/64
 exit
END
  done
  [ "$default_route" = no ] || echo "no ipv6 route ::/0 Tunnel$number"
  [ -z "$prefix" ] || echo "no ipv6 route $prefix Null0"
  echo "no ipv6 route $server/128 Tunnel$number"
}

print_removal_v4() {
  if [ -n "$home_interfaces" ]; then
    first_ipv4 "${prefix%/*}" "${prefix#*/}"
    address=$answer
    find_mask "${prefix#*/}"
    cat <<END
interface $home_interfaces
 no ip address $address $mask
 exit
END
  fi
  [ "$default_route" = no ] || echo "no ip route 0.0.0.0 0.0.0.0 Tunnel$number"
  if [ -n "$prefix" ]; then
    find_mask "${prefix#*/}"
    echo "no ip route ${prefix%/*} $mask Null0"
  fi
  echo "no ip route $server 255.255.255.255 Tunnel$number"
}

# What may serve others by now, ipv6 unicast-routing, stays.
print_removal() {
  echo "! sixlink: this takes the tunnel back; enter it in the router's configuration mode (configure terminal)"
  if [ "$mode" = v6v4 ]; then print_removal_v6; else print_removal_v4; fi
  echo "no interface Tunnel$number"
  if [ "$mode:$TSP_TUNNEL_PREFIXLEN" = v4v6:32 ]; then echo "no interface Loopback$loopback"; fi
  echo "end"
}

# ---- the operations -----------------------------------------------------------------------------------------------

start_template "$@"
check_environment
find_distance
loopback=$((kLoopbackBase + number))
case $TSP_OPERATION in
  TSP_TUNNEL_CREATION)
    text=$(print_configuration)
    printf '%s\n' "$text"
    if ! is_dry_run; then
      record file "$state_dir" "$interface"
      run_as "write $state_dir/cisco-$interface.txt" write_text "$state_dir/cisco-$interface.txt" "$text"
    fi
    ;;
  TSP_TUNNEL_TEARDOWN)
    print_removal
    is_dry_run || undo_record
    ;;
esac
