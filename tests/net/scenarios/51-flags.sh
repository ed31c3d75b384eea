#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Every flag of the command line by its short and its long name, and the commands. What is not allowed comes first.
#
#   client, one, two, three ------ router ------+------ registry
#   192.0.2.2, .11 to .13                       +------ direct 198.51.100.20: no NAT
# The rest of the topology: ../lib.sh.
#
# covers: flag -f, flag --config, flag -n, flag --foreground, flag -b, flag --boot, flag -i, flag --if-prefix, flag -u, flag --if-udp
# covers: flag -s, flag --source, flag -r, flag --retry-delay, flag -y, flag --yes, flag -h, flag -?, flag --help, flag --version
# covers: flag --json, flag --release, command status, command stop

# shellcheck source-path=SCRIPTDIR source=../lib.sh disable=SC2119,SC2034
. "$(dirname "$0")/../lib.sh"

begin "$@"
topology
add_internet_host direct 198.51.100.20
set_hosts direct "$REGISTRY_V4 broker.example.net"
add_home_host one 192.0.2.11
add_home_host two 192.0.2.12
add_home_host three 192.0.2.13
ip -n "$PREFIX-client" addr add 192.0.2.3/24 dev eth0

# --- What is not allowed ---

# refused PATTERN ARGUMENT...: exit status 3, and the message says why.
refused() {
  local pattern=$1 text status
  shift
  text=$(ns client timeout 10 "$SIXLINK" "$@" 2>&1)
  status=$?
  check_equal "refused, $*: exit status 3" 3 "$status"
  check_match "refused, $*: says why" "$pattern" "$text"
}
refused 'config|FILE' -f
refused 'needs|FILE' --config=
refused 'unknown|frobnicate' --frobnicate
refused 'unknown command' up
refused 'interface name' -i -x
refused 'interface name' --if-prefix=all
refused 'interface name' -u sixteen-is-more-
refused 'no address' -s 0.0.0.0
refused '0 to 3600' -r soon
refused '0 to 3600' --retry-delay=3601
refused '--json goes with' --json
refused '--release goes with' status --release
refused 'does not go with a command' stop -n
refused 'goes with the command join or with none only' status -y
refused 'after the command' status stop

# --- -h, -?, --help, --version; -f ---

for flag in -h '-?' --help; do
  text=$(ns client "$SIXLINK" "$flag" 2>"$TEMP/errors")
  check_equal "$flag: exit status 0" 0 $?
  check_match "$flag: the summary, on standard output" '^Usage: sixlink' "$text"
  check "$flag: nothing on standard error" test ! -s "$TEMP/errors"
done
for flag in f,.--config n,.--foreground b,.--boot i,.--if-prefix u,.--if-udp s,.--source r,.--retry-delay y,.--yes h,.--help; do
  check_match "--help: has -${flag/.--/ --}" "^ *-$flag\b" "$text"
done
check_match "--version: program and number" '^sixlink [0-9]+\.[0-9]' "$(ns client "$SIXLINK" --version)"
check_equal "--version: exit status 0" 0 "$(exit_status ns client "$SIXLINK" --version)"

start_registry mtu=1280 anonymous_prefix=yes
write_client_config home client
cp "$TEMP/home/home.conf" "$TEMP/copy.conf"
default=$(sed -n 's/^The default configuration is \(.*\/sixlink\.conf\)\. .*/\1/p' <<<"$text")
check_match "--help: names the default configuration" '^/.*/sixlink\.conf$' "$default"
above=$(dirname "$(dirname "$default")")
if [ -d "$above" ]; then
  # with_default COMMAND...: its directory is empty but for the default configuration, if $TEMP/default.conf is there.
  with_default() {
    # shellcheck disable=SC2016 # expanded by the inner shell
    ns client unshare -m sh -c 'mount -t tmpfs tmpfs "$1" && mkdir "$1/sixlink" && if [ -e "$2" ]; then cp "$2" "$3"; fi &&
      { [ "$1" != /etc ] || { : >/etc/hosts; }; } && shift 3 && exec "$@"' sh "$above" "$TEMP/default.conf" "$default" "$@"
  }
  with_default "$SIXLINK" -n -b >"$TEMP/out" 2>&1
  check_equal "no -f: the default configuration is read: 3 without it" 3 $?
  check "no -f: and is named" grep -qF "$default" "$TEMP/out"
  sed "s/^server=.*/server=$REGISTRY_V4:3654/" "$TEMP/copy.conf" >"$TEMP/default.conf"
  with_default timeout 20 "$SIXLINK" -n -b >"$TEMP/out" 2>&1
  check_equal "no -f: what it says is done" 9 $?
  check_match "no -f: with its server" "$REGISTRY_V4:3654" "$(cat "$TEMP/out")"
