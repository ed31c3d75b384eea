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
#   SIXLINK_MTU             inner MTU; default 1280
#   SIXLINK_DEFAULT_ROUTE   backup (default): a default route worse than every native one; yes: better; no: none
#   SIXLINK_OUTER_SERVER    the broker's address outside the tunnel, v4 or v6; default $TSP_SERVER_ADDRESS_IPV4
#
# Exit status: 0 done; 1 a command failed, and everything in the record was undone; 2 the environment is wrong,
# and nothing was done. Errors are lines on stderr that begin with "sixlink: ". A failed command is one line
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

# Runs a function or command that is shown to people as the text. Sets command_status and command_error.
attempt_as() { # text command...
  lib_text=$1
  shift
  command_status=0
  command_error=
  if is_dry_run; then
    printf '%s\n' "$lib_text"
    return 0
  fi
  if [ "$lib_verbose" -ge 2 ]; then printf '%s\n' "+ $lib_text"; fi
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
        say "could not undo '$lib_line': command failed (exit $command_status): $lib_text: $command_error"
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
