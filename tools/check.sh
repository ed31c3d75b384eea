#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Runs tests and counts: bash tools/check.sh {unit|platform|template|sim|net|vm}...
#
# Every test program says `PASS name`, `FAIL name: reason` or `SKIP name: reason` on a line of its stdout, as often
# as it has tests; all else that it prints is for people. The last line here is `N passed, N failed, N skipped`;
# above it stand the skipped tests and then the failed ones, each with its reason. Exit status 1 if any failed or
# nothing ran. BUILD is the build directory; ONLY=name runs one scenario of the network tests or of the VM (of
# 01-anonymous, anonymous will do). What each program printed is kept in $BUILD/test-logs/<name>.log and shown if it failed.
#
# The template and network tests need root: in network namespaces only. Without root they run as the root of a user
# namespace of their own, where the system allows one. The VM's need QEMU and no root.

set -u
export LC_ALL=C
cd "$(dirname "$0")/.." || exit 1

BUILD=$(realpath -m "${BUILD:-build}")
export BUILD
export PATH=$PATH:/usr/sbin:/sbin
logs=$BUILD/test-logs
results=$logs/results
time_limit=${TIME_LIMIT:-600}
running=()
machines=
builds=
beside=
# As long as they exist: scenarios run beside the VM's; unit tests and what computes like them run beside the scenarios.
aside=$logs/aside
computing=$logs/computing

stop() {
  trap - INT TERM
  for pid in $machines $builds $beside; do running+=("$pid"); done
  if [ "${#running[@]}" -gt 0 ]; then
    kill -TERM "${running[@]}" 2>/dev/null
    wait "${running[@]}"
  fi
  echo "stopped" >&2
  exit 130
}
trap stop INT TERM

# Adds to the results: PASS|FAIL|SKIP, suite/program, the rest of the line.
result() {
  printf '%s [%s] %s\n' "$1" "$2" "$3" | tee -a "$results"
}

# ---- unit tests ---------------------------------------------------------------------------------------------------

