#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Checks what a compiler does not: scripts (shellcheck), formatting (clang-format), C++ (clang-tidy), man pages
# (mandoc). Prints what is wrong; the last line is `lint: clean` or `lint: N problems`.
#
# FILES="a.cc b.h c.sh" checks only those.

set -u
export LC_ALL=C
cd "$(dirname "$0")/.." || exit 1

for tool in shellcheck clang-format clang-tidy mandoc; do
  if ! command -v "$tool" >/dev/null; then
    sh tools/deps.sh --lint || exit 1
    break
  fi
done

# As the Makefile has them; warnings are the compiler's business.
flags=(-std=c++20 -I. -DBOOST_ASIO_SEPARATE_COMPILATION -DBOOST_ASIO_NO_DEPRECATED -DSPDLOG_COMPILED_LIB
  -DSPDLOG_FMT_EXTERNAL '-DSIXLINK_VERSION="lint"' '-DSIXLINK_DATADIR="/usr/share/sixlink"'
  '-DSIXLINK_CONFDIR="/etc/sixlink"')
jobs=$(nproc 2>/dev/null || echo 2)
problems=0
found=$(mktemp -d)
trap 'rm -rf "$found"' EXIT

# The files of git, or of the directory where there is no git, that match one of the patterns and still exist.
files() {
  local pattern
  if [ -n "${FILES:-}" ]; then
    for pattern in "$@"; do tr ' ' '\n' <<<"$FILES" | grep -E "$(sed 's/[.]/[.]/g; s/[*]/.*/g; s/$/$/' <<<"$pattern")"; done
  elif git rev-parse --git-dir >/dev/null 2>&1; then
    git ls-files -- "$@"
  else
    for pattern in "$@"; do find . -path ./build -prune -o -type f -path "./$pattern" -print | sed 's|^[.]/||'; done
  fi | sort -u | while read -r file; do [ -e "$file" ] && echo "$file"; done
}

# Each message once: what is in a header is said again for each file that includes it. Notes go with their message.
once() { # pattern, file
  awk -v pattern="$1" '$0 ~ pattern { fresh = !seen[$0]++; known = 1 } fresh || !known' "$2"
}

report() { # what, how to count the problems in its output, file with the output
  local count
  sed -i "s|^$PWD/||; s|^[.]/||" "$3"
  count=$(grep -E "$2" "$3" | sort -u | wc -l)
  # A tool that fails without a message that we know is a problem too.
  if [ "$count" -eq 0 ] && [ -s "$3" ] && [ -e "$found/failed" ]; then count=1; fi
  rm -f "$found/failed"
  if [ "$count" -gt 0 ]; then once "$2" "$3"; fi
  echo "$1: $count problems"
  problems=$((problems + count))
}

# Each tool gets its files through xargs, several at once, a few a call; a failing call leaves a mark.
check() { # what, pattern of a problem, files a call, the list of files, command...
  local what=$1 pattern=$2 batch=$3 list=$4
  shift 4
  [ -n "$list" ] || return 0
  tr '\n' '\0' <<<"${list}" | sed 's/\x00$//' | xargs -0 -r -n "$batch" -P "$jobs" "$@" >"$found/output" 2>&1 ||
    touch "$found/failed"
  report "$what" "$pattern" "$found/output"
}

check shellcheck '^In .* line [0-9]+:$' 100 "$(files '*.sh' .ci/run)" shellcheck -x
# shellcheck disable=SC2016  # for the inner shell
check clang-format ': not formatted' 20 "$(files '*.cc' '*.h')" bash -c '
  for file in "$@"; do
    clang-format --dry-run -Werror "$file" 2>/dev/null || echo "$file: not formatted: clang-format -i $file"
  done' clang-format
check mandoc '^mandoc: ' 1 "$(files 'man/*.[1-9]')" mandoc -Tlint -Wwarning
# Not the unit tests: doctest captures structured bindings in lambdas, which clang 14 refuses to read.
# Nor what only other systems can compile: make check-platform does that.
sources=$(files '*.cc' | grep -Ev '^tests/unit/|^platform/(bsd|freebsd|netbsd|openbsd|darwin|sunos)/')
# shellcheck disable=SC2016  # for the inner shell
check clang-tidy ': (error|warning): ' 1 "$sources" bash -c '
  file=${!#}
  clang-tidy -quiet "$file" -- "${@:1:$#-1}" 2>"$0.$$" || { grep -E "^Error" "$0.$$"; exit 1; }' \
  "$found/tidy" "${flags[@]}"

if [ "$problems" -eq 0 ]; then
  echo "lint: clean"
else
  echo "lint: $problems problems"
  exit 1
fi
