#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# template/linux.sh against a real kernel, under every shell that it must work with. Each case has a network
# namespace of its own:
#
#     router (fe80::1, 192.0.2.1)  up1 ---- up0  2001:db8:1::10/64, 192.0.2.10/24, native default routes
#                                           tun0 the daemon's interface, which it has opened already
#
# For all cases: bash tests/template/linux_test.sh; for one under one shell: ... linux_test.sh --case NAME SHELL

set -u
export LC_ALL=C
PATH=$PATH:/usr/sbin:/sbin
self=$(realpath "$0")
root=$(realpath "$(dirname "$0")/../..")
template=$root/template/linux.sh
shells=(dash bash "busybox sh" mksh ksh)

# ---- the namespace ------------------------------------------------------------------------------------------------

make_network() {
  ip link set lo up
  ip link add up0 type veth peer name up1
  ip link set up0 addrgenmode none
  ip link set up1 addrgenmode none
  echo 0 >/proc/sys/net/ipv6/conf/up1/accept_ra
  ip link set up0 up
  ip link set up1 up
  ip -6 addr add fe80::10/64 dev up0 nodad
  ip -6 addr add fe80::1/64 dev up1 nodad
  ip -6 addr add 2001:db8:1::10/64 dev up0 nodad
  ip addr add 192.0.2.10/24 dev up0
  ip route add default via 192.0.2.1
  ip -6 route add default via fe80::1 dev up0 metric 1024
  ip tuntap add mode tun dev tun0
  # The kernel makes an address's own route later, in a work queue of its own: a snapshot in between is none of a quiet network.
  for address in "fe80::10 dev up0" "fe80::1 dev up1" "2001:db8:1::10 dev up0"; do
    for ((tries = 0; tries < 200; ++tries)); do
      ip -6 route show table local | grep -q "^local $address " && break
      sleep 0.01
    done
  done
}

