#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# v6v4 the other way round: our datapath at the client's end, and at the other the kernel's sit, set up with plain `ip` commands. TSP is
# spoken by ../grant.py, which grants that end.
#
#   direct (sixlink, raw socket, TUN) --- protocol 41 --- registry (sit, by hand) --- web
#
# Topology: ../lib.sh.

# shellcheck source-path=SCRIPTDIR source=../lib.sh disable=SC2086,SC2119,SC2034
. "$(dirname "$0")/../lib.sh"

begin "$@"
needs_kernel sit
vm_topology
start_web 5M
snapshot direct >"$TEMP/direct.before"
server=2001:db8:42:1::1
client=2001:db8:42:1::2
ns registry ip link add six0 type sit local $REGISTRY_V4 remote $DIRECT_V4 ttl 64
ns registry ip link set six0 mtu 1280 up
ns registry ip addr add $server/64 dev six0 nodad
set_sysctl registry net/ipv6/conf/all/forwarding 1
show_link registry six0
spawn_in registry "$TEMP/grant.out" "$PYTHON" "$ROOT/tests/vm/grant.py" $REGISTRY_V4 $REGISTRY_V4 $DIRECT_V4 $server $client
wait_for 10 grep -q serving "$TEMP/grant.out" || die "the broker does not start: $(cat "$TEMP/grant.out")"

write_client_config home direct tunnel_mode=v6v4 datapath=userspace if_tunnel_v6v4=six0
check_fails "to the kernel: no IPv6 before the tunnel" can_ping direct "$WEB_V6" 1
spawn_client home
wait_up home || die "the tunnel does not come up: $(tail -n 2 "$TEMP/home/out" | tr '\n' ' ')"
show_link direct six0
check_equal "to the kernel: our end is a TUN" tun "$(link_kind direct six0)"
check_equal "to the kernel: the other is a sit" sit "$(link_kind registry six0)"
check_equal "to the kernel: status says that this program moves the packets" userspace "$(status_field home datapath)"
check "to the kernel: a TUN and a raw socket are open" is_over "$(data_sockets home)" 1
check "to the kernel: ping" can_ping direct "$WEB_V6"
check "to the kernel: ping from the other side" can_ping web $client
before=$(moved registry six0 tx)
check "to the kernel: a file of 5 MB" fetches direct
check "to the kernel: sit carried it" is_over "$(($(moved registry six0 tx) - before))" 5242880
check "to the kernel: a packet of the MTU" ns direct ping -6 -n -c 1 -W 3 -M "do" -s 1232 "$WEB_V6"

# The other direction: what the kernel's end sends as one piece of up to 64 KiB reaches the raw socket so.
head -c 3M /dev/urandom >"$TEMP/upload"
sum=$(sha256sum <"$TEMP/upload")
spawn_in direct "$TEMP/receiver.out" "$PYTHON" -c 'import hashlib, socket, sys
server = socket.create_server((sys.argv[1], 9000), family=socket.AF_INET6)
print("ready", flush=True)
connection, digest = server.accept()[0], hashlib.sha256()
while data := connection.recv(65536): digest.update(data)
print(digest.hexdigest(), flush=True)' $client
wait_for 10 grep -q ready "$TEMP/receiver.out"
# shellcheck disable=SC2016 # expanded by the inner shell
ns web timeout 60 bash -c 'cat "$0" >/dev/tcp/$1/9000' "$TEMP/upload" $client
check "to the kernel: 3 MB from the other side" wait_for 10 grep -q "^${sum%% *}$" "$TEMP/receiver.out"

stop_client home
check_equal "to the kernel: exit status 0" 0 "$STOPPED_STATUS"
check "to the kernel: addresses, routes and settings are as before" is_as_before direct
