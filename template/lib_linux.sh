#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# What linux.sh does with iproute2 and /proc, and how each of it is undone: the kinds of the record's lines (listed in
# linux.sh), addresses, routes, sysctls, the kernel's tunnel interfaces, MSS clamping, radvd. The way a family of
# addresses is named here: 4 or 6.
#
# linux.sh sets interface, mode, mtu, default_route and state_dir.
# shellcheck disable=SC2154

# The metric of routes that have no rival; what the kernel gives a route without one.
kRouteMetric=1024
# Behind native default routes, which mostly have 1024 and less; add_behind_others sees to the others.
kBackupMetric=8192
kBestMetric=1
kWorstMetric=4294967295
# Behind every route that anyone would make for a part of the delegated prefix, or all of it.
kUnreachableMetric=65535

# ---- values ---------------------------------------------------------------------------------------------------

is_addrgenmode() {
  case $1 in
    eui64 | none | stable_secret | random) ;;
    *) return 1 ;;
  esac
}

is_sysctl() { # family key
  case $1:$2 in
    6:disable_ipv6 | 6:accept_ra | 6:forwarding | 4:forwarding | 4:accept_redirects | 4:rp_filter) ;;
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

is_destination() { # family destination
  case $1:$2 in
    *:default) ;;
    4:*/*) is_ipv4 "${2%/*}" && is_number_between "${2##*/}" 0 32 ;;
    6:*/*) is_ipv6 "${2%/*}" && is_number_between "${2##*/}" 0 128 ;;
    *) return 1 ;;
  esac
}

is_address_of() { # family address
  if [ "$1" = 4 ]; then is_ipv4 "$2"; else is_ipv6 "$2"; fi
}

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

# The name of a kind of record line for a family. Sets kind.
kind_for() { # family kind
  kind=$2
  if [ "$1" = 4 ]; then kind=${2}4; fi
}

# ---- looking --------------------------------------------------------------------------------------------------

device_exists() {
  query ip -o link show dev "$1"
}

# A line of `ip -o link show`.
is_up() {
  case $1 in
    *'<UP,'* | *',UP,'* | *',UP>'* | *'<UP>'*) ;;
    *) return 1 ;;
  esac
}

sysctl_path() { # family IF KEY
  path=/proc/sys/net/ipv$1/conf/$2/$3
}

write_file() { # path value
  printf '%s\n' "$2" >"$1"
}

# Sets value, empty where there is none. Not with read: some shells read byte by byte, and /proc/sys gives only one.
read_sysctl() { # path
  value=$(cat "$1" 2>/dev/null) || value=
}

# Takes the routes that hold for one source only out of query_output.
drop_source_routes() {
  kept=
  while read -r line; do
    case $line in
      '' | *' from '*) ;;
      *)
        kept="$kept$line
"
        ;;
    esac
  done <<END
$query_output
END
  query_output=$kept
}

# ---- undoing --------------------------------------------------------------------------------------------------

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

# Sets line_family.
is_record_line() {
  line_family=6
  case $1 in
    *4) line_family=4 ;;
  esac
  case $1:$# in
    mtu:4) is_interface "$2" && is_number "$3" && is_number "$4" ;;
    addrgenmode:3) is_interface "$2" && is_addrgenmode "$3" ;;
    sysctl:5 | sysctl4:5) is_interface "$2" && is_sysctl "$line_family" "$3" && is_number "${4#-}" && is_number "$5" ;;
    forwarding:3 | forwarding4:3) is_interface "$2" && is_number "$3" ;;
    up:2) is_interface "$2" ;;
    address:4) is_interface "$2" && is_ipv6 "$3" && is_number_between "$4" 0 128 ;;
    address4:4) is_interface "$2" && is_ipv4 "$3" && is_number_between "$4" 0 32 ;;
    route:4 | route4:4) is_destination "$line_family" "$2" && is_interface "$3" && is_metric "$4" ;;
    unreachable:3 | unreachable4:3) is_destination "$line_family" "$2" && is_metric "$3" ;;
    source-default:4) is_destination 6 "$2" && is_interface "$3" && is_metric "$4" ;;
    bypass:6)
      case $2 in
        4 | 6) is_address_of "$2" "$3" ;;
        *) return 1 ;;
      esac && { [ "$4" = - ] || is_ipv4 "$4" || is_ipv6 "$4"; } && is_interface "$5" && is_metric "$6"
      ;;
    tunnel:7)
      case $3 in
        sit) is_interface "$2" && is_ipv4 "$4" && is_ipv4 "$5" ;;
        ip6tnl) is_interface "$2" && is_ipv6 "$4" && is_ipv6 "$5" ;;
        *) return 1 ;;
      esac
      ;;
    wireguard:2) is_interface "$2" ;;
    fou:3) is_number_between "$2" 1 65535 && is_ipv4 "$3" ;;
    nft:2) is_interface "$2" ;;
    mss:5)
      case $2:$3 in
        [46]:forward-out | [46]:forward-in | [46]:output | [46]:input) is_interface "$4" && is_number "$5" ;;
        *) return 1 ;;
      esac
      ;;
    filter:2) is_interface "$2" ;;
    chain:4)
      case $2:$3 in
        [46]:in | [46]:out) is_interface "$4" ;;
        *) return 1 ;;
      esac
      ;;
    radvd:3) is_directory_name "$2" && is_interface "$3" ;;
    *) return 1 ;;
  esac
}

