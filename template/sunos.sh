#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Creates and removes a tunnel's addresses and routes on illumos and Solaris 11, with dladm(8), ipadm(8), ifconfig(8),
# route(8) and in.ndpd(8). lib.sh has the contract; routes are as on the BSDs, which lib_bsd.sh tells of: two routes to
# halves of the address space stand for a default route (two default routes would share the traffic).
#
# Modes: v6v4 and v4v6 by kind kernel (iptun) and tun (the TUN/TAP driver); v6udpv4 and wireguard by kind tun. Host and router; not
# broker.
# A router's in.ndpd is the system's own, the only one there can be. Its configuration stays as it is; until the teardown
# the service is told to read a file of ours, which has a copy of it and the advertisements of the home networks.
#
# The kinds of record lines, besides those of lib_bsd.sh:
#   iptun LINK              ipif LINK                addrobj OBJECT          lif IF 4|6 ADDRESS
#   lifmtu IF 4|6 OLD NEW   lifup IF 4|6             forwarding ipv4|ipv6 OLD NEW
#   ndpd OLD|- NEW          the service's config_file      ndprestart    for it to read that
# shellcheck disable=SC2154,SC2034  # variables shared with the libraries

set -uf
LC_ALL=C
export LC_ALL
# The tools of the standard where others have the plain names.
PATH=${PATH:-}:/usr/xpg4/bin:/sbin:/usr/sbin:/bin:/usr/bin
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

kNdp=svc:/network/routing/ndp:default
# Whether the service's property is still to be restored before the service reads it.
ndp_pending=

# ---- undoing --------------------------------------------------------------------------------------------------

interface_exists() {
  query ipadm show-if -p -o IFNAME "$1"
}

undo_own_line() {
  case $1:$# in
    iptun:2 | ipif:2) is_interface "$2" || return 2 ;;
    addrobj:2) is_interface "${2%/*}" && is_interface "${2#*/}" || return 2 ;;
    lif:4) is_interface "$2" && is_family "$3" && { is_ipv4 "$4" || is_ipv6 "$4"; } || return 2 ;;
    lifmtu:5) is_interface "$2" && is_family "$3" && is_number "$4" && is_number "$5" || return 2 ;;
    lifup:3) is_interface "$2" && is_family "$3" || return 2 ;;
    forwarding:4) is_protocol "$2" && is_on_off "$3" && is_on_off "$4" || return 2 ;;
    ndprestart:1) ;;
    ndpd:3) { [ "$2" = - ] || is_directory_name "$2"; } && is_file_of_ours "$3" || return 2 ;;
    *) return 2 ;;
  esac
  case $1 in
    iptun) attempt dladm delete-iptun -t "$2" || is_missing ;;
    ipif) attempt ipadm delete-if "$2" || is_missing ;;
    addrobj) attempt ipadm delete-addr "$2" || is_missing ;;
    lif)
      family_word "$3"
      attempt ifconfig "$2" "$word" removeif "$4" || is_missing
      ;;
    lifmtu)
      family_word "$3"
      if ! query ifconfig "$2" "$word"; then
        command_error=$query_output
        is_missing || undo_failed "ifconfig $2 $word"
        return
      fi
      # Someone changed it after us: theirs stays.
      word_after mtu "$query_output" && [ "$answer" = "$5" ] || return 0
      attempt ifconfig "$2" "$word" mtu "$4" || is_missing
      ;;
    lifup)
      family_word "$3"
      attempt ifconfig "$2" "$word" down || is_missing
      ;;
    forwarding)
      if ! query ipadm show-prop -c -o CURRENT -p forwarding "$2"; then
        undo_failed "ipadm show-prop -c -o CURRENT -p forwarding $2"
        return
      fi
      [ "$query_output" = "$4" ] || return 0
      attempt ipadm set-prop -t -p "forwarding=$3" "$2"
      ;;
    ndpd)
      ndp_pending=yes
      read_ndp_file || return
      if [ "$ndp_file" != "$3" ]; then
        ndp_pending=
        return 0
      fi
      if [ "$2" = - ]; then set -- "$1" '' "$3"; fi
      attempt routeadm -m ndp:default "config_file=$2" && ndp_pending=
      ;;
    ndprestart)
      if [ -n "$ndp_pending" ]; then
        command_text="svcadm restart $kNdp" command_status=1 command_error="config_file is still to be restored"
        return 1
      fi
      attempt svcadm restart "$kNdp"
      ;;
  esac
}

# What the failed command should have removed is not there.
is_missing() {
  case $command_error in
    *"o such "* | *"ot found"* | *"does not exist"* | *"nvalid link name"*) return 0 ;;
  esac
  return 1
}

