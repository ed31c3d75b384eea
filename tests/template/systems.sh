#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The templates of the systems that cannot be run here, against stand-ins of their commands (stand-ins/common.awk tells
# what those do): the matrix of systems, modes, host types, kinds of interface and shells, one result a cell and case.
#
#   create          the commands are those of expected/<system>/<mode>-<host type>-<kind>.txt, and of --dry-run
#   create twice    the second time nothing changes
#   teardown        the commands are the expected ones; the machine is as it was, daemons have ended, no file is left
#   teardown twice  the second time nothing is done
#   fail            each command of the creation fails once: status 1 and the machine as before, or the creation goes on
#                   without and its teardown leaves the machine as before
#   fail teardown   each command of the teardown fails once: the next teardown does the rest
#
# The failures run in the system's own shell, /bin/sh or its nearest relative, all else in every shell. Questions fail
# too in the cells that ask the most (asks_most), elsewhere only what changes something.
# <system>_test.sh runs one system; for all: bash tests/template/systems.sh; to see what a cell runs: --print SYSTEM CELL

set -u
export LC_ALL=C
PATH=$PATH:/usr/sbin:/sbin
self=$(realpath "$0")
root=$(realpath "$(dirname "$0")/../..")
stand_ins=$root/tests/template/stand-ins
expected=$root/tests/template/expected
export SIXLINK_STAND_INS=$stand_ins
systems=(freebsd netbsd openbsd darwin sunos openwrt)

# The first is the system's /bin/sh or its nearest relative; the others must do as well.
shells_of() {
  case $1 in
    freebsd | netbsd) printf '%s\n' dash mksh bash ;;
    openbsd) printf '%s\n' mksh dash ksh93 ;;
    darwin) printf '%s\n' bash dash mksh ;;
    sunos) printf '%s\n' ksh93 bash dash ;;
    openwrt) printf '%s\n' "busybox ash" dash ;;
  esac
}

commands_of() {
  case $1 in
    freebsd) echo ifconfig route netstat sysctl rtadvd wg ;;
    netbsd | darwin) echo ifconfig route netstat sysctl rtadvd ;;
    openbsd) echo ifconfig route netstat sysctl rad wg ;;
    sunos) echo ifconfig route netstat dladm ipadm svcprop svcs routeadm svcadm ;;
    openwrt) echo ip sysctl uci radvd wg ;;
  esac
}

cells_of() {
  local mode host_type kind
  for mode in v6v4 v4v6; do
    for host_type in host router; do
      for kind in kernel tun; do
        # Its ip has no such tunnel: see exit_3.
        if [ "$1" = openwrt ] && [ "$mode-$kind" = v4v6-kernel ]; then continue; fi
        echo "$mode-$host_type-$kind"
      done
    done
  done
  printf '%s\n' v6udpv4-host-tun v6udpv4-router-tun wireguard-host-tun wireguard-router-tun
  # The others leave it to the program: see exit_3.
  case $1 in
    freebsd | openbsd | openwrt) printf '%s\n' wireguard-host-kernel wireguard-router-kernel ;;
  esac
  case $1 in
    freebsd | netbsd | openbsd) echo broker-broker-tun ;;
  esac
}

family_program() {
  case $1 in
    sunos | openwrt) echo "$1" ;;
    *) echo bsd ;;
  esac
}

# ---- the machine ----------------------------------------------------------------------------------------------------

make_commands() { # system
  local name call
  mkdir -p "$work/bin"
  for name in $(commands_of "$1"); do
    call="awk -f '$stand_ins/common.awk' -f '$stand_ins/$(family_program "$1").awk' -- $1 '$work/machine' $name \"\$@\""
    case $name in
      rtadvd | rad | radvd) printf '#!/bin/sh\n%s || exit\n. %s\n' "$call" "'$stand_ins/daemon.sh'" ;;
      *) printf '#!/bin/sh\nexec %s\n' "$call" ;;
    esac >"$work/bin/$name"
    chmod +x "$work/bin/$name"
  done
}

