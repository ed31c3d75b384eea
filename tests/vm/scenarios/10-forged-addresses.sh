#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# What claims a wrong inner address goes neither into nor out of a client's tunnel, whoever moves its packets: the kernel's sit and
# ip6tnl are held to what our own datapath does. Forged packets come from the broker's own outer address, as anyone can forge that one.
#
#   direct (sixlink) --- protocol 41 and protocol 4 --- registry --- web
#   198.51.100.20, 2001:db8:66::2      198.51.100.10, 2001:db8:66::1
#
# The rest: ../lib.sh.

# shellcheck source-path=SCRIPTDIR source=../lib.sh disable=SC2086,SC2119,SC2034
. "$(dirname "$0")/../lib.sh"

# Of direct, and none of a tunnel's.
FOREIGN_V6=2001:db8:77::1
FOREIGN_V4=198.18.7.7
# A size that no keepalive has.
PING_BYTES=77

begin "$@"
needs_kernel sit ip6_tunnel fou
vm_topology
link direct eth1 registry eth2
ns direct ip addr add 2001:db8:66::2/64 dev eth1 nodad
ns registry ip addr add 2001:db8:66::1/64 dev eth2 nodad
ns direct ip addr add $FOREIGN_V6/128 dev lo nodad
ns direct ip addr add $FOREIGN_V4/32 dev lo
set_hosts direct "$REGISTRY_V4 broker.example.net" "2001:db8:66::1 broker6.example.net"
start_registry "listen=0.0.0.0 [::]" prefix_v4=203.0.113.0/24
snapshot direct >"$TEMP/direct.before"

# counts HOST RULE COMMAND...: how many packets a rule of nft saw at a host's input while a command ran.
counts() {
  local host=$1 rule=$2
  shift 2
  ns "$host" nft "add table inet watch; delete table inet watch; add table inet watch;
    add chain inet watch input { type filter hook input priority 0; }; add rule inet watch input $rule counter"
  "$@" >/dev/null 2>&1
  sleep 0.3
  ns "$host" nft list table inet watch | sed -n 's/.* packets \([0-9]*\) .*/\1/p'
  ns "$host" nft delete table inet watch
}

# arriving MODE SOURCE DESTINATION: how many of three packets that are put into the tunnel's outer packets reach direct's own programs.
arriving() {
  local ip=ip6 outer="$DIRECT_V4 $REGISTRY_V4"
  if [ "$1" = v4v6 ]; then ip=ip outer="2001:db8:66::2 2001:db8:66::1"; fi
  # What direct tells itself, as that a host on its segment does not answer, is not of the tunnel.
  counts direct "iifname != \"lo\" $ip saddr $2 $ip daddr $3" ns registry "$PYTHON" "$TOOLS/raw_clients.py" forge "$1" $outer "$2" "$3" 3
}

# leaving MODE SOURCE DESTINATION: how many of three packets of direct's come out of the tunnel's outer packets.
leaving() {
  local hex rule
  hex=$("$PYTHON" -c 'import ipaddress, sys; print(ipaddress.ip_address(sys.argv[1]).packed.hex())' "$2")
  # The inner source, behind the outer header: IPv6's after 8 bytes, IPv4's after 12. The length tells the pings from keepalives:
  # outer headers (IPv6's payload length leaves its own out), inner header, ICMP header, data.
  case $1 in
    v6v4) rule="meta l4proto 41 ip length $((20 + 40 + 8 + PING_BYTES)) @th,64,128 0x$hex" ;;
    v6udpv4) rule="udp dport 3653 ip length $((20 + 8 + 40 + 8 + PING_BYTES)) @th,128,128 0x$hex" ;;
    v4v6) rule="meta l4proto 4 ip6 length $((20 + 8 + PING_BYTES)) @th,96,32 0x$hex" ;;
  esac
  counts registry "$rule" ns direct ping -n -c 3 -i 0.2 -W 1 -s $PING_BYTES -I "$2" "$3"
}

holds() { # NAME MODE: the tunnel is up
  local inner broker foreign other local_scope
  inner=$(status_field home local_inner)
  inner=${inner%%/*}
  broker=$(status_field home remote_inner)
  broker=${broker%%/*}
  case $2 in
    v4v6) foreign=$FOREIGN_V4 other=198.51.100.30 local_scope=169.254.0.9 ;;
    *) foreign=$FOREIGN_V6 other=$WEB_V6 local_scope=fe80::9 ;;
  esac
  if [ "$2" != v6udpv4 ]; then
    check_equal "$1: what comes to our address passes" 3 "$(arriving "$2" $other "$inner")"
    check_equal "$1: what comes to another address of this machine is dropped" 0 "$(arriving "$2" $other $foreign)"
    check_equal "$1: what comes from our own address is dropped" 0 "$(arriving "$2" "$inner" "$inner")"
    check_equal "$1: what comes from a link-local address is dropped" 0 "$(arriving "$2" $local_scope "$inner")"
  fi
  check_equal "$1: what goes out from our address passes" 3 "$(leaving "$2" "$inner" "$broker")"
  check_equal "$1: what goes out from another address of this machine is dropped" 0 "$(leaving "$2" $foreign "$broker")"
}

ends() { # NAME
  stop_client home
  check_equal "$1: exit status 0" 0 "$STOPPED_STATUS"
  check "$1: addresses, routes and settings are as before" is_as_before direct
  check_equal "$1: no rules are left" '' "$(ns direct nft list ruleset)"
}

# Without any tunnel of ours, a sit by hand takes all of it: the checks below can fail.
ns direct ip link add hand type sit local $DIRECT_V4 remote $REGISTRY_V4
ns direct ip link set hand up
check_equal "by hand: a kernel's tunnel alone lets a forged packet in" 3 "$(arriving v6v4 $WEB_V6 $FOREIGN_V6)"
ns direct ip link del hand

for mode in v6v4 v4v6 v6udpv4; do
  server=broker.example.net
  if [ $mode = v4v6 ]; then server=broker6.example.net; fi
  for datapath in kernel userspace; do
    what="$mode ($datapath)"
    write_client_config home direct server=$server tunnel_mode=$mode datapath=$datapath if_tunnel_$mode=six0
    spawn_client home
    wait_up home || die "$what: the tunnel does not come up: $(tail -n 2 "$TEMP/home/out" | tr '\n' ' ')"
    check_equal "$what: status says who moves the packets" $datapath "$(status_field home datapath)"
    holds "$what" $mode
    ends "$what"
  done
done
