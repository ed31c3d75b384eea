#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Nodes that have never heard of each other, on one segment that leads nowhere: no router, no registry, no address but the
# link-local ones of IPv6. They find each other by signed beacons and link directly. A stranger's beacons, altered ones and a flood
# of them change nothing.
#
#   n1, n2, n3 -- hub (a bridge), stranger on the same bridge; fe80:: alone
#
# covers: nothing

# shellcheck source-path=SCRIPTDIR source=../../mesh/segment.sh disable=SC2119
. "$(dirname "$0")/../../mesh/segment.sh"

begin "$@"
segment n1 n2 n3 stranger
make_nodes 2001:db8:42::/48 n1=- n2=- n3=-
# write_lan_node NODE [KEY=VALUE...]: without the cache, so that it knows nobody.
write_lan_node() {
  write_node "$@"
  rm -f "$TEMP/$1/state/mesh/contacts"
}
spawn_node() { spawn_in "$1" "$TEMP/$1/out" "$SIXLINK" -f "$TEMP/$1/$1.conf" -n; }
has_local_link() { node "$1" peers --json | grep -q 'fe80::'; }

# --- Without the key nobody beacons ---

write_lan_node n1
write_lan_node n2 lan_interface=eth0
spawn_node n1
PID1=$SPAWNED
spawn_node n2
PID2=$SPAWNED
wait_for 10 grep -q 'looking for nodes on the interface eth0' "$TEMP/n2/log" || fail "LAN: beacons begin" "not within 10 s"
sleep 2
check_fails "LAN: a node without lan_interface= is not found" reaches n2 n1
stop_pid "$PID1"

# --- Two that do ---

write_lan_node n1 lan_interface=eth0
began=$(now_ms)
spawn_node n1
PID1=$SPAWNED
if wait_for 10 reaches n1 n2; then
  pass "LAN: two nodes find each other and link ($(($(now_ms) - began)) ms after the start)"
else
  fail "LAN: two nodes find each other and link" "$(tail -n 3 "$TEMP/n1/log" | tr '\n' ' ')"
fi
check "LAN: the link runs between link-local addresses" has_local_link n1

# --- Hostile beacons ---

# n1's beacon, as it is on the wire.
cat >"$TEMP/hear.py" <<'PY'
"""hear.py INTERFACE FILE: keeps the first beacon of another node; send.py says them again in many ways."""
import socket, struct, sys
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.bind(("::", 3653))
index = socket.if_nametoindex(sys.argv[1])
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, socket.inet_pton(socket.AF_INET6, "ff12::6c69:6e6b") + struct.pack("@I", index))
s.settimeout(25)
while True:
    data, source = s.recvfrom(65536)
    if data[:4] == b"SLNK" and source[0].startswith("fe80"):
        open(sys.argv[2], "wb").write(data)
        break
PY
cat >"$TEMP/send.py" <<'PY'
"""send.py INTERFACE FILE HOPS COUNT: random bytes, altered and cut beacons, and the beacon itself from a stranger's address."""
import random, socket, sys
random.seed(1)
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
index = socket.if_nametoindex(sys.argv[1])
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, int(sys.argv[3]))
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
good = open(sys.argv[2], "rb").read()
for i in range(int(sys.argv[4])):
    kind = i % 4
    if kind == 0:
        data = good[:8] + random.randbytes(random.randrange(1, 2000))
    elif kind == 1:
        data = bytearray(good)
        data[random.randrange(8, len(data))] ^= 1 << random.randrange(8)
    elif kind == 2:
        data = good[:random.randrange(len(good))]
    else:
        data = good
    s.sendto(bytes(data), ("ff12::6c69:6e6b", 3653, 0, index))
PY
check "LAN: a beacon is heard on the segment" timeout 30 nsenter --net="$(netns stranger)" -- "$PYTHON" "$TEMP/hear.py" eth0 "$TEMP/beacon"
ns stranger "$PYTHON" "$TEMP/send.py" eth0 "$TEMP/beacon" 255 4000
ns stranger "$PYTHON" "$TEMP/send.py" eth0 "$TEMP/beacon" 1 400
check "LAN: after a flood of altered and repeated beacons the link is as it was" reaches n1 n2
stranger=$(ip -n "$PREFIX-stranger" -6 -o addr show dev eth0 scope link | sed -n 's/.*inet6 \([^/]*\).*/\1/p')
check_fails "LAN: who repeats a node's beacon gets no link" eval "node n1 peers --json | grep -qF '$stranger'"

# --- The third, with the flood still in everybody's memory ---

write_lan_node n3 lan_interface=eth0
spawn_node n3
PID3=$SPAWNED
check "LAN: the next good node is found by all" wait_for 15 eval "reaches n3 n1 && reaches n3 n2 && reaches n1 n3"
stop_pid "$PID1"
check "LAN: the others go on without the first" wait_for 5 reaches n2 n3
stop_pid "$PID2"
stop_pid "$PID3"
