#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# A front door that redirects to three brokers at different distances. The cables to them are slow (../tools/slow_cable.py):
#
#   registry  198.51.100.10 (broker.example.net)  redirects everybody
#   near      198.51.100.21    2 ms   2001:db8:51::/48   dead at first
#   middle    198.51.100.22  100 ms   2001:db8:52::/48
#   far       198.51.100.23  300 ms   2001:db8:53::/48
#
# The rest of the topology: ../lib.sh.
#
# covers: key broker_list, key always_use_same_server, key server_order
# covers: registry key redirect

# shellcheck source-path=SCRIPTDIR source=../lib.sh disable=SC2119,SC2034
. "$(dirname "$0")/../lib.sh"

# add_distant_host HOST ADDRESS MILLISECONDS: one more machine on the Internet, so far away (there and back).
add_distant_host() {
  local host=$1 cable=cable-$1 end
  add_namespace "$cable"
  add_namespace "$host"
  link "$host" eth0 "$cable" inner
  link "$cable" outer router "wan-$host"
  for end in inner outer; do set_sysctl "$cable" "net/ipv6/conf/$end/disable_ipv6" 1; done
  ip -n "$PREFIX-router" link set "wan-$host" master wan0
  ip -n "$PREFIX-$host" addr add "$2/24" dev eth0
  spawn_in "$cable" "$TEMP/$cable.out" "$PYTHON" "$TOOLS/slow_cable.py" inner outer "$(($3 / 2))"
  wait_for 10 grep -q '^connected' "$TEMP/$cable.out" || die "no cable to $host: $(cat "$TEMP/$cable.out")"
}

declare -A PID=()
# start_broker HOST: from the configuration that write_registry_config made.
start_broker() {
  run_registry "$1"
  # It listens before it answers, and would seem far away.
  wait_for 10 grep -q 'serving' "$TEMP/$1/out" || die "$1 does not serve"
  PID[$1]=$REGISTRY_PID
}
stop_broker() { stop_pid "${PID[$1]}"; }

uses() { field_is home broker.address "$1" && is_up home; }
list_is() { diff <(printf '%s\n' "$@") "$TEMP/home/state/tsp-broker-list.txt"; }
last_is() { diff <(printf '%s\n' "$1") "$TEMP/home/state/tsp-last-server.txt"; }
# One attempt; its exit status is ours, what it said is in $TEMP/home/out.
attempt() {
  write_client_config home client tunnel_mode=v6udpv4
  CLIENT_TIMEOUT=90 run_client home -n -b
}
start_home() {
  write_client_config home client tunnel_mode=v6udpv4 keepalive_interval=3 "$@"
  spawn_client home
}
said() { tr -d '\n' <"$TEMP/home/out"; }

begin "$@"
topology
add_distant_host near 198.51.100.21 2
add_distant_host middle 198.51.100.22 100
add_distant_host far 198.51.100.23 300
write_registry_config near prefix=2001:db8:51::/48
write_registry_config middle prefix=2001:db8:52::/48
write_registry_config far prefix=2001:db8:53::/48

# --- Negative: no front door, then nothing behind it ---

attempt
check_equal "redirection: without a front door there is no tunnel (9)" 9 $?
check_fails "redirection: nothing is remembered of that" ls "$TEMP/home/state/tsp-broker-list.txt" "$TEMP/home/state/tsp-last-server.txt"
write_registry_config registry "redirect=198.51.100.23 198.51.100.21 198.51.100.22"
start_broker registry
attempt
check_equal "redirection: brokers that are all dead end with 14" 14 $?
check_match "redirection: each of them was tried" '100\.23.*100\.21.*100\.22' "$(said)"
check_fails "redirection: no last server without a tunnel" ls "$TEMP/home/state/tsp-last-server.txt"

# --- The closest is dead, the next one is used ---

start_broker middle
start_broker far
start_home
check "redirection: the tunnel comes up" wait_up home 30
check_equal "redirection: from the closest broker that lives" 198.51.100.22 "$(status_field home broker.address)"
check "redirection: ping that broker through the tunnel" can_ping client 2001:db8:52::1
check_equal "redirection: status tells who redirected" "redirected by broker.example.net" "$(status_field home broker.found)"
check_match "redirection: and so it does to people" '^broker .*198\.51\.100\.22:3653, redirected by broker\.example\.net$' "$(client home status)"
check "redirection: broker_list has them in the order of their distance, the dead one last" \
  list_is 198.51.100.22 198.51.100.23 198.51.100.21
