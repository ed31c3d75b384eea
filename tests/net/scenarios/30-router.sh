#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The client as the router of a home network: hosts behind it configure themselves and reach the IPv6 side through the tunnel.
#
#   lan ---- eth0 ------------ home0 --- client (NAT, the Internet, registry and web: ../lib.sh)
#       ---- eth1 ------------ home1
#
# covers: registry key dns_server

# shellcheck source-path=SCRIPTDIR source=../lib.sh disable=SC2119,SC2034
. "$(dirname "$0")/../lib.sh"

begin "$@"
if ! command -v radvd >/dev/null || ! command -v rdisc6 >/dev/null; then
  skip "$SCENARIO" "the programs radvd and rdisc6 (ndisc6) are not both installed (make deps)"
  exit 0
fi
topology
add_namespace lan
link lan eth0 client home0
link lan eth1 client home1
start_registry dns_server=2001:db8:99::2 prefix_length_min=60 prefix_length_max=64
add_user alice s3cret
start_web 10M

lan_address() { ns lan ip -6 -o addr show dev "$1" scope global | awk '{ print $4 }' | head -n 1; }
has_lan_address() { [ -n "$(lan_address "$1")" ]; }
has_router() { ns lan ip -6 route show default dev "$1" | grep -q 'proto ra'; }
has_no_router() { ! has_router "$1"; }
# The processes of radvd on the client's machine; one that ended but was not waited for has no arguments.
radvds() {
  local pid
  for pid in $(ip netns pids "$PREFIX-client"); do
    if [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = radvd ] && grep -q radvd "/proc/$pid/cmdline" 2>/dev/null; then echo "$pid"; fi
  done
}
no_radvd() { [ -z "$(radvds)" ]; }
start_router() { # KEY=VALUE...
  start_client home auth_method=digest-md5 userid=alice passwd=s3cret host_type=router "$@"
}
# As the LAN was before: no address is left that a test could mistake for a new one.
forget_lan() {
  local interface
  for interface in eth0 eth1; do
    ip -n "$PREFIX-lan" -6 addr flush dev $interface scope global
    ip -n "$PREFIX-lan" -6 route flush dev $interface proto ra
  done
}
is_in() { # ADDRESS PREFIX: is the address in it
  "$PYTHON" -c 'import ipaddress, sys; a, p = sys.argv[1:]
sys.exit(ipaddress.ip_address(a.split("/")[0]) not in ipaddress.ip_network(p))' "$1" "$2"
}

# --- Without the tunnel ---

snapshot client >"$TEMP/client.before"
check_equal "before: a LAN host has no IPv6 address" "" "$(lan_address eth0)"
check_fails "before: no router answers on the LAN" ns lan rdisc6 -1 -q -w 500 -r 1 eth0
check_fails "before: a LAN host cannot reach the web server" can_ping lan $WEB_V6 1
check_equal "before: no radvd runs" "" "$(radvds)"

# --- One home interface ---

start_router prefixlen=64 if_prefix=home0
DELEGATED=$(status_field home prefix)
check_match "one interface: the broker delegated a /64" '^2001:db8:42:.*/64$' "$DELEGATED"
check "one interface: a LAN host gets an address by itself" wait_for 10 has_lan_address eth0
check "one interface: the address is in the delegated prefix" is_in "$(lan_address eth0)" "$DELEGATED"
check "one interface: it has a default router" has_router eth0
ADVERTISED=$(ns lan rdisc6 -1 -w 3000 eth0 2>&1)
check_match "one interface: the DNS server that the broker named is advertised" 'Recursive DNS server *: 2001:db8:99::2' "$ADVERTISED"
check_match "one interface: the tunnel's MTU is advertised" 'MTU *: *1280 ' "$ADVERTISED"
check_fails "one interface: nothing is advertised on the other interface" ns lan rdisc6 -1 -q -w 500 -r 1 eth1
check "one interface: a LAN host reaches the web server" wait_for 5 can_ping lan $WEB_V6
check "one interface: 10 MB arrive whole" fetches lan
ADDRESS=$(lan_address eth0)
check "one interface: the web server reaches the LAN host" can_ping web "${ADDRESS%/*}"
check_equal "one interface: radvd's files are in run_dir" "radvd-six0.conf radvd-six0.pid" \
  "$(cd "$TEMP/home/run" && echo radvd-*)"

check_fails "one interface: radvd runs" no_radvd