# All that a template may touch, as text.
snapshot() {
  ip -6 -o addr show
  ip -4 -o addr show
  ip -6 route show table all | sort
  ip -4 route show table all | sort
  ip -d -o link show | grep -o -e '^[0-9]*: [a-z0-9@]*' -e '[<,]UP[,>]' -e 'mtu [0-9]*' -e 'addrgenmode [a-z0-9]*'
  grep -r . /proc/sys/net/ipv6/conf/*/{forwarding,accept_ra,disable_ipv6} /proc/sys/net/ipv4/ip_forward
}

clean_snapshot() {
  snapshot 2>/dev/null | sed -E 's/ expires -?[0-9]+sec//; s/valid_lft [0-9]+sec preferred_lft [0-9]+sec//'
}

host_environment() {
  export TSP_OPERATION=TSP_TUNNEL_CREATION TSP_VERBOSE=0 TSP_HOME_DIR=/nonexistent
  export TSP_TUNNEL_MODE=v6udpv4 TSP_HOST_TYPE=host TSP_TUNNEL_INTERFACE=tun0
  export TSP_CLIENT_ADDRESS_IPV4=192.0.2.10 TSP_CLIENT_ADDRESS_IPV6=2001:db8:f:f::2
  export TSP_SERVER_ADDRESS_IPV4=198.51.100.1 TSP_SERVER_ADDRESS_IPV6=2001:db8:f:f::1
  export TSP_TUNNEL_PREFIXLEN=128
  export SIXLINK_INTERFACE_KIND=tun SIXLINK_MTU=1280 SIXLINK_RECORD=$work/run/tun0.record
}

broker_environment() {
  host_environment
  export TSP_HOST_TYPE=broker TSP_SERVER_ADDRESS_IPV6=2001:db8:42::1 TSP_PREFIX=2001:db8:42 TSP_PREFIXLEN=48
}

# The environment in which a host does all that it can do.
full_host_environment() {
  host_environment
  export TSP_PREFIX=2001:0db8:00aa:bb00 TSP_PREFIXLEN=56
  export SIXLINK_DEFAULT_ROUTE=yes SIXLINK_OUTER_SERVER=2001:db8:99::1
}

# For one of two environments the interface is up before: taking it down must not be what removes the rest.
bring_up_first() {
  ip link set tun0 down
  [ "$TSP_HOST_TYPE" = host ] || return 0
  ip link set tun0 up
  # With the first address the kernel makes its multicast route, and keeps it.
  ip -6 addr add 2001:db8:5::1/128 dev tun0
  ip -6 addr del 2001:db8:5::1/128 dev tun0
}

# Runs the template; its output goes to $work/out and $work/err, its status to $status.
template() {
  status=0
  # shellcheck disable=SC2086  # "busybox sh" is two words
  $shell "$template" "$@" >"$work/out" 2>"$work/err" || status=$?
}

create() {
  TSP_OPERATION=TSP_TUNNEL_CREATION template "$@"
}

teardown() {
  TSP_OPERATION=TSP_TUNNEL_TEARDOWN template "$@"
}

fail() {
  echo "$1" >>"$work/reason"
  if [ -s "$work/err" ]; then sed 's/^/  stderr: /' "$work/err" >&2; fi
  exit 1
}

expect_status() {
  [ "$status" -eq "$1" ] || fail "exit status $status instead of $1 ($2): $(cat "$work/err")"
}

expect_same() { # what before after
  if [ "$2" != "$3" ]; then
    diff <(echo "$2") <(echo "$3") >&2
    fail "$1: $(diff <(echo "$2") <(echo "$3") | grep '^[<>]' | head -n 3 | tr '\n' ' ')"
  fi
}

expect_way() { # destination device
  local way
  way=$(ip -6 route get "$1" 2>&1)
  case $way in
    *" dev $2 "*) ;;
    *) fail "packets to $1 do not leave through $2: $way" ;;
  esac
}

expect_no_way() {
  if ip -6 route get "$1" >/dev/null 2>&1; then fail "there is a way to $1: $(ip -6 route get "$1")"; fi
}

expect_error() { # text
  grep -qF -- "$1" "$work/err" || fail "stderr does not say '$1': $(cat "$work/err")"
}

# A PATH in which the n-th call of ip fails, or kills the template before or after it.
stand_in() { # fail|kill-before|kill-after n
  mkdir -p "$work/bin"
  rm -f "$work/calls"
  cat >"$work/bin/ip" <<END
#!/bin/sh
echo "\$*" >>'$work/calls'
if [ "\$(wc -l <'$work/calls')" -eq $2 ]; then
  case $1 in
    fail) printf 'RTNETLINK answers: injected\nsecond line\n' >&2; exit 2 ;;
    kill-before) kill -9 "\$(cat '$work/pid')"; exit 2 ;;
    kill-after) '$real_ip' "\$@"; kill -9 "\$(cat '$work/pid')"; exit 2 ;;
  esac
fi
exec '$real_ip' "\$@"
END
  chmod +x "$work/bin/ip"
}

create_with_stand_in() {
  status=0
  # Without the message of bash that a child was killed.
  {
    # shellcheck disable=SC2016,SC2086  # for the inner shell; "busybox sh" is two words
    PATH=$work/bin:$PATH sh -c 'echo $$ >"$1"; shift; exec "$@"' sh "$work/pid" $shell "$template" \
      >"$work/out" 2>"$work/err" || status=$?
  } 2>/dev/null
}

# ---- cases ----------------------------------------------------------------------------------------------------

case_teardown_without_a_record() {
  host_environment
  before=$(clean_snapshot)
  teardown
  expect_status 0 teardown
  [ ! -s "$work/err" ] || fail "it complains: $(cat "$work/err")"
  expect_same "something changed" "$before" "$(clean_snapshot)"
}

case_create_and_teardown() {
  full_host_environment
  unset SIXLINK_OUTER_SERVER SIXLINK_DEFAULT_ROUTE
  before=$(clean_snapshot)
  expect_way 2001:db8:f:f::1 up0
  create
  expect_status 0 create
  [ ! -s "$work/err" ] || fail "it complains: $(cat "$work/err")"
  ip -6 addr show dev tun0 | grep -q 'inet6 2001:db8:f:f::2/128 ' || fail "the address is missing"
  ip -6 addr show dev tun0 | grep -q 'fe80:' && fail "the tunnel has a link-local address"
  ip link show dev tun0 | grep -q 'mtu 1280' || fail "the MTU is not 1280"
  [ "$(cat /proc/sys/net/ipv6/conf/tun0/accept_ra)" = 0 ] || fail "accept_ra is not 0"
  expect_way 2001:db8:f:f::1 tun0
  ip -6 route get 2001:db8:aa:bb12::1 >/dev/null 2>&1 && fail "the delegated prefix can loop"
  # The native default route is kept and better; ours takes over without it.
  expect_way 2001:db8:77::1 up0
  ip -6 route show default | grep -q 'dev tun0 metric 8192' || fail "no default route with metric 8192"
  ip -6 route del default dev up0
  expect_way 2001:db8:77::1 tun0
  ip -6 route add default via fe80::1 dev up0 metric 1024
  expect_way 2001:db8:77::1 up0
  teardown
  expect_status 0 teardown
  expect_same "teardown left a difference" "$before" "$(clean_snapshot)"
  [ ! -e "$SIXLINK_RECORD" ] || fail "the record is still there"
}

case_create_twice() {
  full_host_environment
  before=$(clean_snapshot)
  create
  expect_status 0 create
  once=$(clean_snapshot) record_once=$(cat "$SIXLINK_RECORD")
  create
  expect_status 0 "second create"
  expect_same "the second create changed something" "$once" "$(clean_snapshot)"
  expect_same "the second create recorded something" "$record_once" "$(cat "$SIXLINK_RECORD")"
  teardown
  expect_same "teardown left a difference" "$before" "$(clean_snapshot)"
  teardown
  expect_status 0 "second teardown"
}

case_default_record_path() {
  host_environment
  unset SIXLINK_RECORD
  mount -t tmpfs tmpfs /run || fail "cannot mount a /run of its own"
  create
  expect_status 0 create
  [ -s /run/sixlink/tun0.record ] || fail "no /run/sixlink/tun0.record"
  teardown
  [ ! -e /run/sixlink/tun0.record ] || fail "the record is still there"
}

case_default_route_yes_and_no() {
  host_environment
  export SIXLINK_DEFAULT_ROUTE=yes
  before=$(clean_snapshot)
  create
  expect_status 0 create
  expect_way 2001:db8:77::1 tun0
  ip -6 route show default | grep -q 'via fe80::1 dev up0 metric 1024' || fail "the native default route is gone"
  teardown
  expect_same "teardown left a difference" "$before" "$(clean_snapshot)"
  export SIXLINK_DEFAULT_ROUTE=no
  ip -6 route del default dev up0
  create
  expect_status 0 create
  expect_no_way 2001:db8:77::1
  expect_way 2001:db8:f:f::1 tun0
}

case_native_metric_above_ours() {
  host_environment
  ip -6 route add default via fe80::2 dev up0 metric 20100
  create
  expect_status 0 create
  ip -6 route show default | grep -q 'dev tun0 metric 20101' || fail "not behind 20100: $(ip -6 route show default)"
  teardown
  ip -6 route add default via fe80::3 dev up0 metric 4000000000
  create
  expect_status 0 create
  ip -6 route show default | grep -q 'dev tun0 metric 4294967295' || fail "not last: $(ip -6 route show default)"
  teardown
  expect_status 0 teardown
  ip -6 route show default | grep -q tun0 && fail "ours was not removed"
  # A native route worse than ours that comes later: the next create goes behind it, and leaves one route of ours.
  ip -6 route del default via fe80::3 dev up0
  ip -6 route del default via fe80::2 dev up0
  before=$(clean_snapshot)
  create
  ip -6 route add default via fe80::2 dev up0 metric 9000
  create
  expect_status 0 create
  [ "$(ip -6 route show default | grep -c tun0)" = 1 ] || fail "not one route of ours: $(ip -6 route show default)"
  ip -6 route show default | grep -q 'dev tun0 metric 9001' || fail "not behind 9000: $(ip -6 route show default)"
  ip -6 route del default via fe80::2 dev up0
  teardown
  expect_same "teardown left a difference" "$before" "$(clean_snapshot)"
}

case_broker_stays_outside_the_tunnel() {
  full_host_environment
  before=$(clean_snapshot)
  expect_way 2001:db8:99::1 up0
  create
  expect_status 0 create
  expect_way 2001:db8:77::1 tun0
  expect_way 2001:db8:99::1 up0
  ip -6 route show 2001:db8:99::1 | grep -q 'via fe80::1 dev up0' || fail "not by the way that it was before"
  teardown
  expect_same "teardown left a difference" "$before" "$(clean_snapshot)"
  # With no other way the tunnel would swallow its own packets.
  ip -6 route del default dev up0
  before=$(clean_snapshot)
  create
  expect_status 1 "create without a way to the broker"
  expect_error "sixlink: the broker 2001:db8:99::1 can be reached only through its own tunnel"
  expect_same "it left something" "$before" "$(clean_snapshot)"
  # A broker on the link is reached whatever the routes are.
  SIXLINK_OUTER_SERVER=fe80::1%up0 create
  expect_status 0 "create with a broker on the link"
  teardown
  expect_same "it left something" "$before" "$(clean_snapshot)"
  # The IPv4 form of the record's line.
  ip route add 198.51.100.1/32 via 192.0.2.1 dev up0
  ip route add 198.51.100.1/32 via 192.0.2.1 dev up0 metric 5
  mkdir -p "$work/run"
  echo 'bypass 4 198.51.100.1 192.0.2.1 up0 0 .' >"$SIXLINK_RECORD"
  teardown
  expect_status 0 teardown
  [ "$(ip route show 198.51.100.1)" = '198.51.100.1 via 192.0.2.1 dev up0 metric 5 ' ] ||
    fail "not the recorded route alone was removed: $(ip route show 198.51.100.1)"
}

# A router advertisement from up1.
advertise() {
  python3 - <<'END'
import socket, struct
s = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
s.bind(("fe80::1", 0, 0, socket.if_nametoindex("up1")))
s.sendto(struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0), ("ff02::1", 0, 0, socket.if_nametoindex("up1")))
END
  for _ in 1 2 3 4 5 6 7 8 9 10; do
    ip -6 route show default | grep -q 'proto ra' && return 0
    sleep 0.1
  done
  fail "the kernel took no default route from a router advertisement"
}

case_broker_keeps_an_advertised_default_route() {
  broker_environment
  command -v python3 >/dev/null || { echo "python3 is not installed" >"$work/skip"; exit 0; }
  echo 1 >/proc/sys/net/ipv6/conf/up0/accept_ra_from_local
  ip -6 route del default dev up0
  # Without care, forwarding loses the route.
  advertise
  echo 1 >/proc/sys/net/ipv6/conf/all/forwarding
  ip -6 route show default | grep -q 'proto ra' && fail "the kernel keeps the route by itself: this case shows nothing"
  echo 0 >/proc/sys/net/ipv6/conf/all/forwarding
  advertise
  before=$(clean_snapshot)
  create
  expect_status 0 create
  ip -6 route show default | grep -q 'proto ra' || fail "the advertised default route is gone"
  [ "$(cat /proc/sys/net/ipv6/conf/up0/accept_ra)" = 2 ] || fail "accept_ra is not 2"
  teardown
  expect_status 0 teardown
  expect_same "teardown left a difference" "$before" "$(clean_snapshot)"
}

case_broker() {
  broker_environment
  # One interface forwards already, which switching all off again would lose.
  echo 1 >/proc/sys/net/ipv6/conf/up1/forwarding
  before=$(clean_snapshot)
  expect_way 2001:db8:42:9::1 up0
  create
  expect_status 0 create
  ip -6 addr show dev tun0 | grep -q 'inet6 2001:db8:42::1/128 ' || fail "the address is missing"
  expect_way 2001:db8:42:9::1 tun0
  [ "$(cat /proc/sys/net/ipv6/conf/all/forwarding)" = 1 ] || fail "forwarding is off"
  ip -6 route show default | grep -q tun0 && fail "the broker has a default route into its tunnels"
  once=$(clean_snapshot) record_once=$(cat "$SIXLINK_RECORD")
  create
  expect_status 0 "second create"
  expect_same "the second create changed something" "$once" "$(clean_snapshot)"
  expect_same "the second create recorded something" "$record_once" "$(cat "$SIXLINK_RECORD")"
  teardown
  expect_status 0 teardown
  expect_same "teardown left a difference" "$before" "$(clean_snapshot)"
  # Forwarding that was on stays on; prefixes of any length and any number of groups.
  echo 1 >/proc/sys/net/ipv6/conf/all/forwarding
  for prefix in 2001/16 2001:db8:4200/40 2001:db8:42:f800/53 2001:db8:42:0:1:2:3:4/128 2001:db8:42::/47; do
    export TSP_PREFIX=${prefix%/*} TSP_PREFIXLEN=${prefix#*/}
    before=$(clean_snapshot)
    create
    expect_status 0 "create $prefix"
    ip -6 route show dev tun0 | grep -q "/$TSP_PREFIXLEN \|^2001:db8:42:0:1:2:3:4 " || fail "no route to $prefix"
    teardown
    expect_same "teardown of $prefix left a difference" "$before" "$(clean_snapshot)"
  done
}

