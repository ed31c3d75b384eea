#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The demo is what a new user runs first: it goes through. Topology: ../lib.sh, which the demo makes itself.
#
# covers: nothing

# shellcheck source-path=SCRIPTDIR source=../lib.sh disable=SC2119
. "$(dirname "$0")/../lib.sh"

begin "$@"
skip_where_missing "$(missing_for_namespaces)"
check_fails "demo: an unknown word is refused" env TMPDIR="$TEMP" bash "$ROOT/tests/net/demo.sh" --unknown
TMPDIR=$TEMP KEEP='' bash "$ROOT/tests/net/demo.sh" >"$TEMP/out" 2>&1
check_equal "demo: exit status 0" 0 $?
check_match "demo: its last line says that all went well" '^demo: OK' "$(tail -n 1 "$TEMP/out")"
check_equal "demo: nothing is left in the temporary directory" "" "$(find "$TEMP" -maxdepth 1 -name 'sixlink-demo.*')"
[ "$FAILED_CHECKS" = 0 ] || cat "$TEMP/out"
