#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Measures the mesh: `make bench-mesh`. Networks, kinds of NAT and what they cannot do (delays): ../mesh/lib.sh.
#
#   twenty        20 nodes on every kind of network, default settings:
#                   the traffic gap when a transit node is killed: the nodes are asked for two that reach each other through a third;
#                   a datagram every 10 ms is echoed between them while the third is killed, by turns with and without its cable;
#                   a node joins, from `sixlink join` to the first ping of a random node;
#                   that node is revoked, until the last interface of a link with it is gone;
#                   the registry is stopped and all nodes are killed and started at once, until everyone reaches everyone
#   destinations  two nodes, of which one is told 10,000 destinations by a Babel router behind the other
#   many          50 nodes, which have joined before, started at the same instant, and at rest afterwards
#
# Each part has a network of its own, one after the other. Printed is a table; BUILD/bench gets mesh.json and mesh.svg. The figures of
# simulated networks are those of the last `make sim`.
#
#   BENCH_PARTS="twenty destinations many"
#   BENCH_TRIALS=50       of the gap; a tenth of it of the others
#   BENCH_MANY=50         nodes at the same instant
#   BENCH_QUICK=1         5 trials, 12 nodes at the same instant: for a look whether it works at all

# shellcheck source-path=SCRIPTDIR source=../mesh/lib.sh disable=SC2119
. "$(dirname "$0")/../mesh/lib.sh"

TRIALS=${BENCH_TRIALS:-50}
MANY=${BENCH_MANY:-50}
PARTS=${BENCH_PARTS:-twenty destinations many}
if [ -n "${BENCH_QUICK:-}" ]; then
  TRIALS=${BENCH_TRIALS:-5}
  MANY=${BENCH_MANY:-12}
fi
OUTPUT=$BUILD/bench
SAMPLES=$OUTPUT/mesh.samples
DESTINATIONS=10000
# How long a part of a trial may take before it counts as failed.
PATIENCE=90

stop_with() {
  echo "bench: $1" >&2
  exit 1
}

# sample WHAT VALUE [KEY=JSON...]; failure WHAT TEXT
sample() {
  local what=$1 value=$2 more='' pair
  shift 2
  for pair in "$@"; do more+=", \"${pair%%=*}\": ${pair#*=}"; done
  printf '{"what": "%s", "value": %s%s}\n' "$what" "$value" "$more" >>"$SAMPLES"
  case $what in
    idle | memory) return ;;  # of every process: the report has the largest
  esac
  printf '  %-14s %s%s\n' "$what" "$value" "$(grep -o '"[a-z]*": "[^"]*"' <<<"$more" | tr -d '"' | tr '\n' ' ' | sed 's/^/  /')"
}
failure() {
  "$PYTHON" -c 'import json, sys; print(json.dumps({"what": sys.argv[1], "failure": sys.argv[2]}))' "$1" "$2" >>"$SAMPLES"
  printf '  %-14s failed: %s\n' "$1" "$2"
}
# seconds_of TEXT: of what everyone_reaches prints.
seconds_of() { sed -n 's/^all .* in \([0-9.]*\) s$/\1/p' <<<"$1"; }
elapsed() { awk -v ms=$(($(now_ms) - $1)) 'BEGIN { printf "%.2f", ms / 1000 }'; }

# --- twenty ---

gaps() { grep -c '"what": "gap"' "$SAMPLES"; }

measure_gap() {
  local number=$1 how=kill source sink transit found said
  if [ $((number % 2)) = 0 ]; then how=off; fi
  if ! found=$(a_transit); then
    failure gap "no node reaches another through a third"
    return
  fi
  read -r source sink transit <<<"$found"
  forget_node "$transit"
  said=$(gap_when_killed "$source" "$sink" "$transit" "$how")
  case $said in
    # Traffic takes another way when another becomes better: it did not pass the dead node when that died.
    0.0* | silent*) printf '  %-14s again: %s to %s did not pass %s when it was killed\n' gap "$source" "$sink" "$transit" ;;
    '') failure gap "$source did not reach $sink through $transit before it was killed" ;;
    *)
      sample gap "${said%% *}" "how=\"$how\"" "transit=\"$source to $sink through $transit\"" \
        "answers=$("$PYTHON" "$TOOLS/json_field.py" flows.0.answers <"$TEMP/flow.json")"
      ;;
  esac
  if [ "$how" = off ]; then plug_in "$transit"; fi
  run_nodes "$transit"
  said=$(everyone_reaches $PATIENCE) || failure gap "after $transit came back: $said"
  # Its links are new, and those that took its place are still there.
  sleep 3
}

