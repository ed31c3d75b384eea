#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Runs each fuzzer of tests/fuzz under libFuzzer with AddressSanitizer and UBSan, FUZZ_SECONDS (30) each, from a fixed seed
# and the corpus made of tests/recordings. ONLY=name runs one. The last line is `fuzz: N clean, N failed`.
#
# What a fuzzer found new is kept in $BUILD/fuzz/corpus/NAME and used again; an input that breaks one is left in
# $BUILD/fuzz/found, and `$BUILD/fuzz/NAME_fuzz FILE` repeats it.

set -u
export LC_ALL=C
cd "$(dirname "$0")/.." || exit 1

BUILD=${BUILD:-build}
seconds=${FUZZ_SECONDS:-30}
only=${ONLY:-}
out=$BUILD/fuzz
cxx=${FUZZ_CXX:-clang++}

case $seconds in
  *[!0-9]* | '')
    echo "fuzz: FUZZ_SECONDS=$seconds is not a number of seconds" >&2
    exit 1
    ;;
esac

if ! command -v "$cxx" >/dev/null; then
  echo "fuzz: $cxx is missing. On Debian and Ubuntu: apt-get install clang libclang-rt-dev (Debian 12: libclang-rt-14-dev)" >&2
  exit 1
fi
mkdir -p "$out/found" || exit 1
if ! echo 'extern "C" int LLVMFuzzerTestOneInput(const unsigned char*, unsigned long) { return 0; }' |
  "$cxx" -fsanitize=fuzzer,address,undefined -x c++ - -o "$out/probe" 2>"$out/probe.log"; then
  sed 's/^/  /' "$out/probe.log" >&2
  echo "fuzz: $cxx cannot link libFuzzer and the sanitizers. On Debian and Ubuntu: apt-get install libclang-rt-dev (Debian 12: libclang-rt-14-dev)" >&2
  exit 1
fi

cxxflags='-O1 -g1 -fno-omit-frame-pointer -Wno-unknown-warning-option'
echo "fuzz: building with $cxx"
# What has coroutines is not parsing anything, and clang 14 cannot compile them with a sanitizer.
core=$(grep -L -E 'co_await|co_spawn|awaitable' src/*/*.cc | grep -v '/main\.cc$' | tr '\n' ' ')
# What parses uses the system's defaults and random numbers, and what it brings along more.
core="$core$(make -s print-platform-sources | tr ' ' '\n' | xargs grep -L -E 'co_await|co_spawn|awaitable' | tr '\n' ' ')"
registry=$(grep -L -E 'co_await|co_spawn|awaitable' registry/*.cc registry/*/*.cc | grep -v '/main\.cc$' | tr '\n' ' ')
if ! make -s -j"$(nproc 2>/dev/null || echo 2)" "BUILD=$out" "CXX=$cxx" "CXXFLAGS=$cxxflags" \
  "SANITIZE=-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all" \
  "CORE_SOURCES=$core" "REGISTRY_SOURCES=$registry" "$out/libsixlink.a" "$out/libsixlink-registry.a" >"$out/build.log" 2>&1; then
  tail -n 40 "$out/build.log" >&2
  echo "fuzz: the library does not build with $cxx; all of it is in $out/build.log" >&2
  exit 1
fi

compile() { # source, program, more flags...
  local source=$1 program=$2
  shift 2
  # shellcheck disable=SC2086 # the flags are words
  "$cxx" -std=c++20 -I. $cxxflags -DBOOST_ASIO_SEPARATE_COMPILATION -DBOOST_ASIO_NO_DEPRECATED -DSPDLOG_COMPILED_LIB \
    -DSPDLOG_FMT_EXTERNAL -DSIXLINK_LIBFUZZER -fno-sanitize-recover=all -o "$program" "$source" \
    "$@" "$out/libsixlink-registry.a" "$out/libsixlink.a" -ltinyxml2 -lspdlog -lfmt -lsqlite3 -lminiupnpc -lcurl -lpq -lssl -lcrypto -pthread
}

if ! compile tests/fuzz/write_seeds.cc "$out/write_seeds" -fsanitize=fuzzer-no-link,address,undefined; then
  echo "fuzz: tests/fuzz/write_seeds.cc does not build" >&2
  exit 1
fi

clean=0
failed=0
lines=()
for source in tests/fuzz/*_fuzz.cc; do
  name=$(basename "$source" _fuzz.cc)
  if [ -n "$only" ] && [ "$only" != "$name" ]; then continue; fi
  program=$out/${name}_fuzz
  corpus=$out/corpus/$name
  log=$out/$name.log
  rm -rf "$out/seeds/$name"
  mkdir -p "$corpus" "$out/seeds/$name"
  if ! compile "$source" "$program" -fsanitize=fuzzer,address,undefined; then
    failed=$((failed + 1))
    lines+=("FAIL $name: does not build")
    continue
  fi
  if ! "$out/write_seeds" "$name" "$out/seeds/$name"; then
    failed=$((failed + 1))
    lines+=("FAIL $name: has no seeds (tests/fuzz/seeds.h)")
    continue
  fi
  echo "fuzz: $name for $seconds s"
  if timeout -k 10 $((seconds + 120)) "$program" -seed=1 -max_total_time="$seconds" -max_len=12000 -timeout=10 -rss_limit_mb=1024 \
    -print_final_stats=1 -artifact_prefix="$out/found/$name-" "$corpus" "$out/seeds/$name" >"$log" 2>&1; then
    clean=$((clean + 1))
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    edges=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -n 1)
    lines+=("PASS $name: ${runs:-?} runs, ${edges:-?} edges covered")
  else
    failed=$((failed + 1))
    tail -n 40 "$log"
    lines+=("FAIL $name: see $log; the input is in $out/found")
  fi
done

for line in "${lines[@]+"${lines[@]}"}"; do echo "$line"; done
if [ $((clean + failed)) -eq 0 ]; then
  echo "fuzz: there is no fuzzer named \"$only\"" >&2
  failed=1
fi
echo "fuzz: $clean clean, $failed failed"
[ "$failed" -eq 0 ]
