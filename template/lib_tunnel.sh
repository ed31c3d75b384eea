#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The environment of a tunnel, checked: what the templates of the systems other than Linux share, after lib.sh.
# shellcheck disable=SC2034,SC2154  # the answers are the templates', others lib.sh's

# Checks everything before anything is done. Sets:
#   interface kind mode host_type mtu default_route state_dir
#   inner           6 or 4: the family that the tunnel carries
#   client server   the inner addresses; client_length: the length to configure client with
#   prefix          the delegated prefix as ADDRESS/LENGTH, empty without one
#   broker_server   the broker's address outside, where it is of the inner family and a default route through the
#                   tunnel could capture it; else empty
#   outer_local outer_remote   kind kernel: the tunnel's ends outside
#   home_interfaces dns_servers_v6   routers
#   server_v4 prefix_v4   host type broker: its inner IPv4 address and prefix, or empty
#   client_v4 server_v4   mode wireguard: the IPv4 addresses beside the IPv6 ones, or empty. On these systems they get no
#                   default route: IPv4 goes to the broker alone
#   wireguard_conf  mode wireguard, kind kernel: the file for `wg setconf`
check_tunnel_environment() {
  interface=${TSP_TUNNEL_INTERFACE-}
  kind=${SIXLINK_INTERFACE_KIND-}
  host_type=${TSP_HOST_TYPE-}
  mode=${TSP_TUNNEL_MODE-}
  mtu=${SIXLINK_MTU:-1280}
  default_route=${SIXLINK_DEFAULT_ROUTE:-backup}
  inner=6 prefix='' broker_server='' server_v4='' prefix_v4='' client_v4='' home_interfaces='' dns_servers_v6=''

  check_interface TSP_TUNNEL_INTERFACE "$interface"
  check_one_of SIXLINK_INTERFACE_KIND "$kind" "tun, kernel"
  check_one_of TSP_HOST_TYPE "$host_type" "host, router, broker"
  check_one_of SIXLINK_DEFAULT_ROUTE "$default_route" "backup, yes, no"
  check_one_of SIXLINK_MSS_CLAMP "${SIXLINK_MSS_CLAMP:-no}" "yes, no"
  check_state_dir
  if [ "$host_type" = broker ]; then
    lib_check_broker
    return 0
  fi
  check_one_of TSP_TUNNEL_MODE "$mode" "v6udpv4, v6v4, v4v6, dslite, wireguard"
  case $mode in
    dslite) mode=v4v6 inner=4 ;;
    v4v6) inner=4 ;;
  esac
  if [ "$inner" = 6 ]; then lib_check_v6; else lib_check_v4; fi
  if [ "$mode" = wireguard ]; then lib_check_wireguard; fi
  if [ "$host_type" = router ]; then lib_check_router; fi
  lib_check_outside
}

lib_check_v6() {
  check_number SIXLINK_MTU "$mtu" 1280 65535
  client=${TSP_CLIENT_ADDRESS_IPV6-} server=${TSP_SERVER_ADDRESS_IPV6-} client_length=${TSP_TUNNEL_PREFIXLEN-}
  check_ipv6 TSP_CLIENT_ADDRESS_IPV6 "$client"
  check_ipv6 TSP_SERVER_ADDRESS_IPV6 "$server"
  check_number TSP_TUNNEL_PREFIXLEN "$client_length" 1 128
  [ -n "${TSP_PREFIX-}" ] || return 0
  check_prefix TSP_PREFIX "$TSP_PREFIX"
  check_number TSP_PREFIXLEN "${TSP_PREFIXLEN-}" 0 128
  prefix=$prefix_address/$TSP_PREFIXLEN
}

lib_check_v4() {
  # 576: what every IPv4 host takes (RFC 1122).
  check_number SIXLINK_MTU "$mtu" 576 65535
  client=${TSP_CLIENT_ADDRESS_IPV4-} server=${TSP_SERVER_ADDRESS_IPV4-} client_length=${TSP_TUNNEL_PREFIXLEN-}
  check_ipv4 TSP_CLIENT_ADDRESS_IPV4 "$client"
  check_ipv4 TSP_SERVER_ADDRESS_IPV4 "$server"
  check_number TSP_TUNNEL_PREFIXLEN "$client_length" 1 32
  [ -n "${TSP_PREFIX-}" ] || return 0
  check_ipv4 TSP_PREFIX "$TSP_PREFIX"
  check_number TSP_PREFIXLEN "${TSP_PREFIXLEN-}" 0 32
  check_prefix_v4 TSP_PREFIX "$TSP_PREFIX/$TSP_PREFIXLEN"
  prefix=$prefix_v4_address/$prefix_v4_length
}

