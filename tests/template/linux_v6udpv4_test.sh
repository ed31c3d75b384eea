#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# template/linux.sh in mode v6udpv4: hosts and routers, on the daemon's interface and on the kernel's own, under every shell.

# shellcheck source-path=SCRIPTDIR source=linux_matrix.sh
. "$(dirname "$0")/linux_matrix.sh"

case_tun_host() {
  matrix v6udpv4 tun host
}

case_tun_router() {
  matrix v6udpv4 tun router
}

case_kernel_host() {
  matrix v6udpv4 kernel host
}

case_kernel_router() {
  matrix v6udpv4 kernel router
}

run_cases "$@"