else
  skip "no -f" "the directory of the default configuration, $above, does not exist on this machine"
fi
for flag in "-f $TEMP/copy.conf" "-f$TEMP/copy.conf" "--config $TEMP/copy.conf" "--config=$TEMP/copy.conf"; do
  # shellcheck disable=SC2086 # words
  ns_hosts client timeout 20 "$SIXLINK" $flag >"$TEMP/home/out" 2>&1 </dev/null
  check_equal "${flag/"$TEMP"/DIR}: that file's tunnel is up" 0 $?
  # shellcheck disable=SC2086 # words
  check_equal "stop ${flag/"$TEMP"/DIR}: takes it down" 0 "$(exit_status ns client "$SIXLINK" stop $flag)"
done

# --- -n, -b ---

for flag in -n --foreground; do
  spawn_in client "$TEMP/home/out" "$SIXLINK" -f "$TEMP/home/home.conf" $flag
  wait_up home || die "the tunnel does not come up with $flag"
  check "$flag: the process is the one that was started" is_running "$SPAWNED"
  check_equal "$flag: and there is no other" "$SPAWNED" "$(pgrep_in client)"
  check_match "status --json: is one object that says up" '^\{.*"state" *: *"up".*\}$' "$(client home status --json)"
  check_equal "status: 0" 0 "$(exit_status client home status)"
  check_equal "stop: 0" 0 "$(exit_status client home stop)"
  check "stop: the process has ended" wait_for 5 is_gone_or_zombie "$SPAWNED"
  check_equal "status: 2 afterwards" 2 "$(exit_status client home status)"
done
run_client home
check_equal "without -n: returns when the tunnel is up" 0 $?
check "without -n: the program is in the background" is_running "$(daemon_pid home)"
check_equal "stop --release: 0 when the lease was given back" 0 "$(exit_status client home stop --release)"
check "stop --release: the log says so" grep -q 'given back' "$TEMP/home/log"

write_client_config dead client server=$REGISTRY_V4:3654 tunnel_mode=v6udpv4
for flag in -b --boot; do
  started=$SECONDS
  run_client dead -n $flag
  check_equal "$flag: ends with the first failure" 9 $?
  check "$flag: at once" test $((SECONDS - started)) -lt 10
done
spawn_client dead
sleep 2
check "without -b: goes on trying" is_running "${CLIENT_PID[dead]}"
stop_client dead

# --- -y ---

add_user alice s3cret
for flag in -y --yes; do
  write_client_config known client auth_method=passdss-3des-1 userid=alice passwd=s3cret
  rm -rf "$TEMP/known/state"
  run_client known -n -b
  check_equal "without $flag: a host key that is not known ends with 16" 16 $?
  spawn_client known $flag
  check "$flag: it is accepted" wait_up known
  stop_client known
  check "$flag: and kept" grep -q 'broker\.example\.net ssh-dss' "$TEMP/known/state/gogockeys.pub"
done

# --- -i, -u, -s: over what the file says ---

