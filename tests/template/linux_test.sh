#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# template/linux.sh against a real kernel, under every shell that it must work with: hosts and brokers whose daemon has
# the interface. linux_network.sh has the network that each case gets.

# shellcheck source-path=SCRIPTDIR source=linux_network.sh
. "$(dirname "$0")/linux_network.sh"

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
            *) fail "failure of '$call' was not noticed" ;;
          esac
          if [ "${call#*route get}" = "$call" ]; then
            expect_same "incomplete after '$call' failed" "$complete" "$(clean_snapshot | grep -v addrgenmode)"
          fi
          teardown
          expect_status 0 "teardown after '$call' failed"
          ;;
        1)
          failed=$((failed + 1))
          case $call in
            *'route get'*) ;;
            *) expect_error "sixlink: command failed (exit 2): $call: RTNETLINK answers: injected second line" ;;
          esac
          [ "$(wc -l <"$work/err")" -le 2 ] || fail "more than two lines: $(cat "$work/err")"
          ;;
        *) fail "exit status $status after '$call' failed" ;;
      esac
      [ ! -e "$SIXLINK_RECORD" ] || fail "the record is still there after '$call' failed"
      expect_same "not undone after '$call' failed" "$before" "$(clean_snapshot)"
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
        expect_status 137 "create killed at '$call'"
        # The worst that a crash can leave: half a line, without an end.
        mkdir -p "$work/run"
        printf 'route default tu' >>"$SIXLINK_RECORD"
        if [ $when = kill-after ]; then
          create
          expect_status 0 "create after a kill at '$call'"
          expect_same "incomplete after a kill at '$call'" "$complete" "$(clean_snapshot)"
          [ -z "$(sort "$SIXLINK_RECORD" | uniq -d)" ] || fail "recorded twice: $(sort "$SIXLINK_RECORD" | uniq -d)"
        fi
        teardown
        expect_status 0 "teardown after a kill at '$call'"
        [ ! -e "$SIXLINK_RECORD" ] || fail "the record is still there"
        expect_same "not undone after $when '$call'" "$before" "$(clean_snapshot)"
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
  expect_error "sixlink: router mode needs the interface of the home network: set if_prefix"
  SIXLINK_INTERFACE_KIND=none create
  expect_status 2 "kind none"
  expect_error "sixlink: this template sets up a tunnel of this machine: for another machine's (proxy_client)"
  TSP_HOST_TYPE=broker SIXLINK_INTERFACE_KIND=kernel create
  expect_status 2 "a broker with kind kernel"
  TSP_TUNNEL_MODE=openvpn create
  expect_status 2 openvpn
  expect_error "sixlink: TSP_TUNNEL_MODE must be one of v6udpv4, v6v4, v4v6, wireguard, not 'openvpn'"
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

run_cases "$@"
