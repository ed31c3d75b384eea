#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Router mode of template/linux.sh against a real kernel, a real radvd and hosts behind it, under every shell.

# Arguments of the template are the exception.
# shellcheck disable=SC2119
# shellcheck source-path=SCRIPTDIR source=linux_network.sh
. "$(dirname "$0")/linux_network.sh"

need_radvd_and_home() {
  command -v radvd >/dev/null || skip "radvd is not installed"
  make_home
}

lan_has_router() { in_lan ip -6 route show default dev lan0 | grep -q 'proto ra'; }
lan_has_no_router() { ! lan_has_router; }
lan_address() { in_lan ip -6 -o addr show dev "$1" scope global; }
lan_has_address() { lan_address "$1" | grep -q "inet6 $2"; }
lan_has_no_preferred_address() { lan_address lan0 | grep -q 'preferred_lft 0sec'; }

case_hosts_behind_the_router() {
  need_radvd_and_home
  environment_of v6udpv4 tun router
  before=$(clean_snapshot)
  lan_has_router && fail "the LAN has a router before"
  [ -z "$(lan_address lan0)" ] || fail "the LAN host has an address before: $(lan_address lan0)"
  create
  expect_status 0 create
  expect_quiet
  ip -6 addr show dev home0 | grep -q 'inet6 2001:db8:aa:bb00::1/64 ' || fail "home0 has not the first address of the first network"
  ip -6 addr show dev home1 | grep -q 'inet6 2001:db8:aa:bb01::1/64 ' || fail "home1 has not the first address of the second network"
  ip -6 addr show dev home0 | grep -q 'inet6 2001:db8:33::1/64 ' || fail "the address that home0 had is gone"
  within 10 lan_has_address lan0 2001:db8:aa:bb00: || fail "no address by autoconfiguration on lan0: $(lan_address lan0)"
  within 10 lan_has_address lan1 2001:db8:aa:bb01: || fail "no address by autoconfiguration on lan1: $(lan_address lan1)"
  lan_has_router || fail "the LAN host has no default router"
  [ "$(in_lan cat /proc/sys/net/ipv6/conf/lan0/mtu)" = 1280 ] || fail "the LAN host does not know the tunnel's MTU"
  [ "$(cat /proc/sys/net/ipv6/conf/all/forwarding)" = 1 ] || fail "forwarding is off"
  expect_way 2001:db8:aa:bb00::5 home0
  expect_way 2001:db8:aa:bb01::5 home1
  ip -6 route get 2001:db8:aa:bb02::5 >/dev/null 2>&1 && fail "the unused rest of the prefix can loop"
  # The router's own traffic stays native, the home network's has one way out.
  expect_way 2001:db8:77::1 up0
  expect_way 2001:db8:77::1 tun0 2001:db8:aa:bb00::1
  once=$(clean_snapshot) record_once=$(cat "$SIXLINK_RECORD")
  create
  expect_status 0 "second create"
  expect_same "the second create changed something" "$once" "$(clean_snapshot)"
  expect_same "the second create recorded something" "$record_once" "$(cat "$SIXLINK_RECORD")"
  teardown
  expect_status 0 teardown
  expect_quiet
  expect_no_record
  within 5 lan_has_no_router || fail "the LAN host keeps the default router"
  within 5 lan_has_no_preferred_address || fail "the LAN host prefers its address still: $(lan_address lan0)"
  expect_same "teardown left a difference" "$before" "$(clean_snapshot)"
}

case_what_radvd_says() {
  need_radvd_and_home
  command -v rdisc6 >/dev/null || skip "rdisc6 (ndisc6) is not installed"
  environment_of v6udpv4 tun router
  create
  expect_status 0 create
  advertised=$(in_lan rdisc6 -1 -w 3000 lan0 2>&1)
  for line in 'Router preference .*: *low' 'Router lifetime .*: *600 ' 'Prefix *: 2001:db8:aa:bb00::/64' \
    'Valid time .*: *5400 ' 'Pref. time .*: *2700 ' 'MTU *: *1280 ' 'Recursive DNS server *: 2001:db8:53::53'; do
    grep -qE "$line" <<<"$advertised" || fail "the advertisement has no '$line': $advertised"
  done
  # Another configuration: the running radvd gives way.
  first=$(radvd_pids)
  export SIXLINK_DEFAULT_ROUTE=no SIXLINK_DNS_SERVERS="2001:db8:53::54 192.0.2.53 2001:db8:53::55" SIXLINK_MTU=1500
  create
  expect_status 0 "create with another configuration"
  [ "$first" != "$(radvd_pids)" ] || fail "radvd was not restarted"
  advertised=$(in_lan rdisc6 -1 -w 3000 lan0 2>&1)
  for line in 'Router lifetime .*: *0 ' 'Recursive DNS server *: 2001:db8:53::54' 'Recursive DNS server *: 2001:db8:53::55'; do
    grep -qE "$line" <<<"$advertised" || fail "the advertisement has no '$line': $advertised"
  done
  grep -q 'MTU' <<<"$advertised" && fail "an MTU of 1500 is advertised"
  grep -q '192.0.2.53' <<<"$advertised" && fail "an IPv4 DNS server is advertised"
  teardown
  expect_status 0 teardown
  [ -z "$(radvd_pids)" ] || fail "radvd runs still"
}