is_protocol() {
  case $1 in
    ipv4 | ipv6) ;;
    *) return 1 ;;
  esac
}

is_on_off() {
  case $1 in
    on | off) ;;
    *) return 1 ;;
  esac
}

# Sets ndp_file: the file that the service is told to read, - for its default.
read_ndp_file() {
  if ! query svcprop -p routing/config_file "$kNdp"; then
    undo_failed "svcprop -p routing/config_file $kNdp"
    return
  fi
  # svcprop prints an empty value as two quotes.
  case $query_output in
    '' | '""') ndp_file=- ;;
    *) ndp_file=$query_output ;;
  esac
}

# ---- words ----------------------------------------------------------------------------------------------------

# route(8): lengths after a slash; a delete takes the gateway like an add.
route_words() { # family destination priority
  family_word "$1"
  case $2 in
    default) words="-$word default" ;;
    */) words="-$word -host ${2%/}" ;;
    *) words="-$word $2" ;;
  esac
}

bypass_gateway() { # GATEWAY|- IF
  case $1 in
    -) return 1 ;;
    [Ff][Ee]80:*) gateway="$1 -ifp $2" ;;
    *) gateway=$1 ;;
  esac
}

# ---- the tunnel's interface -------------------------------------------------------------------------------------

make_tunnel_interface() {
  if [ "$mode" = wireguard ]; then unsupported "this system has no WireGuard interface"; fi
  if [ "$mode" = v6udpv4 ]; then unsupported "this system has no tunnel interface for IPv6 in UDP"; fi
  case $interface in
    [!A-Za-z]* | *[!0-9] | *[!A-Za-z0-9_]*) refuse "TSP_TUNNEL_INTERFACE must be a link's name, letters and then a number, not '$interface'" ;;
  esac
  if [ "$inner" = 6 ]; then tunnel_type=ipv4; else tunnel_type=ipv6; fi
  ends=local=$outer_local,remote=$outer_remote
  if query dladm show-link -p -o LINK "$interface"; then
    is_recorded iptun "$interface" || give_up "interface $interface exists already, and is not ours: choose another name for the tunnel's interface"
    must_query dladm show-iptun -p -o LOCAL,REMOTE "$interface"
    # A colon within a field has a backslash before it.
    # shellcheck disable=SC1003  # tr's backslash
    if [ "$(printf '%s' "$query_output" | tr -d '\\')" != "$outer_local:$outer_remote" ]; then
      run dladm modify-iptun -t -a "$ends" "$interface"
    fi
  else
    record iptun "$interface"
    if ! attempt dladm create-iptun -t -T "$tunnel_type" -a "$ends" "$interface"; then
      forget iptun "$interface"
      case $command_error in
        *"not supported"* | *"unrecognized"*) unsupported "this system has no IP tunnels: $command_error" ;;
      esac
      command_failed "$command_status" "$command_error" "dladm create-iptun -t -T $tunnel_type -a $ends $interface"
    fi
    # Without the option header of RFC 2473 section 4.1.1, which is here by default, costs 8 bytes, and is not taken everywhere.
    if [ "$tunnel_type" = ipv6 ]; then run dladm set-linkprop -t -p encaplimit=0 "$interface"; fi
  fi
}

bring_up() {
  if [ "$kind" = kernel ]; then
    if ! query ipadm show-if -p -o IFNAME "$interface"; then
      record ipif "$interface"
      run ipadm create-if -t "$interface"
    fi
    query ipadm show-ifprop -c -o CURRENT -p mtu -m "ipv$inner" "$interface" && [ "$query_output" = "$mtu" ] && return 0
    run ipadm set-ifprop -t -p "mtu=$mtu" -m "ipv$inner" "$interface"
    return 0
  fi
  family_word "$inner"
  must_query ifconfig "$interface" "$word"
  link=$query_output
  if word_after mtu "$link" && [ "$answer" = "$mtu" ]; then :; else
    if is_number "$answer"; then record lifmtu "$interface" "$inner" "$answer" "$mtu"; fi
    run ifconfig "$interface" "$word" mtu "$mtu"
  fi
  # In IPv6 the interface's first address, its link-local one, comes first.
  if [ "$inner" = 6 ] && ! is_up "$link"; then
    record lifup "$interface" 6
    run ifconfig "$interface" inet6 up
  fi
}

# An address object of ours.
add_address_object() { # OBJECT arguments of ipadm create-addr...
  if query ipadm show-addr -p -o ADDR "$1"; then
    is_recorded addrobj "$1" || give_up "the address object $1 exists already, and is not ours: remove it with ipadm delete-addr"
    return 0
  fi
  object=$1
  shift
  record addrobj "$object"
  run ipadm create-addr -t "$@" "$object"
}

