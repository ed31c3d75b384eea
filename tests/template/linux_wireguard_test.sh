#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# template/linux.sh in mode wireguard: hosts and routers, on the daemon's interface and on the kernel's own, under every shell; what the
# mode has of its own: the key's file, what is allowed, a way to the broker that is lost, and the registry's interface.

# shellcheck disable=SC2119
# shellcheck source-path=SCRIPTDIR source=linux_matrix.sh
. "$(dirname "$0")/linux_matrix.sh"

case_tun_host() {
  matrix wireguard tun host
}

case_tun_router() {
  matrix wireguard tun router
}

case_kernel_host() {
  matrix wireguard kernel host
}

case_kernel_router() {
  matrix wireguard kernel router
}

# Without the kernel's part, without wg, and with another's interface.
case_not_here() {
  environment_of wireguard kernel host
  kernel_ip
  mv "$work/kernel/wg" "$work/kernel/no-wg"
  mkdir -p "$work/none"
  local program
  for program in ip nft grep sed cat tr rm mkdir printf tail mv ls sh sort iptables ip6tables; do
    if [ -e "$work/kernel/$program" ]; then
      ln -sf "$work/kernel/$program" "$work/none/$program"
    elif command -v "$program" >/dev/null; then
      ln -sf "$(type -P "$program")" "$work/none/$program"
    fi
  done
  before=$(stable_snapshot)
  mv "$work/kernel/no-wg" "$work/kernel/wg"
  # Taken by someone else.
  ip tuntap add mode tun dev six0
  create
  expect_status 1 "create with another's interface"
  grep -q 'interface six0 already.*if_tunnel_wireguard' "$work/err" || fail "does not say which key to change: $(cat "$work/err")"
  ip link del six0
  expect_no_record
  # A file that is not there.
  rm -f "$SIXLINK_WIREGUARD_CONF"
  create
  expect_status 1 "create without the key's file"
  expect_no_record
  expect_same "a failed wg left something" "$(echo "$before" | grep -v wireguard.conf)" "$(stable_snapshot)"
}

# The kernel has no such interface: exit status 3, and nothing is left.
case_unsupported() {
  environment_of wireguard kernel host
  kernel_ip
  sed -i 's/^      wireguard) \[ -z .*/      wireguard) echo "Error: Unknown device type." >\&2; exit 2 ;;/' "$work/kernel/ip"
  before=$(stable_snapshot)
  create
  expect_status 3 "create without WireGuard in the kernel"
  grep -q 'no WireGuard' "$work/err" || fail "does not say what is missing: $(cat "$work/err")"
  expect_no_record
  expect_same "something is left" "$before" "$(stable_snapshot)"
}

case_values() {
  local value
  environment_of wireguard kernel host
  kernel_ip
  for value in nonsense ::/129 0.0.0.0/33 "::/0 x" "::/0;reboot"; do
    SIXLINK_ALLOWED=$value create
    expect_status 2 "SIXLINK_ALLOWED=$value"
  done
  for value in '' relative/file "/a b" /a/../b; do
    SIXLINK_WIREGUARD_CONF=$value create
    expect_status 2 "SIXLINK_WIREGUARD_CONF=$value"
  done
  TSP_CLIENT_ADDRESS_IPV4=203.0.113.256 create
  expect_status 2 "a bad IPv4 address"
  TSP_SERVER_ADDRESS_IPV4='' create
  expect_status 2 "only one IPv4 address"
  expect_no_record
}

# What the broker carries is routed, and nothing else.
case_allowed() {
  environment_of wireguard tun host
  SIXLINK_ALLOWED="2001:db8:77::/48 198.18.7.0/24" create
  expect_status 0 "create"
  ip -6 route show | grep -q '^2001:db8:77::/48 dev tun0' || fail "no IPv6 route: $(ip -6 route show)"
  ip route show | grep -q '^198.18.7.0/24 dev tun0' || fail "no IPv4 route: $(ip route show)"
  if ip -6 route show default | grep -q tun0 || ip route show default | grep -q tun0; then fail "there is a default route"; fi
  teardown
  expect_status 0 "teardown"
  TSP_CLIENT_ADDRESS_IPV4='' TSP_SERVER_ADDRESS_IPV4='' SIXLINK_ALLOWED="::/0 0.0.0.0/0" create
  expect_status 0 "create without IPv4"
  if ip route show | grep -q tun0; then fail "an IPv4 route without an address: $(ip route show)"; fi
  teardown
}

