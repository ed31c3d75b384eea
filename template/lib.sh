#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# What the templates of every OS share: checking the environment, running commands, the record and its undoing.
#
# The contract of a template (a template <os>.sh sources this file)
#
#   sh <os>.sh [--dry-run]        TSP_OPERATION is TSP_TUNNEL_CREATION or TSP_TUNNEL_TEARDOWN
#
# Input comes from the environment only: the TSP_* variables with the meaning they always had (sixlink-tsp.7),
# and ours:
#   SIXLINK_RECORD          path of the record; default /run/sixlink/$TSP_TUNNEL_INTERFACE.record
#   SIXLINK_INTERFACE_KIND  tun: the interface exists, the daemon opened it; it is not created nor deleted here
#                           kernel: the system's own tunnel interface, created and deleted here
#                           none: the tunnel is another machine's, of templates that only describe it
#   SIXLINK_MTU             inner MTU; default 1280
#   SIXLINK_DEFAULT_ROUTE   backup (default): a default route worse than every native one; yes: better; no: none
#   SIXLINK_OUTER_CLIENT    this machine's address outside the tunnel, v4 or v6, as it is before NAT
#   SIXLINK_OUTER_SERVER    the broker's address outside the tunnel, v4 or v6; default $TSP_SERVER_ADDRESS_IPV4
#   SIXLINK_OUTER_CLIENT_PORT, SIXLINK_OUTER_SERVER_PORT  the UDP ports, for a kernel that does v6udpv4 itself
#   SIXLINK_HOME_INTERFACES interfaces that get a part of the delegated prefix, blank between; default
#                           $TSP_HOME_INTERFACE
#   SIXLINK_DNS_SERVERS     DNS servers for the home network, blank between; default $TSP_CLIENT_DNS_ADDRESS_IPV6
#   SIXLINK_STATE_DIR       where the template may keep files of its own; default /run/sixlink
#   SIXLINK_MSS_CLAMP       yes: the template clamps the MSS of the TCP connections through the tunnel; no (default)
#   SIXLINK_PREFIX_V4, SIXLINK_SERVER_V4  host type broker: its IPv4 prefix for clients (a.b.c.d/len) and its own
#                           address, where it serves v4v6; may be empty
#   SIXLINK_ALLOWED         mode wireguard: what the broker carries, prefixes, blank between; default ::/0
#   SIXLINK_REFRESH         yes: the tunnel stands and the network around it has changed. Nothing but the way to the broker
#                           is seen to, and where there is none but the tunnel itself, that is no failure
#   SIXLINK_WIREGUARD_CONF  mode wireguard, kind kernel: a file for `wg setconf`. It holds a private key: it is read by wg
#                           alone, and the daemon removes it afterwards
#   SIXLINK_WIREGUARD_ROUTES  the same of host type broker: a file with its clients' prefixes, one a line. Creating the tunnel
#                           again takes over what has changed in the two files
# In mode wireguard all TSP_* addresses are inner ones, and those of IPv4 may be empty.
# In mode v4v6 the TSP_*_IPV6 addresses are the outer ones, the TSP_*_IPV4 addresses and TSP_PREFIX the inner ones.
#
# Exit status: 0 done; 1 a command failed, and everything in the record was undone; 2 the environment is wrong,
# and nothing was done; 3 kind kernel, and this system has no such tunnel interface: everything in the record was
# undone. Errors are lines on stderr that begin with "sixlink: ". A failed command is one line
#   sixlink: command failed (exit N): <the command>: <its error>
# and at most one more that says what to do. TSP_VERBOSE=2 prints each command on stdout before it runs, 3 the
# queries too. --dry-run prints the commands that would run, one a line, and changes nothing.
#
# The record is the undo log. Each line is appended BEFORE its command runs, so that whatever kills us leaves at
# most one line too many, never one too few; undoing therefore accepts "never done" and "already gone". Lines are
# undone last first. What existed before is neither recorded nor removed. A line is data, never shell text:
#   <kind> <field>... .       fields of [A-Za-z0-9_.:/-]; a line without the final dot was cut off: ignored
# The kinds belong to the OS template, which gives the meaning by defining
#   undo_line <kind> <field>...   undo this; 0: done, or nothing to do; 1: failed; 2: not a line of ours
#
# Every sh will do: no local, no arrays, no arithmetic above 31 bits (mksh). Variables set here begin with lib_,
# except the answers documented at each function.

