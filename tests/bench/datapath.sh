#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Measures our datapath beside the bare cable and every peer that is installed, in one run: `make bench`.
#
# Each round measures every subject once, one after the other, so that what the machine does besides meets them alike. The result is
# printed, and written to BUILD/bench/datapath.json and datapath.svg. It takes about 15 minutes.
#
#   BENCH_ROUNDS=5       rounds
#   BENCH_SECONDS=2      length of a measurement
#   BENCH_SUBJECTS=...   only these, separated by blanks: none plain wireguard wireguard-go openvpn-chacha20 ...
#   BENCH_OUTPUT=DIR     where the results go, instead of BUILD/bench
#   BENCH_QUICK=1        one round of one second: the cable, ours and wireguard-go; for a look whether it works at all

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

ROUNDS=${BENCH_ROUNDS:-5}
LENGTH=${BENCH_SECONDS:-2}
OUTPUT=${BENCH_OUTPUT:-$BUILD/bench}
if [ -n "${BENCH_QUICK:-}" ]; then
  ROUNDS=${BENCH_ROUNDS:-1}
  LENGTH=${BENCH_SECONDS:-1}
  BENCH_SUBJECTS=${BENCH_SUBJECTS:-none plain wireguard wireguard-go}
fi
IDLE=2
# As many datagrams a message as a QUIC sender's; small ones are each on their own, as those of games, telephones and DNS.
LARGE_SEGMENTS=16

stop_with() {
  echo "bench: $1" >&2
  exit "${2:-1}"
}

# --- Our own subjects and the cable ---

none_subjects() { echo "none no tunnel"; }
none_missing() { :; }
none_version() { uname -r; }
none_up() { inner_address "$RIGHT_V6"; }
none_down() { :; }

sixlink_subjects() {
  echo "plain sixlink v6udpv4"
  echo "wireguard sixlink wireguard"
}
sixlink_version() { "$SIXLINK" --version | sed 's/^sixlink //'; }
sixlink_down() { rm -rf "$TEMP/right" "$TEMP/left"; }

# The programs themselves know what they can.
sixlink_missing() {
  [ "$1" = wireguard ] || return 0
  mkdir -p "$TEMP/ask"
  printf 'server=%s\nauth_method=anonymous\nrun_dir=%s\nstate_dir=%s\ntunnel_mode=wireguard\n' "$RIGHT_V4" "$TEMP/ask" "$TEMP/ask" \
    >"$TEMP/ask/client"
  printf 'prefix=%s\nrun_dir=%s\nstate_dir=%s\nwireguard=yes\nwireguard_datapath=userspace\n' "$REGISTRY_PREFIX" "$TEMP/ask" \
    "$TEMP/ask" >"$TEMP/ask/registry"
  if "$SIXLINK" status -f "$TEMP/ask/client" 2>&1 >/dev/null | grep -q 'tunnel_mode: .* is not allowed'; then
    echo "not built: this sixlink has no tunnel_mode=wireguard"
  elif "$REGISTRY" user list -f "$TEMP/ask/registry" 2>&1 >/dev/null | grep -q 'unknown key'; then
    echo "not built: this sixlink-registry has no key wireguard or wireguard_datapath"
  fi
  rm -rf "$TEMP/ask"
}

sixlink_up() {
  local -a registry=() client=()
  if [ "$1" = plain ]; then
    registry=(mtu=1472 tunnel_modes=v6udpv4)
    client=(tunnel_mode=v6udpv4 if_tunnel_v6udpv4=six0)
  else
    registry=(mtu=1420 wireguard=yes wireguard_datapath=userspace)
    client=(tunnel_mode=wireguard)
  fi
  write_registry_config right "listen=$RIGHT_V4" log_file=0 "${registry[@]}"
  spawn_in right "$TEMP/right/out" "$REGISTRY" -f "$TEMP/right/right.conf" -n
  if ! wait_for 10 serves right; then
    give_reason "sixlink-registry does not start: $(last_words "$TEMP/right/out")"
    return 1
  fi
  write_client_config left left "server=$RIGHT_V4" log_file=0 datapath=userspace default_route=no "${client[@]}"
  spawn_client left
  if ! wait_up left; then
    give_reason "sixlink does not come up: $(last_words "$TEMP/left/out" "$TEMP/right/out")"
    return 1
  fi
  # What it says of its offloads, beside the figures.
  if ! ns left "$SIXLINK" status --json -f "$TEMP/left/left.conf" >"$TEMP/status.$1" 2>/dev/null; then rm -f "$TEMP/status.$1"; fi
  inner_address "$BROKER_V6"
}

