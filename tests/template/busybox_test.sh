#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# template/openwrt.sh with the real BusyBox (its ash, ip and sysctl) on a real kernel, in a network namespace each:
# what BusyBox's ip understands is not left to our stand-in alone. uci is a stand-in that says that odhcpd announces what
# is on the home interface.
#
#     eth1  2001:db8:1::10/64, 192.0.2.10/24, native default routes       br-lan  the home network
#     tun0  the program's interface

set -u
export LC_ALL=C
PATH=$PATH:/usr/sbin:/sbin
self=$(realpath "$0")
root=$(realpath "$(dirname "$0")/../..")
cases=(v6udpv4_host v6v4_router v4v6_host v4v6_router)

if [ "${1:-}" != --case ]; then
  if ! command -v busybox >/dev/null || ! busybox ip -6 route list >/dev/null 2>&1; then
    echo "SKIP openwrt.sh with BusyBox: there is no busybox with ip here"
    exit 0
  fi
  if ! reason=$(unshare -nm ip tuntap add mode tun dev tun0 2>&1); then
    echo "SKIP openwrt.sh with BusyBox: cannot make a network namespace with a tun interface: $reason"
    exit 0
  fi
  for name in "${cases[@]}"; do unshare -nm bash "$self" --case "$name" </dev/null; done
  exit 0
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
  echo "FAIL BusyBox: $name: $(tr -s '[:cntrl:]' ' ' <<<"$1 $(cat "$work/err" 2>/dev/null)")"
  exit 0
}

snapshot() {
  ip -o addr show | sed 's/valid_lft.*//'
  ip -6 route show table all | grep -v '^multicast' | sort
  ip -4 route show table all | sort
  ip -o link show | grep -o -e '^[0-9]*: [a-z0-9@-]*' -e '[<,]UP[,>]' -e 'mtu [0-9]*'
  grep -r . /proc/sys/net/ipv6/conf/*/{forwarding,accept_ra,disable_ipv6} /proc/sys/net/ipv4/ip_forward
}

template() {
  status=0
  TSP_OPERATION=$1 PATH=$work/bin:$PATH busybox ash "$root/template/openwrt.sh" >"$work/out" 2>"$work/err" || status=$?
}

mkdir "$work/bin"
for name in ip sysctl; do printf '#!/bin/sh\nexec busybox %s "$@"\n' "$name" >"$work/bin/$name"; done
cat >"$work/bin/uci" <<'END'
#!/bin/sh
case $* in
  "-q show network") echo "network.lan.device='br-lan'" ;;
  "-q get dhcp.lan.ra") echo server ;;
  "-q show firewall") echo "firewall.@zone[1].device='tun0'" ;;
  *) exit 1 ;;
esac
END
chmod +x "$work"/bin/*
name=$2

ip link set lo up
for device in eth1 br-lan; do
  ip link add "$device" type bridge || fail "no bridge:"
  ip link set "$device" addrgenmode none
  ip link set "$device" up
done
ip addr add 192.0.2.10/24 dev eth1
ip -6 addr add 2001:db8:1::10/64 dev eth1 nodad
ip -6 addr add fe80::10/64 dev eth1 nodad
ip -6 route add default via fe80::1 dev eth1 metric 512
ip route add default via 192.0.2.1
ip tuntap add mode tun dev tun0
ip link set dev tun0 addrgenmode none

export TSP_VERBOSE=0 TSP_HOST_TYPE=${name#*_} TSP_TUNNEL_MODE=${name%_*} SIXLINK_INTERFACE_KIND=tun TSP_TUNNEL_INTERFACE=tun0
export TSP_CLIENT_ADDRESS_IPV4=192.0.2.10 TSP_SERVER_ADDRESS_IPV4=198.51.100.1 TSP_CLIENT_ADDRESS_IPV6=2001:db8:f:f::2
export TSP_SERVER_ADDRESS_IPV6=2001:db8:f:f::1 TSP_TUNNEL_PREFIXLEN=128 TSP_PREFIX=2001:0db8:00aa:bb00 TSP_PREFIXLEN=56
export SIXLINK_OUTER_SERVER=2001:db8:99::1 SIXLINK_DEFAULT_ROUTE=yes SIXLINK_HOME_INTERFACES=br-lan
export SIXLINK_RECORD=$work/run/tun0.record SIXLINK_STATE_DIR=$work/run
probe=2001:db8:77::1 home='2001:db8:aa:bb00::1/64' family=-6
case $name in
  v4v6_*)
    TSP_CLIENT_ADDRESS_IPV4=203.0.113.2 TSP_SERVER_ADDRESS_IPV4=203.0.113.1 TSP_TUNNEL_PREFIXLEN=32 TSP_PREFIX=203.0.113.8
    TSP_PREFIXLEN=29 TSP_CLIENT_ADDRESS_IPV6=2001:db8:1::10 TSP_SERVER_ADDRESS_IPV6=2001:db8:99::1
    probe=198.51.100.77 home='203.0.113.9/29' family=-4
    ip route del default
    SIXLINK_DEFAULT_ROUTE=backup
    ;;
esac
# The kernel makes an address's own routes in a work queue.
sleep 0.3
before=$(snapshot 2>/dev/null)
way=$(ip "$family" route get "$probe" 2>&1)
[[ $way != *" dev tun0 "* ]] || fail "the probe leaves through the tunnel before: $way"
template TSP_TUNNEL_CREATION
[ "$status" -eq 0 ] || fail "create ended with $status:"
[ ! -s "$work/err" ] || fail "it complains:"
way=$(ip "$family" route get "$probe" 2>&1)
[[ $way == *" dev tun0 "* ]] || fail "the probe does not leave through the tunnel: $way"
way=$(ip -6 route get 2001:db8:99::1 2>&1)
[[ $way == *" via fe80::1 dev eth1 "* ]] || fail "the broker is not reached outside the tunnel: $way"
if [ "$TSP_HOST_TYPE" = router ]; then
  [[ $(ip "$family" -o addr show dev br-lan) == *" $home "* ]] || fail "no home address $home: $(ip -o addr show dev br-lan)"
fi
created=$(snapshot 2>/dev/null)
template TSP_TUNNEL_CREATION
[ "$status" -eq 0 ] || fail "the second create ended with $status:"
[ "$created" = "$(snapshot 2>/dev/null)" ] || fail "the second create changed $(diff <(echo "$created") <(snapshot) | head -n 3)"
template TSP_TUNNEL_TEARDOWN
[ "$status" -eq 0 ] || fail "teardown ended with $status:"
after=$(snapshot 2>/dev/null)
[ "$before" = "$after" ] || fail "teardown left $(diff <(echo "$before") <(echo "$after") | grep '^[<>]' | head -n 4)"
[ ! -e "$SIXLINK_RECORD" ] || fail "the record is still there"
echo "PASS BusyBox: $name"