case_only_our_radvd_is_ended() {
  need_radvd_and_home
  mkdir -p "$work/state"
  printf 'interface home1 { AdvSendAdvert on; prefix 2001:db8:34::/64 { }; };\n' >"$work/state/other.conf"
  radvd -C "$work/state/other.conf" -p "$work/state/other.pid" -m stderr_syslog || fail "cannot start another radvd"
  within 5 test -s "$work/state/other.pid" || fail "the other radvd did not start"
  other=$(cat "$work/state/other.pid")
  environment_of v6udpv4 tun router
  export SIXLINK_HOME_INTERFACES=home0
  create
  expect_status 0 create
  [ "$(radvd_pids | wc -l)" -ge 2 ] || fail "no radvd of ours beside the other"
  # A pid file that lies, or is gone, changes nothing.
  echo "$other" >"$work/state/radvd-tun0.pid"
  teardown
  expect_status 0 teardown
  kill -0 "$other" 2>/dev/null || fail "the other radvd was ended"
  [ "$(radvd_pids | grep -cx "$other")" = 1 ] || fail "the other radvd is gone"
  find_ours=$(for pid in $(radvd_pids); do tr '\0' ' ' <"/proc/$pid/cmdline"; done | grep -c radvd-tun0)
  [ "$find_ours" = 0 ] || fail "our radvd runs still"
  create
  rm "$work/state/radvd-tun0.pid"
  teardown
  expect_status 0 "teardown without the pid file"
  for pid in $(radvd_pids); do
    tr '\0' ' ' <"/proc/$pid/cmdline" | grep -q radvd-tun0 && fail "our radvd runs still"
  done
  kill -0 "$other" 2>/dev/null || fail "the other radvd was ended"
}

case_a_radvd_that_hangs_is_killed() {
  need_radvd_and_home
  environment_of v6udpv4 tun router
  before=$(clean_snapshot)
  create
  expect_status 0 create
  radvd_pids | while read -r pid; do kill -STOP "$pid"; done
  teardown
  expect_status 0 teardown
  expect_same "teardown left a difference" "$before" "$(clean_snapshot)"
}

case_radvd_is_missing() {
  make_home
  environment_of v6udpv4 tun router
  before=$(clean_snapshot)
  # The template adds the system's directories to PATH. A copy without radvd takes the place of the one that has it, in this
  # case's own mount namespace. The system's directory itself is never mounted below $work, which is removed at the end.
  if radvd=$(command -v radvd); then
    directory=$(realpath "${radvd%/*}")
    mkdir "$work/others"
    for program in nft ip modprobe kill rm; do
      [ ! -x "$directory/$program" ] || cp -L "$directory/$program" "$work/others/$program"
    done
    mount --bind "$work/others" "$directory" || fail "cannot hide radvd"
  fi
  create
  expect_status 1 create
  expect_error "sixlink: router mode needs the program radvd, which is not installed: install the package radvd"
  expect_same "something was done" "$before" "$(clean_snapshot)"
  # A mode without advertisements does not need it.
  environment_of v4v6 tun router
  unset SIXLINK_HOME_INTERFACES
  create
  expect_status 0 "create of mode v4v6"
  teardown
  expect_same "teardown left a difference" "$before" "$(clean_snapshot)"
}

case_home_interfaces() {
  need_radvd_and_home
  environment_of v6udpv4 tun router
  before=$(clean_snapshot)
  export SIXLINK_HOME_INTERFACES="home0 home9"
  create
  expect_status 1 "an interface that is not there"
  expect_error "sixlink: there is no interface home9 for the home network: correct if_prefix"
  expect_same "something was done" "$before" "$(clean_snapshot)"
  while IFS='|' read -r interfaces length text; do
    SIXLINK_HOME_INTERFACES=$interfaces TSP_HOME_INTERFACE='' TSP_PREFIXLEN=$length create
    expect_status 2 "'$interfaces' and /$length"
    expect_error "$text"
  done <<'END'
|64|router mode needs the interface of the home network: set if_prefix
home0 home1|64|SIXLINK_HOME_INTERFACES (if_prefix) names 2 interfaces, but a /64 has 1 networks of 64 bits
home0 home1 up0|63|SIXLINK_HOME_INTERFACES (if_prefix) names 3 interfaces, but a /63 has 2 networks of 64 bits
home0|65|TSP_PREFIXLEN is 65: a home network needs a prefix of 64 bits or fewer
home0 home0|60|SIXLINK_HOME_INTERFACES (if_prefix) names home0 twice
home0 tun0|60|SIXLINK_HOME_INTERFACES (if_prefix) names the tunnel's own interface, tun0
home0 $(x)|60|SIXLINK_HOME_INTERFACES must be an interface name
END
  TSP_PREFIX='' create
  expect_status 2 "no prefix"
  expect_error "router mode needs a prefix, but the broker delegated none"
  for value in relative / /tmp/../etc "/tmp/a b" /tmp/ "/tmp/\$(x)"; do
    SIXLINK_HOME_INTERFACES=home0 SIXLINK_STATE_DIR=$value create
    expect_status 2 "SIXLINK_STATE_DIR=$value"
    expect_error "SIXLINK_STATE_DIR must be"
  done
  SIXLINK_HOME_INTERFACES=home0 SIXLINK_DNS_SERVERS="2001:db8::1 x;y" create
  expect_status 2 "a bad DNS server"
  expect_error "SIXLINK_DNS_SERVERS must be an IPv4 or IPv6 address, not 'x;y'"
  expect_same "something was done" "$before" "$(clean_snapshot)"
  # The name of old templates, which have one interface.
  unset SIXLINK_HOME_INTERFACES
  ip link set home1 down
  before=$(clean_snapshot)
  TSP_HOME_INTERFACE=home1 TSP_PREFIXLEN=64 create
  expect_status 0 "an interface that is down, and a /64"
  ip link show dev home1 | grep -q '[<,]UP[,>]' || fail "home1 was not brought up"
  expect_way 2001:db8:aa:bb00::5 home1
  TSP_HOME_INTERFACE=home1 TSP_PREFIXLEN=64 teardown
  expect_same "teardown left a difference" "$before" "$(clean_snapshot)"
}

