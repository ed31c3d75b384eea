#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Routing by babeld: three hosts whose babeld the client's BabelRouter drives, and two liars with babelds of their own.
#
#          ann ---------- bob          each pair is a cable (veth): what is a WireGuard link to a node
#          | \            /
#          |  \          /
#         liar  -- cid --              networks 2001:db8:42::/48 and 203.0.113.0/24
#
# covers: nothing

# shellcheck source-path=SCRIPTDIR source=../lib.sh disable=SC2119,SC2034
. "$(dirname "$0")/../lib.sh"

begin "$@"
PATH=$PATH:/usr/sbin:/sbin
if ! command -v babeld >/dev/null; then
  skip "$SCENARIO" "the program 'babeld' is not installed (make deps)"
  exit 0
fi
skip_where_missing "$(missing_for_namespaces)"

declare -A NUMBER=([ann]=a [bob]=b [cid]=c [liar]=d) INPUT=() ROUTER_PID=()
prefix_of() { echo "2001:db8:42:${NUMBER[$1]}::/64"; }
address_of() { echo "2001:db8:42:${NUMBER[$1]}::1"; }
id_of() { echo "20:01:0d:b8:00:42:00:0${NUMBER[$1]}"; }

# host NAME: forwards, and has its own addresses.
host() {
  add_namespace "$1"
  set_sysctl "$1" net/ipv6/conf/all/forwarding 1
  set_sysctl "$1" net/ipv4/ip_forward 1
  ip -n "$PREFIX-$1" addr add "$(address_of "$1")/128" dev lo nodad
  ip -n "$PREFIX-$1" addr add "203.0.113.$((0x${NUMBER[$1]} * 8 + 1))/32" dev lo
}

# start_router HOST [KEY=VALUE...]
start_router() {
  local host=$1 input
  shift
  mkdir -p "$TEMP/$host"
  rm -f "$TEMP/$host/in"
  mkfifo "$TEMP/$host/in"
  exec {input}<>"$TEMP/$host/in"
  INPUT[$host]=$input
  : >"$TEMP/$host/out"
  ns "$host" "$BUILD/tools/babel_router" "$TEMP/$host" 2001:db8:42::/48 "$(prefix_of "$host")" network_v4=203.0.113.0/24 \
    prefix_v4="203.0.113.$((0x${NUMBER[$host]} * 8))/29" source="$(address_of "$host")" "$@" \
    <"$TEMP/$host/in" >"$TEMP/$host/out" 2>"$TEMP/$host/log" &
  ROUTER_PID[$host]=$!
}
tell() {
  local host=$1
  shift
  echo "$*" >&"${INPUT[$host]}"
}
said() { grep -qE -- "$2" "$TEMP/$1/out"; }
logged() { grep -qE -- "$2" "$TEMP/$1/log"; }

route_of() { ip -n "$PREFIX-$1" -6 route show "${@:2}" proto babel; }
goes_by() { route_of "$1" "$2" | grep -q "dev $3 "; }
has_no_route() { [ -z "$(route_of "$@")" ]; }
can_ping_from() { ns "$1" ping -n -c 1 -W 1 "$2"; }
babeld_of() {
  local pid
  for pid in $(ip netns pids "$PREFIX-$1"); do
    if [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = babeld ]; then echo "$pid"; fi
  done
}
has_other_babeld() { [ -n "$(babeld_of "$1")" ] && [ "$(babeld_of "$1")" != "$2" ]; }
one_metric() { [ "$(ip -n "$PREFIX-$1" -6 route show proto babel | grep -o 'metric [0-9]*' | sort -u | wc -l)" = 1 ]; }

for name in ann bob cid liar; do host "$name"; done
link ann to-bob bob to-ann
link bob to-cid cid to-bob
link ann to-cid cid to-ann
link ann to-liar liar to-ann

# --- routes come and go ---