# What is faster than this moves packets in the kernel.
copies_subjects() { echo "copies copies alone"; }
copies_missing() { [ -x "$BUILD/tools/copy_only" ] || echo "not built: make bench builds it"; }
copies_version() { sixlink_version; }
copies_up() {
  local host
  spawn_in right "$TEMP/right.copies" "$BUILD/tools/copy_only" copies0 "$RIGHT_V4" "$LEFT_V4" 10001
  spawn_in left "$TEMP/left.copies" "$BUILD/tools/copy_only" copies0 "$LEFT_V4" "$RIGHT_V4" 10001
  for host in left right; do
    # A frame is to fit a datagram with what the program puts before it.
    if ! wait_interface $host copies0 || ! tunnel_addresses $host copies0 1472 ||
      ! ip -n "$PREFIX-$host" link set copies0 gso_max_size 60000; then
      give_reason "copy_only does not start: $(last_words "$TEMP/$host.copies")"
      return 1
    fi
  done
  inner_address "$TUNNEL_RIGHT_V6"
}
copies_down() { :; }

# --- Which subjects there are ---

FILES=()           # whose functions, besides none, copies and sixlink: each of peers/
SUBJECTS=()        # names, in the order of measurement
declare -A FILE=() # of a subject
declare -A NEAR=() # the last rate of datagrams by subject and size: where the next search begins

find_subjects() {
  local path file name label kind missing
  for path in "$BENCH"/peers/*.sh; do
    # shellcheck disable=SC1090 # each of them is checked by itself
    . "$path"
    file=$(basename "$path" .sh)
    FILES+=("${file//-/_}")
  done
  for file in none copies sixlink "${FILES[@]}"; do
    while read -r name label; do
      if [ -n "${BENCH_SUBJECTS:-}" ] && [[ " $BENCH_SUBJECTS " != *" $name "* ]]; then continue; fi
      missing=$("${file}_missing" "$name")
      kind=peer
      case $file in
        none) kind=limit ;;
        copies) kind=bound ;;
        sixlink) kind=ours ;;
      esac
      FILE[$name]=$file
      printf '%s\t%s\t%s\t%s\t%s\n' "$name" "$kind" "$([ -n "$missing" ] || "${file}_version" 2>/dev/null | head -n 1)" "$label" \
        "$missing" >>"$TEMP/subjects"
      if [ -n "$missing" ]; then
        echo "$label: $missing"
      else
        SUBJECTS+=("$name")
      fi
    done < <("${file}_subjects")
  done
}

# --- A subject's round ---

sample() {  # ROUND SUBJECT MEASURE VALUE
  printf '%s\t%s\t%s\t%s\n' "$1" "$2" "$3" "$4" >>"$TEMP/samples"
}
failed() {  # ROUND SUBJECT MEASURE REASON
  printf '%s\t%s\t%s\t%s\n' "$1" "$2" "$3" "$(tr '\n\t' '  ' <<<"$4")" >>"$TEMP/failures"
  printf '  %s failed: %s' "$3" "$4"
}

# measure ROUND SUBJECT MEASURE COMMAND...: a sample of what the command prints, or its complaint.
measure() {
  local round=$1 subject=$2 name=$3 value
  shift 3
  if value=$("$@" 2>"$TEMP/complaint"); then
    sample "$round" "$subject" "$name" "$value"
    VALUE=$value
  else
    failed "$round" "$subject" "$name" "$(tail -n 1 "$TEMP/complaint")"
    VALUE=
  fi
}

# gigabits NUMBER
gigabits() { awk -v rate="${1:-0}" 'BEGIN { printf "%.2f", rate / 1e9 }'; }

measure_udp() {  # ROUND SUBJECT SIZE SEGMENTS
  local key=$2.$3
  measure "$1" "$2" "udp$3" udp "$3" "$4" "$(awk -v s="$LENGTH" 'BEGIN { print s / 2 }')" "${NEAR[$key]:-0}"
  if [ -n "$VALUE" ]; then
    NEAR[$key]=$("$PYTHON" "$TOOLS/json_field.py" sent_pps <<<"$VALUE")
    printf '  %s/s of %s bytes' "$("$PYTHON" "$TOOLS/json_field.py" pps <<<"$VALUE")" "$3"
  fi
}

measure_subject() {  # ROUND SUBJECT
  local round=$1 subject=$2 before
  local -a pids=()
  mapfile -t pids < <(namespace_pids)
  sample "$round" "$subject" mtu "$(inner_mtu)"
  if [ ${#pids[@]} != 0 ]; then measure "$round" "$subject" idle_cpu idle_cpu $IDLE "${pids[@]}"; fi
  if ! start_iperf; then
    failed "$round" "$subject" tcp1 "iperf3 does not start: $(last_words "$TEMP/iperf-server")"
    return
  fi
  before=$(cpu_ns "${pids[@]}")
  measure "$round" "$subject" tcp1 tcp "$LENGTH"
  printf '  one stream %s' "$(gigabits "$VALUE")"
  if [ -n "$VALUE" ] && [ ${#pids[@]} != 0 ]; then
    sample "$round" "$subject" cpu_per_gigabit \
      "$(awk -v ns=$(($(cpu_ns "${pids[@]}") - before)) -v bits=$((VALUE * LENGTH)) 'BEGIN { printf "%.4f", ns / bits }')"
  fi
  measure "$round" "$subject" tcp4 tcp "$LENGTH" -P 4
  printf '  four %s' "$(gigabits "$VALUE")"
  measure "$round" "$subject" both tcp "$LENGTH" --bidir
  printf '  both ways %s Gbit/s' "$(gigabits "$VALUE")"
  measure "$round" "$subject" latency loaded_latency "$LENGTH"
  printf '  ping %s ms' "${VALUE% *}"
  measure_udp "$round" "$subject" 128 1
  measure_udp "$round" "$subject" 1280 $LARGE_SEGMENTS
  if [ ${#pids[@]} != 0 ]; then measure "$round" "$subject" memory rss_kib "${pids[@]}"; fi
}

CURRENT=  # whose functions have a subject up

run_subject() {  # ROUND SUBJECT
  local round=$1 subject=$2 file=${FILE[$2]}
  CURRENT=$file
  printf 'round %s/%s  %-17s' "$round" "$ROUNDS" "$subject"
  INNER_RIGHT='' REASON=''
  if "${file}_up" "$subject" && wait_for 20 inner_ping; then
    measure_subject "$round" "$subject"
  else
    failed "$round" "$subject" up "${REASON:-no ping through it in 20 seconds}"
  fi
  printf '\n'
  take_down
}

take_down() {
  [ -n "$CURRENT" ] || return 0
  end_subject
  "${CURRENT}_down"
  CURRENT=
}

# However the run ends.
finish() {
  local status=$?
  trap '' INT TERM HUP
  take_down
  (exit $status)
  cleanup
}

# --- The run ---

describe_environment() {
  printf '%s\n' "date=$(date -u +%Y-%m-%dT%H:%M:%SZ)" "kernel=$(uname -sr)" "architecture=$(uname -m)" \
    "system=$(sed -n 's/^PRETTY_NAME="\(.*\)"$/\1/p' /etc/os-release 2>/dev/null)" \
    "processor=$(sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo | head -n 1)" "cores=$(nproc)" \
    "memory_mib=$(($(sed -n 's/^MemTotal: *\([0-9]*\) kB/\1/p' /proc/meminfo) / 1024))" \
    "virtual=$(grep -qw hypervisor /proc/cpuinfo && echo yes || echo no)" "load_before=$(cut -d ' ' -f 1-3 /proc/loadavg)" \
    "sixlink=$(sixlink_version)" "commit=$(git -C "$ROOT" describe --always --dirty 2>/dev/null)" \
    "iperf3=$(iperf3 --version | sed -n '1s/^iperf \([^ ]*\).*/\1/p')" "openssl=$(openssl version 2>/dev/null | cut -d ' ' -f 2)" \
    "rounds=$ROUNDS" "seconds=$LENGTH" "idle_seconds=$IDLE" "udp_segments_128=1" "udp_segments_1280=$LARGE_SEGMENTS" \
    "quick=${BENCH_QUICK:+yes}" >"$TEMP/environment"
}

