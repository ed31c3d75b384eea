#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The kernel's sit, set up with plain `ip` commands, and the registry's own datapath are the two ends of one v6v4 tunnel.
#
#   direct (sit, by hand) --- protocol 41 --- registry (raw socket, TUN) --- web
#
# Topology: ../lib.sh.

# shellcheck source-path=SCRIPTDIR source=../lib.sh disable=SC2086,SC2119,SC2034
. "$(dirname "$0")/../lib.sh"

begin "$@"
needs_kernel sit
vm_topology
start_web 5M
start_registry

addresses=$(ns direct "$PYTHON" "$ROOT/tests/vm/negotiate.py" $REGISTRY_V4 v6v4 $DIRECT_V4 2>&1) || die "no tunnel is granted: $addresses"
read -r server client <<<"$addresses"
check_fails "by hand: no IPv6 before the interface is made" can_ping direct "$WEB_V6" 1
ns direct ip link add six0 type sit local $DIRECT_V4 remote $REGISTRY_V4 ttl 64
ns direct ip link set six0 mtu 1480 up
ns direct ip addr add "$client/128" dev six0 nodad
ns direct ip -6 route add default dev six0
show_link direct six0
check_equal "by hand: the interface is the kernel's sit" sit "$(link_kind direct six0)"
check "by hand: ping to the broker's inner address" can_ping direct "$server"
check "by hand: ping through the registry" can_ping direct "$WEB_V6"
check "by hand: ping from the other side" can_ping web "$client"
check "by hand: a file" fetches direct

# What the kernel's end sends with another's address inside does not pass.
ns direct ip addr add 2001:db8:42:ffff::1/128 dev six0 nodad preferred_lft 0
check_fails "by hand: a forged inner address does not pass" ns direct ping -6 -n -c 1 -W 1 -I 2001:db8:42:ffff::1 "$WEB_V6"
check "by hand: the tunnel's own address still does" can_ping direct "$WEB_V6"
