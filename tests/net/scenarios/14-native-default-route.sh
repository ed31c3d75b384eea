#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# A host that has IPv6 already keeps it: the tunnel's default route is the worse one, unless default_route=yes.
#
#   client eth1 2001:db8:7::2 --- 2001:db8:7::1 isp      the native default route
#
# The rest of the topology: ../lib.sh.
#
# covers: key default_route

# shellcheck source-path=SCRIPTDIR source=../lib.sh disable=SC2119,SC2034
. "$(dirname "$0")/../lib.sh"

begin "$@"
topology
add_namespace isp
link client eth1 isp eth0
ip -n "$PREFIX-isp" addr add 2001:db8:7::1/64 dev eth0 nodad
ip -n "$PREFIX-client" addr add 2001:db8:7::2/64 dev eth1 nodad
ip -n "$PREFIX-client" -6 route add default via 2001:db8:7::1 dev eth1 metric 100
start_registry
snapshot client >"$TEMP/client.before"

device_to() { ns client ip -6 -o route get "$1" | sed -E 's/.* dev ([^ ]+).*/\1/'; }

check_equal "native route: used before" eth1 "$(device_to "$WEB_V6")"
start_client home
check_equal "native route: still used with the tunnel up" eth1 "$(device_to "$WEB_V6")"
check "native route: the broker's side is reached through the tunnel" can_ping client "$BROKER_V6"
check_equal "native route: the tunnel has a default route behind it" 1 "$(ns client ip -6 route show default dev six0 | wc -l)"
ip -n "$PREFIX-client" -6 route del default via 2001:db8:7::1 dev eth1 metric 100
check_equal "native route: the tunnel takes over when it goes" six0 "$(device_to "$WEB_V6")"
check "native route: ping over the tunnel" can_ping client "$WEB_V6"
ip -n "$PREFIX-client" -6 route add default via 2001:db8:7::1 dev eth1 metric 100
stop_client home
check "native route: addresses, routes and settings are as before" is_as_before client

start_client home default_route=yes
check_equal "default_route=yes: the tunnel is preferred" six0 "$(device_to "$WEB_V6")"
check "default_route=yes: ping over the tunnel" can_ping client "$WEB_V6"
stop_client home
check "default_route=yes: addresses, routes and settings are as before" is_as_before client

start_client home default_route=no
check_equal "default_route=no: the tunnel has none" 0 "$(ns client ip -6 route show default dev six0 | wc -l)"
check "default_route=no: ping the broker" can_ping client "$BROKER_V6"
stop_client home
check "default_route=no: addresses, routes and settings are as before" is_as_before client
