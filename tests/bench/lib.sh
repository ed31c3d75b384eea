# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# What the datapath bench is made of: two machines, a cable, and measurements between them. Sourced by datapath.sh.
#
#   left  192.0.2.1 -------- veth -------- 192.0.2.2  right
#         2001:db8:1::1               2001:db8:1::2          the bare cable, subject "none"
#              \\========= tunnel ========= INNER_RIGHT        every other subject; IPv6 inside IPv4
#
# A subject is a way from left to right. A file in peers/, named for its program, has one or several, and these functions (a `-` in
# the file's name is a `_` in theirs):
#
#   NAME_subjects    a line a subject: its name, and how it is called in tables
#   NAME_missing     prints why it cannot be measured here; nothing when it can
#   NAME_version     prints the program's version
#   NAME_up SUBJECT  starts both ends with spawn_in, and calls `inner_address` with the IPv6 address that leads through the tunnel from
#                    left to right; or says with `give_reason` why not, and returns 1
#   NAME_down        removes what outlives the processes; those are ended by their pids before
#
# Whatever runs in the two namespaces when a subject is up is the subject: its processor time and memory are counted together.

# shellcheck source-path=SCRIPTDIR source=../net/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../net/lib.sh"

BENCH=$ROOT/tests/bench
LEFT_V4=192.0.2.1
RIGHT_V4=192.0.2.2
LEFT_V6=2001:db8:1::1
RIGHT_V6=2001:db8:1::2
# Inside the peers' tunnels. Ours and Yggdrasil's have addresses of their own.
TUNNEL_LEFT_V6=2001:db8:2::1
TUNNEL_RIGHT_V6=2001:db8:2::2
UDP_PORT=5300
NOT_INSTALLED="not installed: make bench-peers"

INNER_RIGHT=
REASON=
inner_address() { INNER_RIGHT=$1; }
give_reason() {
  # shellcheck disable=SC2034 # for datapath.sh
  REASON=$1
  return 1
}

# missing_program NAME...: why a peer cannot be measured.
missing_program() {
  local program
  for program in "$@"; do
    if ! find_program "$program" >/dev/null; then
      echo "$NOT_INSTALLED"
      return
    fi
  done
}
# Daemons are in sbin, which is not in everybody's PATH.
find_program() { PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin command -v "$1"; }

two_machines() {
  local host
  for host in left right; do add_namespace "$host"; done
  link left eth0 right eth0
  ip -n "$PREFIX-left" addr add $LEFT_V4/24 dev eth0
  ip -n "$PREFIX-right" addr add $RIGHT_V4/24 dev eth0
  ip -n "$PREFIX-left" addr add $LEFT_V6/64 dev eth0 nodad
  ip -n "$PREFIX-right" addr add $RIGHT_V6/64 dev eth0 nodad
  for host in left right; do
    # A TUN's address is usable at once, and no packet is sent that the subject did not.
    set_sysctl "$host" net/ipv6/conf/default/accept_dad 0
    set_sysctl "$host" net/ipv6/conf/default/router_solicitations 0
  done
}

# tunnel_addresses HOST INTERFACE MTU: gives a peer's interface what it needs.
tunnel_addresses() {
  local address=$TUNNEL_LEFT_V6
  if [ "$1" = right ]; then address=$TUNNEL_RIGHT_V6; fi
  ip -n "$PREFIX-$1" link set "$2" mtu "$3" up && ip -n "$PREFIX-$1" addr add "$address/64" dev "$2" nodad
}

has_interface() { [ -n "$(ip -n "$PREFIX-$1" -o link show dev "$2" 2>/dev/null)" ]; }
has_no_interface() { ! has_interface "$@"; }
wait_interface() { wait_for 10 has_interface "$1" "$2"; }
inner_ping() { ns left ping -6 -n -c 1 -W 1 "$INNER_RIGHT"; }

# The MTU of the interface that leads through the tunnel.
inner_mtu() {
  local device
  device=$(ns left ip -6 route get "$INNER_RIGHT" 2>/dev/null | sed -n 's/.* dev \([^ ]*\).*/\1/p')
  ip -n "$PREFIX-left" link show dev "$device" 2>/dev/null | sed -n 's/.* mtu \([0-9]*\) .*/\1/p'
}

# last_words FILE...: the end of a failed daemon's output, for a reason.
last_words() {
  local file
  for file in "$@"; do
    if [ -s "$file" ]; then tail -n 2 "$file" | tr '\n' ' ' | cut -c 1-300; fi
  done
}

