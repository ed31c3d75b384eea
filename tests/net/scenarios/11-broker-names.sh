#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Two brokers, each with an address that is dead and one that is alive:
#
#   broker-a  198.51.100.99 nobody   198.51.100.10 registry   2001:db8:42::/48
#   broker-b  198.51.100.98 nobody   198.51.100.20 registry2  2001:db8:43::/48
#
# The rest of the topology: ../lib.sh.
#
# covers: key server
# covers: registry key prefix

# shellcheck source-path=SCRIPTDIR source=../lib.sh disable=SC2119,SC2034
. "$(dirname "$0")/../lib.sh"

begin "$@"
topology
add_internet_host registry2 198.51.100.20
start_registry
first_pid=$REGISTRY_PID
write_registry_config registry2 prefix=2001:db8:43::/48
run_registry registry2

set_hosts client "198.51.100.99 broker-a"
write_client_config home client "server=broker-a broker-b" keepalive_interval=5 tunnel_mode=v6udpv4
spawn_client home
check "brokers: not up while every name is dead or unknown" wait_for 25 last_error_matches home .
check_equal "brokers: status 1" 1 "$(exit_status client home status)"

# Names are asked for again at every attempt.
set_hosts client "198.51.100.99 broker-a" "198.51.100.10 broker-a" "198.51.100.98 broker-b" "198.51.100.20 broker-b"
check "brokers: the first name's second address" wait_up home 40
check "brokers: ping the first broker" can_ping client 2001:db8:42::1

stop_pid "$first_pid"
check "brokers: the first is noticed to be dead" wait_for 40 status_is home 1
check "brokers: the second name's second address" wait_up home 60
check "brokers: ping the second broker" can_ping client 2001:db8:43::1
check_match "brokers: status names the second" '198\.51\.100\.20' "$(client home status)"
stop_client home