# The old address goes with its routes, another one comes, and the broker is found around the tunnel again.
case_refresh() {
  environment_of wireguard tun host
  SIXLINK_DEFAULT_ROUTE=yes create
  expect_status 0 "create"
  ip route get 198.51.100.1 | grep -q 'via 192.0.2.1 dev up0' || fail "the broker is not reached around the tunnel"
  ip addr del 192.0.2.10/24 dev up0
  ip addr add 192.0.2.77/24 dev up0
  ip route get 198.51.100.1 | grep -q 'dev tun0' || fail "the test is none: the way is still there"
  # No other way yet: nothing is done, and it is no failure.
  local record
  record=$(cat "$SIXLINK_RECORD")
  SIXLINK_DEFAULT_ROUTE=yes SIXLINK_REFRESH=yes create
  expect_status 0 "refresh without another way"
  expect_same "it recorded something" "$record" "$(cat "$SIXLINK_RECORD")"
  ip route add default via 192.0.2.1 metric 50
  SIXLINK_DEFAULT_ROUTE=yes SIXLINK_REFRESH=yes create
  expect_status 0 "refresh"
  ip route get 198.51.100.1 | grep -q 'via 192.0.2.1 dev up0 src 192.0.2.77' || fail "still lost: $(ip route get 198.51.100.1)"
  ip -6 addr show dev tun0 | grep -q 2001:db8:f:f::2 || fail "the tunnel's address is gone"
  teardown
  expect_status 0 "teardown"
  if ip route show | grep -q 198.51.100.1; then fail "the way to the broker is left"; fi
}

broker_wireguard() {
  host_environment
  kernel_ip
  export TSP_HOST_TYPE=broker TSP_TUNNEL_MODE=wireguard SIXLINK_INTERFACE_KIND=kernel TSP_TUNNEL_INTERFACE=six0
  export SIXLINK_WIREGUARD_CONF=$work/state/six0.conf SIXLINK_WIREGUARD_ROUTES=$work/state/six0.routes
  mkdir -p "$work/state"
  printf '[Interface]\nPrivateKey = x\n' >"$SIXLINK_WIREGUARD_CONF"
  printf '%s\n' 2001:db8:42::2/128 203.0.113.2/32 2001:db8:42:100::/56 >"$SIXLINK_WIREGUARD_ROUTES"
}

routes_of_six0() { { ip -6 route show dev six0 proto static; ip route show dev six0 proto static; } | cut -d ' ' -f 1 | sort | tr '\n' ' '; }

# The registry's interface: routes come and go with the clients, and an update leaves the others alone.
case_broker() {
  broker_wireguard
  local before
  before=$(stable_snapshot)
  create
  expect_status 0 "create"
  expect_same "routes" "2001:db8:42:100::/56 2001:db8:42::2 203.0.113.2 " "$(routes_of_six0)"
  create
  expect_status 0 "the same again"
  expect_same "routes" "2001:db8:42:100::/56 2001:db8:42::2 203.0.113.2 " "$(routes_of_six0)"
  printf '%s\n' 2001:db8:42::2/128 2001:db8:42::3/128 203.0.113.3/32 >"$SIXLINK_WIREGUARD_ROUTES"
  ip -6 route replace 2001:db8:42::2 dev six0 proto static expires 1000
  create
  expect_status 0 "an update"
  expect_same "routes" "2001:db8:42::2 2001:db8:42::3 203.0.113.3 " "$(routes_of_six0)"
  ip -6 route show 2001:db8:42::2 dev six0 | grep -q expires || fail "a route that was right was made anew"
  : >"$SIXLINK_WIREGUARD_ROUTES"
  create
  expect_status 0 "the last one went"
  expect_same "routes" "" "$(routes_of_six0)"
  find "$work/state" -name '*.wanted' -o -name '*.held' -o -name '*.batch' | grep -q . && fail "a file is left"
  printf '%s\n' 2001:db8:42::2/128 203.0.113.2/32 2001:db8:42:100::/56 >"$SIXLINK_WIREGUARD_ROUTES"
  teardown
  expect_status 0 "teardown"
  expect_no_record
  expect_same "teardown left a difference" "$before" "$(stable_snapshot)"
}

run_cases "$@"
