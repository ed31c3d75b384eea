#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Simulates networks of several sizes and reports: tables, $BUILD/sim/sim.json and pictures. README.md says what is real.
#
#   SIM_SIZES   networks to measure, in nodes (100 1000 10000 100000), or none; what the memory is too small for is left out
#   SIM_SEEDS   how many networks of 10,000 nodes are made to see whether each is connected (100)
#   SIM_TARGET  nodes of these (10000)
#   SIM_JOBS    how many at a time (the processors)
# Runs that were done are kept in $BUILD/sim/runs and not done again; make clean, or remove it, to begin anew.

set -u
export LC_ALL=C
cd "$(dirname "$0")/../.." || exit 1

BUILD=${BUILD:-build}
sizes=${SIM_SIZES:-100 1000 10000 100000}
if [ "$sizes" = none ]; then sizes=; fi
seeds=${SIM_SEEDS:-100}
target=${SIM_TARGET:-10000}
jobs=${SIM_JOBS:-$(nproc)}
sim=$BUILD/tools/sim
out=$BUILD/sim
runs=$out/runs

mkdir -p "$runs" || exit 1
# What another program made says nothing about this one.
stamp=$(cksum <"$sim") || exit 1
if [ "$stamp" != "$(cat "$runs/program" 2>/dev/null)" ]; then
  rm -f "$runs"/*.json "$runs"/*.skipped
  echo "$stamp" >"$runs/program"
fi

# MiB that a node takes, and what is needed while a copy is worked on.
available() { awk '/^MemAvailable/ { print int($2 / 1024) }' /proc/meminfo 2>/dev/null || echo 0; }
kib_per_node() { # of so many nodes: those of 25,000 took 64 KiB each, those of 10,000, which remember more, 105
  if [ "$1" -gt 20000 ]; then echo "${SIM_KIB_PER_NODE:-140}"; else echo "${SIM_KIB_PER_NODE:-220}"; fi
}

run() { # measure|seed nodes seed
  local file=$runs/$1-$2-$3
  [ -s "$file.json" ] && return 0
  if "$sim" "$1" "$2" "$3" >"$file.part" 2>>"$out/sim.log"; then
    mv "$file.part" "$file.json"
    echo "# $1 of $2 nodes, seed $3: done"
  else
    rm -f "$file.part"
    echo "# $1 of $2 nodes, seed $3: failed, see $out/sim.log" >&2
    return 1
  fi
}

status=0
: >"$out/sim.log"
for nodes in $sizes; do
  rm -f "$runs/measure-$nodes-1.skipped"
  needed=$((nodes * $(kib_per_node "$nodes") / 1024))
  if [ ! -s "$runs/measure-$nodes-1.json" ] && [ "$(uname -s)" = Linux ] &&
    [ "$(available)" -lt "$needed" ]; then
    echo "# $nodes nodes need about $needed MiB of memory; $(available) are available: left out" |
      tee "$runs/measure-$nodes-1.skipped"
  fi
done

# The small ones at the same time; what takes most of the memory alone.
work=()
for nodes in $sizes; do
  if [ ! -e "$runs/measure-$nodes-1.skipped" ] && [ "$nodes" -le 20000 ]; then work+=("measure $nodes 1"); fi
done
for ((seed = 1; seed <= seeds; seed++)); do work+=("seed $target $seed"); done
for one in "${work[@]}"; do
  while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do wait -n || status=1; done
  # shellcheck disable=SC2086  # three words
  run $one &
done
while [ "$(jobs -rp | wc -l)" -gt 0 ]; do wait -n || status=1; done
for nodes in $sizes; do
  if [ ! -e "$runs/measure-$nodes-1.skipped" ] && [ "$nodes" -gt 20000 ]; then run measure "$nodes" 1 || status=1; fi
done

python3 tests/sim/report.py "$runs" "$out" "$seeds" "$target" || status=1
exit "$status"
