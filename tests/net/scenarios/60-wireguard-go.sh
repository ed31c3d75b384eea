#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Our WireGuard machine against wireguard-go, as the one who begins and as the one who answers.
#
#        home                                   the Internet
#
#   client  192.0.2.2 ---- router (NAT) ----+-- 198.51.100.10  registry
#   home2   192.0.2.3 -------+              +-- 198.51.100.11  server2
#                                           +-- 198.51.100.12  swapper: passes UDP on, out of order
#
#   pair   begins               answers               path        besides
#   a      ours, client         wireguard-go, registry  direct      preshared key, roaming, keepalive, loss, rekey
#   b      wireguard-go, home2  ours, server2           direct      the same
#   c      ours, client         wireguard-go, registry  swapper     restart of theirs
#   d      wireguard-go, home2  ours, server2           swapper     restart of ours
#
# Inside, of pair x: 2001:db8:x::1 and 203.0.113.1 begin, 2001:db8:x::2 and 203.0.113.2 answer.

# shellcheck source-path=SCRIPTDIR source=../lib.sh disable=SC2119,SC2034
. "$(dirname "$0")/../lib.sh"

begin "$@"
NODE=$BUILD/tools/wireguard_node
for program in wireguard-go wg; do
  if ! command -v "$program" >/dev/null; then
    skip "wireguard-go" "the program '$program' is not installed (make deps)"
    exit 0
  fi
done
[ -x "$NODE" ] || die "$NODE is missing: run 'make tests' first"

topology
add_home_host home2 192.0.2.3
add_internet_host server2 198.51.100.11
add_internet_host swapper 198.51.100.12

# --- Setting up ---

# The sockets of `wg` are files: their names must not be another run's.
TAG=$(($$ % 100000))
declare -A HOST=() INTERFACE=() INNER=() PID=() PUBLIC=()