check_fails "babeld: no way to another host before" can_ping_from ann "$(address_of cid)"
start_router ann default=yes default_table=100 hello=1000
start_router bob gateway=yes hello=1000
start_router cid default=yes default_table=100 hello=1000
for name in ann bob cid; do wait_for 10 said "$name" ' up$' || die "babeld does not come up on $name: $(cat "$TEMP/$name/log")"; done
for name in ann bob cid; do tell "$name" announce "$(prefix_of "$name")" "203.0.113.$((0x${NUMBER[$name]} * 8))/29" ::/0; done
# The cable between ann and bob costs more than a busy machine's round trips differ.
tell ann link to-bob 2000; tell ann link to-cid
tell bob link to-ann 2000; tell bob link to-cid
tell cid link to-ann; tell cid link to-bob
check "babeld: routes appear" wait_for 20 goes_by ann "$(prefix_of cid)" to-cid
check "babeld: ping over a route" wait_for 10 can_ping_from ann "$(address_of cid)"
check "babeld: the routing table is told as a whole" wait_for 10 said ann ' routes 5$'
check "babeld: IPv4 inside" wait_for 10 can_ping_from cid 203.0.113.89
check_match "babeld: a route has this node's address as its source" "src $(address_of ann)" "$(route_of ann "$(prefix_of cid)")"
check "babeld: round trips are measured" wait_for 10 said ann 'neighbour if to-cid .* rtt [0-9]+ us'

# --- default routes: of gateways alone ---

check_match "babeld: a gateway's default route, in its own table" '^default via fe80' "$(route_of ann default table 100)"
check "babeld: no default route but there" has_no_route ann default
check_equal "babeld: the default route is the gateway's, though others say they announce one" "$(id_of bob)" \
  "$(grep -hoE 'route ::/0 .*' "$TEMP/ann/out" "$TEMP/cid/out" | sed 's/.* origin //' | sort -u)"
check "babeld: a gateway takes no default route" has_no_route bob default

# --- a link that is removed carries nothing at once ---

wait_for 5 goes_by ann "$(prefix_of cid)" to-cid
ns ann ping -n -i 0.05 -c 80 -W 1 "$(address_of cid)" >"$TEMP/ann/ping" 2>&1 &
ping=$!
sleep 0.5
tell ann unlink to-cid
begun=${EPOCHREALTIME/./}
not_by() { ! goes_by "$@"; }
wait_for 5 not_by ann "$(prefix_of cid)" to-cid
took=$(((${EPOCHREALTIME/./} - begun) / 1000))
check "babeld: a link that is removed is left at once ($took ms)" [ "$took" -lt 1000 ]
check "babeld: another way takes its place" wait_for 5 goes_by ann "$(prefix_of cid)" to-bob
wait "$ping"
lost=$((80 - $(grep -c 'bytes from' "$TEMP/ann/ping")))
check "babeld: traffic moves within two seconds ($lost packets lost, one every 50 ms)" [ "$lost" -lt 40 ]
ip -n "$PREFIX-ann" link set to-cid up
tell ann link to-cid
check "babeld: it is used again when it is back" wait_for 20 goes_by ann "$(prefix_of cid)" to-cid

# --- a cost that is raised moves traffic away, both ways ---

tell ann cost to-cid 20000
check "babeld: a raised cost moves traffic away" wait_for 10 goes_by ann "$(prefix_of cid)" to-bob
check "babeld: and the other side's" wait_for 10 goes_by cid "$(prefix_of ann)" to-bob
tell ann cost to-cid 0
check "babeld: and back" wait_for 20 goes_by ann "$(prefix_of cid)" to-cid

# --- a slow link is avoided ---

# One that takes 300 ms each way, besides the way through bob.
add_namespace far
link ann to-far far to-ann
link cid to-far far to-cid
spawn_in far "$TEMP/far.out" "$PYTHON" "$TOOLS/slow_cable.py" to-ann to-cid 300
tell ann cost to-bob 500
tell bob cost to-ann 500
tell ann unlink to-cid
tell cid unlink to-ann
tell ann link to-far
tell cid link to-far
check "babeld: a slow link's round trips are measured" wait_for 15 said ann 'neighbour if to-far .* rtt [0-9]{6,} us'
check "babeld: a way of two quick links goes before a slow one" wait_for 25 goes_by ann "$(prefix_of cid)" to-bob
tell ann unlink to-bob
check "babeld: the slow one is used where it is the only one" wait_for 15 goes_by ann "$(prefix_of cid)" to-far
ip -n "$PREFIX-ann" link set to-bob up
ip -n "$PREFIX-ann" link set to-cid up
ip -n "$PREFIX-cid" link set to-ann up
tell ann link to-bob 2000
tell bob cost to-ann 2000
tell ann link to-cid
tell cid link to-ann
check "babeld: and no longer" wait_for 20 goes_by ann "$(prefix_of cid)" to-cid
tell ann unlink to-far
tell cid unlink to-far

# --- babeld is killed ---