undo_line() {
  is_record_line "$@" || return 2
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
    sysctl | sysctl4)
      sysctl_path "$line_family" "$2" "$3"
      read_sysctl "$path"
      [ "$value" = "$5" ] || return 0
      attempt_as "echo $4 > $path" write_file "$path" "$4" || [ ! -e "$path" ]
      ;;
    forwarding | forwarding4)
      # Writing "all" wrote this one too, to the value of "all".
      sysctl_path "$line_family" "$2" forwarding
      read_sysctl "$path"
      [ -n "$value" ] && [ "$value" != "$3" ] || return 0
      attempt_as "echo $3 > $path" write_file "$path" "$3" || [ ! -e "$path" ]
      ;;
    up) undo_link "$2" ip link set dev "$2" down ;;
    address | address4)
      attempt ip "-$line_family" addr del "$3/$4" dev "$2" && return 0
      device_exists "$2" || return 0
      query ip "-$line_family" -o addr show dev "$2" to "$(host_route "$line_family" "$3")" && [ -z "$query_output" ]
      ;;
    route | route4) undo_route "$line_family" "$3" "$2" dev "$3" metric "$4" ;;
    unreachable | unreachable4)
      attempt ip "-$line_family" route del unreachable "$2" metric "$3" && return 0
      query ip "-$line_family" -o route show exact "$2" type unreachable metric "$3" && [ -z "$query_output" ]
      ;;
    source-default)
      attempt ip -6 route del default from "$2" dev "$3" metric "$4" && return 0
      device_exists "$3" || return 0
      query ip -6 -o route show exact default from "$2" dev "$3" metric "$4" && [ -z "$query_output" ]
      ;;
    bypass)
      via_words "$2" "$4"
      # shellcheck disable=SC2086  # via is up to three words
      undo_route "$2" "$5" "$(host_route "$2" "$3")" $via dev "$5" metric "$6"
      ;;
    tunnel)
      # An interface of that name that is no such tunnel is someone else's.
      device_exists "$2" && is_tunnel_line "$3" "$query_output" || return 0
      undo_link "$2" ip link del dev "$2"
      ;;
    wireguard) undo_wireguard "$2" ;;
    fou)
      attempt ip fou del port "$2" local "$3" && return 0
      query ip fou show || return 0
      has_fou_port "$2" "$3" && return 1
      return 0
      ;;
    nft)
      attempt nft delete table inet "$(nft_table "$2")" && return 0
      query nft list tables || return 0
      has_nft_table "$2" && return 1
      return 0
      ;;
    mss)
      mss_words "$2" "$3" "$4" "$5"
      # shellcheck disable=SC2086  # a list of words, none of them empty
      attempt "$tables" -w -t mangle -D $mss_rule && return 0
      # shellcheck disable=SC2086
      query "$tables" -w -t mangle -C $mss_rule && return 1
      return 0
      ;;
    filter) undo_filter "$2" ;;
    chain) undo_chain "$2" "$3" "$4" ;;
    radvd)
      stop_radvd "$2" "$3" || return 1
      attempt rm -f "$2/radvd-$3.conf" "$2/radvd-$3.pid"
      ;;
  esac
}

