#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# What the registry cannot deliver is answered with the ICMPv6 error that tells why. Topology: ../lib.sh.

# shellcheck source-path=SCRIPTDIR source=../lib.sh disable=SC2119
. "$(dirname "$0")/../lib.sh"

begin "$@"
topology
start_registry
add_user alice s3cret
add_user bob secret2

ping_from_web() { ns web ping -6 -n -c 1 -W 2 "$@" 2>&1; }

check_match "icmp: an address that nobody has: no route" 'No route' "$(ping_from_web 2001:db8:42::dead)"
check_match "icmp: a prefix that nobody has: no route" 'No route' "$(ping_from_web 2001:db8:42:500::1)"

start_client home auth_method=digest-md5 userid=alice passwd=s3cret
address=$(status_field home local_inner)
check "icmp: the client answers" can_ping web "$address"
# 1280 bytes fit with their headers, a byte more does not, and the sender learns of it.
check "icmp: the largest packet passes" ns web ping -6 -n -c 1 -W 2 -M "do" -s 1232 "$address"
ns web ip -6 route flush cache
check_match "icmp: a larger one: packet too big" 'mtu[= ]*1280|too (big|long)' "$(ping_from_web -M "do" -s 1233 "$address")"
check "icmp: a large one in fragments passes" ns web ping -6 -n -c 1 -W 2 -s 4000 "$address"
check_match "icmp: hop limit" 'Time exceeded|Hop limit' "$(ns client ping -6 -n -c 1 -W 2 -t 1 "$WEB_V6" 2>&1)"

# Its place on the outer side goes to another client, without it having said goodbye: alice's address is leased, but nowhere.
port=$(ns client ss -Hnu state established | awk '{ sub(/.*:/, "", $3); print $3; exit }')
stop_pid "$(daemon_pid home)" KILL
take_endpoint() { ns client "$PYTHON" "$TOOLS/take_endpoint.py" "$REGISTRY_V4" "$port" "$@"; }
check_equal "endpoint: an anonymous request, which may be forged, does not take a living tunnel's place" 521 "$(take_endpoint)"
check_equal "endpoint: another user's does" 200 "$(take_endpoint bob secret2)"
check_match "icmp: leased, but not connected: address unreachable" 'Address unreachable' "$(ping_from_web "$address")"