case_every_command_may_fail() {
  for environment in full_host_environment broker_environment; do
    $environment
    bring_up_first
    stand_in fail 0
    before=$(clean_snapshot)
    create_with_stand_in
    expect_status 0 create
    complete=$(clean_snapshot | grep -v addrgenmode) calls=$(wc -l <"$work/calls")
    teardown
    [ "$calls" -ge 8 ] || fail "only $calls calls of ip were seen: this case shows nothing"
    failed=0
    for ((n = 1; n <= calls; n++)); do
      stand_in fail "$n"
      create_with_stand_in
      call=$(sed -n "${n}p" "$work/calls")
      case $status in
        0)
          # Only what is not needed may fail unnoticed: addrgenmode, and the question for a way to the broker.
          case $call in
            *'route get'* | *addrgenmode*) ;;
            *) fail "failure of 'ip $call' was not noticed" ;;
          esac
          if [ "${call#*route get}" = "$call" ]; then
            expect_same "incomplete after 'ip $call' failed" "$complete" "$(clean_snapshot | grep -v addrgenmode)"
          fi
          teardown
          expect_status 0 "teardown after 'ip $call' failed"
          ;;
        1)
          failed=$((failed + 1))
          case $call in
            *'route get'*) ;;
            *) expect_error "sixlink: command failed (exit 2): ip $call: RTNETLINK answers: injected second line" ;;
          esac
          [ "$(wc -l <"$work/err")" -le 2 ] || fail "more than two lines: $(cat "$work/err")"
          ;;
        *) fail "exit status $status after 'ip $call' failed" ;;
      esac
      [ ! -e "$SIXLINK_RECORD" ] || fail "the record is still there after 'ip $call' failed"
      expect_same "not undone after 'ip $call' failed" "$before" "$(clean_snapshot)"
    done
    [ "$failed" -ge 6 ] || fail "only $failed failures were noticed"
  done
}