# ---- interface ------------------------------------------------------------------------------------------------

set_sysctl() { # family IF KEY VALUE
  sysctl_path "$1" "$2" "$3"
  read_sysctl "$path"
  [ "$value" != "$4" ] || return 0
  kind_for "$1" sysctl
  if is_number "${value#-}"; then record "$kind" "$2" "$3" "$value" "$4"; fi
  run_as "echo $4 > $path" write_file "$path" "$4"
}

# The interface gets its MTU and what goes without saying on a tunnel, and is up. family is what it carries.
bring_up() { # family
  must_query ip -d -o link show dev "$interface"
  link=$query_output
  if word_after mtu "$link" && [ "$answer" = "$mtu" ]; then :; else
    if [ -n "$answer" ]; then record mtu "$interface" "$answer" "$mtu"; fi
    run ip link set dev "$interface" mtu "$mtu"
  fi
  # IPv6 on an interface begins with its MTU being large enough: after it.
  if ! is_dry_run && [ ! -d "/proc/sys/net/ipv6/conf/$interface" ]; then
    [ "$1" = 4 ] || give_up "IPv6 is switched off in this kernel: start it without ipv6.disable=1"
  fi
  # No router solicitations and multicast reports into the tunnel. Old kernels cannot: then there are some.
  if word_after addrgenmode "$link" && [ "$answer" != none ] && is_addrgenmode "$answer"; then
    record addrgenmode "$interface" "$answer"
    attempt ip link set dev "$interface" addrgenmode none || :
  fi
  if [ "$1" = 6 ]; then
    set_sysctl 6 "$interface" disable_ipv6 0
    set_sysctl 6 "$interface" accept_ra 0
  else
    loosen_source_check "$interface"
  fi
  if ! is_up "$link"; then
    record up "$interface"
    run ip link set dev "$interface" up
  fi
}

# The larger of the two values holds. 1 drops what comes in where the way back would be another, as it is with a
# default route that is only a backup; 2 asks only for a way back.
loosen_source_check() { # IF
  for name in all "$1"; do
    sysctl_path 4 "$name" rp_filter
    read_sysctl "$path"
    if [ "$value" = 1 ]; then
      set_sysctl 4 "$1" rp_filter 2
      return 0
    fi
  done
}

add_address() { # family IF ADDRESS LENGTH [nodad]
  must_query ip "-$1" -o addr show dev "$2" to "$(host_route "$1" "$3")"
  [ -z "$query_output" ] || return 0
  kind_for "$1" address
  record "$kind" "$2" "$3" "$4"
  run ip "-$1" addr add "$3/$4" dev "$2" ${5+"$5"}
}

# ---- routes ---------------------------------------------------------------------------------------------------

add_route() { # family DESTINATION
  must_query ip "-$1" -o route show exact "$2" dev "$interface"
  [ -z "$query_output" ] || return 0
  add_behind_others "$1" "$2" "$kRouteMetric"
}

# Several tunnels of one machine may lead to the same destination, also when they are created in the same instant: each gets a
# metric of its own, behind those that are there.
add_behind_others() { # family DESTINATION METRIC
  find_worst_metric "$1" "$2"
  metric=$3
  if [ "$worst" = "$kWorstMetric" ]; then
    metric=$kWorstMetric
  elif [ "$worst" -ge "$3" ]; then
    metric=$((worst + 1))
  fi
  add_with_free_metric "$1" "$2" "$metric"
}

add_with_free_metric() { # family DESTINATION METRIC
  kind_for "$1" route
  metric=$3
  tries=0
  while [ "$tries" -lt 32 ]; do
    record "$kind" "$2" "$interface" "$metric"
    attempt ip "-$1" route add "$2" dev "$interface" metric "$metric" && return 0
    case $command_error in
      *"File exists"*) ;;
      *) break ;;
    esac
    metric=$((metric + 1)) tries=$((tries + 1))
  done
  command_failed "$command_status" "$command_error" "ip -$1 route add $2 dev $interface metric $metric"
}