case_what_was_there_stays() {
  need_radvd_and_home
  environment_of v6udpv4 tun router
  echo 1 >/proc/sys/net/ipv6/conf/all/forwarding
  ip -6 addr add 2001:db8:aa:bb00::1/64 dev home0 nodad
  wait_for_local_routes "2001:db8:aa:bb00::1 dev home0"
  before=$(clean_snapshot)
  create
  expect_status 0 create
  teardown
  expect_status 0 teardown
  expect_same "teardown left a difference" "$before" "$(clean_snapshot)"
}

case_ipv4_router() {
  make_home
  environment_of v4v6 tun router
  # Redirects are the kernel's own idea when forwarding is switched; one interface forwards already.
  echo 0 >/proc/sys/net/ipv4/conf/all/accept_redirects
  echo 1 >/proc/sys/net/ipv4/conf/up1/forwarding
  echo 1 >/proc/sys/net/ipv4/conf/all/rp_filter
  before=$(clean_snapshot)
  create
  expect_status 0 create
  expect_quiet
  ip -4 addr show dev tun0 | grep -q 'inet 203.0.113.2/32 ' || fail "the tunnel has no address"
  ip -4 addr show dev home0 | grep -q 'inet 203.0.113.9/29 ' || fail "home0 has not the first address of the prefix"
  ip -4 addr show dev home0 | grep -q 'inet 198.18.0.1/24 ' || fail "the address that home0 had is gone"
  [ "$(cat /proc/sys/net/ipv4/ip_forward)" = 1 ] || fail "forwarding is off"
  [ "$(cat /proc/sys/net/ipv6/conf/all/forwarding)" = 0 ] || fail "IPv6 forwarding was switched on"
  [ "$(cat /proc/sys/net/ipv4/conf/tun0/rp_filter)" = 2 ] || fail "what comes in may be dropped for the way back"
  [ -z "$(radvd_pids)" ] || fail "radvd runs for IPv4"
  expect_way4 203.0.113.1 tun0
  expect_way4 203.0.113.12 home0
  ip -4 route show type unreachable | grep -q '203.0.113.8/29 metric 65535' || fail "the prefix can loop"
  once=$(clean_snapshot)
  create
  expect_status 0 "second create"
  expect_same "the second create changed something" "$once" "$(clean_snapshot)"
  teardown
  expect_status 0 teardown
  expect_same "teardown left a difference" "$before" "$(clean_snapshot)"
  SIXLINK_HOME_INTERFACES="home0 home1" create
  expect_status 2 "two interfaces"
  expect_error "SIXLINK_HOME_INTERFACES (if_prefix) must be one interface in mode v4v6"
}

case_radvd_after_a_crash() {
  need_radvd_and_home
  environment_of v6udpv4 tun router
  before=$(clean_snapshot)
  stand_in fail 0 radvd
  create_with_stand_in
  expect_status 0 create
  complete=$(clean_snapshot | grep -v '^[0-9]*$') calls=$(wc -l <"$work/calls")
  [ "$calls" -ge 2 ] || fail "radvd was called $calls times: this case shows nothing"
  teardown
  for ((n = 1; n <= calls; n++)); do
    for when in kill-before kill-after; do
      stand_in $when "$n" radvd
      create_with_stand_in
      expect_status 137 "create killed at call $n of radvd"
      if [ $when = kill-after ]; then
        create
        expect_status 0 "create after a crash"
        expect_same "incomplete after a crash" "$complete" "$(clean_snapshot | grep -v '^[0-9]*$')"
      fi
      teardown
      expect_status 0 "teardown after a crash"
      expect_no_record
      expect_same "not undone after $when, call $n of radvd" "$before" "$(clean_snapshot)"
    done
  done
}

run_cases "$@"