case_a_failing_teardown_keeps_the_record() {
  full_host_environment
  before=$(clean_snapshot)
  create
  stand_in fail 1
  PATH=$work/bin:$PATH teardown
  expect_status 1 "teardown whose first command fails"
  expect_error "command failed (exit 2): ip -6 route del 2001:db8:99::1/128 via fe80::1 dev up0 metric 1"
  [ "$(wc -l <"$SIXLINK_RECORD")" = 1 ] || fail "not the one line is left: $(cat "$SIXLINK_RECORD")"
  teardown
  expect_status 0 "second teardown"
  expect_same "teardown left a difference" "$before" "$(clean_snapshot)"
}

case_sysctl_that_cannot_be_written() {
  host_environment
  before=$(clean_snapshot)
  mount --bind /proc/sys /proc/sys || fail "cannot mount /proc/sys"
  mount -o remount,ro,bind /proc/sys || fail "cannot mount /proc/sys read-only"
  create
  expect_status 1 create
  expect_error "sixlink: command failed (exit "
  expect_error "): echo 0 > /proc/sys/net/ipv6/conf/tun0/accept_ra: "
  expect_error "this container's /proc/sys cannot be written"
  [ "$(wc -l <"$work/err")" = 2 ] || fail "not two lines: $(cat "$work/err")"
  expect_same "not undone" "$before" "$(clean_snapshot)"
}

