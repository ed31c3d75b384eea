#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# template/cisco.sh: the texts for the router, each line as the IOS command references have it, under every shell.

# shellcheck disable=SC2119  # arguments of the template are the exception
# shellcheck source-path=SCRIPTDIR source=described.sh
. "$(dirname "$0")/described.sh"

case_v6v4_host() {
  environment
  run
  expect_status 0 create
  [ ! -s "$work/err" ] || fail "it complains: $(cat "$work/err")"
  expect_output "the configuration" '! sixlink: enter this in the router'\''s configuration mode (configure terminal)
ipv6 unicast-routing
interface Tunnel1
 description sixlink: IPv6 over IPv4 to 198.51.100.1
 no ip address
 ipv6 enable
 ipv6 address 2001:db8:f:f::2/128
 ipv6 mtu 1280
 tunnel mode ipv6ip
 tunnel source 192.0.2.10
 tunnel destination 198.51.100.1
 no shutdown
 exit
ipv6 route 2001:db8:f:f::1/128 Tunnel1
ipv6 route ::/0 Tunnel1 250
end
! To take it back later, without the exclamation marks:
! no ipv6 route ::/0 Tunnel1
! no ipv6 route 2001:db8:f:f::1/128 Tunnel1
! no interface Tunnel1
! end'
  diff "$work/out" "$work/state/cisco-sit1.txt" >&2 || fail "the file is not what was printed"
  [ "$(stat -c %a "$work/state/cisco-sit1.txt")" = 644 ] || fail "the file's mode is $(stat -c %a "$work/state/cisco-sit1.txt")"
  cp "$work/state/cisco-sit1.txt" "$work/first"
  run
  expect_status 0 "second create"
  diff "$work/first" "$work/state/cisco-sit1.txt" >&2 || fail "the second create changed the file"
  TSP_OPERATION=TSP_TUNNEL_TEARDOWN run
  expect_status 0 teardown
  expect_output "the removal" '! sixlink: this takes the tunnel back; enter it in the router'\''s configuration mode (configure terminal)
no ipv6 route ::/0 Tunnel1
no ipv6 route 2001:db8:f:f::1/128 Tunnel1
no interface Tunnel1
end'
  [ -z "$(find "$work/state" "$work/run" -type f)" ] || fail "left: $(find "$work/state" "$work/run" -type f)"
  TSP_OPERATION=TSP_TUNNEL_TEARDOWN run
  expect_status 0 "second teardown"
}

case_v6v4_router() {
  environment
  export TSP_HOST_TYPE=router TSP_PREFIX=2001:0db8:00aa:bb00 TSP_PREFIXLEN=60 SIXLINK_DNS_SERVERS="2001:db8:53::53 192.0.2.53"
  export SIXLINK_HOME_INTERFACES="GigabitEthernet0/1 Vlan2" SIXLINK_MSS_CLAMP=yes SIXLINK_MTU=1400 TSP_TUNNEL_INTERFACE=tun
  run
  expect_status 0 create
  expect_output "the configuration" '! sixlink: enter this in the router'\''s configuration mode (configure terminal)
ipv6 unicast-routing
interface Tunnel0
 description sixlink: IPv6 over IPv4 to 198.51.100.1
 no ip address
 ipv6 enable
 ipv6 address 2001:db8:f:f::2/128
 ipv6 mtu 1400
 ipv6 tcp adjust-mss 1340
 tunnel mode ipv6ip
 tunnel source 192.0.2.10
 tunnel destination 198.51.100.1
 no shutdown
 exit
ipv6 route 2001:db8:f:f::1/128 Tunnel0
ipv6 route 2001:0db8:00aa:bb00::/60 Null0
ipv6 route ::/0 Tunnel0 250
interface GigabitEthernet0/1
 ipv6 address 2001:db8:aa:bb00::1/64
 ipv6 nd router-preference low
 ipv6 nd ra dns server 2001:db8:53::53 600
 exit
interface Vlan2
 ipv6 address 2001:db8:aa:bb01::1/64
 ipv6 nd router-preference low
 ipv6 nd ra dns server 2001:db8:53::53 600
 exit
end
! To take it back later, without the exclamation marks:
! interface GigabitEthernet0/1
!  no ipv6 nd ra dns server 2001:db8:53::53
!  no ipv6 nd router-preference
!  no ipv6 address 2001:db8:aa:bb00::1/64
!  exit
! interface Vlan2
!  no ipv6 nd ra dns server 2001:db8:53::53
!  no ipv6 nd router-preference
!  no ipv6 address 2001:db8:aa:bb01::1/64
!  exit
! no ipv6 route ::/0 Tunnel0
! no ipv6 route 2001:0db8:00aa:bb00::/60 Null0
! no ipv6 route 2001:db8:f:f::1/128 Tunnel0
! no interface Tunnel0
! end'
  TSP_OPERATION=TSP_TUNNEL_TEARDOWN run
  expect_output "the removal" '! sixlink: this takes the tunnel back; enter it in the router'\''s configuration mode (configure terminal)
interface GigabitEthernet0/1
 no ipv6 nd ra dns server 2001:db8:53::53
 no ipv6 nd router-preference
 no ipv6 address 2001:db8:aa:bb00::1/64
 exit
interface Vlan2
 no ipv6 nd ra dns server 2001:db8:53::53
 no ipv6 nd router-preference
 no ipv6 address 2001:db8:aa:bb01::1/64
 exit
no ipv6 route ::/0 Tunnel0
no ipv6 route 2001:0db8:00aa:bb00::/60 Null0
no ipv6 route 2001:db8:f:f::1/128 Tunnel0
no interface Tunnel0
end'
}

