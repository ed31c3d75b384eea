#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# A lease that ends is renewed while its tunnel goes on: over the tunnel's own port (an anonymous client behind a NAT) and beside it
# (a user with v6v4). No packet is lost, nothing is torn down. Topology: ../lib.sh; user is a further host of the Internet.

# shellcheck source-path=SCRIPTDIR source=../lib.sh disable=SC2119,SC2034
. "$(dirname "$0")/../lib.sh"

begin "$@"
topology
add_internet_host user 198.51.100.20
start_registry lifetime=60
add_user alice s3cret || die "cannot add the user alice"

has_renewed() { grep -q 'renewed the lease for 60 s' "$TEMP/$1/log"; }

start_client home
write_client_config office user server="$REGISTRY_V4" auth_method=digest-md5 userid=alice passwd=s3cret tunnel_mode=v6v4 if_tunnel_v6v4=six1
spawn_client office
wait_up office || die "the tunnel of office does not come up: $(tail -n 2 "$TEMP/office/out")"
home_interface=$(status_field home interface)
home_index=$(ns client ip -o link show "$home_interface" | cut -d: -f1)
office_index=$(ns user ip -o link show "$(status_field office interface)" | cut -d: -f1)
home_address=$(status_field home local_inner)

ns client ping -6 -n -q -i 0.05 -w 40 "$WEB_V6" >"$TEMP/home.ping" 2>&1 &
home_ping=$!
ns user ping -6 -n -q -i 0.05 -w 40 "$WEB_V6" >"$TEMP/office.ping" 2>&1 &
office_ping=$!
check_fails "renewal: not before it is due" has_renewed home
check "renewal: v6udpv4, over its own port, before the end" wait_for 40 has_renewed home
check "renewal: v6v4 of a user" wait_for 40 has_renewed office
wait "$home_ping" "$office_ping"
check_match "renewal: v6udpv4 loses no packet" ' 0% packet loss' "$(cat "$TEMP/home.ping")"
check_match "renewal: v6v4 loses no packet" ' 0% packet loss' "$(cat "$TEMP/office.ping")"
check_equal "renewal: no reconnection" 00 "$(status_field home reconnections)$(status_field office reconnections)"
check_equal "renewal: the same address" "$home_address" "$(status_field home local_inner)"
check_equal "renewal: the same interface" "$home_index" "$(ns client ip -o link show "$home_interface" | cut -d: -f1)"
check_equal "renewal: the same interface of the user" "$office_index" \
  "$(ns user ip -o link show "$(status_field office interface)" | cut -d: -f1)"
check "renewal: NAT, port and tunnel go on" can_ping client "$WEB_V6"

stop_client office
stop_client home