case_killed_at_every_command() {
  for environment in full_host_environment broker_environment; do
    $environment
    bring_up_first
    stand_in fail 0
    before=$(clean_snapshot)
    create_with_stand_in
    complete=$(clean_snapshot) calls=$(wc -l <"$work/calls")
    teardown
    for ((n = 1; n <= calls; n++)); do
      for when in kill-before kill-after; do
        stand_in $when "$n"
        create_with_stand_in
        call=$(sed -n "${n}p" "$work/calls")
        expect_status 137 "create killed at 'ip $call'"
        # The worst that a crash can leave: half a line, without an end.
        mkdir -p "$work/run"
        printf 'route default tu' >>"$SIXLINK_RECORD"
        if [ $when = kill-after ]; then
          create
          expect_status 0 "create after a kill at 'ip $call'"
          expect_same "incomplete after a kill at 'ip $call'" "$complete" "$(clean_snapshot)"
          [ -z "$(sort "$SIXLINK_RECORD" | uniq -d)" ] || fail "recorded twice: $(sort "$SIXLINK_RECORD" | uniq -d)"
        fi
        teardown
        expect_status 0 "teardown after a kill at 'ip $call'"
        [ ! -e "$SIXLINK_RECORD" ] || fail "the record is still there"
        expect_same "not undone after $when 'ip $call'" "$before" "$(clean_snapshot)"
      done
    done
  done
}

