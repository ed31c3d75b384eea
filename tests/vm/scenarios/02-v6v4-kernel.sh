#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# v6v4 with the kernel's sit at the client's end and the registry's own datapath at the other: our process moves no packet, and leaves
# nothing, also when it is killed. The user's own sit1 stays as it is.
#
#   direct (sixlink, sit) --- protocol 41 --- registry (raw socket, TUN) --- web
#
# Topology: ../lib.sh.

# shellcheck source-path=SCRIPTDIR source=../lib.sh disable=SC2086,SC2119,SC2034
. "$(dirname "$0")/../lib.sh"

begin "$@"
needs_kernel sit
vm_topology
start_web 20M
start_registry mtu=1400
ns direct ip link add sit1 type sit local $DIRECT_V4 remote 198.51.100.99 ttl 32
ns direct ip link set sit1 up
ns direct ip addr add 2001:db8:77::1/64 dev sit1 nodad
snapshot direct >"$TEMP/direct.before"
check_fails "v6v4: no IPv6 before the tunnel" can_ping direct "$WEB_V6" 1

# The standard name, sit1, is the user's here.
write_client_config taken direct tunnel_mode=v6v4 datapath=kernel
check_equal "v6v4: a name in use is refused, exit status 18" 18 "$(exit_status run_client taken -n -b)"
check_match "v6v4: says which name" 'sit1' "$(grep -i error "$TEMP/taken/out")"
check "v6v4: the user's sit1 is untouched" is_as_before direct

write_client_config home direct tunnel_mode=v6v4 datapath=kernel if_tunnel_v6v4=six0 keepalive_interval=5
spawn_client home
wait_up home || die "the tunnel does not come up: $(tail -n 2 "$TEMP/home/out" | tr '\n' ' ')"
show_link direct six0
check_equal "v6v4: the interface is the kernel's sit" sit "$(link_kind direct six0)"
check_equal "v6v4: status says that the kernel moves the packets" kernel "$(status_field home datapath)"
check_match "v6v4: status for people says so" 'kernel' "$(client home status)"
check_equal "v6v4: the mode" v6v4 "$(status_field home mode)"
check_equal "v6v4: no TUN, raw or packet socket that takes packets" 0 "$(data_sockets home)"
inner=$(status_field home local_inner)
inner=${inner%%/*}
check "v6v4: ping through the tunnel" can_ping direct "$WEB_V6"
check "v6v4: ping from the other side" can_ping web "$inner"

before_bytes=$(moved direct six0 rx)
before_ticks=$(cpu_ticks "${CLIENT_PID[home]}")
start=$SECONDS
check "v6v4: a file of 20 MB" fetches direct
took=$((SECONDS - start + 1)) ticks=$(($(cpu_ticks "${CLIENT_PID[home]}") - before_ticks))
echo "# $took s, $ticks ticks of our process"
check "v6v4: the interface counted the bytes" is_over "$(($(moved direct six0 rx) - before_bytes))" 20971520
share=$((took * $(getconf CLK_TCK 2>/dev/null || echo 100) / 20))
check "v6v4: our process moved none: it used less than 5 % of the time" is_under "$ticks" $((share > 100 ? share : 100))
check "v6v4: status has the interface's counters" field_is_over home counters.bytes_in 20971520

mtu=$(status_field home mtu)
check_match "v6v4: the MTU is the broker's" '^1400$' "$mtu"
check "v6v4: a packet of the MTU passes" ns direct ping -6 -n -c 1 -W 3 -M "do" -s $((mtu - 48)) "$WEB_V6"
check_fails "v6v4: a larger one is refused here" ns direct ping -6 -n -c 1 -W 1 -M "do" -s $((mtu - 47)) "$WEB_V6"
check "v6v4: the other side learns the path's MTU" path_mtu_is web "$inner" "$mtu"
check "v6v4: and fragmented passes" ns direct ping -6 -n -c 3 -W 3 -M dont -s 2000 "$WEB_V6"

# Protocol 41 gets through no more, TSP does: the keepalive notices.
ns registry nft -f - <<'NFT'
table ip cut {
  chain input {
    type filter hook input priority 0;
    meta l4proto 41 drop
  }
}
NFT
lost=$SECONDS
check "v6v4: a dead tunnel is noticed" wait_for 25 is_reconnecting home
echo "# noticed after $((SECONDS - lost)) s"
ns registry nft delete table ip cut
check "v6v4: and made anew" wait_for 20 can_ping direct "$WEB_V6" 1
check_equal "v6v4: with the kernel's interface again" sit "$(link_kind direct six0)"

check_equal "v6v4: stop" 0 "$(exit_status client home stop)"
wait "${CLIENT_PID[home]}" 2>/dev/null
check_fails "v6v4: no IPv6 after stop" can_ping direct "$WEB_V6" 1
check "v6v4: addresses, routes and settings are as before" is_as_before direct

# What a killed client leaves is the kernel's, and stays until the next one comes.
spawn_client home
wait_up home || die "the tunnel does not come up again: $(tail -n 2 "$TEMP/home/out" | tr '\n' ' ')"
stop_client home KILL
check_equal "v6v4: kill -9 leaves the interface" sit "$(link_kind direct six0)"
spawn_client home
check "v6v4: the next start takes over from the killed one" wait_up home
check "v6v4: ping after the kill" can_ping direct "$WEB_V6"
stop_client home
check_equal "v6v4: exit status 0" 0 "$STOPPED_STATUS"
check "v6v4: all is as before, after a kill too" is_as_before direct
