#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The datapath bench works and tells the truth: figures that are made up give the ratios and verdicts that follow from them, and a
# short run over the bare cable and our plain tunnel measures both. How fast they are is not asked here.

# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"

begin "$@"

BENCH=$ROOT/tests/bench
REPORT=$TEMP/report

# --- The report, of figures that are made up ---

figures_subject() {  # NAME KIND LABEL MTU TCP PACKETS LATENCY
  printf '%s\t%s\t1.0\t%s\t\n' "$1" "$2" "$3" >>"$REPORT/subjects"
  local round
  for round in 1 2 3; do
    # A machine that is slower in each round is as much slower for all: the ratios stay.
    printf '%s\t%s\t%s\t%s\n' "$round" "$1" mtu "$4" "$round" "$1" tcp1 $(($5 / round)) "$round" "$1" latency "$7 $7" \
      "$round" "$1" udp128 "{\"pps\": $(($6 / round))}" >>"$REPORT/samples"
  done
}

# figures PLAIN_TCP: a run in which fastd is the fastest peer with a normal MTU, and Yggdrasil is faster without one.
figures() {
  rm -rf "$REPORT"
  mkdir -p "$REPORT/results"
  touch "$REPORT/subjects" "$REPORT/samples" "$REPORT/failures"
  printf '%s\n' date=2026-01-01T00:00:00Z kernel=Linux architecture=x86_64 system=x processor=x cores=2 memory_mib=1 virtual=no \
    load_before=0 load_after=0 sixlink=x commit=x iperf3=x openssl=x rounds=3 seconds=1 idle_seconds=1 udp_segments_128=1 \
    udp_segments_1280=16 quick= took_seconds=1 >"$REPORT/environment"
  figures_subject none limit "no tunnel" 1500 10000000000 1000000 0.1
  figures_subject plain ours "sixlink v6udpv4" 1472 "$1" 300000 2.1
  printf 'wireguard\tours\t\tsixlink wireguard\tnot built: no such mode\n' >>"$REPORT/subjects"
  figures_subject fastd-null peer "fastd null" 1426 400000000 100000 3.1
  figures_subject yggdrasil peer Yggdrasil 65535 1000000000 50000 5.1
  "$PYTHON" "$BENCH/datapath_report.py" "$REPORT" "$REPORT/results" >"$REPORT/text"
}
field() { "$PYTHON" "$TOOLS/json_field.py" "$1" <"$REPORT/results/datapath.json"; }

figures 3900000000
check_equal "report: 0.39 of the bare veth is not enough" false "$(field targets.0.holds)"
check_match "report: the ratio to the bare veth" '^0\.39' "$(field targets.0.value)"
check_match "report: a peer whose MTU is not normal is not the fastest" '^9\.7' "$(field targets.1.value)"
check_equal "report: 9.7 times the fastest peer with a normal MTU is enough" true "$(field targets.1.holds)"
check_equal "report: what is not built holds nothing" false "$(field targets.2.holds)"
check_match "report: and the reason is told" 'not built: no such mode' "$(field targets.2.reason)"
check_equal "report: a peer that was not measured holds nothing" false "$(field targets.3.holds)"
check_match "report: packets a second are compared with the best peer's" '^(3\.0|2\.99)' "$(field targets.5.value)"
check_match "report: latency without the bare veth's" '^(2\.0|1\.9999)' "$(field targets.7.value)"
check_equal "report: latency below every peer's" true "$(field targets.7.holds)"
check_match "report: the table says which hold" '^plain v6udpv4, one TCP stream, of the bare veth .* at least 0\.40 +0\.39 +no$' \
  "$(cat "$REPORT/text")"
check "report: the picture is XML" "$PYTHON" -c 'import sys, xml.dom.minidom as m; m.parse(sys.argv[1])' "$REPORT/results/datapath.svg"

figures 4100000000
check_equal "report: 0.41 of the bare veth is enough" true "$(field targets.0.holds)"

# --- A run ---

bench() { BENCH_OUTPUT=$TEMP/bench BENCH_ROUNDS=1 BENCH_SECONDS=1 BENCH_SUBJECTS=$1 bash "$BENCH/datapath.sh"; }
bench_field() { "$PYTHON" "$TOOLS/json_field.py" "$1" <"$TEMP/bench/datapath.json"; }

if in_user_namespace; then
  check_fails "bench: refuses to run without root" bench "none plain"
  skip "bench: a run" "needs root of the machine"
elif ! command -v iperf3 >/dev/null; then
  skip "bench: a run" "iperf3 is not installed (make deps)"
elif [ ! -x "$BUILD/tools/udp_flow" ]; then
  skip "bench: a run" "$BUILD/tools/udp_flow is not built (make tests)"
else
  check_fails "bench: refuses when there is nothing to measure" bench "nonesuch"
  check "bench: a run over the bare cable and our tunnel" bench "none plain"
  check_equal "bench: the cable was measured" measured "$(bench_field subjects.0.state)"
  check_equal "bench: our tunnel was measured" measured "$(bench_field subjects.1.state)"
  check_match "bench: one stream through our tunnel" '^[1-9][0-9]+' "$(bench_field subjects.1.medians.tcp1.median)"
  check_match "bench: datagrams through our tunnel" '^[1-9][0-9]+' "$(bench_field subjects.1.medians.udp128.median)"
  check_match "bench: the memory of both ends" '^[1-9][0-9]+' "$(bench_field subjects.1.medians.memory.median)"
  check_match "bench: our share of the cable" '^[01]\.[0-9]+' "$(bench_field targets.0.value)"
fi