case_default_routes() {
  environment
  SIXLINK_DEFAULT_ROUTE=yes run
  grep -qx 'ipv6 route ::/0 Tunnel1' "$work/out" || fail "no default route of the usual distance"
  export SIXLINK_DEFAULT_ROUTE=no TSP_HOST_TYPE=router TSP_PREFIX=2001:0db8:00aa:bb00 TSP_PREFIXLEN=64 TSP_HOME_INTERFACE=Gi0/1
  run
  expect_status 0 "create with default_route=no"
  grep -q '::/0' "$work/out" && fail "a default route with default_route=no"
  grep -qx ' ipv6 nd ra lifetime 0' "$work/out" || fail "the home network is offered a default router that leads nowhere"
  TSP_OPERATION=TSP_TUNNEL_TEARDOWN run
  grep -q '::/0' "$work/out" && fail "a default route is removed that was not made"
  grep -qx ' no ipv6 nd ra lifetime' "$work/out" || fail "the lifetime stays"
}

case_v4v6_host() {
  ipv4_environment
  export SIXLINK_DEFAULT_ROUTE=yes SIXLINK_MTU=1452
  run
  expect_status 0 create
  expect_output "the configuration" '! sixlink: enter this in the router'\''s configuration mode (configure terminal)
interface Loopback365301
 description sixlink: address of Tunnel1
 ip address 203.0.113.2 255.255.255.255
 exit
interface Tunnel1
 description sixlink: IPv4 over IPv6 to 2001:db8:99::1
 ip unnumbered Loopback365301
 ip mtu 1452
 tunnel mode ipv6
 tunnel source 2001:db8:1::10
 tunnel destination 2001:db8:99::1
 no shutdown
 exit
ip route 203.0.113.1 255.255.255.255 Tunnel1
ip route 0.0.0.0 0.0.0.0 Tunnel1
end
! To take it back later, without the exclamation marks:
! no ip route 0.0.0.0 0.0.0.0 Tunnel1
! no ip route 203.0.113.1 255.255.255.255 Tunnel1
! no interface Tunnel1
! no interface Loopback365301
! end'
  TSP_OPERATION=TSP_TUNNEL_TEARDOWN run
  expect_output "the removal" '! sixlink: this takes the tunnel back; enter it in the router'\''s configuration mode (configure terminal)
no ip route 0.0.0.0 0.0.0.0 Tunnel1
no ip route 203.0.113.1 255.255.255.255 Tunnel1
no interface Tunnel1
no interface Loopback365301
end'
}