# The names of this system: native interface, homes, the tunnel's interface of the kind.
names_of() { # system kind mode
  native=em0 homes="em1 em2"
  case $1:$2:$3 in
    freebsd:kernel:wireguard | openbsd:kernel:wireguard) tunnel=wg6 ;;
    freebsd:kernel:* | netbsd:kernel:* | openbsd:kernel:* | darwin:kernel:*) tunnel=gif1 ;;
    darwin:tun:*) tunnel=utun5 ;;
    openwrt:kernel:* | sunos:kernel:*) tunnel=sixlink0 ;;
    *) tunnel=tun0 ;;
  esac
  case $1 in
    darwin) native=en0 homes="en1 en2" ;;
    sunos) native=net0 homes="net1 net2" ;;
    openwrt) native=eth1 homes="br-lan br-guest" ;;
  esac
}

make_machine() { # system cell
  rm -rf "$work/machine" "$work/run"
  mkdir -p "$work/machine"
  "machine_of_$(family_program "$1")" "$1" "$2" >"$work/machine/state"
  : >"$work/machine/calls"
}

machine_of_bsd() { # system cell
  local home
  echo "if lo0 16384 up -"
  echo "if $native 1500 up -"
  if [ "$1" = darwin ]; then echo "if gif0 1280 down -"; fi
  for home in $homes; do echo "if $home 1500 $([ "$home" = "${homes%% *}" ] && echo down || echo up) -"; done
  case $2 in
    *-tun) echo "if $tunnel 1500 down $([ "$1" = freebsd ] && echo ifdisabled || echo -)" ;;
  esac
  case $2 in
    v4v6*) ;;
    *)
      echo "addr $native 4 192.0.2.10 24 -"
      echo "route 4 192.0.2.0/24 - - $native U"
      echo "route 4 default - 192.0.2.1 $native UGS"
      ;;
  esac
  case $2 in
    v6v4*) ;;
    *)
      echo "addr $native 6 2001:db8:1:0:0:0:0:10 64 -"
      echo "route 6 2001:db8:1:0:0:0:0:0/64 - - $native U"
      echo "route 6 default - fe80::1%$native $native UGS"
      ;;
  esac
  echo "sysctl net.inet.ip.forwarding 0"
  echo "sysctl net.inet6.ip6.forwarding 0"
  if [ "$1" = freebsd ]; then echo "sysctl net.inet6.ip6.rfc6204w3 0"; fi
}

machine_of_sunos() { # system cell
  local name
  for name in $native $homes; do printf '%s\n' "link $name phys" "ipif $name 1500 1500"; done
  # One home interface has its own IPv6 already.
  echo "object ${homes##* }/v6 addrconf fe80::7 -"
  case $2 in
    *-tun) echo "tun $tunnel 1500 1500 down4 down6" ;;
  esac
  case $2 in
    v4v6*) ;;
    *)
      echo "route 4 192.0.2.0/24 - - $native U"
      echo "route 4 default - 192.0.2.1 $native UG"
      ;;
  esac
  case $2 in
    v6v4*) ;;
    *)
      echo "route 6 2001:db8:1:0:0:0:0:0/64 - - $native U"
      echo "route 6 default - fe80::1 $native UG"
      ;;
  esac
  printf '%s\n' "prop forwarding ipv4 off" "prop forwarding ipv6 off" 'config_file ""' 'ndpd ""'
}

machine_of_openwrt() { # system cell
  echo "link $native 1500 up - -"
  echo "link ${homes%% *} 1500 down - -"
  echo "link ${homes##* } 1500 up - -"
  echo "route 4 default 0 192.0.2.1 $native"
  case $2 in
    *-tun)
      echo "link $tunnel 1500 down - -"
      printf '%s\n' "sysctl net.ipv6.conf.$tunnel.disable_ipv6 1" "sysctl net.ipv6.conf.$tunnel.accept_ra 1"
      ;;
  esac
  case $2 in
    v6v4*) ;;
    *)
      echo "route 6 2001:db8:1:0:0:0:0:0/64 256 - $native"
      echo "route 6 default 512 fe80::1 $native"
      ;;
  esac
  printf '%s\n' "sysctl net.ipv4.ip_forward 0" "sysctl net.ipv6.conf.all.forwarding 0"
  # odhcpd announces what is on the first home interface; nobody does on the second.
  printf 'uci %s\n' "network.lan.device ${homes%% *}" "network.guest.device ${homes##* }" "dhcp.lan.ra server" \
    "dhcp.guest.ra disabled" "firewall.@zone[1].device $tunnel"
}