# Sets worst to the largest metric of other interfaces' routes to a destination, 0 without any.
find_worst_metric() { # family DESTINATION
  must_query ip "-$1" -o route show exact "$2"
  drop_source_routes
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

add_default_route() { # family
  [ "$default_route" != no ] || return 0
  # A native IPv4 default route may have metric 0, than which nothing is better: but a longer prefix is.
  if [ "$1:$default_route" = 4:yes ]; then
    add_route 4 0.0.0.0/1
    add_route 4 128.0.0.0/1
    return 0
  fi
  must_query ip "-$1" -o route show exact default dev "$interface"
  drop_source_routes
  kind_for "$1" route
  # One is there. Ours from an earlier run gives way when it is not in its place; the user's own stays beside ours.
  if word_after metric "$query_output" && is_recorded "$kind" default "$interface" "$answer"; then
    held=$answer
    find_worst_metric "$1" default
    case $default_route in
      yes) [ "$held" -ge "$kBackupMetric" ] || return 0 ;;
      backup) if [ "$held" -ge "$kBackupMetric" ] && [ "$held" -gt "$worst" ]; then return 0; fi ;;
    esac
    run ip "-$1" route del default dev "$interface" metric "$held"
  fi
  case $default_route in
    yes) add_with_free_metric "$1" default "$kBestMetric" ;;
    backup) add_behind_others "$1" default "$kBackupMetric" ;;
  esac
}

# What of a delegated prefix is not given to a network must not go back into the tunnel.
add_unreachable() { # family PREFIX
  must_query ip "-$1" -o route show exact "$2" type unreachable
  [ -z "$query_output" ] || return 0
  kind_for "$1" unreachable
  record "$kind" "$2" "$kUnreachableMetric"
  run ip "-$1" route add unreachable "$2" metric "$kUnreachableMetric"
}

# A router's own default route may be native, but what comes from the delegated prefix has only one way out: another
# provider drops it for its source.
add_source_default() { # PREFIX
  must_query ip -6 -o route show exact default from "$1" dev "$interface"
  [ -z "$query_output" ] || return 0
  record source-default "$1" "$interface" "$kRouteMetric"
  attempt ip -6 route add default from "$1" dev "$interface" metric "$kRouteMetric" && return 0
  forget source-default "$1" "$interface" "$kRouteMetric"
  note "warning: no default route for $1 alone: where there is a native default route, the home network's packets follow it: $command_error"
}

# ---- forwarding -----------------------------------------------------------------------------------------------

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
        sysctl_path 6 "$word" accept_ra
        read_sysctl "$path"
        if [ "$value" = 1 ]; then set_sysctl 6 "$word" accept_ra 2; fi
      fi
      previous=$word
    done
  done <<END
$advertised
END
}

switch_on_forwarding() { # family
  sysctl_path "$1" all forwarding
  read_sysctl "$path"
  [ "$value" != 1 ] || return 0
  if [ "$1" = 6 ]; then keep_advertised_routes; fi
  # Writing "all" writes every interface. Those that differ are to be restored after "all", so recorded before.
  kind_for "$1" forwarding
  set +f
  for directory in "/proc/sys/net/ipv$1/conf"/*; do
    name=${directory##*/}
    if [ "$name" = all ] || ! is_interface "$name"; then continue; fi
    read_sysctl "$directory/forwarding"
    if is_number "$value" && [ "$value" != 0 ]; then record "$kind" "$name" "$value"; fi
  done
  set -f
  # IPv4: the kernel turns redirects off when it begins to forward, and on when it ends.
  if [ "$1" = 4 ]; then
    sysctl_path 4 all accept_redirects
    read_sysctl "$path"
    if [ "$value" = 0 ]; then record sysctl4 all accept_redirects 0 1; fi
  fi
  set_sysctl "$1" all forwarding 1
}

# ---- the kernel's own tunnel interface --------------------------------------------------------------------------

# Is a line of `ip -o link show` that of a tunnel of the type?
is_tunnel_line() { # sit|ip6tnl line
  case $1:$2 in
    sit:*'link/sit '* | ip6tnl:*'link/tunnel6 '*) ;;
    *) return 1 ;;
  esac
}

# Of the answer to `ip fou show`.
has_fou_port() { # PORT LOCAL
  case "
$query_output
" in
    *"
port $1 ipproto 41 local $2 "* | *"
port $1 ipproto 41 local $2
"*) ;;
    *) return 1 ;;
  esac
}