# A node that was not there before; it stays, and is revoked next.
measure_join() {
  local name=$1 target start
  add_node "$name" "$2"
  target=$(shuf -n 1 -e "${NODES[@]:0:${#NODES[@]}-1}")
  start=$(now_ms)
  join_node "$name" || { failure join "$(tail -n 2 "$TEMP/$name/join.out" | tr '\n' ' ')"; return; }
  read_node "$name"
  run_nodes "$name"
  until ns "$name" ping -6 -n -c 1 -W 0.2 "${NODE_ADDRESS[$target]}" >/dev/null 2>&1; do
    if [ $(($(now_ms) - start)) -gt $((PATIENCE * 1000)) ]; then
      failure join "no answer from $target after $PATIENCE s"
      return
    fi
    sleep 0.02
  done
  sample join "$(elapsed "$start")" "node=\"$2\"" "target=\"$target\""
}

measure_revocation() {
  local victim=$1 name peer interface watched=() said
  everyone_reaches $PATIENCE >/dev/null
  for name in "${NODES[@]}"; do
    while read -r peer interface _; do
      # What one end has taken away is cut.
      if [ "$peer" = "$victim" ]; then watched+=("${NODE_PID[$name]}/$interface"); fi
    done < <(links "$name")
  done
  if said=$("$PYTHON" "$MESH_TOOLS/links_gone.py" $PATIENCE "${watched[@]}" -- \
    nsenter --net="$(netns registry)" "$REGISTRY" revoke "${NODE_PREFIX[$victim]}" -f "$TEMP/registry/registry.conf" 2>&1); then
    sample revocation "$said" "links=${#watched[@]}"
  else
    failure revocation "$said"
  fi
  if can_ping "$victim" "${NODE_ADDRESS[${NODES[0]}]}" 1 >/dev/null 2>&1; then failure revocation "the revoked node still reaches others"; fi
  stop_node "$victim"
  unset "NODES[-1]"
}

measure_restart() {
  local said
  stop_mesh_registry
  kill_node "${NODES[@]}"
  run_nodes "${NODES[@]}"
  if said=$(everyone_reaches $PATIENCE); then
    sample restart "$(seconds_of "$said")"
  else
    failure restart "$said"
  fi
  start_mesh_registry
}

part_twenty() {
  local i said kinds=(public port-restricted v6 symmetric full-cone) few=$(((TRIALS + 9) / 10))
  mesh_network
  twenty_nodes
  start_mesh_registry
  join_nodes "${NODES[@]}"
  run_nodes "${NODES[@]}"
  said=$(everyone_reaches $PATIENCE) || stop_with "the 20 nodes do not reach each other: $said"
  sample settings "{\"nodes\": ${#NODES[@]}}"
  sleep 5
  for i in $(seq 1 $((TRIALS * 2))); do
    [ "$(gaps)" -lt "$TRIALS" ] || break
    measure_gap "$i"
  done
  for i in $(seq 1 "$few"); do
    measure_join "new$i" "${kinds[i % ${#kinds[@]}]}"
    measure_revocation "new$i"
  done
  for i in $(seq 1 "$few"); do
    measure_restart
    said=$(everyone_reaches $PATIENCE) || failure restart "with the registry again: $said"
    sleep 3
  done
}

# --- destinations ---

knows_destinations() { [ "$(ip -n "$PREFIX-$1" -6 route show table all | grep -c "via fe80::bad dev")" -ge $DESTINATIONS ]; }