set_environment() { # system cell
  export TSP_OPERATION=TSP_TUNNEL_CREATION TSP_VERBOSE=0 TSP_HOME_DIR=/nonexistent
  export TSP_TUNNEL_MODE=${2%%-*} TSP_HOST_TYPE=${2#*-} SIXLINK_INTERFACE_KIND=${2##*-}
  TSP_HOST_TYPE=${TSP_HOST_TYPE%-*}
  names_of "$1" "$SIXLINK_INTERFACE_KIND" "$TSP_TUNNEL_MODE"
  export TSP_TUNNEL_INTERFACE=$tunnel TSP_HOME_INTERFACE=${homes%% *} SIXLINK_HOME_INTERFACES=$homes
  export TSP_CLIENT_ADDRESS_IPV4=192.0.2.10 TSP_SERVER_ADDRESS_IPV4=198.51.100.1
  export TSP_CLIENT_ADDRESS_IPV6=2001:db8:f:f::2 TSP_SERVER_ADDRESS_IPV6=2001:db8:f:f::1
  export TSP_TUNNEL_PREFIXLEN=128 TSP_PREFIX=2001:0db8:00aa:bb00 TSP_PREFIXLEN=56
  export TSP_CLIENT_DNS_ADDRESS_IPV6=2001:db8:53::53 SIXLINK_DNS_SERVERS="2001:db8:53::53 2001:db8:53::54 192.0.2.53"
  export SIXLINK_RECORD=$work/run/$tunnel.record SIXLINK_STATE_DIR=$work/run SIXLINK_MTU=1280
  export SIXLINK_DEFAULT_ROUTE=backup SIXLINK_OUTER_SERVER=198.51.100.1 SIXLINK_OUTER_CLIENT=192.0.2.10
  export SIXLINK_MSS_CLAMP=no SIXLINK_PREFIX_V4='' SIXLINK_SERVER_V4=''
  case $2 in
    v4v6-*)
      TSP_CLIENT_ADDRESS_IPV4=203.0.113.2 TSP_SERVER_ADDRESS_IPV4=203.0.113.1 TSP_TUNNEL_PREFIXLEN=32
      TSP_CLIENT_ADDRESS_IPV6=2001:db8:1::10 TSP_SERVER_ADDRESS_IPV6=2001:db8:99::1
      TSP_PREFIX=203.0.113.8 TSP_PREFIXLEN=29 SIXLINK_HOME_INTERFACES=${homes%% *}
      SIXLINK_OUTER_SERVER=2001:db8:99::1 SIXLINK_OUTER_CLIENT=2001:db8:1::10
      ;;
    # Both families inside; the daemon's file is gone afterwards, and no part of what is compared.
    wireguard-*)
      TSP_CLIENT_ADDRESS_IPV4=203.0.113.2 TSP_SERVER_ADDRESS_IPV4=203.0.113.1
      SIXLINK_OUTER_SERVER=198.51.100.1 SIXLINK_MTU=1420
      export SIXLINK_ALLOWED="::/0 0.0.0.0/0" SIXLINK_WIREGUARD_CONF=$work/sixlink.wireguard.conf
      printf '[Interface]\nPrivateKey = x\n' >"$SIXLINK_WIREGUARD_CONF"
      ;;
    # The broker has to be kept out of its own tunnel.
    v6udpv4-host-*) SIXLINK_DEFAULT_ROUTE=yes SIXLINK_OUTER_SERVER=2001:db8:99::1 SIXLINK_MTU=1400 ;;
    broker-*)
      TSP_TUNNEL_MODE='' TSP_SERVER_ADDRESS_IPV6=2001:db8:42::1 TSP_PREFIX=2001:db8:42 TSP_PREFIXLEN=48
      SIXLINK_PREFIX_V4=203.0.113.0/24 SIXLINK_SERVER_V4=203.0.113.1
      ;;
  esac
}

# ---- running a template -----------------------------------------------------------------------------------------

# Output to $work/out and $work/err, status to $status, the calls that change to $work/done.
template() { # TSP_TUNNEL_... argument...
  status=0
  : >"$work/machine/calls"
  # shellcheck disable=SC2086  # "busybox ash" is two words
  TSP_OPERATION=$1 PATH=$work/bin:$PATH $shell "$root/template/$system.sh" "${@:2}" >"$work/out" 2>"$work/err" || status=$?
  # rad starts in the background: its call is noted when it comes to it.
  if [ "$status" -eq 0 ] && grep -q '^+ rad -n' "$work/machine/calls"; then await_rad; fi
}

