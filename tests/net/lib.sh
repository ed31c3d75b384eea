#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Network for the scenarios and the demo, made of namespaces. Sourced by bash scripts; needs root, or makes itself root of a user
# namespace of its own.
#
#        home                   |               the Internet, IPv4               |      IPv6 only
#                               |                                                |
#   client ------------------ router -------------+---------------- registry ----------------- web
#   192.0.2.2      192.0.2.1  (NAT)  198.51.100.1 |   198.51.100.10      2001:db8:99::1    2001:db8:99::2
#                  lan0 (bridge)     wan0 (bridge)|                                            | serves /file
#                                                 +--- further hosts                           |
#                                                      198.51.100.x             2001:db8:42::/48 via 2001:db8:99::1
#
# A scenario sources this file, calls `topology`, and then start_registry, start_client, check and so on. Each check prints one
# line: "PASS name", "FAIL name: reason" or "SKIP name: reason". Everything made here goes when the script ends, however it ends.
#
# TEST_KEEP=1 leaves namespaces and logs of a failed run for a look.

set -u
export PYTHONDONTWRITEBYTECODE=1

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
BUILD=${BUILD:-build}
case $BUILD in
  /*) ;;
  *) BUILD=$ROOT/$BUILD ;;
esac
SIXLINK=$BUILD/sixlink
REGISTRY=$BUILD/sixlink-registry
TOOLS=$ROOT/tests/net/tools
SCENARIO=$(basename "$0" .sh)
# The system's own where there is one: version managers put slow wrappers first in PATH.
PYTHON=$(command -v /usr/bin/python3 || command -v python3)

REGISTRY_V4=198.51.100.10
REGISTRY_PREFIX=2001:db8:42::/48
# shellcheck disable=SC2034 # for the scenarios
BROKER_V6=2001:db8:42::1
WEB_V6=2001:db8:99::2

# --- Becoming root, at most of a user namespace ---

in_user_namespace() {
  [ "$(tr -s ' ' </proc/self/uid_map)" != " 0 0 4294967295" ]
}

can_make_namespaces() {
  [ "$(id -u)" = 0 ] || unshare -Urnm true 2>/dev/null
}

# Why this machine cannot run the scenarios; empty when it can.
missing_for_namespaces() {
  local program
  for program in ip nft nsenter unshare ping curl python3; do
    if ! command -v "$program" >/dev/null; then
      echo "the program '$program' is not installed (make deps)"
      return
    fi
  done
  if ! can_make_namespaces; then
    echo "needs root, or unprivileged user namespaces (sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone=1," \
      "kernel.apparmor_restrict_unprivileged_userns=0)"
  elif ! { : <>/dev/net/tun; } 2>/dev/null; then
    # Opening fails with ENODEV where the module is missing and with EACCES where the device is root's alone.
    echo "cannot open /dev/net/tun (modprobe tun; chmod 0666 /dev/net/tun, its mode on most systems)"
  fi
}

# skip_where_missing WHY: ends the scenario, skipped, if there is a reason why it cannot run.
skip_where_missing() {
  [ -n "$1" ] || return 0
  skip "$SCENARIO" "$1"
  exit 0
}

# Runs the calling script again as root of a new user namespace unless we are root already. `ip netns` writes below /run, which
# in a user namespace is not ours: a tmpfs takes its place.
become_root() {
  if [ "$(id -u)" != 0 ]; then
    exec unshare -Urnm bash "$0" "$@"
  fi
  if in_user_namespace && [ ! -e /run/sixlink-net ]; then
    mount -t tmpfs tmpfs /run && touch /run/sixlink-net
  fi
}

# --- Results ---

FAILED_CHECKS=0

pass() { echo "PASS $1"; }
skip() { echo "SKIP $1: $2"; }
fail() {
  echo "FAIL $1: $2"
  FAILED_CHECKS=$((FAILED_CHECKS + 1))
}

# check NAME COMMAND...: passes when the command succeeds.
check() {
  local name=$1
  shift
  if "$@" >"$TEMP/check.out" 2>&1; then
    pass "$name"
  else
    fail "$name" "'$*' failed${*:+: }$(tail -n 3 "$TEMP/check.out" | tr '\n' ' ')"
  fi
}

# check_fails NAME COMMAND...: passes when the command fails.
check_fails() {
  local name=$1
  shift
  if "$@" >"$TEMP/check.out" 2>&1; then
    fail "$name" "'$*' succeeded"
  else
    pass "$name"
  fi
}

# check_equal NAME EXPECTED ACTUAL
check_equal() {
  if [ "$2" = "$3" ]; then
    pass "$1"
  else
    fail "$1" "expected '$2', got '$3'"
  fi
}

# check_match NAME EXTENDED_REGEX TEXT
check_match() {
  if grep -qE -- "$2" <<<"$3"; then
    pass "$1"
  else
    fail "$1" "no match for '$2' in: $(head -c 400 <<<"$3" | tr '\n' ' ')"
  fi
}

# exit_status COMMAND...: prints it.
exit_status() {
  "$@" >/dev/null 2>&1
  echo $?
}

# The scenario cannot go on.
die() {
  fail "$SCENARIO" "$1"
  exit 1
}

# wait_for SECONDS COMMAND...: polls until the command succeeds; fails when the time is over. TEST_SLOWNESS stretches the time, for busy and
# emulated machines.
wait_for() {
  local deadline=$((SECONDS + $1 * ${TEST_SLOWNESS:-1}))
  shift
  until "$@" >/dev/null 2>&1; do
    if [ "$SECONDS" -ge "$deadline" ]; then return 1; fi
    sleep 0.1
  done
}

# --- Namespaces ---

PREFIX=sl$$
NAMESPACES=()
TEMP=

netns() { echo "/run/netns/$PREFIX-$1"; }

# ns HOST COMMAND...: runs the command in the host's network namespace.
ns() {
  local host=$1
  shift
  nsenter --net="/run/netns/$PREFIX-$host" -- "$@"
}

# As ns, for a program that resolves names: it sees the host's own /etc/hosts. The process keeps the caller's $!.
ns_hosts() {
  local host=$1
  shift
  # shellcheck disable=SC2016 # expanded by the inner shell
  ns "$host" unshare -m sh -c 'mount --bind "$0" /etc/hosts && exec "$@"' "$TEMP/hosts.$host" "$@"
}

# set_hosts HOST "ADDRESS NAME"...: what the host's /etc/hosts says from now on.
set_hosts() {
  local host=$1
  shift
  { echo "127.0.0.1 localhost"; printf '%s\n' "$@"; } >"$TEMP/hosts.$host"
}

add_namespace() {
  local host=$1
  ip netns add "$PREFIX-$host" || die "cannot add the network namespace $PREFIX-$host"
  NAMESPACES+=("$host")
  # A record for --clean, and for whoever looks after a kill -9.
  echo "$PREFIX-$host" >>"$TEMP/namespaces"
  ip -n "$PREFIX-$host" link set lo up
  set_hosts "$host"
}

# link HOST INTERFACE HOST INTERFACE: a cable.
link() {
  ip link add "$2" netns "$PREFIX-$1" type veth peer name "$4" netns "$PREFIX-$3" || die "cannot link $1 and $3"
  # Link-local addresses that are tentative for a second would delay the first packets and differ between snapshots.
  set_sysctl "$1" "net/ipv6/conf/$2/accept_dad" 0
  set_sysctl "$3" "net/ipv6/conf/$4/accept_dad" 0
  ip -n "$PREFIX-$1" link set "$2" up
  ip -n "$PREFIX-$3" link set "$4" up
}

set_sysctl() {
  # shellcheck disable=SC2016 # expanded by the inner shell
  ns "$1" sh -c 'echo "$1" >"/proc/sys/$0"' "$2" "$3"
}

# add_home_host HOST ADDRESS: one more machine behind the NAT.
add_home_host() {
  add_namespace "$1"
  link "$1" eth0 router "lan-$1"
  ip -n "$PREFIX-router" link set "lan-$1" master lan0
  ip -n "$PREFIX-$1" addr add "$2/24" dev eth0
  ip -n "$PREFIX-$1" route add default via 192.0.2.1
}

# add_internet_host HOST ADDRESS: one more machine on the IPv4 Internet.
add_internet_host() {
  add_namespace "$1"
  link "$1" eth0 router "wan-$1"
  ip -n "$PREFIX-router" link set "wan-$1" master wan0
  ip -n "$PREFIX-$1" addr add "$2/24" dev eth0
}

# nat_ports [FIRST-LAST]: the NAT keeps a connection's port, as home routers do, or takes one of the range at random, as others do.
nat_ports() {
  local masquerade=masquerade
  if [ -n "${1:-}" ]; then masquerade="meta l4proto { tcp, udp } masquerade to :$1 random"; fi
  ns router nft -f - <<NFT
table ip nat
delete table ip nat
table ip nat {
  chain postrouting {
    type nat hook postrouting priority srcnat;
    oifname "wan0" ip saddr 192.0.2.0/24 $masquerade
    oifname "wan0" ip saddr 192.0.2.0/24 masquerade
  }
}
table ip guard
delete table ip guard
table ip guard {
  set blocked_udp { type inet_service; }
  set blocked_tcp { type inet_service; }
  chain forward {
    type filter hook forward priority filter;
    udp dport 53 reject
    udp dport @blocked_udp drop
    udp sport @blocked_udp drop
    tcp dport @blocked_tcp drop
  }
}
NFT
}

block_udp() { ns router nft add element ip guard blocked_udp "{ 3653 }"; }
unblock_udp() { ns router nft delete element ip guard blocked_udp "{ 3653 }"; }
block_tcp() { ns router nft add element ip guard blocked_tcp "{ 3653 }"; }
unblock_tcp() { ns router nft delete element ip guard blocked_tcp "{ 3653 }"; }

# lose_nat_mappings FIRST-LAST: the router forgets every mapping, as after a restart, and uses ports of a range afterwards, so that
# no mapping comes back as it was. Taking the interface down is what makes the kernel drop masqueraded connections at once.
lose_nat_mappings() {
  nat_ports "$1"
  ip -n "$PREFIX-router" link set wan0 down
  sleep 0.3
  ip -n "$PREFIX-router" link set wan0 up
}

topology() {
  local host
  skip_where_missing "$(missing_for_namespaces)"
  for host in client router registry web; do add_namespace "$host"; done
  ip -n "$PREFIX-router" -batch - <<'IP' || die "cannot set up the router"
link add lan0 type bridge
link add wan0 type bridge
link set lan0 up
link set wan0 up
addr add 192.0.2.1/24 dev lan0
addr add 198.51.100.1/24 dev wan0
route add default via 198.51.100.254
IP
  link client eth0 router lan-client
  link registry eth0 router wan-registry
  link registry eth1 web eth0
  ip -n "$PREFIX-router" link set lan-client master lan0
  ip -n "$PREFIX-router" link set wan-registry master wan0
  ip -n "$PREFIX-client" addr add 192.0.2.2/24 dev eth0
  ip -n "$PREFIX-client" route add default via 192.0.2.1
  ip -n "$PREFIX-registry" addr add $REGISTRY_V4/24 dev eth0
  ip -n "$PREFIX-registry" addr add 2001:db8:99::1/64 dev eth1 nodad
  ip -n "$PREFIX-web" addr add $WEB_V6/64 dev eth0 nodad
  ip -n "$PREFIX-web" route add $REGISTRY_PREFIX via 2001:db8:99::1
  set_sysctl router net/ipv4/ip_forward 1
  set_hosts client "$REGISTRY_V4 broker.example.net"
  nat_ports
}

# What a host's network looks like, without what changes by itself; for `diff`.
snapshot() {
  # shellcheck disable=SC2016 # expanded by the inner shell
  ns "$1" sh -c '
    ip -o link | sed -E "s/ (qlen|promiscuity) [0-9]+//g"
    ip -o addr | sed -E "s/(valid|preferred)_lft [0-9]+sec//g"
    for family in -4 -6; do
      ip $family route show table all | sed -E "s/ expires -?[0-9]+sec//"
      ip $family rule
    done
    for key in all/forwarding default/forwarding all/accept_ra all/disable_ipv6 all/proxy_ndp; do
      echo "$key $(cat /proc/sys/net/ipv6/conf/$key)"
    done
    cat /etc/resolv.conf 2>/dev/null' | sort
}

# is_as_before HOST: nothing differs from the snapshot in $TEMP/HOST.before.
is_as_before() { snapshot "$1" | diff "$TEMP/$1.before" -; }

# --- Processes ---

PIDS=()

# spawn OUTPUT COMMAND...: in the background; the process id is in $SPAWNED. Never call it in a subshell. The functions ns and
# ns_hosts exec, but the subshell that bash makes for a background function stays their parent: without the exec of a plain
# command a signal would reach the shell.
spawn() {
  local output=$1
  shift
  # Here, not only in the child: who waits for a line must not find it in an earlier run's output.
  : >"$output"
  "$@" >"$output" 2>&1 </dev/null &
  SPAWNED=$!
  PIDS+=("$SPAWNED")
}

# spawn_in HOST OUTPUT COMMAND...: in the host's namespace, with the host's /etc/hosts.
spawn_in() {
  local host=$1 output=$2
  shift 2
  # shellcheck disable=SC2016 # expanded by the inner shell
  spawn "$output" nsenter --net="/run/netns/$PREFIX-$host" -- unshare -m sh -c \
    'mount --bind "$0" /etc/hosts && exec "$@"' "$TEMP/hosts.$host" "$@"
}

is_running() { kill -0 "$1" 2>/dev/null; }
is_gone() { ! kill -0 "$1" 2>/dev/null; }

# stop_pid PID [SIGNAL]: and wait until it is gone; its exit status is in $STOPPED_STATUS when it was our child.
stop_pid() {
  kill "-${2:-TERM}" "$1" 2>/dev/null
  wait_for 10 is_gone_or_zombie "$1" || return 1
  wait "$1" 2>/dev/null
  # shellcheck disable=SC2034 # for the scenarios
  STOPPED_STATUS=$?
}
is_gone_or_zombie() {
  is_gone "$1" || grep -q '^State:.Z' "/proc/$1/status"
}

# namespace_pids: every process in our namespaces. All of them are ours: nobody else knows the namespaces.
namespace_pids() {
  local host
  for host in "${NAMESPACES[@]}"; do ip netns pids "$PREFIX-$host" 2>/dev/null; done
}
# pgrep_in HOST: the sixlink processes of a host.
pgrep_in() {
  local pid
  for pid in $(ip netns pids "$PREFIX-$1"); do
    if [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = sixlink ]; then echo "$pid"; fi
  done
}
no_namespace_pids() { [ -z "$(namespace_pids)" ]; }

kill_all() {
  local pid
  # Exit traps run in the background shells too when they did not exec. Of those that ended and were waited for, the number may
  # be a stranger's by now: `jobs` leaves them out.
  for pid in $(namespace_pids) $(jobs -rp); do kill -TERM "$pid" 2>/dev/null; done
  if ! wait_for 5 no_namespace_pids; then
    for pid in $(namespace_pids) $(jobs -rp); do kill -KILL "$pid" 2>/dev/null; done
    wait_for 5 no_namespace_pids
  fi
  for pid in $(jobs -rp); do kill -KILL "$pid" 2>/dev/null; done
  for pid in "${PIDS[@]}"; do wait "$pid" 2>/dev/null; done
  PIDS=()
}

show_logs() {
  local log
  for log in "$TEMP"/*/log "$TEMP"/*/out; do
    [ -s "$log" ] || continue
    echo "--- end of ${log#"$TEMP/"}"
    tail -n "${TEST_LOG_LINES:-12}" "$log"
  done
}

cleanup() {
  local status=$?
  trap - EXIT INT TERM HUP
  if [ "$FAILED_CHECKS" != 0 ]; then
    [ "$status" != 0 ] || status=1
    show_logs >&2
    if [ -n "${TEST_KEEP:-}" ]; then
      echo "kept: namespaces $PREFIX-*, directory $TEMP" >&2
      exit "$status"
    fi
  fi
  remove_everything
  exit "$status"
}

remove_everything() {
  local host
  kill_all
  for host in "${NAMESPACES[@]}"; do ip netns del "$PREFIX-$host" 2>/dev/null; done
  NAMESPACES=()
  rm -rf "$TEMP"
}

# Call first. Makes the temporary directory and the trap that cleans up.
begin() {
  if [ ! -x "$SIXLINK" ] || [ ! -x "$REGISTRY" ]; then
    fail "$SCENARIO" "$SIXLINK or $REGISTRY is missing: run 'make' first"
    exit 1
  fi
  can_make_namespaces || skip_where_missing "$(missing_for_namespaces)"
  become_root "$@"
  TEMP=$(mktemp -d "${TMPDIR:-/tmp}/sixlink-net.XXXXXX") || exit 1
  trap cleanup EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM
}

# --- The registry ---

REGISTRY_PID=

# write_registry_config NAME [KEY=VALUE...]: later lines win over the defaults above them.
write_registry_config() {
  local name=$1 dir=$TEMP/$1
  shift
  mkdir -p "$dir"
  write_config "$dir/$name.conf" "$@" <<CONF
prefix=$REGISTRY_PREFIX
listen=0.0.0.0
run_dir=$dir/run
state_dir=$dir/state
log_stderr=1
log_file=3
log_filename=$dir/log
log_rotation=no
CONF
}

# write_config FILE [KEY=VALUE...]: the defaults from stdin without the keys that are given, then those.
write_config() {
  local file=$1 setting defaults
  shift
  defaults=$(cat)
  for setting in "$@"; do defaults=$(grep -v "^${setting%%=*}=" <<<"$defaults"); done
  (umask 077 && printf '%s\n' "$defaults" "$@" >"$file")
}

# run_registry [HOST]: starts it from the configuration that write_registry_config made and waits until it serves.
run_registry() {
  local name=${1:-registry}
  spawn_in "$name" "$TEMP/$name/out" "$REGISTRY" -f "$TEMP/$name/$name.conf" -n
  # shellcheck disable=SC2034 # for the scenarios
  REGISTRY_PID=$SPAWNED
  wait_for 30 serves "$name" || die "the registry does not start: $(tail -n 3 "$TEMP/$name/out")"
}

# The sockets are there before the interface is.
serves() { grep -q ': serving ' "$TEMP/$1/out" && listens "$1"; }
listens() {
  [ -n "$(ns "$1" ss -Hunl 'sport = :3653')" ] && [ -n "$(ns "$1" ss -Htnl 'sport = :3653')" ]
}

# start_registry [KEY=VALUE...]
start_registry() {
  write_registry_config registry "$@"
  run_registry registry
}

# add_user NAME PASSWORD [REGISTRY]
add_user() {
  local registry=${3:-registry}
  printf '%s\n' "$2" | ns "$registry" "$REGISTRY" user add "$1" -f "$TEMP/$registry/$registry.conf" >>"$TEMP/$registry/out" 2>&1
}
set_password() {
  local registry=${3:-registry}
  printf '%s\n' "$2" | ns "$registry" "$REGISTRY" user passwd "$1" -f "$TEMP/$registry/$registry.conf" >>"$TEMP/$registry/out" 2>&1
}

# registry_command WORD...: a subcommand with the configuration of start_registry.
registry_command() { ns registry "$REGISTRY" "$@" -f "$TEMP/registry/registry.conf"; }

memory_kib() { awk '/^VmRSS:/ { print $2 }' "/proc/$1/status"; }

# --- Clients ---

declare -A CLIENT_HOST=() CLIENT_PID=()

# write_client_config NAME HOST [KEY=VALUE...]
write_client_config() {
  local name=$1 host=$2 dir=$TEMP/$1
  shift 2
  mkdir -p "$dir"
  CLIENT_HOST[$name]=$host
  write_config "$dir/$name.conf" "$@" <<CONF
server=broker.example.net
auth_method=anonymous
run_dir=$dir/run
state_dir=$dir/state
gogoc_dir=$ROOT
broker_list=$dir/state/tsp-broker-list.txt
last_server=$dir/state/tsp-last-server.txt
if_tunnel_v6udpv4=six0
log_console=0
log_stderr=1
log_file=3
log_filename=$dir/log
log_rotation=no
retry_delay=1
retry_delay_max=2
CONF
}

# run_client NAME [FLAG...]: in the foreground of the script until it returns: with the program's own fork into the background that
# is when the tunnel is up. Its exit status is ours; a limit keeps a hanging one from holding the suite.
run_client() {
  local name=$1
  shift
  ns_hosts "${CLIENT_HOST[$name]}" timeout --foreground "${CLIENT_TIMEOUT:-60}" "$SIXLINK" -f "$TEMP/$name/$name.conf" "$@" \
    >"$TEMP/$name/out" 2>&1 </dev/null
}

# spawn_client NAME [FLAG...]: with -n, in the background of the script.
spawn_client() {
  local name=$1
  shift
  spawn_in "${CLIENT_HOST[$name]}" "$TEMP/$name/out" "$SIXLINK" -f "$TEMP/$name/$name.conf" -n "$@"
  CLIENT_PID[$name]=$SPAWNED
}

# start_client NAME [KEY=VALUE...]: on the host "client"; waits until the tunnel is up.
start_client() {
  local name=$1
  shift
  write_client_config "$name" client "$@"
  spawn_client "$name"
  wait_up "$name" || die "the tunnel of $name does not come up: $(tail -n 2 "$TEMP/$name/out" | tr '\n' ' ')"
}

client() {  # client NAME SUBCOMMAND...
  local name=$1
  shift
  ns "${CLIENT_HOST[$name]}" "$SIXLINK" "$@" -f "$TEMP/$name/$name.conf"
}

is_up() { client "$1" status; }
wait_up() { wait_for "${2:-20}" is_up "$1"; }
is_not_up() { ! is_up "$1"; }

# status_field NAME PATH: one value of `status --json`, for example "counters.drops.source". A missing one prints nothing.
status_field() {
  client "$1" status --json 2>/dev/null | "$PYTHON" "$TOOLS/json_field.py" "$2"
}

status_is() { [ "$(exit_status client "$1" status)" = "$2" ]; }
last_error_matches() { status_field "$1" last_error | grep -qE -- "$2"; }
field_is_over_zero() { status_field "$1" "$2" | grep -qE '[1-9]'; }
field_is() { [ "$(status_field "$1" "$2")" = "$3" ]; }
field_is_over() { [ "$(status_field "$1" "$2")" -gt "$3" ] 2>/dev/null; }

# stop_client NAME [SIGNAL]: a client that spawn_client started.
stop_client() {
  stop_pid "${CLIENT_PID[$1]}" "${2:-TERM}"
}

# daemon_pid NAME: of a client that went into the background by itself.
daemon_pid() { cat "$TEMP/$1"/run/*.pid; }

run_dir_is_empty() { [ -z "$(ls -A "$TEMP/$1/run" 2>/dev/null)" ]; }

# --- Traffic ---

# can_ping HOST ADDRESS [SECONDS]
can_ping() { ns "$1" ping -6 -n -c 1 -W "${3:-2}" "$2"; }

start_web() {
  head -c "${1:-1M}" /dev/urandom >"$TEMP/file"
  FILE_SUM=$(sha256sum <"$TEMP/file")
  spawn_in web "$TEMP/web.out" "$PYTHON" "$TOOLS/web_server.py" "$WEB_V6" 80 "$TEMP/file"
  wait_for 30 can_connect web "$WEB_V6" 80 || die "the web server does not start: $(cat "$TEMP/web.out")"
}
# shellcheck disable=SC2016 # expanded by the inner shell
can_connect() { ns "$1" bash -c 'exec 3<>"/dev/tcp/$0/$1"' "$2" "$3"; }

# fetches HOST: the web server's file arrives whole.
fetches() {
  local sum
  sum=$(ns "$1" curl -gsS --max-time "${FETCH_TIMEOUT:-60}" "http://[$WEB_V6]/file" | sha256sum)
  [ "$sum" = "$FILE_SUM" ] || { echo "sha256 is $sum, not $FILE_SUM"; return 1; }
}

# capture HOST INTERFACE FILE: one line for each UDP or TCP payload from or to port 3653; see tools/capture.py.
capture() {
  spawn_in "$1" "$3" "$PYTHON" "$TOOLS/capture.py" "$2" 3653
  wait_for 10 grep -q '^capturing' "$3" || die "the capture does not start: $(cat "$3")"
}
