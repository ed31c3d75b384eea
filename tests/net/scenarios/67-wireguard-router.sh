#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Mode wireguard for a machine that has nothing but IPv6, and for a router with a prefix: what comes from behind it passes, what it has no
# right to does not. UDP that is blocked is said.
#
#   lan ---- home0 -- web (sixlink, IPv6 outside) ---- registry        client (sixlink, behind NAT) ---- registry
#
# The rest of the topology: ../lib.sh.

# shellcheck source-path=SCRIPTDIR source=../lib.sh disable=SC2119
. "$(dirname "$0")/../lib.sh"

begin "$@"
if ! command -v radvd >/dev/null; then
  skip "$SCENARIO" "the program radvd is not installed (make deps)"
  exit 0
fi
topology
add_namespace lan
link lan eth0 web home0
# Here it is no server beside the registry: what is behind that is reached through the tunnel only.
ip -n "$PREFIX-web" -6 route del $REGISTRY_PREFIX
REGISTRY_V6=2001:db8:99::1
start_registry "listen=0.0.0.0 [::]" prefix_v4=203.0.113.0/25
add_user alice s3cret

lan_address() { ns lan ip -6 -o addr show dev eth0 scope global | awk '{ print $4 }' | head -n 1; }
has_lan_address() { [ -n "$(lan_address)" ]; }
can_ping_v4() { ns "$1" ping -4 -n -c 1 -W 2 "$2"; }

# A client behind the NAT, for the other end.
start_client home tunnel_mode=wireguard datapath=userspace if_tunnel_wireguard=six-wg
FAR=$(status_field home local_inner)

check_fails "before: there is no way to the other client" can_ping web "$FAR" 1
check_fails "before: IPv4 from an IPv6-only machine" can_ping_v4 web 203.0.113.1
write_client_config six web server="[$REGISTRY_V6]" tunnel_mode=wireguard datapath=userspace if_tunnel_wireguard=six-wg \
  auth_method=digest-md5 userid=alice passwd=s3cret host_type=router if_prefix=home0 prefixlen=64
spawn_client six
wait_up six || die "the tunnel over IPv6 does not come up: $(tail -n 2 "$TEMP/six/out" | tr '\n' ' ')"
check_match "IPv6 outside: that is how the broker is reached" '^2001:db8:99::1' "$(status_field six remote_outer)"
PREFIX6=$(status_field six prefix)
check_match "router: a prefix is delegated" '^2001:db8:42:.*/64$' "$PREFIX6"
check "IPv6 outside: ping through the tunnel" wait_for 5 can_ping web 2001:db8:42::1
check "IPv6 outside: IPv4 through the tunnel" can_ping_v4 web 203.0.113.1
check "IPv6 outside: the other client" can_ping web "$FAR"
check "router: a LAN host has an address of the prefix" wait_for 10 has_lan_address
ADDRESS=$(lan_address)
check "router: and reaches the other client" wait_for 5 can_ping lan "$FAR"
check "router: and is reached from there" can_ping client "${ADDRESS%/*}"

# An address that is not the client's: the registry does not let it pass, whatever the client's kernel sends.
ns client ip -6 addr add 2001:db8:42::9999/128 dev six-wg nodad
check_fails "a foreign source passes no WireGuard tunnel" ns client ping -6 -n -c 1 -W 2 -I 2001:db8:42::9999 2001:db8:42::1
ns client ip -6 addr del 2001:db8:42::9999/128 dev six-wg
check "and its own still does" can_ping client 2001:db8:42::1

check_match "status: the registry's peers" '^WireGuard +2 peers, 2 of them connected.*userspace' "$(registry_command status)"
check_match "status: as JSON" '"wireguard":\{"datapath":"userspace","peers":2,"connected":2' "$(registry_command status --json)"
stop_client six
check_equal "stop: exit status 0" 0 "$STOPPED_STATUS"
stop_client home

# Without UDP there is no WireGuard: that is said, and any takes something else.
block_udp
write_client_config blocked client tunnel_mode=wireguard
run_client blocked -n -b
check_equal "UDP blocked: exit status 9" 9 $?
check_match "UDP blocked: said" 'no answer over UDP' "$(cat "$TEMP/blocked/out")"