# Ends what runs in the two namespaces and waits until its interfaces are gone.
end_subject() {
  local host interface
  kill_all
  for host in left right; do
    # A tunnel that its process leaves behind would carry the next subject's packets.
    for interface in $(ip -n "$PREFIX-$host" -o link | sed -n 's/^[0-9]*: \([^:@]*\).*/\1/p' | grep -vxE 'lo|eth0'); do
      wait_for 2 has_no_interface "$host" "$interface" || ip -n "$PREFIX-$host" link del "$interface" 2>/dev/null
    done
  done
}

# --- Measurements. Each prints one number, or fails and says why on stderr. ---

# cpu_ns PID...: processor time that the processes' threads used so far, in nanoseconds.
cpu_ns() {
  local pid stat ticks=0 hz
  if [ -r /proc/self/schedstat ]; then
    for pid in "$@"; do cat /proc/"$pid"/task/*/schedstat 2>/dev/null; done | awk '{ sum += $1 } END { printf "%.0f\n", sum }'
    return
  fi
  # utime and stime are whole ticks; the fields are counted after the name, which may hold blanks.
  hz=$(getconf CLK_TCK)
  for pid in "$@"; do
    stat=$(cat "/proc/$pid/stat" 2>/dev/null) || continue
    # shellcheck disable=SC2086 # split on purpose
    set -- ${stat##*) }
    ticks=$((ticks + ${12} + ${13}))
  done
  echo $((ticks * (1000000000 / hz)))
}

# idle_cpu SECONDS PID...: percent of one core while nothing is sent.
idle_cpu() {
  local seconds=$1 before after start
  shift
  before=$(cpu_ns "$@")
  start=$(date +%s%N)
  sleep "$seconds"
  after=$(cpu_ns "$@")
  awk -v cpu=$((after - before)) -v wall=$(($(date +%s%N) - start)) 'BEGIN { printf "%.3f\n", 100 * cpu / wall }'
}

# rss_kib PID...: both ends together.
rss_kib() {
  local pid
  for pid in "$@"; do memory_kib "$pid" 2>/dev/null; done | awk '{ sum += $1 } END { print sum + 0 }'
}

start_iperf() {
  spawn_in right "$TEMP/iperf-server" iperf3 -s -p 5201
  wait_for 5 iperf_listens
}
# ss, not a connection: iperf3 serves one at a time.
iperf_listens() { [ -n "$(ns right ss -Htnl 'sport = :5201')" ]; }

# tcp SECONDS [FLAG...]: bits per second that arrived, in both directions if there are two.
tcp() {
  local seconds=$1
  shift
  ns left timeout $((seconds + 15)) iperf3 -c "$INNER_RIGHT" -p 5201 -t "$seconds" -J "$@" >"$TEMP/iperf.json" 2>"$TEMP/iperf.err"
  "$PYTHON" "$BENCH/iperf_rate.py" "$TEMP/iperf.json"
}

# loaded_latency SECONDS: median and 99th percentile of ping while one TCP stream runs, in ms.
loaded_latency() {
  local seconds=$1 load
  ns left timeout $((seconds + 15)) iperf3 -c "$INNER_RIGHT" -p 5201 -t $((seconds + 1)) -J >"$TEMP/load.json" 2>&1 &
  load=$!
  # Past the stream's start.
  sleep 0.5
  ns left ping -6 -n -i 0.005 -w "$seconds" -W 2 "$INNER_RIGHT" >"$TEMP/ping" 2>&1
  wait "$load"
  "$PYTHON" "$BENCH/iperf_rate.py" "$TEMP/load.json" >/dev/null || return 1
  sed -n 's/.* time=\([0-9.]*\) ms.*/\1/p' "$TEMP/ping" | sort -n | awk '
    { value[NR] = $1 }
    END {
      if (NR < 20) { print "only " NR " pings were answered" >"/dev/stderr"; exit 1 }
      print value[int((NR + 1) / 2)], value[int(NR * 0.99 + 0.5)]
    }'
}

# udp SIZE SEGMENTS SECONDS NEAR: a line of JSON.
udp() {
  "$BUILD/tools/udp_flow" --from "$(netns left)" --to "$(netns right)" --segments "$2" --seconds "$3" --near "$4" \
    "$INNER_RIGHT" $UDP_PORT "$1"
}