create_tunnel() { # sit|ip6tnl LOCAL REMOTE, and with FOU: local port, remote port
  local_port=${4:-0} remote_port=${5:-0}
  # Another tunnel of an earlier run: of another address, or of this machine's own datapath.
  if has_record && ! is_recorded tunnel "$interface" "$1" "$2" "$3" "$local_port" "$remote_port" && ! is_dry_run; then
    undo_record || exit 1
  fi
  if device_exists "$interface"; then
    if is_recorded tunnel "$interface" "$1" "$2" "$3" "$local_port" "$remote_port" && is_tunnel_line "$1" "$query_output"; then return 0; fi
    give_up "there is an interface $interface already, and it is not ours: remove it, or choose another name with if_tunnel_$mode"
  fi
  if [ "$local_port" != 0 ]; then open_fou "$local_port" "$2"; fi
  record tunnel "$interface" "$1" "$2" "$3" "$local_port" "$remote_port"
  case $1:$local_port in
    sit:0) attempt ip link add name "$interface" type sit local "$2" remote "$3" ttl 64 pmtudisc ;;
    sit:*)
      attempt ip link add name "$interface" type sit local "$2" remote "$3" ttl 64 pmtudisc \
        encap fou encap-sport "$local_port" encap-dport "$remote_port" encap-csum
      ;;
    ip6tnl:*)
      attempt ip link add name "$interface" type ip6tnl mode ipip6 local "$2" remote "$3" hoplimit 64 encaplimit none
      ;;
  esac && return 0
  # Whatever has that name now: it is not ours.
  forget tunnel "$interface" "$1" "$2" "$3" "$local_port" "$remote_port"
  what="tunnel interface of type $1${4:+ with FOU}"
  explain_missing "$what" && unsupported "$missing"
  case $command_error in
    *"File exists"*)
      # In FOU's case our own datapath can have a second tunnel to the broker: it goes by the port.
      text="there is another tunnel interface between $2 and $3 already"
      [ "$local_port" = 0 ] || unsupported "$text: the kernel can have only one"
      give_up "$text: remove it (ip tunnel show; ip -6 tunnel show)"
      ;;
  esac
  command_failed "$command_status" "$command_error" "$command_text"
}

# Is the failed command's error that of a kernel, or of an ip, without the thing? Sets missing.
explain_missing() { # what
  case $command_error in
    *"nknown device type"* | *"ot supported"* | *"o such device"* | *"o such file"* | *"is unknown"* | *"arbage"* | \
      *"nknown command"* | *"nvalid argument"*) ;;
    *) return 1 ;;
  esac
  missing="this kernel has no $1: $command_text: $command_error"
}

# A UDP port whose datagrams the kernel takes for IPv6 packets.
open_fou() { # PORT LOCAL
  if ! query ip fou show; then
    # Nothing loads it by itself. Where it is built in or cannot be loaded, the next command tells.
    if attempt modprobe fou && ! is_dry_run; then note "loaded the kernel module fou; it stays loaded"; fi
  elif has_fou_port "$1" "$2"; then
    is_recorded fou "$1" "$2" && return 0
  fi
  record fou "$1" "$2"
  attempt ip fou add port "$1" ipproto 41 local "$2" && return 0
  forget fou "$1" "$2"
  explain_missing "FOU" && unsupported "$missing"
  case $command_error in
    *"in use"* | *"already in progress"*) unsupported "the kernel cannot have the UDP port $1 of $2: $command_text: $command_error" ;;
  esac
  command_failed "$command_status" "$command_error" "$command_text"
}

# ---- MSS clamping -----------------------------------------------------------------------------------------------

# The largest segment of what a tunnel's interface carries: less the headers of IP and TCP. Sets mss.
find_mss() { # family
  if [ "$1" = 4 ]; then mss=$((mtu - 40)); else mss=$((mtu - 60)); fi
}

# A name of nft(8) has no colon; nor has an interface of Linux.
nft_table() { # IF
  echo "sixlink_$1"
}

# Of the answer to `nft list tables`.
has_nft_table() { # IF
  case "
$query_output
" in
    *"
table inet $(nft_table "$1")
"*) ;;
    *) return 1 ;;
  esac
}