case_interface_gone_before_teardown() {
  full_host_environment
  create
  expect_status 0 create
  ip link del tun0
  teardown
  expect_status 0 teardown
  [ ! -s "$work/err" ] || fail "it complains: $(cat "$work/err")"
  [ ! -e "$SIXLINK_RECORD" ] || fail "the record is still there"
  after=$(clean_snapshot)
  ip tuntap add mode tun dev tun0
  ip link del tun0
  expect_same "teardown left something" "$(clean_snapshot)" "$after"
  grep -q tun0 <<<"$after" && fail "something of tun0 is left"
  create
  expect_status 1 "create without the interface"
  expect_error 'command failed (exit 1): ip -d -o link show dev tun0: Device "tun0" does not exist.'
}

case_what_the_user_made_stays() {
  full_host_environment
  ip link set tun0 mtu 1280 addrgenmode none
  ip link set tun0 up
  ip -6 addr add 2001:db8:f:f::2/128 dev tun0
  ip -6 route add 2001:db8:f:f::1/128 dev tun0
  ip -6 route add unreachable 2001:db8:aa:bb00::/56
  ip -6 route add 2001:db8:99::1 via fe80::1 dev up0
  before=$(clean_snapshot)
  create
  expect_status 0 create
  grep -v -e '^sysctl' -e '^route default' "$SIXLINK_RECORD" >"$work/foreign"
  [ ! -s "$work/foreign" ] || fail "recorded what was there: $(cat "$work/foreign")"
  teardown
  expect_status 0 teardown
  expect_same "teardown left a difference" "$before" "$(clean_snapshot)"
  # What someone changes after us is theirs too.
  ip link set tun0 mtu 1500
  create
  ip link set tun0 mtu 1400
  echo 2 >/proc/sys/net/ipv6/conf/tun0/accept_ra
  teardown
  expect_status 0 teardown
  ip link show tun0 | grep -q 'mtu 1400' || fail "a later MTU was overwritten"
  [ "$(cat /proc/sys/net/ipv6/conf/tun0/accept_ra)" = 2 ] || fail "a later accept_ra was overwritten"
}

