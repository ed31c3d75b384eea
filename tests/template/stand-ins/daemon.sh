#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The end of a daemon's stand-in: a process that has the daemon's arguments and waits for its end. In the foreground
# with -d; else in the background, its process ID in the file that -p names.

daemon_in_foreground=
daemon_pidfile=
while [ $# -gt 0 ]; do
  case $1 in
    -d) daemon_in_foreground=yes ;;
    -n) exit 0 ;;
    -p)
      daemon_pidfile=$2
      shift
      ;;
  esac
  shift
done

# A shell that waits hears a signal at once; one whose child it waits for does not.
idle() {
  trap 'kill "$daemon_sleep"; exit 0' TERM INT
  sleep 600 &
  daemon_sleep=$!
  wait "$daemon_sleep"
}

if [ -n "$daemon_in_foreground" ]; then
  idle
else
  # A shell of its own: dash would keep copies of what a function's redirections replace, and our caller waits for those.
  (idle) </dev/null >/dev/null 2>&1 &
  [ -z "$daemon_pidfile" ] || echo "$!" >"$daemon_pidfile"
fi