lib_dry_run=
lib_record=
lib_verbose=0

# ---- errors -------------------------------------------------------------------------------------------------

# One line, whatever is in the text: it may come from a hostile variable or a chatty command.
lib_one_line() {
  printf '%s' "$1" | tr -s '[:cntrl:]' ' ' | sed 's/^ *//; s/ *$//'
}

say() {
  printf 'sixlink: %s\n' "$(lib_one_line "$1")" >&2
}

# The environment is wrong: nothing was done yet.
refuse() {
  say "$1"
  exit 2
}

# ---- checking values: each takes the variable's name and its value -----------------------------------------------

lib_refuse_value() {
  if [ -z "$2" ]; then refuse "$1 is not set: it must be $3"; fi
  refuse "$1 must be $3, not '$2'"
}

is_interface() {
  case $1 in
    '' | . | .. | -* | *[!A-Za-z0-9_.:-]* | ????????????????*) return 1 ;;
  esac
}

# A number without leading zeros, of at most nine digits: what every shell can compare.
is_number() {
  case $1 in
    '' | *[!0-9]* | 0?* | ??????????*) return 1 ;;
  esac
}

is_number_between() {
  is_number "$1" && [ "$1" -ge "$2" ] && [ "$1" -le "$3" ]
}

is_ipv4() {
  case $1 in
    '' | *[!0-9.]* | .* | *. | *..* | *.*.*.*.*) return 1 ;;
    *.*.*.*) ;;
    *) return 1 ;;
  esac
  lib_rest=$1.
  while [ -n "$lib_rest" ]; do
    is_number_between "${lib_rest%%.*}" 0 255 || return 1
    lib_rest=${lib_rest#*.}
  done
}

# The character set and the shape; the command that gets the address knows the rest.
is_ipv6() {
  case $1 in
    *[!0-9A-Fa-f:.]* | *:::* | *::*::* | *[0-9A-Fa-f][0-9A-Fa-f][0-9A-Fa-f][0-9A-Fa-f][0-9A-Fa-f]*) return 1 ;;
    *:*:*) [ "${#1}" -le 45 ] ;;
    *) return 1 ;;
  esac
}

check_interface() {
  is_interface "$2" || lib_refuse_value "$1" "$2" "an interface name of 1 to 15 letters, digits and _.:-"
}

check_number() { # name value lowest highest
  is_number_between "$2" "$3" "$4" || lib_refuse_value "$1" "$2" "a number from $3 to $4"
}

check_ipv4() {
  is_ipv4 "$2" || lib_refuse_value "$1" "$2" "an IPv4 address"
}

check_ipv6() {
  is_ipv6 "$2" || lib_refuse_value "$1" "$2" "an IPv6 address"
}

check_address() { # name value
  is_ipv4 "$2" || is_ipv6 "$2" || lib_refuse_value "$1" "$2" "an IPv4 or IPv6 address"
}

check_one_of() { # name value "word, word"
  case ", $3, " in
    *", $2, "*) [ -n "$2" ] || lib_refuse_value "$1" "$2" "one of $3" ;;
    *) lib_refuse_value "$1" "$2" "one of $3" ;;
  esac
}

# Sets prefix_address to a whole address: TSP_PREFIX carries only the groups that its length covers.
check_prefix() { # name value
  case $2 in
    *::*) prefix_address=$2 ;;
    *:*:*:*:*:*:*:*) prefix_address=$2 ;;
    *) prefix_address=$2:: ;;
  esac
  case $2 in
    '' | :[!:]* | : | *.*) lib_refuse_value "$1" "$2" "the leading groups of an IPv6 prefix" ;;
  esac
  is_ipv6 "$prefix_address" || lib_refuse_value "$1" "$2" "the leading groups of an IPv6 prefix"
}