case_hostile_values() {
  full_host_environment
  pwn=$work/pwn
  before=$(clean_snapshot)
  for name in TSP_OPERATION TSP_VERBOSE TSP_TUNNEL_MODE TSP_HOST_TYPE TSP_TUNNEL_INTERFACE TSP_CLIENT_ADDRESS_IPV6 \
    TSP_SERVER_ADDRESS_IPV6 TSP_TUNNEL_PREFIXLEN TSP_PREFIX TSP_PREFIXLEN SIXLINK_INTERFACE_KIND SIXLINK_MTU \
    SIXLINK_DEFAULT_ROUTE SIXLINK_OUTER_SERVER; do
    for value in "x; touch $pwn" "\$(touch $pwn)" "\`touch $pwn\`" "::1
touch $pwn" "a b" "*" "-1" "--help" "0x10" "99999999999999999999" "1:::2" "256.1.1.1" "::1%tun0" "fe80::1%;x" \
      $'\001\033[31m' "' ; touch $pwn ; '" "../../../tmp/x"; do
      case $name:$value in
        # Odd, but names of interfaces.
        TSP_TUNNEL_INTERFACE:0x10 | TSP_TUNNEL_INTERFACE:1:::2 | TSP_TUNNEL_INTERFACE:256.1.1.1) continue ;;
      esac
      status=0
      # shellcheck disable=SC2086
      env "$name=$value" $shell "$template" >"$work/out" 2>"$work/err" || status=$?
      expect_status 2 "$name=$value"
      expect_error "$name"
      [ "$(wc -l <"$work/err")" = 1 ] || fail "$name=$value: not one line: $(cat "$work/err")"
      LC_ALL=C grep -q '[[:cntrl:]]' "$work/err" && fail "$name: control characters reach the terminal"
      [ ! -e "$pwn" ] || fail "$name=$value was executed"
    done
  done
  for value in relative /ends/in/ $'/new\nline'; do
    SIXLINK_RECORD=$value create
    expect_status 2 "SIXLINK_RECORD=$value"
  done
  SIXLINK_RECORD="$work/run/\$(touch $pwn) 'x" create
  expect_status 0 "a record whose name needs quoting"
  SIXLINK_RECORD="$work/run/\$(touch $pwn) 'x" teardown
  expect_status 0 "a record whose name needs quoting"
  for name in TSP_CLIENT_ADDRESS_IPV6 TSP_SERVER_ADDRESS_IPV6 TSP_TUNNEL_PREFIXLEN TSP_TUNNEL_INTERFACE TSP_PREFIXLEN; do
    status=0
    # shellcheck disable=SC2086
    env -u "$name" $shell "$template" >"$work/out" 2>"$work/err" || status=$?
    expect_status 2 "without $name"
    expect_error "$name is not set"
  done
  TSP_HOST_TYPE=router create
  expect_status 2 router
  expect_error "sixlink: router mode is not yet supported by this template"
  TSP_TUNNEL_MODE=v6v4 create
  expect_status 2 v6v4
  expect_error "sixlink: tunnel mode 'v6v4' is not yet supported by this template"
  SIXLINK_INTERFACE_KIND=kernel create
  expect_status 2 kernel
  create --force
  expect_status 2 "an unknown argument"
  expect_same "something was done" "$before" "$(clean_snapshot)"
  [ ! -e "$pwn" ] || fail "a value was executed"
}

case_hostile_record() {
  full_host_environment
  before=$(clean_snapshot)
  pwn=$work/pwn
  create
  expect_status 0 create
  cat >>"$SIXLINK_RECORD" <<END
address tun0 \$(touch $pwn) 128 .
address tun0;touch 2001:db8::1 128 .
up up0;x .
sysctl ../../../../tmp/x accept_ra 1 0 .
sysctl up0 ../../../ipv4/ip_forward 1 0 .
route default up0 1024x .
address up0 2001:db8:1::10 64
eval touch $pwn .
exit 0 .
* .

 .
END
  printf 'up up0 ' >>"$SIXLINK_RECORD"
  teardown
  expect_status 0 teardown
  expect_error "ignored a line that is not ours: eval touch $pwn"
  [ ! -e "$pwn" ] || fail "the record was executed"
  [ ! -e "$SIXLINK_RECORD" ] || fail "the record is still there"
  expect_same "teardown left a difference" "$before" "$(clean_snapshot)"
}