# Out of the tunnel's interface the route's MTU counts, which may be lower than the interface's; into it the latter.
# The kernel lowers an MSS only. Forwarded connections and the host's own: another interface's MTU may be in them too.
clamp_mss() { # family
  find_mss "$1"
  if ! is_dry_run || query nft list tables; then
    clamp_with_nft "$1" && return 0
  fi
  tables=iptables
  if [ "$1" = 6 ]; then tables=ip6tables; fi
  if query "$tables" -w -t mangle -S; then
    clamp_with_iptables "$1" && return 0
  fi
  note "warning: neither nft nor $tables can clamp the MSS of TCP connections through $interface: where packet-too-big messages are lost, some will hang"
}

clamp_with_nft() { # family
  table=$(nft_table "$interface")
  protocol="meta nfproto ipv$1"
  syn="tcp flags syn tcp option maxseg size"
  rules="add table inet $table; delete table inet $table; add table inet $table;"
  for chain in forward output; do
    rules="$rules add chain inet $table $chain { type filter hook $chain priority -150; };"
    rules="$rules add rule inet $table $chain oifname \"$interface\" $protocol $syn set rt mtu;"
  done
  rules="$rules add chain inet $table input { type filter hook input priority -150; };"
  for chain in forward input; do
    rules="$rules add rule inet $table $chain iifname \"$interface\" $protocol $syn > $mss tcp option maxseg size set $mss;"
  done
  record nft "$interface"
  # In one transaction: all of it or nothing, and the second time anew.
  attempt nft "$rules" && return 0
  is_recorded nft "$interface" && ! { query nft list tables && has_nft_table "$interface"; } && forget nft "$interface"
  return 1
}

# Sets tables and mss_rule.
mss_words() { # family forward-out|forward-in|output|input IF VALUE
  tables=iptables
  if [ "$1" = 6 ]; then tables=ip6tables; fi
  match="-p tcp --tcp-flags SYN,RST SYN -j TCPMSS"
  case $2 in
    forward-out) mss_rule="FORWARD -o $3 $match --clamp-mss-to-pmtu" ;;
    output) mss_rule="OUTPUT -o $3 $match --clamp-mss-to-pmtu" ;;
    forward-in) mss_rule="FORWARD -i $3 $match --set-mss $4" ;;
    input) mss_rule="INPUT -i $3 $match --set-mss $4" ;;
  esac
}

clamp_with_iptables() { # family
  for direction in forward-out output forward-in input; do
    mss_words "$1" "$direction" "$interface" "$mss"
    # shellcheck disable=SC2086  # a list of words, none of them empty
    if ! is_dry_run && query "$tables" -w -t mangle -C $mss_rule; then continue; fi
    record mss "$1" "$direction" "$interface" "$mss"
    # shellcheck disable=SC2086
    attempt "$tables" -w -t mangle -A $mss_rule && continue
    forget mss "$1" "$direction" "$interface" "$mss"
    return 1
  done
}

# ---- the kernel's answers -----------------------------------------------------------------------------------------

# A kernel that has tunnels itself (tunnel4 and tunnel6, with sit, ipip and ip6_tunnel) answers every packet that belongs
# to none of them with port unreachable, also when the daemon's raw socket takes it; a kernel at the other end then tells
# its programs that the host is unreachable. Such answers do not leave this machine.
keep_kernel_quiet() { # OTHER-END|'' mode...
  other_end=$1
  shift
  rules=
  table=$(nft_table "$interface")
  for quiet_mode in "$@"; do
    # What the answer quotes tells which protocol it is about: after 8 bytes of ICMP, byte 9 of IPv4 or 6 of IPv6.
    case $quiet_mode in
      v6v4)
        has_own_tunnels tunnel4 sit0 || continue
        rules="$rules add rule inet $table output ${other_end:+ip daddr $other_end }icmp type destination-unreachable icmp code port-unreachable @th,136,8 41 drop;"
        ;;
      v4v6)
        has_own_tunnels tunnel6 ip6tnl0 || continue
        rules="$rules add rule inet $table output ${other_end:+ip6 daddr $other_end }icmpv6 type destination-unreachable icmpv6 code port-unreachable @th,112,8 4 drop;"
        ;;
    esac
  done
  [ -n "$rules" ] || return 0
  rules="add table inet $table; delete table inet $table; add table inet $table; add chain inet $table output { type filter hook output priority 0; };$rules"
  if query nft list tables; then
    record nft "$interface"
    attempt nft "$rules" && return 0
    is_recorded nft "$interface" && ! { query nft list tables && has_nft_table "$interface"; } && forget nft "$interface"
  fi
  note "warning: nft, which could keep this kernel from answering the tunnel's packets with port unreachable, is not there: kernels at the other end may take the tunnel for broken"
}

