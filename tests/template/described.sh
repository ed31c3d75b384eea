#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# For the tests of the templates that only describe: cisco.sh and checktunnel.sh. A test sources this file, defines
# functions case_NAME, and ends with `run_cases "$@"`; each case runs under every shell, $shell, with a directory $work.

set -u
export LC_ALL=C
PATH=$PATH:/usr/sbin:/sbin
root=$(realpath "$(dirname "$0")/../..")
shells=(dash bash "busybox sh" mksh ksh)

environment() {
  export TSP_OPERATION=TSP_TUNNEL_CREATION TSP_VERBOSE=0 TSP_HOME_DIR=/nonexistent TSP_TUNNEL_MODE=v6v4
  export TSP_HOST_TYPE=host TSP_TUNNEL_INTERFACE=sit1 SIXLINK_INTERFACE_KIND=none
  export TSP_CLIENT_ADDRESS_IPV4=192.0.2.10 TSP_CLIENT_ADDRESS_IPV6=2001:db8:f:f::2
  export TSP_SERVER_ADDRESS_IPV4=198.51.100.1 TSP_SERVER_ADDRESS_IPV6=2001:db8:f:f::1 TSP_TUNNEL_PREFIXLEN=128
  export SIXLINK_STATE_DIR=$work/state SIXLINK_RECORD=$work/run/sit1.record SIXLINK_MTU=1280
  unset TSP_PREFIX TSP_PREFIXLEN TSP_HOME_INTERFACE SIXLINK_HOME_INTERFACES SIXLINK_DNS_SERVERS SIXLINK_DEFAULT_ROUTE \
    SIXLINK_MSS_CLAMP SIXLINK_OUTER_SERVER
  # This machine's: the tunnel's end is the other's, which is in TSP_CLIENT_ADDRESS_*.
  export SIXLINK_OUTER_CLIENT=192.0.2.99
}

ipv4_environment() {
  environment
  export TSP_TUNNEL_MODE=v4v6 TSP_CLIENT_ADDRESS_IPV6=2001:db8:1::10 TSP_SERVER_ADDRESS_IPV6=2001:db8:99::1
  export SIXLINK_OUTER_CLIENT=2001:db8:1::99
  export TSP_CLIENT_ADDRESS_IPV4=203.0.113.2 TSP_SERVER_ADDRESS_IPV4=203.0.113.1 TSP_TUNNEL_PREFIXLEN=32
}

run() { # the template's arguments
  status=0
  # shellcheck disable=SC2086  # "busybox sh" is two words
  $shell "$root/template/$template.sh" "$@" >"$work/out" 2>"$work/err" || status=$?
}

fail() {
  echo "$1" >>"$work/reason"
  exit 1
}

expect_status() {
  [ "$status" -eq "$1" ] || fail "exit status $status instead of $1 ($2): $(cat "$work/err")"
}

expect_output() { # what expected
  diff <(echo "$2") "$work/out" >"$work/diff" || {
    cat "$work/diff" >&2
    fail "$1: $(grep '^[<>]' "$work/diff" | head -n 3 | tr '\n' ' ')"
  }
}

expect_error() { # text
  grep -qF -- "$1" "$work/err" || fail "stderr does not say '$1': $(cat "$work/err")"
}

run_cases() {
  local name
  template=$1
  for shell in "${shells[@]}"; do
    # shellcheck disable=SC2086
    if ! $shell -c : 2>/dev/null; then
      echo "SKIP $template.sh ($shell): ${shell%% *} is not installed"
      continue
    fi
    while read -r name; do
      work=$(mktemp -d)
      if ("case_$name"); then
        echo "PASS $name ($shell)"
      else
        echo "FAIL $name ($shell): $(tr -s '[:cntrl:]' ' ' <"$work/reason" 2>/dev/null || echo "ended early")"
      fi
      rm -rf "$work"
    done < <(sed -n 's/^case_\([a-z_0-9]*\)() {$/\1/p' "$0")
  done
}