lib_check_wireguard() {
  client_v4=${TSP_CLIENT_ADDRESS_IPV4-} server_v4=${TSP_SERVER_ADDRESS_IPV4-}
  if [ -n "$client_v4$server_v4" ]; then
    check_ipv4 TSP_CLIENT_ADDRESS_IPV4 "$client_v4"
    check_ipv4 TSP_SERVER_ADDRESS_IPV4 "$server_v4"
  fi
  [ "$kind" = kernel ] || return 0
  wireguard_conf=${SIXLINK_WIREGUARD_CONF-}
  is_directory_name "$wireguard_conf" ||
    lib_refuse_value SIXLINK_WIREGUARD_CONF "$wireguard_conf" "the absolute path of a file, of letters, digits and _.:/-"
}

lib_check_router() {
  check_home_interfaces
  check_dns_servers
  if [ "$inner" = 6 ]; then
    check_home_networks
    return 0
  fi
  [ -n "$prefix" ] || refuse "router mode needs a prefix, but the broker delegated none: TSP_PREFIX is empty"
  [ "$home_count" -eq 1 ] ||
    refuse "SIXLINK_HOME_INTERFACES (if_prefix) names $home_count interfaces: an IPv4 prefix is for one"
}

lib_check_broker() {
  [ "$kind" = tun ] || refuse "TSP_HOST_TYPE broker needs SIXLINK_INTERFACE_KIND tun, not '$kind'"
  check_number SIXLINK_MTU "$mtu" 1280 65535
  check_ipv6 TSP_SERVER_ADDRESS_IPV6 "${TSP_SERVER_ADDRESS_IPV6-}"
  check_prefix TSP_PREFIX "${TSP_PREFIX-}"
  check_number TSP_PREFIXLEN "${TSP_PREFIXLEN-}" 0 128
  server=$TSP_SERVER_ADDRESS_IPV6 prefix=$prefix_address/$TSP_PREFIXLEN
  [ -n "${SIXLINK_PREFIX_V4-}" ] || return 0
  check_prefix_v4 SIXLINK_PREFIX_V4 "$SIXLINK_PREFIX_V4"
  check_ipv4 SIXLINK_SERVER_V4 "${SIXLINK_SERVER_V4-}"
  server_v4=$SIXLINK_SERVER_V4 prefix_v4=$prefix_v4_address/$prefix_v4_length
}

lib_check_outside() {
  if [ "$kind" = kernel ]; then
    case $mode in
      v6v4)
        outer_local=${TSP_CLIENT_ADDRESS_IPV4-} outer_remote=${TSP_SERVER_ADDRESS_IPV4-}
        if is_ipv4 "${SIXLINK_OUTER_CLIENT-}"; then outer_local=$SIXLINK_OUTER_CLIENT; fi
        check_ipv4 TSP_CLIENT_ADDRESS_IPV4 "$outer_local"
        check_ipv4 TSP_SERVER_ADDRESS_IPV4 "$outer_remote"
        ;;
      v4v6)
        outer_local=${TSP_CLIENT_ADDRESS_IPV6-} outer_remote=${TSP_SERVER_ADDRESS_IPV6-}
        if is_ipv6 "${SIXLINK_OUTER_CLIENT-}"; then outer_local=$SIXLINK_OUTER_CLIENT; fi
        check_ipv6 TSP_CLIENT_ADDRESS_IPV6 "$outer_local"
        check_ipv6 TSP_SERVER_ADDRESS_IPV6 "$outer_remote"
        ;;
    esac
  fi
  case ${SIXLINK_OUTER_SERVER-} in
    '') return 0 ;;
    # On the link itself: beyond the reach of any route.
    [Ff][Ee]80:*%*) if is_ipv6 "${SIXLINK_OUTER_SERVER%%%*}" && is_interface "${SIXLINK_OUTER_SERVER#*%}"; then return 0; fi ;;
  esac
  check_address SIXLINK_OUTER_SERVER "$SIXLINK_OUTER_SERVER"
  if is_ipv4 "$SIXLINK_OUTER_SERVER"; then lib_family=4; else lib_family=6; fi
  if [ "$lib_family" = "$inner" ]; then broker_server=$SIXLINK_OUTER_SERVER; fi
}