# A template that tells what it was given, and no more.
mkdir -p "$TEMP/dir/template"
cat >"$TEMP/dir/template/tell.sh" <<'TEMPLATE'
#!/bin/sh
if [ "$TSP_OPERATION" != TSP_TUNNEL_CREATION ]; then exit 0; fi
echo "$TSP_HOST_TYPE $TSP_HOME_INTERFACE" >"$TSP_HOME_DIR/told"
ip link set "$TSP_TUNNEL_INTERFACE" up
TEMPLATE
settings=(host_type=router gogoc_dir="$TEMP/dir" template=tell)
write_client_config router client "${settings[@]}" if_prefix=home0
spawn_client router
wait_up router || die "the tunnel does not come up: $(tail -n 2 "$TEMP/router/out")"
stop_client router
check_equal "without -i: if_prefix of the file" "router home0" "$(cat "$TEMP/dir/told")"
for flag in "-i home1" "--if-prefix=home1"; do
  for if_prefix in home0 ''; do
    write_client_config router client "${settings[@]}" if_prefix=$if_prefix
    # shellcheck disable=SC2086 # words
    spawn_client router $flag
    wait_up router || die "the tunnel does not come up: $(tail -n 2 "$TEMP/router/out")"
    stop_client router
    check_equal "$flag, if_prefix=$if_prefix: the flag counts" "router home1" "$(cat "$TEMP/dir/told")"
  done
done

interfaces() { ns "$1" ip -o link | awk -F': ' '{ sub(/@.*/, "", $2); print $2 }'; }
for flag in "-u six5" "--if-udp=six5"; do
  check_fails "$flag: no such interface before" grep -qx six5 <(interfaces client)
  # shellcheck disable=SC2086 # words
  spawn_client home $flag
  wait_up home || die "the tunnel does not come up: $(tail -n 2 "$TEMP/home/out")"
  check "$flag: the tunnel's interface" grep -qx six5 <(interfaces client)
  check_fails "$flag: not the file's" grep -qx six0 <(interfaces client)
  stop_client home
done
write_client_config direct direct tunnel_mode=v6v4 if_tunnel_v6v4=six4 datapath=userspace
for flag in "-s six6" "--source=six6"; do
  # shellcheck disable=SC2086 # words
  spawn_client direct $flag
  wait_up direct || die "the tunnel does not come up: $(tail -n 2 "$TEMP/direct/out")"
  check "$flag: the interface of mode v6v4" grep -qx six6 <(interfaces direct)
  check_fails "$flag: not the file's" grep -qx six4 <(interfaces direct)
  stop_client direct
done
capture client eth0 "$TEMP/capture"
source_of() { grep -F 'action="create"' "$TEMP/capture" | tail -n 1 | cut -d ' ' -f 2 | cut -d : -f 1; }
for flag in "" "-s 192.0.2.3" "--source 192.0.2.3"; do
  # shellcheck disable=SC2086 # words
  spawn_client home $flag
  wait_up home || die "the tunnel does not come up: $(tail -n 2 "$TEMP/home/out")"
  stop_client home
  expected=${flag##* }
  check_equal "${flag:-without -s}: the address that is sent from" "${expected:-192.0.2.2}" "$(source_of)"
done

# --- -r: attempts counted on the way; nobody listens on port 3654 ---

ns router nft -f - <<'NFT'
table ip pace {
  counter one { }
  counter two { }
  counter three { }
  chain forward {
    type filter hook forward priority filter - 1;
    ip saddr 192.0.2.11 udp dport 3654 counter name one
    ip saddr 192.0.2.12 udp dport 3654 counter name two
    ip saddr 192.0.2.13 udp dport 3654 counter name three
  }
}
NFT
# Refusals are not to be rationed: one that is missing is asked for again.
set_sysctl registry net/ipv4/icmp_ratelimit 0
attempts() { awk -v name="$1" '$1 == "counter" { is_it = $2 == name } is_it && $1 == "packets" { print $2 }' "$TEMP/counters"; }
for host in one two three; do
  write_client_config $host $host server=$REGISTRY_V4:3654 tunnel_mode=v6udpv4 retry_delay=1 retry_delay_max=1
done
spawn_client one
spawn_client two -r 4
spawn_client three --retry-delay=20
sleep 5
ns router nft list counters table ip pace >"$TEMP/counters"
check_match "without -r: an attempt each second" '^([4-9])$' "$(attempts one)"
check_equal "-r 4: two attempts in 5 s" 2 "$(attempts two)"
check_equal "--retry-delay=20: one" 1 "$(attempts three)"
for host in one two three; do stop_client $host; done