# new_end END HOST INNER-PREFIX-AND-NUMBER: END is a1, a2, b1, ...: 1 begins, 2 answers.
new_end() {
  local end=$1 pair=${1%[12]} number=${1#[a-d]}
  HOST[$end]=$2
  INTERFACE[$end]=wg$TAG$end
  INNER[$end]=2001:db8:$pair::$number
  mkdir -p "$TEMP/$end"
  (umask 077 && wg genkey >"$TEMP/$end/key")
  PUBLIC[$end]=$(wg pubkey <"$TEMP/$end/key")
}

# write_end END OTHER PORT [LINE...]: as `wg setconf` takes it; the lines are of the peer.
write_end() {
  local end=$1 other=$2 port=$3
  shift 3
  (
    umask 077
    printf '[Interface]\nPrivateKey = %s\nListenPort = %s\n[Peer]\nPublicKey = %s\nAllowedIPs = %s/128, 203.0.113.%s/32\n' \
      "$(cat "$TEMP/$end/key")" "$port" "${PUBLIC[$other]}" "${INNER[$other]}" "${other#[a-d]}" >"$TEMP/$end/conf"
    printf '%s\n' "$@" >>"$TEMP/$end/conf"
  )
}

interface_is_there() { ns "${HOST[$1]}" ip link show "${INTERFACE[$1]}"; }

# The pair's interfaces are in different namespaces, and two pairs share a host: routes are by address.
set_addresses() {
  local end=$1 pair=${1%[12]} number=${1#[a-d]}
  ns "${HOST[$end]}" ip link set "${INTERFACE[$end]}" mtu 1420 up
  ns "${HOST[$end]}" ip -6 addr add "${INNER[$end]}/64" dev "${INTERFACE[$end]}" nodad
  case $pair in
    a | b) ns "${HOST[$end]}" ip addr add "203.0.113.$number/24" dev "${INTERFACE[$end]}" ;;
  esac
}

start_ours() {
  local end=$1
  spawn_in "${HOST[$end]}" "$TEMP/$end/out" "$NODE" "${INTERFACE[$end]}" "$TEMP/$end/conf"
  PID[$end]=$SPAWNED
  wait_for 10 grep -q '^ready' "$TEMP/$end/out" || die "our end of $end does not start: $(cat "$TEMP/$end/out")"
  set_addresses "$end"
}

start_theirs() {
  local end=$1
  spawn_in "${HOST[$end]}" "$TEMP/$end/out" env LOG_LEVEL=error wireguard-go -f "${INTERFACE[$end]}"
  PID[$end]=$SPAWNED
  wait_for 10 wg show "${INTERFACE[$end]}" || die "wireguard-go does not start: $(cat "$TEMP/$end/out")"
  wg setconf "${INTERFACE[$end]}" "$TEMP/$end/conf" || die "wg setconf failed for $end"
  set_addresses "$end"
}

# --- Asking ---

# theirs END FIELD: of `wg show IF FIELD`, without the peer's key.
theirs() { wg show "${INTERFACE[$1]}" "$2" | cut -f 2-; }

# ours END NUMBER: a field of the peer's line: 3 endpoint, 4 seconds since the handshake, 5 received, 6 sent.
ours() {
  local end=$1 before
  before=$(grep -c '^outcomes' "$TEMP/$end/out")
  kill -USR1 "${PID[$end]}"
  wait_for 5 more_outcomes "$end" "$before" || return 1
  grep '^peer' "$TEMP/$end/out" | tail -n 1 | cut -d ' ' -f "$2"
}
more_outcomes() { [ "$(grep -c '^outcomes' "$TEMP/$1/out")" -gt "$2" ]; }
# outcome END NAME: after `ours`.
outcome() { grep '^outcomes' "$TEMP/$1/out" | tail -n 1 | grep -oE "(^outcomes |, )$2=[0-9]+" | grep -oE '[0-9]+$'; }

pings() { ns "${HOST[$1]}" ping -n -c 1 -W "${3:-3}" "$2"; }
is_over() { [ "${1:-0}" -gt "$2" ]; }
is_near() { [ "$1" -ge $(($2 - $3)) ] && [ "$1" -le $(($2 + $3)) ]; }

serve_file() { # END: over its inner address
  spawn_in "${HOST[$1]}" "$TEMP/$1/web.out" "$PYTHON" "$TOOLS/web_server.py" "${INNER[$1]}" 8080 "$TEMP/file"
  wait_for 10 can_connect "${HOST[$1]}" "${INNER[$1]}" 8080 || die "the web server does not start: $(cat "$TEMP/$1/web.out")"
}
fetches_from() { # END OTHER
  local sum
  sum=$(ns "${HOST[$1]}" curl -gsS --max-time 60 "http://[${INNER[$2]}]:8080/file" | sha256sum)
  [ "$sum" = "$FILE_SUM" ] || {
    echo "sha256 is $sum, not $FILE_SUM"
    return 1
  }
}

# --- The four pairs ---

for end in a1 c1; do new_end $end client; done
for end in a2 c2; do new_end $end registry; done
for end in b1 d1; do new_end $end home2; done
for end in b2 d2; do new_end $end server2; done
preshared="PresharedKey = $(wg genpsk)"
write_end a1 a2 51820 "$preshared" "Endpoint = 198.51.100.10:51820" "PersistentKeepalive = 2"
write_end a2 a1 51820 "$preshared"
write_end b1 b2 51820 "$preshared" "Endpoint = 198.51.100.11:51820" "PersistentKeepalive = 2"
write_end b2 b1 51820 "$preshared"
write_end c1 c2 51821 "Endpoint = 198.51.100.12:5000"
write_end c2 c1 51821
write_end d1 d2 51821 "Endpoint = 198.51.100.12:5001"
write_end d2 d1 51821

spawn_in swapper "$TEMP/swap-c.out" "$PYTHON" "$TOOLS/swap.py" 5000 198.51.100.10 51821
swap_c=$SPAWNED
spawn_in swapper "$TEMP/swap-d.out" "$PYTHON" "$TOOLS/swap.py" 5001 198.51.100.11 51821
swap_d=$SPAWNED
wait_for 10 grep -q ready "$TEMP/swap-c.out" || die "the swapper does not start"
wait_for 10 grep -q ready "$TEMP/swap-d.out" || die "the swapper does not start"

for end in a1 b2 c1 d2; do start_ours $end; done
check_fails "wireguard-go: nothing before they are there" pings a1 2001:db8:a::2 1
for end in a2 b1 c2 d1; do start_theirs $end; done
began=$SECONDS

check "wireguard-go: we begin: ping6" wait_for 15 pings a1 2001:db8:a::2
check "wireguard-go: we begin: ping" pings a1 203.0.113.2
check "wireguard-go: they begin: ping6" wait_for 15 pings b1 2001:db8:b::2
check "wireguard-go: they begin: ping" pings b1 203.0.113.2
check "wireguard-go: we answer and send: ping6" pings b2 2001:db8:b::1
check "wireguard-go: they answer and send: ping6" pings a2 2001:db8:a::1

# --- Their `wg show` and ours agree ---

check "wg show: a handshake, just now" is_near "$(theirs a2 latest-handshakes)" "$(date +%s)" 20
check_match "wg show: our endpoint is the NAT's" '^198\.51\.100\.1:[0-9]+$' "$(theirs a2 endpoints)"
check_equal "wg show: the endpoint that begins is as configured" 198.51.100.11:51820 "$(theirs b1 endpoints)"
check_match "wg show: has a preshared key" '^[A-Za-z0-9+/]{43}=$' "$(theirs a2 preshared-keys)"
check "status: a handshake, just now" is_near "$(ours b2 4)" 10 15
check_match "status: their endpoint is the NAT's" '^198\.51\.100\.1:[0-9]+$' "$(ours b2 3)"
check "transfer: they received what we sent" is_near "$(theirs a2 transfer | cut -f 1)" "$(ours a1 6)" 200
check "transfer: we received what they sent" is_near "$(theirs a2 transfer | cut -f 2)" "$(ours a1 5)" 200

# --- Reordering, and bulk data ---

head -c 3M /dev/urandom >"$TEMP/file"
FILE_SUM=$(sha256sum <"$TEMP/file")
for end in a2 b2 c2 d2; do serve_file $end; done
check "bulk: from them to us" fetches_from a1 a2
check "bulk: from us to them" fetches_from b1 b2
check "reordering: from them to us" fetches_from c1 c2
check "reordering: from us to them" fetches_from d1 d2
kill -USR1 "$swap_c" "$swap_d"
# shellcheck disable=SC2016 # expanded by the inner shell
check "reordering: packets were overtaken in both directions" wait_for 5 \
  sh -c 'grep -qE "overtaken [1-9][0-9]* [1-9]" "$0" && grep -qE "overtaken [1-9][0-9]* [1-9]" "$1"' "$TEMP/swap-c.out" "$TEMP/swap-d.out"
for end in c1 d2; do
  ours $end 3 >/dev/null
  check_equal "reordering: nothing was taken for a repetition ($end)" 0 "$(outcome $end replayed)"
  check_equal "reordering: nothing was taken for forged ($end)" 0 "$(outcome $end forged)"
done

# --- Someone restarts: 15 seconds without an answer begin a new handshake. Meanwhile the rest goes on ---

stop_pid "${PID[c2]}"
stop_pid "${PID[d2]}"
start_theirs c2
start_ours d2
ns client ping -n -i 0.5 -w 40 2001:db8:c::2 >"$TEMP/restart-c.out" 2>&1 &
restart_c=$!
ns home2 ping -n -i 0.5 -w 40 2001:db8:d::2 >"$TEMP/restart-d.out" 2>&1 &
restart_d=$!

# --- Loss ---

ns router nft -f - <<'NFT'
table ip loss {
  chain forward {
    type filter hook forward priority filter - 5;
    udp dport 51820 numgen random mod 100 < 10 drop
    udp sport 51820 udp dport != 51820 numgen random mod 100 < 10 drop
  }
}
NFT
for pair in a b; do
  received=$(ns "${HOST[${pair}1]}" ping -n -q -c 100 -i 0.02 -W 2 "2001:db8:$pair::2" | sed -n 's/.* \([0-9]*\) received.*/\1/p')
  check "loss: of 100 pings some are lost, most are not (pair $pair: $received)" is_near "${received:-0}" 80 19
done
head -c 200K /dev/urandom >"$TEMP/file"
FILE_SUM=$(sha256sum <"$TEMP/file")
check "loss: a file arrives all the same, from them to us" fetches_from a1 a2
check "loss: a file arrives all the same, from us to them" fetches_from b1 b2
ns router nft delete table ip loss
check "loss: over" pings a1 2001:db8:a::2

# --- Persistent keepalive: 2 seconds, with nothing else to send ---

# What TCP still repeats after the losses may come in between: so bytes say little, and keepalives are counted too.
sleep 2
before_a=$(theirs a2 transfer | cut -f 1)
before_b=$(ours b2 5)
keepalives_b=$(outcome b2 keepalive)
sleep 7
grown=$(($(theirs a2 transfer | cut -f 1) - before_a))
check "keepalive: ours arrive there ($grown bytes)" is_near "$grown" 332 268
grown=$(($(ours b2 5) - before_b))
check "keepalive: theirs arrive here ($grown bytes)" is_near "$grown" 332 268
check "keepalive: they are keepalives" is_near "$(($(outcome b2 keepalive) - keepalives_b))" 3 2

# --- Roaming: no handshake is needed ---

handshake=$(theirs a2 latest-handshakes)
endpoint=$(theirs a2 endpoints)
ip -n "$PREFIX-client" addr del 192.0.2.2/24 dev eth0
ip -n "$PREFIX-client" addr add 192.0.2.22/24 dev eth0
ip -n "$PREFIX-client" route replace default via 192.0.2.1
check "roaming: our address changes, and the tunnel goes on" wait_for 5 pings a1 2001:db8:a::2
check "roaming: they have our new endpoint" test "$(theirs a2 endpoints)" != "$endpoint"
check "roaming: they find us there" pings a2 2001:db8:a::1
check_equal "roaming: without a new handshake" "$handshake" "$(theirs a2 latest-handshakes)"
before=$(ours b2 3)
since=$(ours b2 4)
wg set "${INTERFACE[b1]}" listen-port 40404
check "roaming: their port changes, and the tunnel goes on" wait_for 5 pings b1 2001:db8:b::2
after=$(ours b2 3)
check "roaming: we have their new endpoint ($before, $after)" test "$before" != "$after"
check "roaming: we find them there" pings b2 2001:db8:b::1
check "roaming: without a new handshake" is_over "$(ours b2 4)" "$((since - 1))"

# --- The restarts from above ---

wait "$restart_c"
check_match "restart: theirs is found again" ' bytes from ' "$(cat "$TEMP/restart-c.out")"
wait "$restart_d"
check_match "restart: ours is found again" ' bytes from ' "$(cat "$TEMP/restart-d.out")"
check "restart: pings work again" pings c1 2001:db8:c::2
check "restart: pings work again, the other way" pings d1 2001:db8:d::2

# --- Rekeying: after 120 seconds the one who began makes new keys; nothing is lost meanwhile ---

handshake_a=$(theirs a2 latest-handshakes)
handshake_b=$(theirs b1 latest-handshakes)
initiations=$(ours a1 3 >/dev/null; outcome a1 initiations)
left=$((began + 112 - SECONDS))
if [ "$left" -gt 0 ]; then sleep "$left"; fi
ns client ping -n -q -i 0.1 -w 20 2001:db8:a::2 >"$TEMP/rekey-a.out" 2>&1 &
rekey_a=$!
ns home2 ping -n -q -i 0.1 -w 20 2001:db8:b::2 >"$TEMP/rekey-b.out" 2>&1
wait "$rekey_a"
check "rekey: ours made new keys with them" is_over "$(theirs a2 latest-handshakes)" "$handshake_a"
check "rekey: theirs made new keys with us" is_over "$(theirs b1 latest-handshakes)" "$handshake_b"
ours a1 3 >/dev/null
check_equal "rekey: with one initiation" $((initiations + 1)) "$(outcome a1 initiations)"
check_match "rekey: no packet of ours was lost" ' 0% packet loss' "$(cat "$TEMP/rekey-a.out")"
check_match "rekey: no packet of theirs was lost" ' 0% packet loss' "$(cat "$TEMP/rekey-b.out")"
check "rekey: a file afterwards" fetches_from a1 a2
check "rekey: a file afterwards, the other way" fetches_from b1 b2

for end in a1 b2 c1 d2; do
  ours $end 3 >/dev/null
  check_equal "nothing that they sent was refused ($end)" "0 0 0 0" \
    "$(outcome $end malformed) $(outcome $end forged) $(outcome $end 'foreign source') $(outcome $end 'no IP packet')"
done