case_dry_run_and_verbose() {
  full_host_environment
  before=$(clean_snapshot)
  expected='ip link set dev tun0 mtu 1280
ip link set dev tun0 addrgenmode none
echo 0 > /proc/sys/net/ipv6/conf/tun0/accept_ra
ip link set dev tun0 up
ip -6 addr add 2001:db8:f:f::2/128 dev tun0 nodad
ip -6 route add 2001:db8:f:f::1/128 dev tun0 metric 1024
ip -6 route add unreachable 2001:0db8:00aa:bb00::/56 metric 65535
ip -6 route add default dev tun0 metric 1'
  create --dry-run
  expect_status 0 "dry run"
  expect_same "the commands" "$expected" "$(cat "$work/out")"
  expect_same "a dry run changed something" "$before" "$(clean_snapshot)"
  [ ! -e "$work/run" ] || fail "a dry run made the record"
  TSP_VERBOSE=2 create
  expected+='
ip -6 route add 2001:db8:99::1/128 via fe80::1 dev up0 metric 1'
  expect_same "the verbose run" "$expected" "$(sed 's/^+ //' "$work/out")"
  created=$(clean_snapshot)
  teardown --dry-run
  expect_status 0 "dry teardown"
  expect_same "the commands of the teardown" 'ip -6 route del 2001:db8:99::1/128 via fe80::1 dev up0 metric 1
ip -6 route del default dev tun0 metric 1
ip -6 route del unreachable 2001:0db8:00aa:bb00::/56 metric 65535
ip -6 route del 2001:db8:f:f::1/128 dev tun0 metric 1024
ip -6 addr del 2001:db8:f:f::2/128 dev tun0
ip link set dev tun0 down
echo 1 > /proc/sys/net/ipv6/conf/tun0/accept_ra
ip link set dev tun0 addrgenmode eui64
ip link set dev tun0 mtu 1500' "$(cat "$work/out")"
  expect_same "a dry teardown changed something" "$created" "$(clean_snapshot)"
  # The record is not needed to see what a create would do, nor is the interface.
  ip link del tun0
  rm -f "$SIXLINK_RECORD"
  create --dry-run
  expect_status 0 "dry run without the interface"
  grep -qx 'ip link set dev tun0 up' "$work/out" || fail "a dry run without the interface says little"
}

case_record_that_cannot_be_written() {
  host_environment
  before=$(clean_snapshot)
  echo file >"$work/run"
  create
  expect_status 1 create
  expect_error "sixlink: command failed (exit "
  expect_error "write $SIXLINK_RECORD"
  expect_same "something was done without a record" "$before" "$(clean_snapshot)"
}

# ---- main -----------------------------------------------------------------------------------------------------

if [ "${1:-}" = --case ]; then
  shell=$3
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  real_ip=$(command -v ip)
  make_network || fail "cannot make the network"
  ("case_$2")
  code=$?
  if [ -s "$work/skip" ]; then
    echo "SKIP $2 ($shell): $(cat "$work/skip")"
  elif [ "$code" -eq 0 ]; then
    echo "PASS $2 ($shell)"
  else
    echo "FAIL $2 ($shell): $(tr -s '[:cntrl:]' ' ' <"$work/reason" 2>/dev/null || echo "ended with status $code")"
  fi
  exit 0
fi

if ! reason=$(unshare -nm ip tuntap add mode tun dev tun0 2>&1); then
  echo "SKIP linux.sh: cannot make a network namespace with a tun interface: $reason"
  exit 0
fi

run_all() { # shell
  local name
  # shellcheck disable=SC2086
  if ! $1 -c : 2>/dev/null; then
    echo "SKIP linux.sh ($1): ${1%% *} is not installed"
    return
  fi
  while read -r name; do
    unshare -nm bash "$self" --case "$name" "$1" </dev/null
  done < <(sed -n 's/^case_\([a-z_0-9]*\)() {$/\1/p' "$self")
}

# All shells at once: most of the time goes into waiting for processes.
outputs=$(mktemp -d)
trap 'rm -rf "$outputs"' EXIT
for index in "${!shells[@]}"; do
  run_all "${shells[index]}" >"$outputs/$index" 2>&1 &
done
wait
for index in "${!shells[@]}"; do cat "$outputs/$index"; done