# One line a test case from doctest's XML, and the whole of a failed case for people.
parse_doctest() {
  awk '
    function text(s) {
      gsub(/&lt;/, "<", s); gsub(/&gt;/, ">", s); gsub(/&quot;/, "\"", s); gsub(/&apos;/, "\047", s)
      gsub(/&#x0A;/, " ", s); gsub(/&amp;/, "\\&", s)
      return s
    }
    function attribute(line, name) {
      if (!match(line, " " name "=\"[^\"]*\"")) return ""
      return text(substr(line, RSTART + length(name) + 3, RLENGTH - length(name) - 4))
    }
    /^ *<TestCase / {
      name = attribute($0, "name"); open = 1; body = ""; ok = 0; where = attribute($0, "filename") ":" attribute($0, "line")
      if ($0 ~ /skipped="true"/) { print "SKIP " name ": marked to be skipped in " where; open = 0; next }
    }
    open { body = body text($0) "\n" }
    open && /test_case_success="true"/ { ok = 1 }
    open && /^ *<\/TestCase>/ {
      open = 0
      if (ok) print "PASS " name
      else { printf "%s", body > details; print "FAIL " name ": see above; the test is at " where }
    }
    END { if (open) { printf "%s", body > details; print "FAIL " name ": the program ended inside this test, at " where } }
  ' details="$1"
}

run_unit() {
  local program=$BUILD/unit-tests log=$logs/unit.log xml=$logs/unit.xml status=0 line passed
  if [ ! -x "$program" ]; then
    result FAIL unit "unit-tests: $program is missing: run make check-unit"
    return
  fi
  rm -f "$xml" "$logs/unit.details"
  timeout -k 10 "$time_limit" "$program" --reporters=xml --no-skipped-summary=false --out="$xml" >"$log" 2>&1 </dev/null &
  running=($!)
  wait "${running[0]}" || status=$?
  running=()
  touch "$xml" "$logs/unit.details"
  parse_doctest "$logs/unit.details" <"$xml" >"$logs/unit.results"
  passed=$(grep -c '^PASS ' "$logs/unit.results")
  if [ "$status" -ne 0 ] || grep -q '^FAIL ' "$logs/unit.results"; then
    cat "$log" "$logs/unit.details"
  fi
  sed -n 's/^PASS /PASS [unit] /p' "$logs/unit.results" >>"$results"
  echo "unit: $passed test cases passed"
  while read -r line; do
    result "${line%% *}" unit "${line#* }"
  done < <(grep -v '^PASS ' "$logs/unit.results")
  if [ "$status" -eq 124 ]; then
    result FAIL unit "unit-tests: not done after $time_limit s"
  elif [ "$status" -ne 0 ] && ! grep -q '^FAIL ' "$logs/unit.results"; then
    result FAIL unit "unit-tests: ended with status $status: see above"
  elif [ "$status" -eq 0 ] && [ ! -s "$logs/unit.results" ]; then
    result FAIL unit "unit-tests: has no test"
  fi
}

# ---- test scripts -------------------------------------------------------------------------------------------------

log_of() { # suite script
  local name
  name=$(basename "$2" .sh)
  if [ "$1" = net ]; then echo "$logs/$name.log"; else echo "$logs/$1-$name.log"; fi
}

# How many scripts of a suite may run now. The VM's compute: one beside the others. Scenarios wait more than they work: one more when
# nothing computes beside them.
jobs_now() { # suite jobs
  if [ "$1" = vm ] && [ -e "$aside" ]; then
    echo 1
  elif [ "$1" = net ] && [ -n "$beside" ] && [ ! -e "$computing" ] && ! kill -0 "$beside" 2>/dev/null; then
    echo $(($2 + 1))
  else
    echo "$2"
  fi
}

# Of run_scripts: how many have not ended.
running_scripts() {
  local pid count=0
  for pid in "${pids[@]:reported}"; do
    if kill -0 "$pid" 2>/dev/null; then count=$((count + 1)); fi
  done
  echo "$count"
}

# Runs all of the array scripts, some at a time.
run_scripts() { # suite jobs command...
  local suite=$1 limit=$2 script pids=() reported=0 start=$SECONDS
  shift 2
  for script in "${scripts[@]}"; do
    while [ "$(running_scripts)" -ge "$(jobs_now "$suite" "$limit")" ]; do wait -n; done
    report_scripts yes
    echo "$suite/$(basename "$script" .sh) ..."
    timeout -k 30 "$time_limit" "$@" "$script" >"$(log_of "$suite" "$script")" 2>&1 </dev/null &
    pids+=("$!")
    running=("${pids[@]:reported}")
  done
  report_scripts no
  running=()
}

# Of run_scripts, in the order of the names: those that have ended, up to the first that has not; or all of them.
report_scripts() { # yes|no: ended only
  local script status
  while [ "$reported" -lt "${#pids[@]}" ]; do
    if [ "$1" = yes ] && kill -0 "${pids[reported]}" 2>/dev/null; then return; fi
    status=0
    wait "${pids[reported]}" || status=$?
    script=${scripts[reported]}
    report_script "$suite" "$script" "$status"
    # Measurements and tables, for people.
    grep '^# ' "$(log_of "$suite" "$script")"
    reported=$((reported + 1))
    running=("${pids[@]:reported}")
    echo "$suite/$(basename "$script" .sh): done $((SECONDS - start)) s after the start"
  done
}

# From what a script printed to results.
report_script() { # suite script status
  local suite=$1 script=$2 status=$3 name log line lines
  name=$(basename "$script" .sh)
  log=$(log_of "$suite" "$script")
  lines=$(grep -E '^(PASS|FAIL|SKIP) ' "$log")
  if [ "$status" -ne 0 ] || [ -z "$lines" ] || grep -q '^FAIL ' <<<"$lines"; then
    echo "---- output of $script:"
    cat "$log"
    echo "---- end of the output of $script"
  fi
  while read -r line; do
    if [ -n "$line" ]; then result "${line%% *}" "$suite/$name" "${line#* }"; fi
  done <<<"$lines"
  if [ "$status" -eq 124 ] || [ "$status" -eq 137 ]; then
    result FAIL "$suite/$name" "$name: not done after $time_limit s"
  elif [ "$status" -ne 0 ] && ! grep -q '^FAIL ' <<<"$lines"; then
    result FAIL "$suite/$name" "$name: ended with status $status"
  elif [ -z "$lines" ]; then
    result FAIL "$suite/$name" "$name: ended without a result"
  fi
}

run_platform() {
  local time_limit=${TIME_LIMIT:-1200}
  scripts=(tests/platform/compile.sh)
  run_scripts platform 1 bash
}

run_sim() {
  scripts=(tests/sim/smoke_test.sh)
  run_scripts sim 1 bash
}

# Computes, as those before it do: after them, not beside them too.
run_template() {
  while [ -e "$computing" ]; do sleep 0.5; done
  scripts=(tests/template/*_test.sh)
  run_scripts template "$(nproc)" bash
}

# Sets scripts to the scenarios of a directory that ONLY picks, all without it.
find_scenarios() { # suite directory
  local script
  scripts=()
  for script in "$2"/*.sh; do
    [ -e "$script" ] || continue
    case $(basename "$script" .sh) in
      "${ONLY:-}" | *-"${ONLY:-}") ;;
      *) [ -z "${ONLY:-}" ] || continue ;;
    esac
    scripts+=("$script")
  done
  if [ -n "${ONLY:-}" ] && [ "${#scripts[@]}" -eq 0 ]; then
    result FAIL "$1" "$ONLY: there is no $2/$ONLY.sh; there are: $(basename -a -s .sh "$2"/*.sh | tr '\n' ' ')"
  fi
}

run_net() {
  find_scenarios net tests/net/scenarios
  # Other suites compute beside it.
  TEST_SLOWNESS=${TEST_SLOWNESS:-3} run_scripts net "${NET_JOBS:-$(nproc)}" bash
}

# Each in a machine of its own with one emulated processor: as many at a time as there are real ones.
run_vm() {
  local time_limit=$((time_limit * 2))
  find_scenarios vm tests/vm/scenarios
  run_scripts vm "${VM_JOBS:-$(nproc)}" bash tests/vm/boot.sh
}

# ---- root ---------------------------------------------------------------------------------------------------------

# Why the suites that need root cannot run here; empty if they can.
why_not_namespaces() {
  local inside error
  if [ "$(id -u)" -ne 0 ]; then inside="unshare -Urnm"; else inside="unshare -nm"; fi
  if ! command -v unshare >/dev/null; then
    echo "unshare (util-linux) is not installed: run make deps"
  elif ! error=$($inside true 2>&1); then
    if [ "$(id -u)" -eq 0 ]; then
      echo "no network namespaces here ($error): in a container, run it with CAP_SYS_ADMIN and CAP_NET_ADMIN"
    else
      echo "needs root, and there are no user namespaces here ($error): run it with sudo"
    fi
  elif ! error=$($inside ip tuntap add mode tun dev probe0 2>&1); then
    echo "$(id -un) cannot use /dev/net/tun ($error): run it as root, on a kernel with tun"
  fi
}

# The templates' tests compute and the scenarios wait: together they take little longer than one of them.
run_as_root() {
  local suite
  if [ "$#" -gt 1 ]; then
    ( trap stop INT TERM; machines='' builds='' beside=''; "run_$1" ) &
    beside=$!
    shift
  fi
  for suite in "$@"; do "run_$suite"; done
  if [ -n "$beside" ]; then
    running=("$beside")
    wait "$beside"
    beside=
    running=()
  fi
}

# Runs the suites as the root of a new user namespace, with a /run of their own for ip netns.
run_in_user_namespace() {
  # shellcheck disable=SC2016  # for the inner shell
  SIXLINK_CHECK_INSIDE=1 unshare -Urnm --propagation private bash -c '
    mount -t tmpfs tmpfs /run && mkdir -p /run/netns && ip link set lo up && exec bash tools/check.sh "$@"' \
    check "$@" &
  running=($!)
  wait "${running[0]}"
  running=()
}

# ---- main ---------------------------------------------------------------------------------------------------------

for suite in "$@"; do
  case $suite in
    unit | platform | template | sim | net | vm) ;;
    *)
      echo "usage: bash tools/check.sh {unit|platform|template|sim|net|vm}..." >&2
      exit 2
      ;;
  esac
done

mkdir -p "$logs" || exit 1
if [ -n "${SIXLINK_CHECK_INSIDE:-}" ]; then
  run_as_root "$@"
  exit 0
fi

: >"$results"
rm -f "$aside" "$computing"
compute=()
need_root=()
for suite in "$@"; do
  case $suite in
    unit | platform | sim) compute+=("$suite") ;;
    template | net) need_root+=("$suite") ;;
  esac
done
if [ "${#compute[@]}" -gt 0 ]; then
  : >"$computing"
  (
    trap stop INT TERM
    for suite in "${compute[@]}"; do "run_$suite"; done
    rm -f "$computing"
  ) &
  builds=$!
fi
# The VM's tests compute, and those in namespaces wait most of the time: they do not disturb each other.
if [[ " $* " == *" vm "* ]]; then
  if [ "${#need_root[@]}" -gt 0 ]; then : >"$aside"; fi
  ( trap stop INT TERM; machines=''; run_vm ) &
  machines=$!
fi
if [ "${#need_root[@]}" -gt 0 ]; then
  reason=$(why_not_namespaces)
  if [ -n "$reason" ]; then
    for suite in "${need_root[@]}"; do result SKIP "$suite" "all of $suite: $reason"; done
  elif [ "$(id -u)" -eq 0 ]; then
    run_as_root "${need_root[@]}"
  else
    run_in_user_namespace "${need_root[@]}"
  fi
fi
rm -f "$aside"
if [ -n "$builds" ]; then
  wait "$builds"
  builds=
fi
if [ -n "$machines" ]; then
  wait "$machines"
  machines=
fi

passed=$(grep -c '^PASS ' "$results")
failed=$(grep -c '^FAIL ' "$results")
skipped=$(grep -c '^SKIP ' "$results")
echo
if [ "$skipped" -gt 0 ]; then
  echo "Skipped:"
  grep '^SKIP ' "$results"
fi
if [ "$failed" -gt 0 ]; then
  echo "Failed (what they printed is above and in $logs):"
  grep '^FAIL ' "$results"
fi
if [ "$((passed + failed))" -eq 0 ]; then echo "No test ran."; fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$((passed + failed))" -gt 0 ]
