#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Measures the registry: TSP sessions a second with durable leases, and one busy tunnel among many: `make bench`.
#
#   load ------------------- registry ------------------- web
#   203.0.113.1 to .250      198.51.100.10                2001:db8:99::2
#   (198.51.100.1)              |  192.0.2.1
#                            client 192.0.2.2: the busy tunnel
#
# There is one such set of machines for each number of tunnels, all at one time and measured in turn, so that what this machine does
# besides meets them alike. The registry's database is on BENCH_STATE, which should be a disk: a file system in memory syncs nothing.
# The result is printed, and written to BUILD/bench/registry.json.
#
#   BENCH_ROUNDS=5        rounds
#   BENCH_SECONDS=2       length of a measurement of throughput
#   BENCH_SESSIONS=30000  sessions a round
#   BENCH_TUNNELS="1 1000 10000 100000"
#   BENCH_STATE=BUILD/bench
#   BENCH_QUICK=1         one round, 10000 tunnels at most; for a look whether it works at all

# shellcheck source-path=SCRIPTDIR source=../net/lib.sh
. "$(dirname "$0")/../net/lib.sh"

ROUNDS=${BENCH_ROUNDS:-5}
LENGTH=${BENCH_SECONDS:-2}
SESSIONS=${BENCH_SESSIONS:-30000}
TUNNELS=${BENCH_TUNNELS:-1 1000 10000 100000}
if [ -n "${BENCH_QUICK:-}" ]; then
  ROUNDS=${BENCH_ROUNDS:-1}
  LENGTH=${BENCH_SECONDS:-1}
  SESSIONS=${BENCH_SESSIONS:-10000}
  TUNNELS=${BENCH_TUNNELS:-1 1000 10000}
fi
OUTPUT=$BUILD/bench
STATE=${BENCH_STATE:-$OUTPUT}
LOAD=$BUILD/tools/registry_load
ADDRESSES=250
USERS=2000
WIREGUARD=${BENCH_WIREGUARD:-10000}
# Before memory is measured, so that what every registry needs is there.
WARM=100
LAST_CORE=$(($(nproc) - 1))

stop_with() {
  echo "bench: $1" >&2
  exit 1
}

why=$(missing_for_namespaces)
[ -z "$why" ] || stop_with "$why"
[ -x "$LOAD" ] || stop_with "$LOAD is missing: make $LOAD"
command -v iperf3 >/dev/null || stop_with "iperf3 is not installed (make bench installs it)"
mkdir -p "$OUTPUT" "$STATE"
export TMPDIR=$STATE
begin "$@"
SAMPLES=$TEMP/samples
: >"$SAMPLES"

# sample WHAT ROUND N JSON
sample() { printf '{"what": "%s", "round": %s, "tunnels": %s, "value": %s}\n' "$1" "$2" "$3" "$4" >>"$SAMPLES"; }

# --- Machines ---

# machines NAME: registry, load, web and client of that name.
machines() {
  local registry=r$1 load=l$1 web=w$1 client=c$1 host
  for host in "$registry" "$load" "$web" "$client"; do add_namespace "$host"; done
  link "$registry" eth0 "$load" eth0
  link "$registry" eth1 "$web" eth0
  link "$registry" eth2 "$client" eth0
  ip -n "$PREFIX-$registry" addr add 198.51.100.10/24 dev eth0
  ip -n "$PREFIX-$registry" route add 203.0.113.0/24 via 198.51.100.1
  ip -n "$PREFIX-$registry" addr add 192.0.2.1/24 dev eth2
  ip -n "$PREFIX-$registry" addr add 2001:db8:99::1/64 dev eth1 nodad
  ip -n "$PREFIX-$load" addr add 198.51.100.1/24 dev eth0
  ip -n "$PREFIX-$load" route add local 203.0.113.0/24 dev lo
  ip -n "$PREFIX-$client" addr add 192.0.2.2/24 dev eth0
  ip -n "$PREFIX-$web" addr add 2001:db8:99::2/64 dev eth0 nodad
  ip -n "$PREFIX-$web" route add $REGISTRY_PREFIX via 2001:db8:99::1
}

# registry NAME [COMMAND...]: starts it, by the command if there is one; its process id is in REGISTRY_PID. MODE: what it serves.
MODE=(tunnel_modes=v6udpv4 mtu=1472)
registry() {
  local name=r$1
  shift
  write_registry_config "$name" log_file=0 "${MODE[@]}" anonymous_per_address=1000000 sessions_per_address=1000000 \
    requests_per_second=100000 login_attempts_per_minute=60000
  spawn "$TEMP/$name/out" nsenter --net="$(netns "$name")" -- "$@" "$REGISTRY" -f "$TEMP/$name/$name.conf" -n
  REGISTRY_PID=$SPAWNED
  wait_for 60 serves "$name" || stop_with "the registry does not start: $(tail -n 3 "$TEMP/$name/out")"
}
status_of() { ns "r$1" "$REGISTRY" status --json -f "$TEMP/r$1/r$1.conf"; }

# load NAME SESSIONS [FLAG...]: prints what it found.
load() {
  local name=$1 count=$2
  shift 2
  ns "l$name" taskset -c 0 "$LOAD" sessions --server 198.51.100.10 --from 203.0.113.1 --addresses $ADDRESSES --sessions "$count" "$@"
}