await_rad() {
  local tries
  for ((tries = 0; tries < 500; ++tries)); do
    if grep -q '^+ rad -d' "$work/machine/calls"; then return; fi
    sleep 0.01
  done
}

done_calls() {
  sed -n 's/^+ //p' "$work/machine/calls"
}

# What a list has besides calls: files, and processes by their file.
listed_calls() {
  sed -e "s|$work/run|/run/sixlink|g" -e "s|$work/sixlink|/var/lib/sixlink/sixlink|g" -e 's/ &$//' "$1"
}

section() { # file name
  sed -n "/^$2:\$/,/^[a-z]*:\$/p" "$1" | grep -v -e '^[a-z]*:$' -e '^#' -e '^$'
}

machine_state() {
  sort "$work/machine/state"
  if [ -d "$work/run" ]; then (cd "$work/run" && ls); fi
}

problem() {
  reason=$1
  return 1
}

same() { # what expected actual
  [ "$2" = "$3" ] || problem "$1: $(diff <(echo "$2") <(echo "$3") | grep '^[<>]' | head -n 4 | tr '\n' ' ')"
}

is_quiet() {
  [ ! -s "$work/machine/rejected" ] || problem "not documented: $(head -n 1 "$work/machine/rejected")" || return 1
  [ ! -s "$work/err" ] || problem "it complains: $(tr '\n' ' ' <"$work/err")"
}

ends_with() { # status, what
  [ "$status" -eq "$1" ] || problem "$2 ended with $status instead of $1: $(tr '\n' ' ' <"$work/err")"
}