check "redirection: last_server has the one in use" last_is 198.51.100.22
check_equal "redirection: the directory is the user's own" 700 "$(stat -c %a "$TEMP/home/state")"
check_match "redirection: the log has the distances" '100\.22 [0-9.]+ ms, 198\.51\.100\.23 [0-9.]+ ms, 198\.51\.100\.21 no answer' \
  "$(cat "$TEMP/home/log")"

# A tunnel that dies leads back to the front door, and from there to who is left.
stop_broker middle
check "redirection: the next one takes over when the broker dies" wait_for 60 uses 198.51.100.23
check "redirection: ping the next one through the tunnel" can_ping client 2001:db8:53::1
check "redirection: last_server follows" last_is 198.51.100.23
stop_client home

start_broker near
start_broker middle
start_home
check "redirection: the nearest is used when it lives" wait_for 30 uses 198.51.100.21
check "redirection: broker_list has the new order" list_is 198.51.100.21 198.51.100.22 198.51.100.23
stop_client home

# Without a front door in between: the order of `server`, or that of their distance.
start_home "server=198.51.100.23 198.51.100.21"
check "server_order: the closest is used, wherever it stands" wait_for 30 uses 198.51.100.21
stop_client home
start_home "server=198.51.100.23 198.51.100.21" server_order=listed
check "server_order=listed: the first is used, far as it is" wait_for 30 uses 198.51.100.23
stop_client home

# --- The front door is dead: what was remembered is used ---

stop_broker registry
stop_broker near
start_home
check "redirection: broker_list is used when the front door is dead" wait_for 60 uses 198.51.100.22
check_equal "redirection: status says so" broker_list "$(status_field home broker.found)"
stop_client home
write_client_config home client
start_home broker_list="$TEMP/home/other.txt"
check "redirection: not up without that list" wait_for 30 last_error_matches home .
check_equal "redirection: status 1" 1 "$(exit_status client home status)"
stop_client home

# --- always_use_same_server ---

start_broker registry
start_broker near
echo 198.51.100.23 >"$TEMP/home/state/tsp-last-server.txt"
start_home
check "same server: without the key the front door is asked" wait_for 30 uses 198.51.100.21
stop_client home
echo 198.51.100.23 >"$TEMP/home/state/tsp-last-server.txt"
start_home always_use_same_server=yes
check "same server: the last one is used, far as it is" wait_for 30 uses 198.51.100.23
check_equal "same server: status says so" last_server "$(status_field home broker.found)"
stop_client home
stop_broker far
start_home always_use_same_server=yes
check "same server: the configured one is asked when the last one is dead" wait_for 60 uses 198.51.100.21
check "same server: the file has the one that granted" last_is 198.51.100.21
stop_client home

# A file that cannot be written, or is someone else's, costs no tunnel.
rm -rf "$TEMP/home/state"
echo precious >"$TEMP/victim"
mkdir -m 700 "$TEMP/home/state"
ln -s "$TEMP/victim" "$TEMP/home/state/tsp-last-server.txt.new"
mkdir "$TEMP/home/state/tsp-broker-list.txt"
start_home
check "files: the tunnel comes up although a file cannot be written" wait_for 30 is_up home
check_match "files: which is a warning" 'cannot write broker_list=' "$(cat "$TEMP/home/out")"
check_equal "files: a link is not written through" precious "$(cat "$TEMP/victim")"
stop_client home
rm -rf "$TEMP/home/state"

# --- Brokers that redirect to each other, and too many of them ---

stop_broker registry
stop_broker middle
write_registry_config registry redirect=198.51.100.22
write_registry_config middle prefix=2001:db8:52::/48 "redirect=198.51.100.10 broker.example.net"
start_broker registry
start_broker middle
attempt
check_equal "circle: brokers that redirect to each other end with 14" 14 $?
check_match "circle: the client says so" 'in a circle: broker\.example\.net -> 198\.51\.100\.22 -> ' "$(said)"
start_home "server=broker.example.net 198.51.100.21" server_order=listed
check "circle: the next configured broker is used" wait_for 30 uses 198.51.100.21
stop_client home
stop_broker registry

# shellcheck disable=SC2046 # words
spawn_in registry "$TEMP/redirector.out" "$PYTHON" "$TOOLS/redirector.py" $REGISTRY_V4 $(seq -f 198.51.100.%g 101 151)
wait_for 10 grep -q '^serving' "$TEMP/redirector.out" || die "the redirector does not start"
rm -f "$TEMP/home/state/tsp-broker-list.txt"
attempt
check_equal "too many: a list of 51 brokers is refused with 13" 13 $?
check_match "too many: the client says why" 'more than 50 brokers' "$(said)"
check_fails "too many: it is not remembered" ls "$TEMP/home/state/tsp-broker-list.txt"
