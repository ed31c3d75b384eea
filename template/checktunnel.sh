#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Changes nothing: reports what the tunnel's parameters are, and what the template of this system would do with them.
# lib.sh has the contract, of which this takes the environment. The exit status is that of the system's template: 0, or
# 2 where it would refuse the environment. Where the tunnel is another machine's (kind none) the report is of the
# system's own tunnel interface (kind kernel).

set -uf
LC_ALL=C
export LC_ALL
PATH=${PATH:-}:/usr/sbin:/sbin:/usr/bin:/bin
export PATH
unset IFS

case $0 in
  */*) here=${0%/*} ;;
  *) here=. ;;
esac
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$here/lib.sh"

# A line of the summary; nothing for what is not set.
tell() { # name value
  [ -z "$2" ] || printf '%-17s %s\n' "$1:" "$(lib_one_line "$2")"
}

# Sets system to the name of this system's template.
find_system() {
  system=$(uname -s)
  case $system in
    Linux)
      system=linux
      if [ -e /etc/openwrt_release ] && [ -e "$here/openwrt.sh" ]; then system=openwrt; fi
      ;;
    FreeBSD | DragonFly) system=freebsd ;;
    NetBSD) system=netbsd ;;
    OpenBSD) system=openbsd ;;
    Darwin) system=darwin ;;
    SunOS) system=sunos ;;
  esac
  [ -r "$here/$system.sh" ] || refuse "there is no template for this system: $here/$system.sh"
}

ends_of() { # address address
  [ -z "$1$2" ] || echo "${1:-unknown} - ${2:-unknown}"
}

# TSP_PREFIX has only the groups that its length covers.
whole_prefix() { # text
  case $1 in
    *::* | *:*:*:*:*:*:*:*) echo "$1" ;;
    *) echo "$1::" ;;
  esac
}

summary() {
  tell "Operation" "$TSP_OPERATION"
  tell "Tunnel mode" "${TSP_TUNNEL_MODE-}"
  tell "Host type" "${TSP_HOST_TYPE-}"
  tell "Interface" "${TSP_TUNNEL_INTERFACE-}"
  tell "Interface kind" "$report_kind"
  if [ "${TSP_TUNNEL_MODE-}" = v4v6 ]; then
    tell "Outer addresses" "$(ends_of "${SIXLINK_OUTER_CLIENT:-${TSP_CLIENT_ADDRESS_IPV6-}}" "${SIXLINK_OUTER_SERVER:-${TSP_SERVER_ADDRESS_IPV6-}}")"
    tell "Inner addresses" "$(ends_of "${TSP_CLIENT_ADDRESS_IPV4-}/${TSP_TUNNEL_PREFIXLEN-}" "${TSP_SERVER_ADDRESS_IPV4-}")"
    tell "Prefix" "${TSP_PREFIX:+$TSP_PREFIX/${TSP_PREFIXLEN-}}"
  else
    tell "Outer addresses" "$(ends_of "${SIXLINK_OUTER_CLIENT:-${TSP_CLIENT_ADDRESS_IPV4-}}" "${SIXLINK_OUTER_SERVER:-${TSP_SERVER_ADDRESS_IPV4-}}")"
    tell "Inner addresses" "$(ends_of "${TSP_CLIENT_ADDRESS_IPV6-}/${TSP_TUNNEL_PREFIXLEN-}" "${TSP_SERVER_ADDRESS_IPV6-}")"
    tell "Prefix" "${TSP_PREFIX:+$(whole_prefix "$TSP_PREFIX")/${TSP_PREFIXLEN-}}"
  fi
  tell "UDP ports" "${SIXLINK_OUTER_CLIENT_PORT:+$(ends_of "$SIXLINK_OUTER_CLIENT_PORT" "${SIXLINK_OUTER_SERVER_PORT-}")}"
  if [ "${TSP_HOST_TYPE-}" = router ]; then tell "Home interfaces" "${SIXLINK_HOME_INTERFACES:-${TSP_HOME_INTERFACE-}}"; fi
  tell "MTU" "${SIXLINK_MTU:-1280}"
  tell "DNS servers" "${SIXLINK_DNS_SERVERS:-${TSP_CLIENT_DNS_ADDRESS_IPV6-}}"
  tell "Name" "${TSP_CLIENT_DNS_NAME-}"
  tell "Default route" "${SIXLINK_DEFAULT_ROUTE:-backup}"
  tell "MSS clamping" "${SIXLINK_MSS_CLAMP:-no}"
}

start_template "$@"
find_system
report_kind=${SIXLINK_INTERFACE_KIND:-tun}
if [ "$report_kind" = none ]; then
  report_kind="none (reported as kernel)"
  # It is this machine's; the other machine's end is in TSP_CLIENT_ADDRESS_*.
  SIXLINK_INTERFACE_KIND=kernel SIXLINK_OUTER_CLIENT=''
fi
echo "Nothing is changed. The tunnel:"
summary | sed 's/^/  /'
echo "What $system.sh would run:"

# In a shell of its own, whose answer is shown behind the summary; what it would refuse is part of the report too.
answer=$(SIXLINK_INTERFACE_KIND=${SIXLINK_INTERFACE_KIND:-tun} SIXLINK_OUTER_CLIENT=${SIXLINK_OUTER_CLIENT-} \
  sh "$here/$system.sh" --dry-run 2>&1)
code=$?
if [ -n "$answer" ]; then printf '%s\n' "$answer" | sed 's/^/  /'; else echo "  (nothing)"; fi
[ "$code" -eq 0 ] || printf '%s\n' "$answer" >&2
exit "$code"