# Sets prefix_v4_address and prefix_v4_length; bits behind the length are cut off.
check_prefix_v4() { # name ADDRESS/LENGTH
  if is_ipv4 "${2%/*}" && is_number_between "${2##*/}" 0 32; then :; else
    lib_refuse_value "$1" "$2" "an IPv4 prefix"
  fi
  # shellcheck disable=SC2034  # the caller's answer
  prefix_v4_length=${2##*/}
  cut_ipv4 "${2%/*}" "${2##*/}"
  # shellcheck disable=SC2034
  prefix_v4_address=$answer
}

# SIXLINK_STATE_DIR, whose name goes into the record. Sets state_dir.
check_state_dir() {
  state_dir=${SIXLINK_STATE_DIR:-/run/sixlink}
  is_directory_name "$state_dir" ||
    lib_refuse_value SIXLINK_STATE_DIR "$state_dir" "the absolute path of a directory, of letters, digits and _.:/-"
}

is_directory_name() {
  case $1 in
    /*[!/]) ;;
    *) return 1 ;;
  esac
  case $1/ in
    *[!A-Za-z0-9_.:/-]* | */../* | *//*) return 1 ;;
  esac
}

# ---- routers: the home network --------------------------------------------------------------------------------

# Sets home_interfaces, each a proper name and there once, and home_count.
check_home_interfaces() {
  home_interfaces=''
  home_count=0
  # shellcheck disable=SC2086  # a list
  set -- ${SIXLINK_HOME_INTERFACES:-${TSP_HOME_INTERFACE-}}
  [ $# -gt 0 ] || refuse "router mode needs the interface of the home network: set if_prefix (SIXLINK_HOME_INTERFACES is empty)"
  for lib_home in "$@"; do
    check_interface SIXLINK_HOME_INTERFACES "$lib_home"
    case " $home_interfaces " in
      *" $lib_home "*) refuse "SIXLINK_HOME_INTERFACES (if_prefix) names $lib_home twice" ;;
    esac
    [ "$lib_home" != "${TSP_TUNNEL_INTERFACE-}" ] ||
      refuse "SIXLINK_HOME_INTERFACES (if_prefix) names the tunnel's own interface, $lib_home"
    home_interfaces=${home_interfaces:+$home_interfaces }$lib_home
    home_count=$((home_count + 1))
  done
}

# That every home interface gets a network of 64 bits; nth_network answers afterwards. After check_prefix.
check_home_networks() {
  [ -n "${TSP_PREFIX-}" ] || refuse "router mode needs a prefix, but the broker delegated none: TSP_PREFIX is empty"
  check_number TSP_PREFIXLEN "${TSP_PREFIXLEN-}" 0 128
  [ "$TSP_PREFIXLEN" -le 64 ] || refuse "TSP_PREFIXLEN is $TSP_PREFIXLEN: a home network needs a prefix of 64 bits or fewer"
  split_prefix "$prefix_address" "$TSP_PREFIXLEN"
  if [ "$TSP_PREFIXLEN" -gt 48 ] && [ "$home_count" -gt $((1 << (64 - TSP_PREFIXLEN))) ]; then
    refuse "SIXLINK_HOME_INTERFACES (if_prefix) names $home_count interfaces, but a /$TSP_PREFIXLEN has $((1 << (64 - TSP_PREFIXLEN))) networks of 64 bits"
  fi
}

# Sets group_1 to group_4, the first 64 bits of an IPv6 prefix as numbers; bits behind the length are cut off.
split_prefix() { # ADDRESS LENGTH
  lib_length=$2 lib_head=${1%%::*} lib_tail=
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
  lib_all=$*
  while [ "$lib_groups" -lt 8 ]; do
    lib_all=${lib_all:+$lib_all:}0
    lib_groups=$((lib_groups + 1))
  done
  # shellcheck disable=SC2086
  set -- $lib_all${lib_tail:+:$lib_tail}
  unset IFS
  lib_cut_group "$1" "$lib_length"
  group_1=$answer
  lib_cut_group "$2" $((lib_length - 16))
  group_2=$answer
  lib_cut_group "$3" $((lib_length - 32))
  group_3=$answer
  lib_cut_group "$4" $((lib_length - 48))
  group_4=$answer
}

lib_cut_group() { # hexadecimal digits, how many of its bits count (less than 0: none, more than 16: all)
  answer=0
  if [ "$2" -ge 16 ]; then
    answer=$((0x${1:-0}))
  elif [ "$2" -gt 0 ]; then
    answer=$((0x${1:-0} & (65536 - (1 << (16 - $2)))))
  fi
}

# Sets network to the leading groups of the n-th network of 64 bits, from 0: 2001:db8:aa:bb01, so that $network::1
# is an address in it.
nth_network() { # n
  lib_4=$((group_4 + $1)) lib_3=$group_3 lib_2=$group_2
  lib_3=$((lib_3 + lib_4 / 65536)) lib_4=$((lib_4 % 65536))
  lib_2=$((lib_2 + lib_3 / 65536)) lib_3=$((lib_3 % 65536))
  # shellcheck disable=SC2034  # the caller's answer
  network=$(printf '%x:%x:%x:%x' "$group_1" "$lib_2" "$lib_3" "$lib_4")
}

# Sets answer to an IPv4 address without the bits behind the length.
cut_ipv4() { # ADDRESS LENGTH
  lib_rest=$1. lib_length=$2 answer=
  while [ -n "$lib_rest" ]; do
    lib_byte=${lib_rest%%.*}
    lib_rest=${lib_rest#*.}
    if [ "$lib_length" -le 0 ]; then
      lib_byte=0
    elif [ "$lib_length" -lt 8 ]; then
      lib_byte=$((lib_byte & (256 - (1 << (8 - lib_length)))))
    fi
    lib_length=$((lib_length - 8))
    answer=${answer:+$answer.}$lib_byte
  done
}

# Sets answer to the first address of an IPv4 prefix that a machine can have: of a /31 and a /32 the address itself.
first_ipv4() { # ADDRESS LENGTH
  cut_ipv4 "$1" "$2"
  if [ "$2" -le 30 ]; then answer=${answer%.*}.$((${answer##*.} + 1)); fi
}

# Sets dns_servers_v6 and dns_servers_v4.
check_dns_servers() {
  dns_servers_v6='' dns_servers_v4=''
  for lib_server in ${SIXLINK_DNS_SERVERS:-${TSP_CLIENT_DNS_ADDRESS_IPV6-}}; do
    check_address SIXLINK_DNS_SERVERS "$lib_server"
    if is_ipv4 "$lib_server"; then
      dns_servers_v4=${dns_servers_v4:+$dns_servers_v4 }$lib_server
    else
      dns_servers_v6=${dns_servers_v6:+$dns_servers_v6 }$lib_server
    fi
  done
}

# One interface's part of radvd.conf(5).
#
# Lifetimes are those that RFC 9096 recommends for a prefix that may change: 45 and 90 minutes. A router that goes
# without a goodbye is forgotten after 10 minutes. At the end radvd says goodbye: hosts drop the router and the DNS
# servers, and no longer prefer addresses of the prefix.
# With default_route=backup the preference (RFC 4191) is low: any other router is better. With default_route=no hosts
# get addresses but no default router: what is sent to it would have no way out.
radvd_config() { # interface, prefix, AdvLinkMTU or nothing, backup|yes|no, DNS servers
  printf 'interface %s {\n' "$1"
  printf '  AdvSendAdvert on;\n  MaxRtrAdvInterval 200;\n'
  case $4 in
    no) printf '  AdvDefaultLifetime 0;\n' ;;
    backup) printf '  AdvDefaultLifetime 600;\n  AdvDefaultPreference low;\n' ;;
    *) printf '  AdvDefaultLifetime 600;\n' ;;
  esac
  [ -z "$3" ] || printf '  AdvLinkMTU %s;\n' "$3"
  printf '  prefix %s {\n    AdvValidLifetime 5400;\n    AdvPreferredLifetime 2700;\n    DeprecatePrefix on;\n  };\n' "$2"
  # Old versions of radvd take three servers at most.
  # shellcheck disable=SC2086  # a list
  set -- $5
  lib_servers="${1-} ${2-} ${3-}"
  # shellcheck disable=SC2086
  set -- $lib_servers
  [ $# -eq 0 ] || printf '  RDNSS %s {\n  };\n' "$*"
  printf '};\n'
}

# A file of ours, in one piece or not at all.
write_text() { # path text
  case $1 in
    */*/*) [ -d "${1%/*}" ] || mkdir -p "${1%/*}" || return ;;
  esac
  rm -f "$1.new" && printf '%s\n' "$2" >"$1.new" && chmod 644 "$1.new" && mv -f "$1.new" "$1"
}

# ---- start ----------------------------------------------------------------------------------------------------

# Reads the arguments and the variables that every template uses.
start_template() {
  for lib_argument in "$@"; do
    case $lib_argument in
      --dry-run) lib_dry_run=yes ;;
      *) refuse "unknown argument '$lib_argument': the only one is --dry-run, all else is in the environment" ;;
    esac
  done
  lib_verbose=${TSP_VERBOSE:-0}
  check_number TSP_VERBOSE "$lib_verbose" 0 9
  check_one_of TSP_OPERATION "${TSP_OPERATION-}" "TSP_TUNNEL_CREATION, TSP_TUNNEL_TEARDOWN"
  lib_record=${SIXLINK_RECORD-}
  if [ -z "$lib_record" ]; then
    check_interface TSP_TUNNEL_INTERFACE "${TSP_TUNNEL_INTERFACE-}"
    lib_record=/run/sixlink/$TSP_TUNNEL_INTERFACE.record
  fi
  case $lib_record in
    *[[:cntrl:]]* | */) refuse "SIXLINK_RECORD must be the path of a file, not '$lib_record'" ;;
    /*) ;;
    *) refuse "SIXLINK_RECORD must be an absolute path, not '$lib_record'" ;;
  esac
  # Someone's trap: what is appended would go to another file.
  if [ -L "$lib_record" ]; then refuse "SIXLINK_RECORD $lib_record is a symbolic link"; fi
}

is_dry_run() {
  [ -n "$lib_dry_run" ]
}

# ---- running commands -----------------------------------------------------------------------------------------

# Runs a function or command that is shown to people as the text. Sets command_text, command_status and command_error.
attempt_as() { # text command...
  command_text=$1
  shift
  command_status=0
  command_error=
  if is_dry_run; then
    printf '%s\n' "$command_text"
    return 0
  fi
  if [ "$lib_verbose" -ge 2 ]; then printf '%s\n' "+ $command_text"; fi
  command_error=$("$@" 2>&1 >/dev/null) && return 0
  command_status=$?
  return 1
}

attempt() { # command...
  attempt_as "$*" "$@"
}

run_as() { # text command...
  attempt_as "$@" || command_failed "$command_status" "$command_error" "$1"
}

run() { # command...
  run_as "$*" "$@"
}

# Runs a command that only looks. Sets query_output (the error, where it failed) and query_status.
query() { # command...
  if [ "$lib_verbose" -ge 3 ] && ! is_dry_run; then printf '%s\n' "? $*"; fi
  query_status=0
  query_output=$("$@" 2>&1) && return 0
  query_status=$?
  return 1
}

# The same, for an answer that is needed. A dry run goes on without: what it asks about may not exist yet.
must_query() { # command...
  query "$@" && return 0
  if is_dry_run; then
    query_output=
    return 0
  fi
  command_failed "$query_status" "$query_output" "$*"
}

# Undoes everything, reports and ends.
command_failed() { # status error text
  lib_hint=$(lib_what_to_do "$1" "$2")
  if ! undo_record >/dev/null 2>&1; then
    lib_hint="not everything could be undone: what is left is in $lib_record; run the teardown again"
  fi
  say "command failed (exit $1): $3: $2"
  if [ -n "$lib_hint" ]; then say "$lib_hint"; fi
  exit 1
}

# Something other than a command is in the way: undoes everything, reports and ends.
give_up() { # text
  if ! undo_record >/dev/null 2>&1; then
    say "$1; not everything could be undone: what is left is in $lib_record"
  else
    say "$1"
  fi
  exit 1
}

# Kind kernel, and the system has no such thing: undoes everything, says so and ends. The daemon takes its own way.
unsupported() { # text
  if ! undo_record >/dev/null 2>&1; then
    say "$1; not everything could be undone: what is left is in $lib_record"
    exit 1
  fi
  say "$1"
  exit 3
}

# For people, not an error: to stdout, as the commands of TSP_VERBOSE=2.
note() {
  printf 'sixlink: %s\n' "$(lib_one_line "$1")"
}

lib_what_to_do() { # status error
  case $1:$2 in
    *"not permitted"* | *"ermission denied"*) echo "this needs root, or the capability CAP_NET_ADMIN" ;;
    *"ead-only file system"*) echo "this container's /proc/sys cannot be written: set the value on its host" ;;
    *"File exists"*) echo "another program has made the same route or address: remove it, or set default_route=no" ;;
    *"Cannot find device"* | *"does not exist"*) echo "the interface is gone: has the daemon ended?" ;;
    *"o space left"*) echo "make room in the file system of $lib_record" ;;
    127:*) echo "install the program that was not found" ;;
  esac
}

# First word after the word that is looked for, in a line of output. Sets answer, empty where there is none.
word_after() { # word line
  lib_wanted=$1
  lib_previous=
  # shellcheck disable=SC2034  # the caller's answer
  answer=
  # shellcheck disable=SC2086  # split into words; set -f keeps them from being patterns
  set -- $2
  for lib_word in "$@"; do
    if [ "$lib_previous" = "$lib_wanted" ]; then
      # shellcheck disable=SC2034
      answer=$lib_word
      return 0
    fi
    lib_previous=$lib_word
  done
  return 1
}

# ---- the record -----------------------------------------------------------------------------------------------

has_record() {
  [ -e "$lib_record" ]
}

is_recorded() { # kind field...
  has_record && grep -qxF -- "$* ." "$lib_record"
}

lib_append() {
  case $lib_record in
    */*/*) [ -d "${lib_record%/*}" ] || mkdir -p "${lib_record%/*}" || return ;;
  esac
  # A line that was cut off must not swallow this one.
  if [ -s "$lib_record" ] && [ -n "$(tail -c 1 "$lib_record")" ]; then
    printf '\n' >>"$lib_record" || return
  fi
  printf '%s .\n' "$*" >>"$lib_record"
}

# To be called before the command that it tells how to undo. A line is recorded once.
record() { # kind field...
  if is_dry_run || is_recorded "$@"; then return 0; fi
  lib_error=$(lib_append "$@" 2>&1) || command_failed $? "$lib_error" "write $lib_record"
}

# To be called after the command of a line failed for certain: what it would undo is not ours.
forget() { # kind field...
  if is_dry_run || ! is_recorded "$@"; then return 0; fi
  lib_error=$(lib_remove "$@" 2>&1) || command_failed $? "$lib_error" "write $lib_record"
}

lib_remove() {
  # grep's status 1: no other line.
  grep -vxF -- "$* ." "$lib_record" >"$lib_record.new" || [ $? -eq 1 ] || return
  if [ -s "$lib_record.new" ]; then mv -f "$lib_record.new" "$lib_record"; else rm -f "$lib_record.new" "$lib_record"; fi
}

# Undoes the lines of the record, last first, and removes it. Lines that could not be undone stay in it: returns 1.
undo_record() {
  has_record || return 0
  if [ ! -r "$lib_record" ]; then
    say "cannot read $lib_record: this needs root"
    return 1
  fi
  lib_reversed=
  while read -r lib_line || [ -n "$lib_line" ]; do
    case $lib_line in
      *[!A-Za-z0-9_.:/\ -]*) say "$lib_record: ignored a line that is not ours: $lib_line" ;;
      *' .') lib_reversed="${lib_line% .}
$lib_reversed" ;;
    esac
  done <"$lib_record"
  lib_left=
  while read -r lib_line; do
    [ -n "$lib_line" ] || continue
    lib_undone=0
    # shellcheck disable=SC2086  # fields hold no blanks; set -f keeps them from being patterns
    undo_line $lib_line || lib_undone=$?
    case $lib_undone in
      0) ;;
      1)
        say "could not undo '$lib_line': command failed (exit $command_status): $command_text: $command_error"
        lib_left="$lib_line .
$lib_left"
        ;;
      *) say "$lib_record: ignored a line that is not ours: $lib_line" ;;
    esac
  done <<END
$lib_reversed
END
  if is_dry_run; then return 0; fi
  if [ -n "$lib_left" ]; then
    printf '%s' "$lib_left" >"$lib_record.new" && mv -f "$lib_record.new" "$lib_record"
    return 1
  fi
  rm -f "$lib_record"
}