case_v4v6_router() {
  ipv4_environment
  export TSP_HOST_TYPE=router TSP_PREFIX=203.0.113.8 TSP_PREFIXLEN=29 SIXLINK_HOME_INTERFACES=GigabitEthernet0/1 TSP_TUNNEL_PREFIXLEN=30
  export SIXLINK_MSS_CLAMP=yes
  run
  expect_status 0 create
  expect_output "the configuration" '! sixlink: enter this in the router'\''s configuration mode (configure terminal)
interface Tunnel1
 description sixlink: IPv4 over IPv6 to 2001:db8:99::1
 ip address 203.0.113.2 255.255.255.252
 ip mtu 1280
 ip tcp adjust-mss 1240
 tunnel mode ipv6
 tunnel source 2001:db8:1::10
 tunnel destination 2001:db8:99::1
 no shutdown
 exit
ip route 203.0.113.1 255.255.255.255 Tunnel1
ip route 203.0.113.8 255.255.255.248 Null0
ip route 0.0.0.0 0.0.0.0 Tunnel1 250
! Takes the place of the interface'\''s IPv4 address, where it has one.
interface GigabitEthernet0/1
 ip address 203.0.113.9 255.255.255.248
 exit
end
! To take it back later, without the exclamation marks:
! interface GigabitEthernet0/1
!  no ip address 203.0.113.9 255.255.255.248
!  exit
! no ip route 0.0.0.0 0.0.0.0 Tunnel1
! no ip route 203.0.113.8 255.255.255.248 Null0
! no ip route 203.0.113.1 255.255.255.255 Tunnel1
! no interface Tunnel1
! end'
  TSP_OPERATION=TSP_TUNNEL_TEARDOWN run
  expect_output "the removal" '! sixlink: this takes the tunnel back; enter it in the router'\''s configuration mode (configure terminal)
interface GigabitEthernet0/1
 no ip address 203.0.113.9 255.255.255.248
 exit
no ip route 0.0.0.0 0.0.0.0 Tunnel1
no ip route 203.0.113.8 255.255.255.248 Null0
no ip route 203.0.113.1 255.255.255.255 Tunnel1
no interface Tunnel1
end'
}

case_dry_run_writes_nothing() {
  environment
  run --dry-run
  expect_status 0 "dry run"
  grep -qx 'interface Tunnel1' "$work/out" || fail "a dry run says nothing"
  [ -z "$(find "$work/state" "$work/run" 2>/dev/null)" ] || fail "a dry run wrote something"
}

case_file_that_cannot_be_written() {
  environment
  echo file >"$work/state"
  run
  expect_status 1 create
  expect_error "sixlink: command failed (exit "
  expect_error "write $work/state/cisco-sit1.txt"
  [ ! -e "$SIXLINK_RECORD" ] || fail "the record is still there"
}

case_what_is_refused() {
  environment
  SIXLINK_INTERFACE_KIND=tun run
  expect_status 2 "a tunnel of this machine"
  expect_error "sixlink: the template cisco is for another machine's tunnel: set proxy_client=yes"
  TSP_TUNNEL_MODE=v6udpv4 run
  expect_status 2 v6udpv4
  expect_error "sixlink: TSP_TUNNEL_MODE must be v6v4 or v4v6, not 'v6udpv4'"
  TSP_HOST_TYPE=router TSP_PREFIX=2001:db8:aa:bb00 TSP_PREFIXLEN=64 run
  expect_status 2 "a router without an interface"
  expect_error "set if_prefix"
  TSP_HOST_TYPE=router TSP_PREFIX=2001:db8:aa:bb00 TSP_PREFIXLEN=64 SIXLINK_HOME_INTERFACES="Gi0/1 Gi0/2" run
  expect_status 2 "more interfaces than networks"
  TSP_HOST_TYPE=router TSP_HOME_INTERFACE=Gi0/1 run
  expect_status 2 "a router without a prefix"
  # Nothing from the network becomes a command of the router, or of the shell.
  export TSP_HOST_TYPE=router TSP_PREFIX=2001:db8:aa:bb00 TSP_PREFIXLEN=64 SIXLINK_HOME_INTERFACES=Gi0/1
  for name in TSP_CLIENT_ADDRESS_IPV4 TSP_SERVER_ADDRESS_IPV4 TSP_CLIENT_ADDRESS_IPV6 TSP_SERVER_ADDRESS_IPV6 TSP_TUNNEL_PREFIXLEN \
    TSP_PREFIX TSP_PREFIXLEN SIXLINK_HOME_INTERFACES SIXLINK_DNS_SERVERS SIXLINK_MTU SIXLINK_DEFAULT_ROUTE SIXLINK_MSS_CLAMP \
    SIXLINK_STATE_DIR TSP_TUNNEL_INTERFACE TSP_HOST_TYPE SIXLINK_OUTER_SERVER; do
    for value in $'x\nno enable secret' "\$(touch $work/pwn)" "1;x" "' x" "%" "../x;"; do
      status=0
      # shellcheck disable=SC2086
      env "$name=$value" $shell "$root/template/cisco.sh" >"$work/out" 2>"$work/err" || status=$?
      [ "$name:$status" != "SIXLINK_HOME_INTERFACES:0" ] || fail "$name=$value is taken"
      expect_status 2 "$name=$value"
      [ ! -s "$work/out" ] || fail "$name=$value: something was printed"
      [ "$(wc -l <"$work/err")" = 1 ] || fail "$name=$value: not one line: $(cat "$work/err")"
    done
  done
  [ ! -e "$work/pwn" ] || fail "a value was executed"
  [ ! -e "$work/state" ] || fail "something was written"
}

run_cases cisco