if [ "$(id -u)" != 0 ] || in_user_namespace; then
  stop_with "needs root, for network namespaces, TUN interfaces and large socket buffers: sudo make bench" 2
fi
for number in "$ROUNDS" "$LENGTH"; do
  [[ $number =~ ^[1-9][0-9]{0,3}$ ]] || stop_with "BENCH_ROUNDS and BENCH_SECONDS are whole numbers from 1 on, not '$number'" 2
done
why=$(missing_for_namespaces)
[ -z "$why" ] || stop_with "$why" 2
command -v iperf3 >/dev/null || stop_with "iperf3 is $NOT_INSTALLED (or sh tools/deps.sh --bench)" 2
[ -x "$BUILD/tools/udp_flow" ] || stop_with "$BUILD/tools/udp_flow is missing: make bench builds it" 2

begin "$@"
trap finish EXIT
touch "$TEMP/samples" "$TEMP/failures" "$TEMP/subjects"
find_subjects
[ ${#SUBJECTS[@]} != 0 ] || stop_with "BENCH_SUBJECTS names nothing that can be measured here" 2
describe_environment
two_machines
started=$SECONDS
for ((round = 1; round <= ROUNDS; ++round)); do
  for subject in "${SUBJECTS[@]}"; do run_subject "$round" "$subject"; done
done
printf '%s\n' "load_after=$(cut -d ' ' -f 1-3 /proc/loadavg)" "took_seconds=$((SECONDS - started))" >>"$TEMP/environment"

mkdir -p "$OUTPUT"
"$PYTHON" "$BENCH/datapath_report.py" "$TEMP" "$OUTPUT" || stop_with "the report failed"
printf '\nbench: all samples are in %s, a picture in %s\n' "$OUTPUT/datapath.json" "$OUTPUT/datapath.svg"