# Sets answer to a spelling that two texts of the same address share.
canonical_address() {
  case $1 in
    *.* | *[!0-9A-Fa-f:]*)
      answer=$1
      return 0
      ;;
  esac
  lib_head=${1%%::*} lib_tail=
  case $1 in
    *::*) lib_tail=${1#*::} ;;
  esac
  IFS=:
  # shellcheck disable=SC2086  # split into groups
  set -- $lib_tail
  lib_groups=$#
  # shellcheck disable=SC2086
  set -- $lib_head
  lib_groups=$(($# + lib_groups))
  answer=
  for lib_group in "$@"; do answer=$answer$((0x$lib_group)):; done
  while [ "$lib_groups" -lt 8 ]; do
    answer=${answer}0:
    lib_groups=$((lib_groups + 1))
  done
  # shellcheck disable=SC2086
  set -- $lib_tail
  for lib_group in "$@"; do answer=$answer$((0x$lib_group)):; done
  unset IFS
}

# Whether one of the words that follow is the address, however it is spelt, with a length or scope behind it or not.
names_address() { # ADDRESS word...
  canonical_address "$1"
  lib_canonical=$answer
  shift
  for lib_word in "$@"; do
    lib_word=${lib_word%%/*}
    lib_word=${lib_word%%%*}
    case $lib_word in
      *:*:* | *.*.*.*) ;;
      *) continue ;;
    esac
    canonical_address "$lib_word"
    if [ "$answer" = "$lib_canonical" ]; then return 0; fi
  done
  return 1
}

# ---- undoing --------------------------------------------------------------------------------------------------

# The command that could not be run is one of undoing, for the report.
undo_failed() { # "the question"
  command_text=$1 command_status=$query_status command_error=$query_output
  return 1
}

# What a record may name to be removed.
is_file_of_ours() {
  is_directory_name "$1" || return 1
  case $1 in
    */*.rtadvd.conf | */*.rad.conf | */*.radvd.conf | */*.ndpd.conf | */*.rtadvd.pid | */*.rad.pid | */*.radvd.pid | */*.rtadvd.sock | */*.rad.sock) ;;
    *) return 1 ;;
  esac
}

# ---- daemons of the home network ------------------------------------------------------------------------------

# How long a router advertisement daemon may take to say goodbye.
kFinalAdvertisementsSeconds=10

need_program() { # name, how to get it
  command -v "$1" >/dev/null 2>&1 || is_dry_run || give_up "$1 is needed for router mode and is not installed: $2"
}

# Sets pid, empty where the daemon of this configuration does not run.
read_pid() { # PIDFILE CONFIGURATION
  pid=
  [ -r "$1" ] || return 0
  read -r pid <"$1" || :
  if is_number "$pid"; then
    # Its number may be another program's by now.
    case $(ps -o args= -p "$pid" 2>/dev/null) in
      *"$2"*) return 0 ;;
    esac
  fi
  pid=
}

# A daemon with its configuration, and its process ID in a file. One that runs already with the same is left alone.
start_daemon() { # CONFIGURATION "its text" PIDFILE SOCKET|- the text of the command, and it...
  daemon_configuration=$1 daemon_text=$2 daemon_pidfile=$3 daemon_socket=$4
  shift 4
  read_pid "$daemon_pidfile" "$daemon_configuration"
  if [ -n "$pid" ] && is_recorded daemon "$daemon_pidfile" "$daemon_configuration" "$daemon_socket"; then
    [ "$(cat "$daemon_configuration" 2>/dev/null)" != "$daemon_text" ] || return 0
    undo_daemon "$daemon_pidfile" "$daemon_configuration" "$daemon_socket" ||
      command_failed "$command_status" "$command_error" "$command_text"
  fi
  record file "$daemon_configuration"
  run_as "write $daemon_configuration" write_text "$daemon_configuration" "$daemon_text"
  check_daemon_configuration "$daemon_configuration"
  record daemon "$daemon_pidfile" "$daemon_configuration" "$daemon_socket"
  run_as "$@"
}

check_daemon_configuration() {
  :
}

# The daemon ends with its goodbye, which takes a while.
undo_daemon() { # PIDFILE CONFIGURATION SOCKET|-
  read_pid "$1" "$2"
  if [ -n "$pid" ]; then
    attempt_as "kill \$(cat $1)" kill "$pid" || ! kill -0 "$pid" 2>/dev/null || return 1
    is_dry_run && return 0
    # Not with kill -0: a child that nobody waits for would seem alive.
    undo_looks=0
    while [ "$undo_looks" -lt $((kFinalAdvertisementsSeconds + 3)) ]; do
      read_pid "$1" "$2"
      [ -n "$pid" ] || break
      undo_looks=$((undo_looks + 1))
      [ "$undo_looks" -le 3 ] || sleep 1
    done
  fi
  if is_dry_run; then return 0; fi
  if [ "$3" = - ]; then rm -f "$1"; else rm -f "$1" "$3"; fi
}