part_destinations() {
  local interface pid before before_babeld seconds=10
  mesh_network
  add_node left public
  add_node right public
  start_mesh_registry
  join_nodes left right
  run_nodes left right
  everyone_reaches $PATIENCE || stop_with "two nodes do not reach each other"
  interface=$(links right | awk '{ print $2 }')
  ip -n "$PREFIX-right" addr add fe80::bad/64 dev "$interface" nodad
  spawn_in right "$TEMP/speaker.out" "$PYTHON" "$MESH_TOOLS/babel_speaker.py" "$interface" fe80::bad --many $DESTINATIONS $NETWORK
  if wait_for $PATIENCE knows_destinations left; then
    # As often as the node looks at its routes.
    sleep 10
    pid=$(pids_called left sixlink | head -n 1)
    # What they cost the node, and babeld, from then on: percent of a processor.
    before=$(cpu_of_process "$pid")
    before_babeld=$(cpu_of_process "$(babeld_pid left)")
    sleep $seconds
    sample destinations "$(awk '/^VmHWM:/ { printf "%.1f", $2 / 1024 }' "/proc/$pid/status")" \
      "resident=$(awk '/^VmRSS:/ { printf "%.1f", $2 / 1024 }' "/proc/$pid/status")" \
      "known=$(node left routes --json | grep -o '"destination"' | wc -l)" \
      "cpu=$(percent $(($(cpu_of_process "$pid") - before)) $seconds)" \
      "babeld=$(percent $(($(cpu_of_process "$(babeld_pid left)") - before_babeld)) $seconds)"
  else
    failure destinations "only $(ip -n "$PREFIX-left" -6 route show table all | grep -c "via fe80::bad dev") routes arrived"
  fi
}

# --- many ---

# Nanoseconds of processor time.
cpu_of_process() { cat "/proc/$1/task/"*/schedstat 2>/dev/null | awk '{ sum += $1 } END { printf "%.0f\n", sum }'; }
# percent NANOSECONDS SECONDS: of a processor.
percent() { awk -v ns="$1" -v s="$2" 'BEGIN { printf "%.2f", ns / s / 1e7 }'; }
# Nanoseconds of processor time that the node's processes used: the daemon's, and all of its children's.
cpu_of() {
  local pid
  for pid in $(ip netns pids "$PREFIX-$1"); do cat "/proc/$pid/task/"*/schedstat 2>/dev/null; done | awk '{ sum += $1 } END { printf "%.0f\n", sum }'
}

part_many() {
  local i said name pid pids=() seconds=30 kinds=(public full-cone v4 port-restricted symmetric)
  local -A before=()
  mesh_network
  for i in $(seq 1 "$MANY"); do add_node "m$i" "${kinds[i % ${#kinds[@]}]}"; done
  start_mesh_registry
  join_nodes "${NODES[@]}"
  run_nodes "${NODES[@]}"
  if said=$(everyone_reaches $((PATIENCE * 2))); then
    sample start "$(seconds_of "$said")" "nodes=$MANY"
  else
    failure start "$said"
  fi
  # At rest is who has found the peers that it can have.
  sleep 60
  for name in "${NODES[@]}"; do before[$name]=$(cpu_of "$name"); done
  sleep $seconds
  for name in "${NODES[@]}"; do
    sample idle "$(awk -v ns=$(($(cpu_of "$name") - before[$name])) -v s=$seconds 'BEGIN { printf "%.3f", ns / s / 1e7 }')"
  done
  mapfile -t pids < <(namespace_pids)
  for pid in "${pids[@]}"; do
    name=$(cat "/proc/$pid/comm" 2>/dev/null)
    case $name in
      sixlink-registr) sample registry "$(awk '/^VmHWM:/ { printf "%.1f", $2 / 1024 }' "/proc/$pid/status")" "unit=\"MiB\"" ;;
      sixlink | babeld)
        sample memory "$(awk '/^VmHWM:/ { printf "%.1f", $2 / 1024 }' "/proc/$pid/status")" "process=\"$name\""
        ;;
    esac
  done
}

# --- main ---

# A part is a process of its own: its network is gone when it ends.
if [ "${1:-}" = --part ]; then
  begin "$@"
  part_"$2"
  exit
fi
why=$(missing_for_mesh)
[ -z "$why" ] || stop_with "$why"
mkdir -p "$OUTPUT"
: >"$SAMPLES"
for part in $PARTS; do
  echo "$part"
  bash "$0" --part "$part" || echo "bench: the part $part ended early" >&2
done
"$PYTHON" "$ROOT/tests/bench/mesh_report.py" "$SAMPLES" "$OUTPUT" "$BUILD/sim/sim.json"
