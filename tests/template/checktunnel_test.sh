#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# template/checktunnel.sh: its report, and that it changes nothing, under every shell.

# shellcheck disable=SC2119  # arguments of the template are the exception
# shellcheck source-path=SCRIPTDIR source=described.sh
. "$(dirname "$0")/described.sh"

# The template's system is Linux here, and nothing of what this machine has counts: an ip that knows no interface, and
# fails at whatever would change something.
stand_ins() {
  mkdir -p "$work/bin"
  cat >"$work/bin/ip" <<END
#!/bin/sh
case " \$* " in
  *' show '* | *' get '*) echo 'Device does not exist.' >&2; exit 1 ;;
esac
echo "\$*" >>'$work/changed'
END
  cat >"$work/bin/uname" <<END
#!/bin/sh
[ "\$*" = -s ] || exit 1
cat '$work/system'
END
  for name in nft modprobe radvd kill; do
    cat >"$work/bin/$name" <<END
#!/bin/sh
[ "\$1 \$2" = "list tables" ] || echo "$name \$*" >>'$work/changed'
END
  done
  # No user of radvd's own.
  printf '#!/bin/sh\nexit 1\n' >"$work/bin/id"
  chmod +x "$work/bin"/*
  echo Linux >"$work/system"
  PATH=$work/bin:$PATH
}

expect_nothing_changed() {
  [ ! -e "$work/changed" ] || fail "it ran: $(cat "$work/changed")"
  [ -z "$(find "$work/run" "$work/state" 2>/dev/null)" ] || fail "it wrote: $(find "$work/run" "$work/state")"
}

# Whether these are written depends on how this machine is set. The rules that check inner addresses are one long line,
# tested in linux_modes_test.sh.
without_the_machines_own() {
  sed -i 's/^  nft add table inet sixlink_filter_sit1; .* outgoing drop; .*/  nft: checks of sit1/' "$work/out"
  grep -v -e '/all/forwarding$' -e '/rp_filter$' "$work/out" >"$work/filtered"
  mv "$work/filtered" "$work/out"
}

case_another_machines_tunnel() {
  stand_ins
  environment
  export TSP_HOST_TYPE=router TSP_PREFIX=2001:0db8:00aa:bb00 TSP_PREFIXLEN=56 SIXLINK_HOME_INTERFACES="eth1 eth2"
  export SIXLINK_DNS_SERVERS=2001:db8:53::53 TSP_CLIENT_DNS_NAME=alice.users.example.net SIXLINK_DEFAULT_ROUTE=yes
  run
  expect_status 0 report
  without_the_machines_own
  expect_output "the report" "Nothing is changed. The tunnel:
  Operation:        TSP_TUNNEL_CREATION
  Tunnel mode:      v6v4
  Host type:        router
  Interface:        sit1
  Interface kind:   none (reported as kernel)
  Outer addresses:  192.0.2.10 - 198.51.100.1
  Inner addresses:  2001:db8:f:f::2/128 - 2001:db8:f:f::1
  Prefix:           2001:0db8:00aa:bb00::/56
  Home interfaces:  eth1 eth2
  MTU:              1280
  DNS servers:      2001:db8:53::53
  Name:             alice.users.example.net
  Default route:    yes
  MSS clamping:     no
What linux.sh would run:
  ip link add name sit1 type sit local 192.0.2.10 remote 198.51.100.1 ttl 64 pmtudisc
  nft: checks of sit1
  ip link set dev sit1 mtu 1280
  echo 0 > /proc/sys/net/ipv6/conf/sit1/disable_ipv6
  echo 0 > /proc/sys/net/ipv6/conf/sit1/accept_ra
  ip link set dev sit1 up
  ip -6 addr add 2001:db8:f:f::2/128 dev sit1 nodad
  ip -6 route add 2001:db8:f:f::1/128 dev sit1 metric 1024
  echo 0 > /proc/sys/net/ipv6/conf/eth1/disable_ipv6
  ip link set dev eth1 up
  ip -6 addr add 2001:db8:aa:bb00::1/64 dev eth1 nodad
  echo 0 > /proc/sys/net/ipv6/conf/eth2/disable_ipv6
  ip link set dev eth2 up
  ip -6 addr add 2001:db8:aa:bb01::1/64 dev eth2 nodad
  ip -6 route add unreachable 2001:0db8:00aa:bb00::/56 metric 65535
  ip -6 route add default dev sit1 metric 1
  write $work/state/radvd-sit1.conf
  radvd --configtest -C $work/state/radvd-sit1.conf -m stderr
  radvd -C $work/state/radvd-sit1.conf -p $work/state/radvd-sit1.pid -m stderr_syslog"
  expect_nothing_changed
}

case_this_machines_tunnel() {
  stand_ins
  ipv4_environment
  export SIXLINK_INTERFACE_KIND=tun SIXLINK_DEFAULT_ROUTE=no TSP_TUNNEL_INTERFACE=tun7
  run
  expect_status 0 report
  without_the_machines_own
  expect_output "the report" "Nothing is changed. The tunnel:
  Operation:        TSP_TUNNEL_CREATION
  Tunnel mode:      v4v6
  Host type:        host
  Interface:        tun7
  Interface kind:   tun
  Outer addresses:  2001:db8:1::99 - 2001:db8:99::1
  Inner addresses:  203.0.113.2/32 - 203.0.113.1
  MTU:              1280
  Default route:    no
  MSS clamping:     no
What linux.sh would run:
  ip link set dev tun7 mtu 1280
  ip link set dev tun7 up
  ip -4 addr add 203.0.113.2/32 dev tun7
  ip -4 route add 203.0.113.1/32 dev tun7 metric 1024"
  TSP_OPERATION=TSP_TUNNEL_TEARDOWN run
  expect_status 0 teardown
  [ "$(tail -n 2 "$work/out")" = "What linux.sh would run:
  (nothing)" ] || fail "a teardown of nothing: $(tail -n 2 "$work/out")"
  expect_nothing_changed
}

case_what_would_be_refused() {
  stand_ins
  environment
  TSP_SERVER_ADDRESS_IPV6=x run
  expect_status 2 "a bad address"
  expect_error "sixlink: TSP_SERVER_ADDRESS_IPV6 must be an IPv6 address, not 'x'"
  grep -q "TSP_SERVER_ADDRESS_IPV6 must be an IPv6 address" "$work/out" || fail "the report does not say it"
  TSP_CLIENT_DNS_NAME=$'a\033[31m\nb' run
  expect_status 0 "a name with control characters"
  LC_ALL=C tr -d '\n' <"$work/out" | grep -q '[[:cntrl:]]' && fail "control characters reach the terminal"
  echo Plan9 >"$work/system"
  run
  expect_status 2 "a system without a template"
  expect_error "sixlink: there is no template for this system: "
  expect_nothing_changed
}

run_cases checktunnel
