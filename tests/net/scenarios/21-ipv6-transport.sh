#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# TSP over IPv6, by UDP and by TCP: the negotiation works, and says why a tunnel of IPv6 in IPv4 is not to be had there.
# The client runs on "web", which has IPv6 only. Topology: ../lib.sh.
#
# covers: registry key listen

# shellcheck source-path=SCRIPTDIR source=../lib.sh disable=SC2119
. "$(dirname "$0")/../lib.sh"

begin "$@"
topology
start_registry "listen=0.0.0.0 [::]"

registry_v6=2001:db8:99::1
write_client_config six web server="[$registry_v6]"
check_equal "IPv6: exit status 15, no such tunnel" 15 "$(exit_status run_client six -n -b)"
check_match "IPv6: by UDP" "\\[$registry_v6\\]:3653, UDP" "$(cat "$TEMP/six/out")"
check_match "IPv6: says that the broker must be reached over IPv4" 'reached over IPv4' "$(cat "$TEMP/six/out")"

# UDP does not get through: TCP says the same.
ns registry nft add table ip6 guard
ns registry nft add chain ip6 guard input '{ type filter hook input priority 0; }'
ns registry nft add rule ip6 guard input udp dport 3653 drop
check_equal "IPv6: exit status 15 by TCP too" 15 "$(exit_status run_client six -n -b)"
check_match "IPv6: by TCP" "\\[$registry_v6\\]:3653, TCP" "$(cat "$TEMP/six/out")"