busy() { # NAME SECONDS: bits a second of one TCP stream through the client's tunnel
  ns "c$1" timeout $(($2 + 15)) iperf3 -6 -c 2001:db8:99::2 -p 5201 -t "$2" -J >"$TEMP/iperf.json" 2>"$TEMP/iperf.err"
  "$PYTHON" "$ROOT/tests/bench/iperf_rate.py" "$TEMP/iperf.json"
}
iperf_listens() { [ -n "$(ns "w$1" ss -Htnl 'sport = :5201')" ]; }

# --- TSP sessions a second, the registry on one core ---

machines sessions
for ((round = 1; round <= ROUNDS; round++)); do
  for method in anonymous digest; do
    rm -rf "$TEMP/rsessions"
    registry sessions taskset -c "$LAST_CORE"
    flags=()
    if [ $method = digest ]; then
      "$LOAD" users "$TEMP/rsessions/state/registry.db" "$USERS" sixlink s3cret || stop_with "cannot add users"
      flags=(--users "$USERS" --password s3cret)
    fi
    result=$(load sessions "$SESSIONS" --concurrency 1000 "${flags[@]}") || stop_with "sessions failed: $result"
    sample "sessions_$method" $round 0 "$result"
    sample "status_$method" $round 0 "$(status_of sessions)"
    # Fewer at a time, and new endpoints: what one client waits while others come.
    result=$(load sessions 2000 --first "$SESSIONS" --concurrency 20 "${flags[@]}") || stop_with "sessions failed: $result"
    sample "calm_$method" $round 0 "$result"
    stop_pid "$REGISTRY_PID"
  done
done

# --- One busy tunnel among many ---

declare -A PID=()
for tunnels in $TUNNELS; do
  machines "$tunnels"
  registry "$tunnels"
  PID[$tunnels]=$REGISTRY_PID
  spawn_in "w$tunnels" "$TEMP/iperf-$tunnels" iperf3 -s -p 5201
  wait_for 5 iperf_listens "$tunnels" || stop_with "iperf3 does not start: $(cat "$TEMP/iperf-$tunnels")"
  write_client_config "c$tunnels" "c$tunnels" server=192.0.2.1 log_file=0 tunnel_mode=v6udpv4 datapath=userspace \
    if_tunnel_v6udpv4=six0
  spawn_client "c$tunnels"
  wait_up "c$tunnels" || stop_with "the tunnel does not come up: $(tail -n 3 "$TEMP/c$tunnels/out")"
  if [ "$tunnels" -gt $((WARM + 1)) ]; then
    result=$(load "$tunnels" $WARM --ping) || stop_with "tunnels failed: $result"
    busy "$tunnels" 1 >/dev/null || stop_with "the busy tunnel does not work"
    before=$(memory_kib "$REGISTRY_PID")
    more=$((tunnels - WARM - 1))
    result=$(load "$tunnels" $more --first $WARM --concurrency 500 --ping) || stop_with "tunnels failed: $result"
    sample established 0 "$tunnels" "$result"
    sample memory 0 "$tunnels" "{\"kib\": $(($(memory_kib "$REGISTRY_PID") - before)), \"tunnels\": $more}"
  fi
done

# --- Memory of WireGuard tunnels, each with a session that has carried a packet ---

machines wireguard
MODE=(wireguard=yes wireguard_datapath=userspace mtu=1420)
registry wireguard
result=$(load wireguard $WARM --wireguard --ping) || stop_with "WireGuard tunnels failed: $result"
before=$(memory_kib "$REGISTRY_PID")
result=$(load wireguard "$WIREGUARD" --first $WARM --concurrency 500 --wireguard --ping) || stop_with "WireGuard tunnels failed: $result"
sample wireguard 0 0 "$result"
sample wireguard_memory 0 0 "{\"kib\": $(($(memory_kib "$REGISTRY_PID") - before)), \"tunnels\": $WIREGUARD}"
stop_pid "$REGISTRY_PID"

for ((round = 1; round <= ROUNDS; round++)); do
  for tunnels in $TUNNELS; do
    result=$(busy "$tunnels" "$LENGTH") || stop_with "the busy tunnel among $tunnels: $result"
    sample throughput $round "$tunnels" "$result"
  done
done

# --- The largest: at rest, and started again ---

# shellcheck disable=SC2086 # split on purpose
largest=$(printf '%s\n' $TUNNELS | sort -n | tail -n 1)
cpu_ms() { cat /proc/"$1"/task/*/schedstat | awk '{ sum += $1 } END { printf "%.0f\n", sum / 1000000 }'; }
if [ -z "${BENCH_QUICK:-}" ]; then
  before=$(cpu_ms "${PID[$largest]}")
  # Longer than what is done every 30 s.
  sleep 62
  sample idle 0 "$largest" "{\"cpu_ms\": $(($(cpu_ms "${PID[$largest]}") - before)), \"seconds\": 62}"
fi
stop_client "c$largest"
stop_pid "${PID[$largest]}"
started=$(date +%s%N)
spawn "$TEMP/r$largest/out" nsenter --net="$(netns "r$largest")" -- "$REGISTRY" -f "$TEMP/r$largest/r$largest.conf" -n
until grep -q ': serving ' "$TEMP/r$largest/out" || [ $(($(date +%s%N) - started)) -gt 60000000000 ]; do sleep 0.01; done
sample start 0 "$largest" $((($(date +%s%N) - started) / 1000000))
sample found_again 0 "$largest" "$(status_of "$largest")"

"$PYTHON" "$ROOT/tests/bench/registry_report.py" "$SAMPLES" "$OUTPUT/registry.json" "$STATE"
