#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# dslite (RFC 6333): the client is on an IPv6-only line, and the AFTR that the configuration names carries its IPv4 and translates it.
#
#   b4 ------------------------ router ------------------------ aftr ------------------ web
#   2001:db8:b::2         b::1         a::1              a::10      192.0.2.129   192.0.2.130
#   192.0.0.2 ........... protocol 4 in IPv6 ........... 192.0.0.1
#
# covers: key dslite_client, key dslite_server

# shellcheck source-path=SCRIPTDIR source=../lib.sh disable=SC2119,SC2034
. "$(dirname "$0")/../lib.sh"

begin "$@"
topology
AFTR=2001:db8:a::10
WEB_V4=192.0.2.130

add_namespace b4
add_namespace aftr
link b4 eth0 router wan-b4
link aftr eth0 router wan-aftr
link aftr eth1 web eth1
ip -n "$PREFIX-b4" addr add 2001:db8:b::2/64 dev eth0 nodad
ip -n "$PREFIX-router" addr add 2001:db8:b::1/64 dev wan-b4 nodad
ip -n "$PREFIX-router" addr add 2001:db8:a::1/64 dev wan-aftr nodad
ip -n "$PREFIX-aftr" addr add $AFTR/64 dev eth0 nodad
ip -n "$PREFIX-aftr" addr add 192.0.2.129/25 dev eth1
ip -n "$PREFIX-web" addr add $WEB_V4/25 dev eth1
set_sysctl router net/ipv6/conf/all/forwarding 1
set_sysctl aftr net/ipv4/ip_forward 1
ip -n "$PREFIX-b4" route add default via 2001:db8:b::1
ip -n "$PREFIX-aftr" route add default via 2001:db8:a::1
set_hosts b4 "$AFTR aftr.example.net"
ns aftr nft -f - <<'NFT'
table ip nat {
  chain postrouting {
    type nat hook postrouting priority srcnat;
    oifname "eth1" masquerade
  }
}
NFT
start_aftr() {  # INNER_ADDRESS CLIENT_INNER
  spawn_in aftr "$TEMP/aftr.out" "$PYTHON" "$TOOLS/aftr.py" aftr0 $AFTR 2001:db8:b::2
  AFTR_PID=$SPAWNED
  wait_for 10 grep -q ready "$TEMP/aftr.out" || die "the AFTR does not start: $(cat "$TEMP/aftr.out")"
  ip -n "$PREFIX-aftr" addr add "$1" peer "$2" dev aftr0
  ip -n "$PREFIX-aftr" link set aftr0 up mtu 1460
}
head -c 10M /dev/urandom >"$TEMP/file"
FILE_SUM=$(sha256sum <"$TEMP/file")
spawn_in web "$TEMP/web4.out" "$PYTHON" "$TOOLS/web_server.py" $WEB_V4 80 "$TEMP/file"
wait_for 10 can_connect web $WEB_V4 80 || die "the web server does not start: $(cat "$TEMP/web4.out")"
can_ping4() { ns b4 ping -4 -n -c 1 -W "${2:-2}" "$1"; }
fetches_v4() {
  local sum
  sum=$(ns b4 curl -gsS --max-time 60 "http://$WEB_V4/file" | sha256sum)
  [ "$sum" = "$FILE_SUM" ] || { echo "sha256 is $sum, not $FILE_SUM"; return 1; }
}
snapshot b4 >"$TEMP/b4.before"

check_fails "dslite: no IPv4 before the tunnel" can_ping4 $WEB_V4
write_client_config home b4 server=nowhere.example.net tunnel_mode=dslite datapath=userspace
check_equal "dslite: a name that cannot be resolved ends with 8" 8 "$(exit_status run_client home -n -b)"
write_client_config home b4 server=192.0.2.1 tunnel_mode=dslite datapath=userspace
check_equal "dslite: an AFTR without IPv6 ends with 9" 9 "$(exit_status run_client home -n -b)"
check_match "dslite: and is told" 'no IPv6 address that can be reached' "$(cat "$TEMP/home/out")"
write_client_config home b4 server=aftr.example.net tunnel_mode=dslite host_type=router if_prefix=eth0
check_equal "dslite: a router has no prefix: refused" 3 "$(exit_status run_client home -n -b)"

start_aftr 192.0.0.1 192.0.0.2
write_client_config home b4 server=aftr.example.net tunnel_mode=dslite datapath=userspace if_tunnel_v4v6=six46 keepalive_interval=5
run_client home
check_equal "dslite: the parent's exit status says that the tunnel is up" 0 $?
check_equal "dslite: the mode" dslite "$(status_field home mode)"
check_equal "dslite: its own address" 192.0.0.2 "$(status_field home local_inner)"
check "dslite: ping" can_ping4 $WEB_V4
check "dslite: 10 MB through the translation" fetches_v4
check "dslite: the AFTR answers keepalives" wait_for 10 field_is_over_zero home keepalive.rtt_ms

# An AFTR that answered can be dead; it comes back.
stop_pid "$AFTR_PID"
check "dslite: the dead AFTR is noticed" wait_for 30 field_is_over home reconnections 0
start_aftr 192.0.0.1 192.0.0.2
check "dslite: works with the AFTR that came back" wait_for 20 can_ping4 $WEB_V4 1
client home stop
check "dslite: nothing is left in run_dir" run_dir_is_empty home
check "dslite: addresses, routes and settings are as before" is_as_before b4
stop_pid "$AFTR_PID"

# Other inner addresses, and an AFTR that answers no echo: not taken for dead.
start_aftr 192.0.0.5 192.0.0.6
ns aftr nft add table ip mute
ns aftr nft add chain ip mute input '{ type filter hook input priority 0; }'
ns aftr nft add rule ip mute input icmp type echo-request drop
write_client_config home b4 server=$AFTR tunnel_mode=dslite datapath=userspace if_tunnel_v4v6=six46 keepalive_interval=2 \
  dslite_client=192.0.0.6 dslite_server=192.0.0.5
run_client home
check "dslite: the addresses of the configuration" can_ping4 $WEB_V4
check_fails "dslite: the AFTR is mute" can_ping4 192.0.0.5 1
sleep 18
check_equal "dslite: a mute AFTR is not dead" 0 "$(status_field home reconnections)"
check "dslite: still works" can_ping4 $WEB_V4
client home stop
check "dslite: addresses, routes and settings are as before again" is_as_before b4
