#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# IPv4 over an IPv6-only line: v4v6 from the registry and dslite to an AFTR, with the kernel's ip6tnl and with our datapath.
#
#   six (sixlink) ------------ registry ------ the IPv4 Internet --- web4, 198.51.100.30
#   2001:db8:66::2   2001:db8:66::1    198.51.100.10        |
#        |                                                  |
#        +-------------------- aftr ------------------------+
#   2001:db8:67::2   2001:db8:67::1    198.51.100.40: ip6tnl by hand
#
# The rest: ../lib.sh.

# shellcheck source-path=SCRIPTDIR source=../lib.sh disable=SC2086,SC2119,SC2034
. "$(dirname "$0")/../lib.sh"

WEB_V4=198.51.100.30
AFTR_V4=198.51.100.40
AFTR_V6=2001:db8:67::1

begin "$@"
needs_kernel ip6_tunnel
vm_topology
add_internet_host web4 $WEB_V4
add_internet_host aftr $AFTR_V4
add_namespace six
link six eth0 registry eth2
link six eth1 aftr eth1
ns six ip addr add 2001:db8:66::2/64 dev eth0 nodad
ns registry ip addr add 2001:db8:66::1/64 dev eth2 nodad
ns six ip addr add 2001:db8:67::2/64 dev eth1 nodad
ns aftr ip addr add $AFTR_V6/64 dev eth1 nodad
ns web4 ip route add 203.0.113.0/24 via $REGISTRY_V4
ns web4 ip route add 192.0.0.0/29 via $AFTR_V4
set_sysctl aftr net/ipv4/ip_forward 1
set_hosts six "2001:db8:66::1 broker.example.net" "$AFTR_V6 aftr.example.net"

head -c 10M /dev/urandom >"$TEMP/file"
FILE_SUM=$(sha256sum <"$TEMP/file")
spawn_in web4 "$TEMP/web4.out" "$PYTHON" "$TOOLS/web_server.py" :: 80 "$TEMP/file"
wait_for 10 can_connect web4 $WEB_V4 80 || die "the web server does not start: $(cat "$TEMP/web4.out")"

can_ping4() { ns "$1" ping -4 -n -c 1 -W "${3:-2}" "$2"; }
fetches4() {
  local sum
  sum=$(ns six curl -gsS --max-time "$FETCH_TIMEOUT" "http://$WEB_V4/file" | sha256sum)
  [ "$sum" = "$FILE_SUM" ] || { echo "sha256 is $sum, not $FILE_SUM"; return 1; }
}

# Every end is tried in the same way: uses NAME CLIENT KIND DATAPATH MTU
uses() {
  local what=$1 client=$2 kind=$3 datapath=$4 inner mtu
  wait_up "$client" || die "$what: the tunnel does not come up: $(tail -n 2 "$TEMP/$client/out" | tr '\n' ' ')"
  show_link six six0
  check_equal "$what: the interface is a $kind" "$kind" "$(link_kind six six0)"
  check_equal "$what: status says who moves the packets" "$datapath" "$(status_field "$client" datapath)"
  if [ "$datapath" = kernel ]; then
    check_equal "$what: no TUN, raw or packet socket that takes packets" 0 "$(data_sockets "$client")"
  else
    check "$what: a TUN and a raw socket are open" is_over "$(data_sockets "$client")" 1
  fi
  inner=$(status_field "$client" local_inner)
  check "$what: ping through the tunnel" can_ping4 six $WEB_V4
  check "$what: ping from the other side" can_ping4 web4 "${inner%%/*}"
  check "$what: a file of 10 MB" fetches4
  check "$what: status counts the bytes" field_is_over "$client" counters.bytes_in 10485760
  # By now the path was probed, where the broker does not tell.
  mtu=$(status_field "$client" mtu)
  check "$what: a packet of the MTU, $mtu, passes" ns six ping -4 -n -c 1 -W 3 -M "do" -s $((mtu - 28)) $WEB_V4
  check_fails "$what: a larger one is refused here" ns six ping -4 -n -c 1 -W 1 -M "do" -s $((mtu - 27)) $WEB_V4
}

ends() { # NAME CLIENT
  stop_client "$2"
  check_equal "$1: exit status 0" 0 "$STOPPED_STATUS"
  check "$1: addresses, routes and settings are as before" is_as_before six
}

check_fails "v4v6: no IPv4 before the tunnel" can_ping4 six $WEB_V4 1
snapshot six >"$TEMP/six.before"
start_registry "listen=0.0.0.0 [::]" prefix_v4=203.0.113.0/24 mtu=1400
for datapath in kernel userspace; do
  write_client_config "v4v6-$datapath" six tunnel_mode=v4v6 datapath=$datapath if_tunnel_v4v6=six0 keepalive_interval=5
  spawn_client "v4v6-$datapath"
  kind=tun
  [ $datapath != kernel ] || kind=ip6tnl
  uses "v4v6 ($datapath)" "v4v6-$datapath" $kind $datapath
  ends "v4v6 ($datapath)" "v4v6-$datapath"
done

# RFC 6333: nothing is negotiated. The AFTR's end is the kernel's.
ns aftr ip link add dslite0 type ip6tnl mode ipip6 local $AFTR_V6 remote 2001:db8:67::2 encaplimit none
ns aftr ip link set dslite0 up
ns aftr ip addr add 192.0.0.1 peer 192.0.0.2 dev dslite0
show_link aftr dslite0
for datapath in kernel userspace; do
  write_client_config "dslite-$datapath" six server=aftr.example.net tunnel_mode=dslite datapath=$datapath if_tunnel_v4v6=six0 \
    keepalive=yes keepalive_interval=5
  spawn_client "dslite-$datapath"
  kind=tun
  [ $datapath != kernel ] || kind=ip6tnl
  uses "dslite ($datapath)" "dslite-$datapath" $kind $datapath
  ends "dslite ($datapath)" "dslite-$datapath"
done

# What a killed client leaves is the kernel's.
spawn_client v4v6-kernel
wait_up v4v6-kernel || die "the tunnel does not come up again: $(tail -n 2 "$TEMP/v4v6-kernel/out" | tr '\n' ' ')"
stop_client v4v6-kernel KILL
check_equal "v4v6: kill -9 leaves the interface" ip6tnl "$(link_kind six six0)"
spawn_client v4v6-kernel
check "v4v6: the next start takes over from the killed one" wait_up v4v6-kernel
check "v4v6: ping after the kill" can_ping4 six $WEB_V4
ends "v4v6, after a kill" v4v6-kernel