# ipadm(8): an interface needs an addrconf address before its first static one of IPv6.
need_addrconf() { # IF
  must_query ipadm show-addr -p -o ADDROBJ,TYPE
  while read -r line; do
    case $line in
      "$1/sixlinkll:"*) ;;
      "$1/"*:addrconf) return 0 ;;
    esac
  done <<END
$query_output
END
  add_address_object "$1/sixlinkll" -T addrconf
}

add_inner_address() {
  if [ "$kind" = kernel ]; then
    if [ "$inner" = 6 ]; then need_addrconf "$interface"; fi
    add_address_object "$interface/sixlink" -T static -a "local=$client,remote=$server"
    return 0
  fi
  must_query ifconfig -a
  # shellcheck disable=SC2086  # its words
  if names_address "$client" $query_output; then return 0; fi
  record lif "$interface" "$inner" "$client"
  family_word "$inner"
  if [ "$inner" = 6 ]; then client_length=128; else client_length=32; fi
  run ifconfig "$interface" "$word" addif "$client/$client_length" "$server" up
}

# Mode wireguard, of kind tun.
add_inner_v4() {
  must_query ifconfig -a
  # shellcheck disable=SC2086  # its words
  if names_address "$client_v4" $query_output; then return 0; fi
  record lif "$interface" 4 "$client_v4"
  run ifconfig "$interface" inet addif "$client_v4/32" "$server_v4" up
}

# ---- routers ----------------------------------------------------------------------------------------------------

# An address of a home interface; ADDRESS words of ifconfig's: prefixlen 64, or netmask and a mask.
add_address() { # IF FAMILY ADDRESS words...
  if [ "$2" = 6 ]; then
    need_addrconf "$1"
    add_address_object "$1/sixlink" -T static -a "$3/64"
  else
    add_address_object "$1/sixlink" -T static -a "$3/${prefix##*/}"
  fi
}

# An IP interface of ipadm(8) is enabled, or not there.
bring_up_home() {
  :
}

switch_on_forwarding() { # family
  must_query ipadm show-prop -c -o CURRENT -p forwarding "ipv$1"
  [ "$query_output" != on ] || return 0
  if is_on_off "$query_output"; then record forwarding "ipv$1" "$query_output" on; fi
  run ipadm set-prop -t -p forwarding=on "ipv$1"
}

# ndpd.conf(5). Lifetimes as radvd_config of lib.sh has them; it knows neither preferences nor DNS servers.
ndpd_config() { # the file that was in use, or -
  if [ "$1" = - ]; then set -- /etc/inet/ndpd.conf; fi
  if [ -r "$1" ]; then cat "$1"; fi
  number=0
  lifetime=600
  if [ "$default_route" = no ]; then lifetime=0; fi
  for home in $home_interfaces; do
    printf 'if %s AdvSendAdvertisements on MaxRtrAdvInterval 200 MinRtrAdvInterval 66 AdvDefaultLifetime %s AdvLinkMTU %s\n' \
      "$home" "$lifetime" "$mtu"
  done
  for home in $home_interfaces; do
    nth_network "$number"
    number=$((number + 1))
    printf 'prefix %s::/64 %s AdvValidLifetime 5400 AdvPreferredLifetime 2700\n' "$network" "$home"
  done
}

advertise() {
  file=$state_dir/$interface.ndpd.conf
  must_query svcprop -p routing/config_file "$kNdp"
  case $query_output in
    '' | '""') ndp_file=- ;;
    "$file")
      # Ours from an earlier run.
      is_recorded file "$file" && return 0
      ndp_file=-
      ;;
    *)
      ndp_file=$query_output
      is_directory_name "$ndp_file" || give_up "in.ndpd reads '$ndp_file', a name that this template cannot keep: rename it"
      ;;
  esac
  record file "$file"
  run_as "write $file" write_text "$file" "$(ndpd_config "$ndp_file")"
  record ndprestart
  record ndpd "$ndp_file" "$file"
  run routeadm -m ndp:default "config_file=$file"
  run svcadm restart "$kNdp"
}

check_router() {
  check_home
  [ "$inner" = 6 ] || return 0
  must_query svcs -H -o state "$kNdp"
  case $query_output in
    online* | '') ;;
    *) give_up "router mode needs in.ndpd, and its service is $query_output: svcadm enable $kNdp" ;;
  esac
}

describe_mss_clamp() {
  answer="in ipf's ipnat.conf: map ... mssclamp $mss"
}

start_template "$@"
if [ "${TSP_HOST_TYPE-}" = broker ]; then refuse "this template has no host type broker: the registry does not run on SunOS"; fi
operate