# The processes of the daemons that a template started.
daemon_pids() {
  cat "$work"/run/*.pid 2>/dev/null
}

no_daemons() { # pids
  local pid
  for pid in $1; do
    # By its arguments: one that ended may not have been waited for yet.
    if ps -o args= -p "$pid" | grep -qF -- "$work"; then
      kill "$pid"
      problem "a daemon is still running: process $pid"
      return 1
    fi
  done
}

# Only the calls that are commands of the system are in the record of calls; files and kill are not. What starts in the
# background has no place in the order: it goes to the end.
only_commands() {
  grep -v -e '^write ' -e '^rm ' -e '^kill ' | awk '/^rad -d / { last = last $0 "\n"; next } { print } END { printf "%s", last }'
}

# ---- cases ----------------------------------------------------------------------------------------------------------

case_create() {
  before=$(machine_state)
  template TSP_TUNNEL_CREATION --dry-run
  ends_with 0 "the dry run" && is_quiet || return 1
  same "the dry run" "$(section "$list" create)" "$(listed_calls "$work/out")" || return 1
  same "a dry run changed something" "$before" "$(machine_state)" || return 1
  template TSP_TUNNEL_CREATION
  ends_with 0 create && is_quiet || return 1
  created_calls=$(cat "$work/machine/calls") created_count=$(wc -l <"$work/machine/calls")
  done_calls >"$work/done"
  same "the commands" "$(section "$list" create | only_commands)" "$(listed_calls "$work/done" | only_commands)" || return 1
  created=$(machine_state)
  [ "$created" != "$before" ] || problem "nothing was done" || return 1
  [ -s "$SIXLINK_RECORD" ] || problem "nothing was recorded"
}

case_create_twice() {
  local record pids
  record=$(cat "$SIXLINK_RECORD") pids=$(daemon_pids)
  template TSP_TUNNEL_CREATION
  ends_with 0 "the second create" && is_quiet || return 1
  same "the second create changed something" "$created" "$(machine_state)" || return 1
  same "the second create recorded something" "$record" "$(cat "$SIXLINK_RECORD")" || return 1
  same "the second create started something" "$pids" "$(daemon_pids)"
}

case_teardown() {
  local pids
  pids=$(daemon_pids)
  template TSP_TUNNEL_TEARDOWN --dry-run
  ends_with 0 "the dry teardown" && is_quiet || return 1
  same "the dry teardown" "$(section "$list" teardown)" "$(listed_calls "$work/out")" || return 1
  same "a dry teardown changed something" "$created" "$(machine_state)" || return 1
  template TSP_TUNNEL_TEARDOWN
  ends_with 0 teardown && is_quiet || return 1
  torn_calls=$(cat "$work/machine/calls") torn_count=$(wc -l <"$work/machine/calls")
  done_calls >"$work/done"
  same "the commands" "$(section "$list" teardown | only_commands)" "$(listed_calls "$work/done" | only_commands)" || return 1
  same "teardown left a difference" "$before" "$(machine_state)" || return 1
  no_daemons "$pids"
}

case_teardown_twice() {
  template TSP_TUNNEL_TEARDOWN
  ends_with 0 "the second teardown" && is_quiet || return 1
  [ ! -s "$work/machine/calls" ] || problem "the second teardown does something: $(head -n 1 "$work/machine/calls")" || return 1
  same "the second teardown changed something" "$before" "$(machine_state)"
}

asks_most() {
  case $cell in
    v6v4-router-kernel | v6udpv4-host-tun | v6udpv4-router-tun) ;;
    *) return 1 ;;
  esac
}

# Whether the n-th of the calls is one that has to fail once.
has_to_fail() { # n, the calls
  asks_most || [[ $(sed -n "${1}p" <<<"$2") == +* ]]
}

# Nothing but our own words on stderr: no shell's.
only_our_words() {
  ! grep -q -v '^sixlink: ' "$work/err" || problem "$failed_at: not our words: $(grep -v '^sixlink: ' "$work/err" | head -n 2)"
}

# Sets failed_at for a report.
case_fail() {
  local n pids
  for ((n = 1; n <= created_count; ++n)); do
    has_to_fail "$n" "$created_calls" || continue
    make_machine "$system" "$cell"
    echo "$n" >"$work/machine/fail_at"
    template TSP_TUNNEL_CREATION
    failed_at="call $n ($(sed -n "${n}p" "$work/machine/calls"))"
    rm -f "$work/machine/fail_at"
    [ ! -s "$work/machine/rejected" ] || problem "$failed_at: not documented: $(cat "$work/machine/rejected")" || return 1
    only_our_words || return 1
    pids=$(daemon_pids)
    case $status in
      0) template TSP_TUNNEL_TEARDOWN && ends_with 0 "$failed_at: the teardown" || return 1 ;;
      1)
        grep -q '^sixlink: ' "$work/err" || problem "$failed_at: no error is told" || return 1
        grep -q injected "$work/err" || [ "$(wc -l <"$work/err")" -le 2 ] || problem "$failed_at: $(cat "$work/err")" || return 1
        ;;
      *) problem "$failed_at: ended with $status: $(cat "$work/err")" || return 1 ;;
    esac
    same "$failed_at: left a difference" "$before" "$(machine_state)" || return 1
    no_daemons "$pids" || return 1
  done
}

case_fail_teardown() {
  local n pids
  pids=unknown
  for ((n = 1; n <= torn_count; ++n)); do
    has_to_fail "$n" "$torn_calls" || continue
    if [ -z "$pids" ]; then
      # What a creation leaves, without the creation.
      rm -rf "$work/machine" "$work/run"
      cp -r "$work/machine.created" "$work/machine"
      cp -r "$work/run.created" "$work/run"
    else
      make_machine "$system" "$cell"
      template TSP_TUNNEL_CREATION
      ends_with 0 create || return 1
      pids=$(daemon_pids)
      rm -rf "$work/machine.created" "$work/run.created"
      cp -r "$work/machine" "$work/machine.created"
      cp -r "$work/run" "$work/run.created"
    fi
    echo "$n" >"$work/machine/fail_at"
    template TSP_TUNNEL_TEARDOWN
    failed_at="call $n ($(sed -n "${n}p" "$work/machine/calls"))"
    rm -f "$work/machine/fail_at"
    only_our_words || return 1
    if [ "$status" -eq 0 ] && [ -e "$SIXLINK_RECORD" ]; then problem "$failed_at: ended with 0, but a record is left" || return 1; fi
    template TSP_TUNNEL_TEARDOWN
    ends_with 0 "$failed_at: the next teardown" || return 1
    same "$failed_at: left a difference" "$before" "$(machine_state)" || return 1
    no_daemons "$pids" || return 1
  done
}

report() { # name of the case, the function
  local text="$system $cell: $1 ($shell)"
  reason=
  if "$2"; then
    echo "PASS $text"
  else
    echo "FAIL $text: $(tr -s '[:cntrl:]' ' ' <<<"${reason:-status $?}")"
    return 1
  fi
}

run_cell() { # index of the shell
  local pid
  list=$expected/$system/$cell.txt
  set_environment "$system" "$cell"
  make_machine "$system" "$cell"
  report create case_create && report "create twice" case_create_twice && report teardown case_teardown &&
    report "teardown twice" case_teardown_twice && if [ "$1" -eq 0 ]; then
    report fail case_fail
    report "fail teardown" case_fail_teardown
  fi
  for pid in $(daemon_pids); do kill "$pid" 2>/dev/null; done
}

# ---- cases of a system, not of a cell ---------------------------------------------------------------------------

refuses() { # status text
  [ ! -s "$work/machine/rejected" ] || problem "not documented: $(cat "$work/machine/rejected")" || return 1
  ends_with "$1" create || return 1
  grep -qF -- "$2" "$work/err" || problem "it does not say '$2': $(cat "$work/err")" || return 1
  same "something was done" "$before" "$(machine_state)"
}

start_cell() {
  set_environment "$system" "$cell"
  make_machine "$system" "$cell"
  before=$(machine_state)
}

# IPv6 in UDP is the program's: kind kernel ends with 3.
case_exit_3() {
  cell=v6v4-host-kernel
  start_cell
  TSP_TUNNEL_MODE=v6udpv4
  template TSP_TUNNEL_CREATION
  refuses 3 "sixlink: this system has no tunnel interface for IPv6 in UDP" || return 1
  case $system in
    freebsd | openbsd | openwrt) return 0 ;;
  esac
  cell=wireguard-host-kernel
  start_cell
  template TSP_TUNNEL_CREATION
  refuses 3 "sixlink: this system has no WireGuard interface"
}

# A kernel without it, one that was never told wg's commands, and a name that is none.
case_no_wireguard() {
  case $system in
    freebsd | openbsd | openwrt) ;;
    *) return 0 ;;
  esac
  cell=wireguard-host-kernel
  start_cell
  echo notunnel >>"$work/machine/state"
  before=$(machine_state)
  template TSP_TUNNEL_CREATION
  refuses 3 "sixlink: this kernel has no" || return 1
  start_cell
  mv "$work/bin/wg" "$work/no-wg"
  if ! command -v wg >/dev/null; then
    template TSP_TUNNEL_CREATION
    refuses 3 "the program wg, which is not installed" || { mv "$work/no-wg" "$work/bin/wg"; return 1; }
  fi
  mv "$work/no-wg" "$work/bin/wg"
  SIXLINK_WIREGUARD_CONF='relative;file'
  template TSP_TUNNEL_CREATION
  refuses 2 "SIXLINK_WIREGUARD_CONF"
}

case_no_such_kernel_tunnel() {
  cell=v6v4-host-kernel
  start_cell
  echo notunnel >>"$work/machine/state"
  before=$(machine_state)
  template TSP_TUNNEL_CREATION
  refuses 3 "sixlink: "
}

case_interface_of_another() {
  cell=v6v4-host-kernel
  start_cell
  case $system in
    sunos) echo "link $tunnel phys" ;;
    openwrt) echo "link $tunnel 1480 down 192.0.2.1 192.0.2.2" ;;
    *) echo "if $tunnel 1280 up -" ;;
  esac >>"$work/machine/state"
  before=$(machine_state)
  template TSP_TUNNEL_CREATION
  refuses 1 "choose another name"
}

case_native_default_route_stays() {
  cell=v6udpv4-router-tun
  start_cell
  template TSP_TUNNEL_CREATION
  ends_with 0 create || return 1
  grep -q '^route 6 default .*fe80::1' "$work/machine/state" || problem "the native default route is gone" || return 1
  case $system in
    openbsd | openwrt) ;;
    *) ! grep -q -e '^route 6 0:0:0:0:0:0:0:0/1' "$work/machine/state" || problem "a backup that wins" || return 1 ;;
  esac
  template TSP_TUNNEL_TEARDOWN
  same "teardown left a difference" "$before" "$(machine_state)"
}

# The broker in its own tunnel: no other way to it.
case_broker_without_a_way() {
  cell=v6udpv4-host-tun
  start_cell
  sed -i -e '/^route 6 default/d' "$work/machine/state"
  before=$(machine_state)
  template TSP_TUNNEL_CREATION
  refuses 1 "can be reached only through its own tunnel"
}

case_hostile_environment() {
  cell=v6v4-router-tun
  local name
  for name in TSP_CLIENT_ADDRESS_IPV6 TSP_SERVER_ADDRESS_IPV6 TSP_TUNNEL_PREFIXLEN TSP_TUNNEL_INTERFACE TSP_PREFIX \
    SIXLINK_HOME_INTERFACES SIXLINK_INTERFACE_KIND SIXLINK_DEFAULT_ROUTE SIXLINK_STATE_DIR SIXLINK_DNS_SERVERS \
    SIXLINK_OUTER_SERVER TSP_HOST_TYPE TSP_TUNNEL_MODE SIXLINK_MTU; do
    start_cell
    # shellcheck disable=SC2016  # the text itself
    declare -x "$name"='x;touch '"$work/pwn"'$(touch '"$work/pwn"')'
    template TSP_TUNNEL_CREATION
    refuses 2 "sixlink: $name" || return 1
    [ ! -e "$work/pwn" ] || problem "$name was executed" || return 1
  done
  start_cell
  SIXLINK_HOME_INTERFACES="a1 a2 a3" TSP_PREFIXLEN=63
  template TSP_TUNNEL_CREATION
  refuses 2 "a /63 has 2 networks" || return 1
  start_cell
  SIXLINK_HOME_INTERFACES=no9
  template TSP_TUNNEL_CREATION
  refuses 1 "the home interface no9 does not exist"
}

case_hostile_record() {
  cell=v6v4-host-tun
  start_cell
  mkdir -p "$work/run"
  : >"$work/run/victim"
  before=$(machine_state)
  cat >"$SIXLINK_RECORD" <<END
file $work/run/victim .
daemon $work/run/victim $work/run/victim - .
create \$(touch $work/pwn) .
eval touch $work/pwn .
address $native 6 2001:db8:1::10
sysctl kern.securelevel 1 0 .
END
  template TSP_TUNNEL_TEARDOWN
  ends_with 0 teardown || return 1
  grep -q 'ignored a line that is not ours: eval' "$work/err" || problem "hostile lines are not told" || return 1
  [ ! -e "$work/pwn" ] || problem "the record was executed" || return 1
  same "something was done" "$before" "$(machine_state)"
}

run_system_cases() {
  local name
  while read -r name; do
    cell=${name//_/ }
    report_system "case_$name" "$cell"
  done < <(printf '%s\n' exit_3 no_such_kernel_tunnel no_wireguard interface_of_another native_default_route_stays \
    broker_without_a_way hostile_environment hostile_record)
}

report_system() { # function name
  reason=
  if "$1"; then
    echo "PASS $system: $2 ($shell)"
  else
    echo "FAIL $system: $2 ($shell): $(tr -s '[:cntrl:]' ' ' <<<"${reason:-status $?}")"
  fi
}

# ---- main -----------------------------------------------------------------------------------------------------------

run_system() {
  local index=0
  work=$(mktemp -d)
  make_commands "$system"
  while read -r shell; do
    # shellcheck disable=SC2086  # "busybox ash" is two words
    if ! $shell -c : 2>/dev/null; then
      echo "SKIP $system ($shell): ${shell%% *} is not installed"
      index=$((index + 1))
      continue
    fi
    while read -r cell; do run_cell "$index" </dev/null; done < <(cells_of "$system")
    run_system_cases </dev/null
    index=$((index + 1))
  done < <(shells_of "$system")
  rm -rf "$work"
}

case ${1:-} in
  --system)
    system=$2
    run_system
    ;;
  --print)
    system=$2 cell=$3 shell=${4:-dash}
    work=$(mktemp -d)
    make_commands "$system"
    set_environment "$system" "$cell"
    make_machine "$system" "$cell"
    echo create:
    template TSP_TUNNEL_CREATION --dry-run
    cat "$work/err" >&2
    listed_calls "$work/out"
    template TSP_TUNNEL_CREATION
    cat "$work/err" >&2
    if [ -n "${FULL:-}" ]; then
      cat "$work/machine/calls" "$SIXLINK_RECORD" "$work/machine/state" "$work"/run/*.conf
    fi
    echo
    echo teardown:
    template TSP_TUNNEL_TEARDOWN --dry-run
    listed_calls "$work/out"
    template TSP_TUNNEL_TEARDOWN
    cat "$work/err" >&2
    rm -rf "$work"
    ;;
  *)
    outputs=$(mktemp -d)
    trap 'rm -rf "$outputs"' EXIT
    for system in "${systems[@]}"; do
      bash "$self" --system "$system" >"$outputs/$system" 2>&1 &
    done
    wait
    for system in "${systems[@]}"; do cat "$outputs/$system"; done
    ;;
esac
