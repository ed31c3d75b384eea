#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Small simulated networks in trouble: PASS and FAIL lines. SIM_NODES: how many nodes each has.

set -u
cd "$(dirname "$0")/../.." || exit 1
exec "${BUILD:-build}/tools/sim" check "${SIM_NODES:-200}"