# A module that is built in shows by its device.
has_own_tunnels() { # module device
  [ -d "/sys/module/$1" ] || [ -d "/sys/class/net/$2" ]
}

# ---- radvd ----------------------------------------------------------------------------------------------------

need_radvd() {
  is_dry_run || command -v radvd >/dev/null 2>&1 ||
    give_up "router mode needs the program radvd, which is not installed: install the package radvd"
}

# Sets pids to the processes of the radvd that runs with a configuration file of ours: what a process is called and
# what it was called with tell, whatever has become of its pid file. A zombie has no arguments.
find_radvd() { # file
  pids=
  set +f
  # shellcheck disable=SC2046  # a list of files
  set -- "$1" $(grep -lx radvd /proc/[0-9]*/comm 2>/dev/null)
  set -f
  file=$1
  shift
  for name in "$@"; do
    name=${name#/proc/}
    name=${name%/comm}
    if { tr '\0' '\n' <"/proc/$name/cmdline"; } 2>/dev/null | grep -qxF -e "$file"; then pids=${pids:+$pids }$name; fi
  done
}

# Ends our radvd, which says goodbye to the home network first. 0 when none runs any more.
stop_radvd() { # directory IF
  find_radvd "$1/radvd-$2.conf"
  [ -n "$pids" ] || return 0
  # The process of the pid file says goodbye, its helper ends with it. Without that file, or where it is another's: all.
  chosen=$(cat "$1/radvd-$2.pid" 2>/dev/null) || chosen=
  case " $pids " in
    *" $chosen "*) [ -n "$chosen" ] || chosen=$pids ;;
    *) chosen=$pids ;;
  esac
  # shellcheck disable=SC2086  # a list
  attempt kill -TERM $chosen || :
  if is_dry_run; then return 0; fi
  wait_for_radvd "$1/radvd-$2.conf" gone && return 0
  # shellcheck disable=SC2086
  attempt kill -KILL $pids || :
  wait_for_radvd "$1/radvd-$2.conf" gone
}

wait_for_radvd() { # file here|gone
  rounds=0
  while [ "$rounds" -lt 30 ]; do
    find_radvd "$1"
    case $2:$pids in
      gone: | here:?*) return 0 ;;
    esac
    # A tenth of a second, where sleep can.
    sleep 0.1 2>/dev/null || sleep 1
    rounds=$((rounds + 1))
  done
  return 1
}

start_radvd() { # text of its configuration
  file=$state_dir/radvd-$interface.conf
  pid_file=$state_dir/radvd-$interface.pid
  if ! is_dry_run; then
    find_radvd "$file"
    if [ -n "$pids" ] && is_recorded radvd "$state_dir" "$interface" && [ "$(cat "$file" 2>/dev/null)" = "$1" ]; then return 0; fi
    record radvd "$state_dir" "$interface"
    stop_radvd "$state_dir" "$interface" ||
      give_up "a radvd of an earlier run does not end: $pids"
  fi
  run_as "write $file" write_text "$file" "$1"
  if is_dry_run || command -v radvd >/dev/null 2>&1; then run radvd --configtest -C "$file" -m stderr; fi
  # As the user that its package made for it, where there is one and we may.
  if id radvd >/dev/null 2>&1; then
    attempt radvd -C "$file" -p "$pid_file" -m stderr_syslog -u radvd && radvd_is_here && return 0
  fi
  run radvd -C "$file" -p "$pid_file" -m stderr_syslog
  radvd_is_here || give_up "radvd ended at once: the system's log has its reason"
}

# It goes into the background before it has its sockets: whether it stays shows a moment later.
radvd_is_here() {
  if is_dry_run; then return 0; fi
  wait_for_radvd "$file" here || return 1
  sleep 0.2 2>/dev/null || sleep 1
  find_radvd "$file"
  [ -n "$pids" ]
}
