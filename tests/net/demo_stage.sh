# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# What demos have in common: how commands are shown, how they begin and end. Sourced after lib.sh.

# shellcheck disable=SC2034,SC2317 # REASON is set by the demos; finish() is called by the trap
DEMO=  # the make target; the last line tells what became of it
REASON=

heading() { printf '\n== %s\n\n' "$1"; }

# show HOST COMMAND...: prints the command as one would type it on that host, and what it says.
show() {
  local host=$1
  shift
  typed "$host" "$*"
  ns_hosts "$host" "$@" 2>&1 | sed 's/^/    /'
  return "${PIPESTATUS[0]}"
}
typed() {
  local text=${2//$ROOT\//}
  printf '  %s# %s\n' "$1" "${text//$TEMP/\$DEMO}"
}

give_up() {
  REASON=$1
  exit 1
}

finish() {
  local status=$?
  trap - EXIT INT TERM
  if [ "$status" != 0 ] && [ -d "$TEMP" ]; then show_logs; fi
  remove_everything
  if [ "$status" = 0 ]; then
    echo "$DEMO: OK $REASON"
  else
    echo "$DEMO: FAILED ${REASON:-interrupted}"
  fi
  exit "$status"
}

# begin_demo MISSING HINT [ARGUMENT...]: as root of this machine or of a user namespace, with a temporary directory; ends where something
# is missing, with the hint what to do about it.
begin_demo() {
  local missing=$1 hint=$2
  shift 2
  if [ -n "$missing" ]; then
    echo "$hint"
    echo "$DEMO: FAILED $missing"
    exit 1
  fi
  if [ ! -x "$SIXLINK" ] || [ ! -x "$REGISTRY" ]; then
    echo "$DEMO: FAILED $SIXLINK or $REGISTRY is missing: run 'make $DEMO'"
    exit 1
  fi
  become_root "$@"
  TEMP=$(mktemp -d "${TMPDIR:-/tmp}/sixlink-demo.XXXXXX") || exit 1
  trap finish EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM
}
