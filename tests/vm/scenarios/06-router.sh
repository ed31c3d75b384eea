#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Router mode with the kernel's sit, a real radvd and a host on a real LAN segment:
#
#   lanhost --- (bridge "home") --- direct (sixlink, sit, radvd) --- protocol 41 --- registry --- web
#
# The host has an address by SLAAC, a default route and a DNS server, and reaches the web; afterwards all is as it was.
# The rest of the topology: ../lib.sh.

# shellcheck source-path=SCRIPTDIR source=../lib.sh disable=SC2086,SC2119,SC2034,SC2153
. "$(dirname "$0")/../lib.sh"

begin "$@"
needs_kernel sit
needs_program radvd rdisc6
vm_topology
add_namespace lanhost
ns direct ip link add home type bridge
# Its link-local address must be there, and stay, for radvd and the snapshot.
set_sysctl direct net/ipv6/conf/home/accept_dad 0
ns direct ip link set home up
link lanhost eth0 direct port1
ns direct ip link set port1 master home
set_sysctl lanhost net/ipv6/conf/eth0/accept_ra 1
start_web 5M
start_registry dns_server=2001:db8:42::1
add_user alice s3cret

lan_address() { ns lanhost ip -6 -o addr show dev eth0 scope global | grep -oE '2001:db8:[0-9a-f:]+/64' | grep -v deprecated | head -n 1; }
has_lan_address() { [ -n "$(lan_address)" ]; }
has_router() { ns lanhost ip -6 route show default | grep -q 'proto ra'; }
has_no_router() { ! has_router; }
has_radvd() { [ -n "$(radvd_pids)" ]; }
has_no_radvd() { ! has_radvd; }
# radvd forks a child that stays root: those whose parent is no radvd are counted.
count_radvds() {
  local pid parent count=0
  for pid in $(radvd_pids); do
    parent=$(awk '/^PPid:/ { print $2 }' "/proc/$pid/status" 2>/dev/null)
    if [ "$(cat "/proc/$parent/comm" 2>/dev/null)" != radvd ]; then count=$((count + 1)); fi
  done
  echo "$count"
}
radvd_pids() {
  local pid
  for pid in $(ip netns pids "$PREFIX-direct"); do
    if [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = radvd ]; then echo "$pid"; fi
  done
}

# Bridge ports and their neighbours settle for a moment.
sleep 2
snapshot direct >"$TEMP/direct.before"
check_fails "router: the LAN host has no IPv6 address before" has_lan_address
check_fails "router: the LAN host reaches nothing before" can_ping lanhost "$WEB_V6" 1

write_client_config home direct tunnel_mode=v6v4 datapath=kernel if_tunnel_v6v4=six0 host_type=router prefixlen=56 if_prefix=home \
  userid=alice passwd=s3cret auth_method=digest-md5 keepalive_interval=5
spawn_client home
wait_up home || die "the tunnel does not come up: $(tail -n 2 "$TEMP/home/out" | tr '\n' ' ')"
show_link direct six0
prefix=$(status_field home prefix)
echo "# delegated: $prefix"
check_match "router: a prefix is delegated" '/56$' "$prefix"
check_equal "router: the tunnel is the kernel's sit" sit "$(link_kind direct six0)"
check "router: radvd runs" has_radvd
check_equal "router: forwarding is on" 1 "$(ns direct cat /proc/sys/net/ipv6/conf/all/forwarding)"
check "router: the LAN host has an address by SLAAC" wait_for 10 has_lan_address
check "router: and a default route" wait_for 10 has_router
address=$(lan_address)
echo "# LAN host: $address"
check_match "router: the address is of the delegated prefix" "^${prefix%%00::/56}" "$address"
check "router: the LAN host reaches the web" wait_for 10 can_ping lanhost "$WEB_V6" 1
check "router: the web reaches the LAN host" can_ping web "${address%/*}"
check "router: a file to the LAN host" fetches lanhost
advertised=$(ns lanhost rdisc6 -1 -w 3000 eth0 2>&1)
check_match "router: a DNS server is advertised" 'Recursive DNS server *: 2001:db8:42::1' "$advertised"
check_match "router: the tunnel's MTU is advertised" 'MTU *: *[0-9]+ bytes' "$advertised"
check_match "router: the unused rest of the prefix ends here" 'unreachable|blackhole' "$(ns direct ip -6 route show type unreachable; ns direct ip -6 route show type blackhole)"
# Router and tunnel come back after a kill with one radvd, not two.
stop_client home KILL
spawn_client home
check "router: the next start takes over from a killed one" wait_up home
check_equal "router: one radvd" 1 "$(count_radvds)"
check "router: the LAN host reaches the web again" wait_for 10 can_ping lanhost "$WEB_V6" 1

stop_client home
check_equal "router: exit status 0" 0 "$STOPPED_STATUS"
check "router: radvd has ended" wait_for 5 has_no_radvd
check "router: the LAN host has lost its router" wait_for 5 has_no_router
check "router: addresses, routes and settings are as before" is_as_before direct