check "stop: succeeds" client home stop
check "stop: the LAN host loses its default router" wait_for 5 has_no_router eth0
check_fails "stop: a LAN host cannot reach the web server" can_ping lan $WEB_V6 1
check "stop: radvd is gone" no_radvd
check "stop: addresses, routes and sysctls are as before" is_as_before client
check "stop: nothing is left in run_dir" run_dir_is_empty home

# --- Two that share a prefix ---

forget_lan
start_router prefixlen=63 if_prefix=home0,home1
DELEGATED=$(status_field home prefix)
check_match "two interfaces: the broker delegated a /63" '/63$' "$DELEGATED"
for interface in eth0 eth1; do
  check "two interfaces: an address on $interface" wait_for 10 has_lan_address $interface
  check "two interfaces: the address on $interface is in the delegated prefix" is_in "$(lan_address $interface)" "$DELEGATED"
done
FIRST=$(lan_address eth0) SECOND=$(lan_address eth1)
check_fails "two interfaces: the networks are two" is_in "$SECOND" "$("$PYTHON" -c 'import ipaddress, sys
print(ipaddress.ip_interface(sys.argv[1].split("/")[0] + "/64").network)' "$FIRST")"
check "two interfaces: eth0 reaches the web server" ns lan ping -6 -n -c 1 -W 2 -I "${FIRST%/*}" $WEB_V6
ip -n "$PREFIX-lan" -6 route flush dev eth0 proto ra
check "two interfaces: eth1 reaches the web server" ns lan ping -6 -n -c 1 -W 2 -I "${SECOND%/*}" $WEB_V6
check "two interfaces: stop succeeds" client home stop
check "two interfaces: all is as before" is_as_before client

# --- More than the prefix has room for, and interfaces that are not there ---

write_client_config home client auth_method=digest-md5 userid=alice passwd=s3cret host_type=router prefixlen=64 if_prefix=home0,home1
spawn_client home
check "too many interfaces: the status says so" wait_for 20 last_error_matches home 'names 2 interfaces, but a /64 has 1'
stop_client home
write_client_config home client auth_method=digest-md5 userid=alice passwd=s3cret host_type=router prefixlen=64 if_prefix=home7
spawn_client home
check "no such interface: the status says so" wait_for 20 last_error_matches home 'there is no interface home7 for the home network'
stop_client home
check "no such interface: all is as before" is_as_before client

# --- The daemon is killed: radvd lives on, and the next start begins anew ---

forget_lan
start_router prefixlen=64 if_prefix=home0
check "killed: a LAN host gets an address" wait_for 10 has_lan_address eth0
BEFORE_KILL=$(radvds)
stop_pid "${CLIENT_PID[home]}" KILL
check_equal "killed: radvd is left" "$BEFORE_KILL" "$(radvds)"
start_router prefixlen=64 if_prefix=home0
AFTER_KILL=$(radvds)
check_fails "killed: the radvd that was left is gone" grep -qwF "$(head -n 1 <<<"$BEFORE_KILL")" <<<"$AFTER_KILL"
check_equal "killed: there is one radvd" "$(wc -w <<<"$BEFORE_KILL")" "$(wc -w <<<"$AFTER_KILL")"
check "killed: a LAN host reaches the web server" wait_for 10 can_ping lan $WEB_V6
check "killed: stop succeeds" client home stop
check "killed: radvd is gone" no_radvd
check "killed: all is as before" is_as_before client
check "killed: nothing is left in run_dir" run_dir_is_empty home

# --- No radvd on the machine ---

# In the client's own mount namespace the directory that has radvd is another, with only what the template needs.
DIRECTORY=$(realpath "$(dirname "$(command -v radvd)")")
mkdir "$TEMP/others"
for program in ip nft; do
  if [ -x "$DIRECTORY/$program" ]; then cp -L "$DIRECTORY/$program" "$TEMP/others/"; fi
done
write_client_config home client auth_method=digest-md5 userid=alice passwd=s3cret host_type=router prefixlen=64 if_prefix=home0
# shellcheck disable=SC2016 # expanded by the inner shell
spawn_in client "$TEMP/home/out" sh -c 'mount --bind "$0" "$1" && shift && exec "$@"' "$TEMP/others" "$DIRECTORY" \
  "$SIXLINK" -f "$TEMP/home/home.conf" -n
CLIENT_PID[home]=$SPAWNED
check "no radvd: the status says what to install" wait_for 20 last_error_matches home \
  'needs the program radvd, which is not installed: install the package radvd'
stop_client home
check "no radvd: all is as before" is_as_before client
