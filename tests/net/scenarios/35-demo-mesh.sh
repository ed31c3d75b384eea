#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The demo of the mesh goes through. Topology: tests/mesh/lib.sh, which the demo makes itself.
#
# covers: nothing

# shellcheck source-path=SCRIPTDIR source=../../mesh/lib.sh disable=SC2119
. "$(dirname "$0")/../../mesh/lib.sh"

begin "$@"
skip_where_missing "$(missing_for_mesh)"
TMPDIR=$TEMP KEEP='' bash "$ROOT/tests/mesh/demo.sh" >"$TEMP/out" 2>&1
check_equal "demo-mesh: exit status 0" 0 $?
check_match "demo-mesh: its last line says that all went well" '^demo-mesh: OK' "$(tail -n 1 "$TEMP/out")"
check_equal "demo-mesh: nothing is left in the temporary directory" "" "$(find "$TEMP" -maxdepth 1 -name 'sixlink-demo.*')"
[ "$FAILED_CHECKS" = 0 ] || cat "$TEMP/out"