old=$(babeld_of ann)
check_match "status: has babeld's pid" "pid $old" "$(tell ann status; sleep 0.2; grep status "$TEMP/ann/out")"
wait_for 10 goes_by cid "$(prefix_of ann)" to-ann
ns ann ping -n -i 0.05 -c 60 -W 1 "$(address_of cid)" >"$TEMP/ann/ping" 2>&1 &
ping=$!
sleep 0.3
kill -KILL "$old"
begun=${EPOCHREALTIME/./}
wait_for 5 has_other_babeld ann "$old"
took=$(((${EPOCHREALTIME/./} - begun) / 1000))
check "babeld: killed, it is started again within a second ($took ms)" [ "$took" -lt 1000 ]
check "babeld: that it ended is told" wait_for 3 said ann ' down babeld was killed by signal 9'
wait "$ping"
lost=$((60 - $(grep -c 'bytes from' "$TEMP/ann/ping")))
check "babeld: packets pass while it is away ($lost of 60 lost)" [ "$lost" -lt 20 ]
check "babeld: it has its links and announcements again" wait_for 10 goes_by cid "$(prefix_of ann)" to-ann
check "babeld: and the kernel its routes, of the new one alone" wait_for 10 one_metric ann
check "babeld: ping after all this" can_ping_from ann "$(address_of cid)"

# --- liars ---

# lie ID PREFIX...: a babeld that is not ours, with what it announces.
lie() {
  local id=$1 prefix
  shift
  ip -n "$PREFIX-liar" -6 route flush table 77 2>/dev/null
  for prefix in "$@"; do
    ip -n "$PREFIX-liar" -6 route add unreachable "$prefix" table 77 proto static metric 1024
  done
  rm -f "$TEMP/liar/"*.sock
  mkdir -p "$TEMP/liar"
  spawn "$TEMP/liar/out" nsenter --net="$(netns liar)" -- babeld -p 6697 -I '' -S "$TEMP/liar/state" -G "$TEMP/liar/b.sock" \
    -C "router-id $id" -C 'import-table 77' -C 'redistribute proto 4' -C 'redistribute local deny' \
    -C 'interface to-ann type tunnel link-quality true hello-interval 1'
}
tell ann link to-liar
lie "$(id_of liar)" 2001:db8:bad::/48 "$(prefix_of liar)" "$(prefix_of ann)" 2001:db8:42:a:8000::/65
check "liar: its own prefix is taken" wait_for 15 goes_by ann "$(prefix_of liar)" to-liar
check "liar: a prefix outside of the network is reported" wait_for 5 said ann "foreign 2001:db8:bad::/48 of $(id_of liar) on to-liar$"
check "liar: so is this node's own" said ann "foreign $(prefix_of ann) of $(id_of liar) on to-liar own$"
check "liar: so is a part of it" said ann 'foreign 2001:db8:42:a:8000::/65 of .* own$'
check "liar: none of them is followed" has_no_route ann 2001:db8:bad::/48
check "liar: not even a part of the own prefix" has_no_route ann 2001:db8:42:a:8000::/65
check "liar: none of them is passed on" has_no_route bob 2001:db8:bad::/48
stop_pid "$SPAWNED"
check "liar: gone, so is its prefix" wait_for 30 has_no_route ann "$(prefix_of liar)"

old=$(babeld_of ann)
lie "$(id_of liar)" 2001:db8:42:77::/64
check "liar: somebody else's prefix is reported" wait_for 15 said ann "foreign 2001:db8:42:77::/64 of $(id_of liar) on to-liar followed"
check "liar: babeld is started again to refuse it" wait_for 5 has_other_babeld ann "$old"
check "liar: it is followed no longer" wait_for 10 has_no_route ann 2001:db8:42:77::/64
check "liar: nor by others" wait_for 10 has_no_route bob 2001:db8:42:77::/64
check_match "liar: the log says what to do" 'should be revoked' "$(cat "$TEMP/ann/log")"
check "liar: the others are reached as before" wait_for 10 can_ping_from ann "$(address_of cid)"
stop_pid "$SPAWNED"

# --- the end ---

for name in ann bob cid; do tell "$name" stop; done
for name in ann bob cid; do
  check "babeld: $name ends in time" wait_for 4 is_gone_or_zombie "${ROUTER_PID[$name]}"
  check "babeld: $name leaves no routes" has_no_route "$name"
  check_equal "babeld: $name leaves no announcements" "" "$(ip -n "$PREFIX-$name" -6 route show table 3653 2>/dev/null)"
  check_equal "babeld: $name leaves no babeld" "" "$(babeld_of "$name")"
done
start_router bob program=no-such-babeld
check "babeld: missing, that is said, and what to do" wait_for 5 logged bob 'babeld is not installed .* apt-get install babeld'
tell bob stop
