#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Mode wireguard on Linux: the kernel's interface, set up with wg(8) from a file, so that no key is ever on a command
# line; IPv4 beside IPv6; the routes of what the broker carries.
#
# linux.sh sets interface, mode, kind_of_interface and default_route.
# shellcheck disable=SC2154

# Sets client_v4 and server_v4, empty without IPv4, and allowed.
check_wireguard() {
  client_v4=${TSP_CLIENT_ADDRESS_IPV4-} server_v4=${TSP_SERVER_ADDRESS_IPV4-}
  if [ -n "$client_v4$server_v4" ]; then
    check_ipv4 TSP_CLIENT_ADDRESS_IPV4 "$client_v4"
    check_ipv4 TSP_SERVER_ADDRESS_IPV4 "$server_v4"
  fi
  allowed=${SIXLINK_ALLOWED:-::/0}
  for destination in $allowed; do
    is_destination 6 "$destination" || is_destination 4 "$destination" ||
      lib_refuse_value SIXLINK_ALLOWED "$allowed" "prefixes with their lengths, blank between"
  done
  [ "$kind_of_interface" = kernel ] || return 0
  check_wireguard_conf
}

check_wireguard_conf() {
  wireguard_conf=${SIXLINK_WIREGUARD_CONF-}
  is_directory_name "$wireguard_conf" ||
    lib_refuse_value SIXLINK_WIREGUARD_CONF "$wireguard_conf" "the absolute path of a file, of letters, digits and _.:/-"
}

is_wireguard() { # IF
  query ip -d -o link show dev "$1" || return 1
  case "$query_output " in
    *' wireguard '*) ;;
    *) return 1 ;;
  esac
}

# The interface with its key and its peers. What it had before is replaced.
create_wireguard() {
  if ! is_dry_run; then
    command -v wg >/dev/null 2>&1 ||
      unsupported "the kernel's WireGuard needs the program wg, which is not installed: install the package wireguard-tools"
    # An earlier run's, in another mode or moved by the daemon.
    if has_record && ! is_recorded wireguard "$interface"; then undo_record || exit 1; fi
  fi
  if device_exists "$interface" && ! is_dry_run; then
    if is_recorded wireguard "$interface" && is_wireguard "$interface"; then :; else
      give_up "there is an interface $interface already, and it is not ours: remove it, or choose another name with ${wireguard_key_name:-if_tunnel_wireguard}"
    fi
  else
    record wireguard "$interface"
    if ! attempt ip link add name "$interface" type wireguard; then
      forget wireguard "$interface"
      explain_missing "WireGuard" && unsupported "$missing"
      command_failed "$command_status" "$command_error" "$command_text"
    fi
  fi
  run wg setconf "$interface" "$wireguard_conf"
}

undo_wireguard() { # IF
  # An interface of that name that is no such tunnel is someone else's.
  device_exists "$1" && { is_dry_run || is_wireguard "$1"; } || return 0
  undo_link "$1" ip link del dev "$1"
}

# The IPv4 side of the interface.
add_wireguard_v4() {
  [ -n "$client_v4" ] || return 0
  loosen_source_check "$interface"
  add_address 4 "$interface" "$client_v4" 32
  add_route 4 "$(host_route 4 "$server_v4")"
}

# To everything by the default route as it was asked for; to the rest as it is.
add_allowed_routes() {
  for destination in $allowed; do
    case $destination in
      ::/0) add_default_route 6 ;;
      0.0.0.0/0) [ -z "$client_v4" ] || add_default_route 4 ;;
      *:*) add_route 6 "$destination" ;;
      *) [ -z "$client_v4" ] || add_route 4 "$destination" ;;
    esac
  done
}

# ---- the registry's side ----------------------------------------------------------------------------------------

# Each client's addresses and prefix lead into the interface, one a line in SIXLINK_WIREGUARD_ROUTES: a file, since there may
# be thousands. What is there and is not in the file goes. The file is the registry's own, made of its leases.
sync_wireguard_routes() { # family
  wanted=$(grep -E "$(route_pattern "$1")" "$wireguard_routes" | sort) || wanted=
  must_query ip "-$1" -o route show dev "$interface" proto static
  held=$(printf '%s\n' "$query_output" | sed -n 's/^\([0-9A-Fa-f:.\/]*\) .*/\1/p' | sort)
  changes=$(printf '%s\n' "$wanted" | normal_routes "$1" >"$wireguard_routes.wanted"
    printf '%s\n' "$held" | normal_routes "$1" >"$wireguard_routes.held"
    comm -13 "$wireguard_routes.wanted" "$wireguard_routes.held" | sed "s/^/route del /; s/\$/ dev $interface proto static/"
    comm -23 "$wireguard_routes.wanted" "$wireguard_routes.held" | sed "s/^/route replace /; s/\$/ dev $interface proto static/")
  rm -f "$wireguard_routes.wanted" "$wireguard_routes.held"
  [ -n "$changes" ] || return 0
  printf '%s\n' "$changes" >"$wireguard_routes.batch"
  # A route that is not there is not worth every other client's tunnel.
  attempt ip "-$1" -force -batch "$wireguard_routes.batch" || note "warning: $command_text: $command_error"
  rm -f "$wireguard_routes.batch"
}

route_pattern() { # family
  if [ "$1" = 4 ]; then
    echo '^[0-9]+[.][0-9]+[.][0-9]+[.][0-9]+/[0-9]+$'
  else
    echo '^[0-9A-Fa-f:]+/[0-9]+$'
  fi
}

# As ip(8) shows them: a single address without its length.
normal_routes() { # family
  if [ "$1" = 4 ]; then sed '/^$/d; s/\/32$//' | sort -u; else sed '/^$/d; s/\/128$//' | sort -u; fi
}

check_broker_wireguard() {
  check_number SIXLINK_MTU "$mtu" 1280 65535
  check_wireguard_conf
  wireguard_key_name=wireguard_interface
  wireguard_routes=${SIXLINK_WIREGUARD_ROUTES-}
  is_directory_name "$wireguard_routes" ||
    lib_refuse_value SIXLINK_WIREGUARD_ROUTES "$wireguard_routes" "the absolute path of a file, of letters, digits and _.:/-"
}

create_broker_wireguard() {
  if is_recorded wireguard "$interface" && is_wireguard "$interface"; then
    # Only what differs: sessions go on.
    run wg syncconf "$interface" "$wireguard_conf"
  else
    create_wireguard
  fi
  bring_up 6
  loosen_source_check "$interface"
  sync_wireguard_routes 6
  sync_wireguard_routes 4
  switch_on_forwarding 6
}
