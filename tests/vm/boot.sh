#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Runs a scenario on a kernel of its own: bash tests/vm/boot.sh tests/vm/scenarios/NAME.sh. Needs no root.
#
# QEMU boots Debian's cloud kernel with this machine's programs and the tree below /sixlink (kernel.sh, image.sh, init). Standard output and
# exit status are the scenario's. Without QEMU or kernel it says "SKIP NAME: reason".
#
# BUILD is the build directory; VM_DIR keeps the kernel and the images, $BUILD/vm. VM_KERNEL: another kernel, see kernel.sh. VM_ACCEL=kvm where
# the machine can: it is not tried by itself, since nested ones offer what then hangs. VM_CPU: the processor, a newer one where this
# machine's programs need it; VM_CPUS: how many. VM_TIME_LIMIT: seconds until the machine is switched off.
# VM_TIMES=1 has each line begin with the seconds since the start.

set -u
export LC_ALL=C PYTHONDONTWRITEBYTECODE=1
export PATH=$PATH:/usr/sbin:/sbin

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
BUILD=$(realpath -m "${BUILD:-$ROOT/build}")
VM_DIR=$(realpath -m "${VM_DIR:-$BUILD/vm}")
VM_PYTHON=$(command -v /usr/bin/python3 || command -v python3)
# shellcheck source-path=SCRIPTDIR source=kernel.sh
. "$ROOT/tests/vm/kernel.sh"
# shellcheck source-path=SCRIPTDIR source=image.sh
. "$ROOT/tests/vm/image.sh"

name=$(basename "${1:-}" .sh)
work=
qemu=

# shellcheck disable=SC2317 # called by the trap
cleanup() {
  trap - EXIT
  if [ -n "$qemu" ]; then kill -KILL "$qemu" 2>/dev/null; fi
  if [ -n "$work" ]; then rm -rf "$work"; fi
}

skip() {
  echo "SKIP $name: $1"
  exit 0
}
fail() {
  echo "FAIL $name: $1"
  exit 1
}

# Waits for the lock: scenarios may be started at the same time, and one makes what all use.
prepare() {
  local missing
  exec 9>"$VM_DIR/lock"
  flock 9
  find_kernel
  if [ -n "$why_no_kernel" ]; then skip "$why_no_kernel"; fi
  missing=$(missing_programs)
  if [ -n "$missing" ]; then skip "not installed:$missing (make deps)"; fi
  make_base || fail "cannot make the VM's file system, see above"
  exec 9>&-
  make_tree "$work/tree.ext4" || fail "cannot make the disk with the programs under test, see above"
}

main() {
  local status cheap
  if [ ! -e "$ROOT/tests/vm/scenarios/$name.sh" ]; then
    echo "usage: bash tests/vm/boot.sh SCENARIO, one of: $(basename -a -s .sh "$ROOT"/tests/vm/scenarios/*.sh | tr '\n' ' ')" >&2
    exit 2
  fi
  if [ ! -x "$BUILD/sixlink" ] || [ ! -x "$BUILD/sixlink-registry" ]; then fail "$BUILD/sixlink or sixlink-registry is missing: run make first"; fi
  if [ "$(uname -sm)" != "Linux x86_64" ]; then skip "this is $(uname -sm): the VM runs this machine's programs, on Linux x86_64 only"; fi
  command -v qemu-system-x86_64 >/dev/null || skip "qemu-system-x86_64 is not installed (make deps)"
  mkdir -p "$VM_DIR" || exit 1
  trap cleanup EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM
  work=$(mktemp -d "$VM_DIR/run.XXXXXX") || exit 1
  prepare

  # Hardening and tests of itself that a kernel does without here. Half of the emulator's time goes with it: code that each process has
  # elsewhere is translated anew for each.
  cheap="norandmaps mitigations=off init_on_alloc=0 randomize_kstack_offset=off cryptomgr.notests audit=0 apparmor=0 tsc=reliable"
  # The second serial port is the scenario's output; the first is the kernel's, to be shown when something went wrong.
  mkfifo "$work/output"
  # An older processor's instructions are cheaper to emulate than the newest, and one processor than two that wait for each other.
  # What the machine writes to the base goes to a file of its own in TMPDIR.
  TMPDIR=$work timeout --foreground "${VM_TIME_LIMIT:-400}" qemu-system-x86_64 \
    -accel "${VM_ACCEL:-tcg}" -cpu "${VM_CPU:-Nehalem,+rdrand}" -smp "${VM_CPUS:-1}" -m 1024 \
    -nodefaults -no-reboot -display none -monitor none -nic none -kernel "$(kernel_image)" \
    -append "console=ttyS0 quiet panic=-1 $cheap root=/dev/nvme0n1 rootfstype=ext4 rootwait rw init=/init scenario=$name" \
    -drive "file=$VM_DIR/base.ext4,format=raw,if=none,id=base,snapshot=on" -device nvme,drive=base,serial=base \
    -drive "file=$work/tree.ext4,format=raw,if=none,id=tree" -device nvme,drive=tree,serial=tree \
    -serial "file:$work/console" -chardev stdio,id=result,signal=off -serial chardev:result </dev/null >"$work/output" &
  qemu=$!
  while IFS= read -r line; do
    case $line in
      "vm: exit status "*) status=${line##* } ;;
      *) printf '%s%s\n' "${VM_TIMES:+$SECONDS s: }" "$line" ;;
    esac
  done <"$work/output"
  wait "$qemu"
  ended=$?
  qemu=
  if [ -n "${status:-}" ]; then exit "$status"; fi
  echo "---- end of the kernel's console"
  tail -n 30 "$work/console"
  if [ "$ended" = 124 ]; then fail "not done after ${VM_TIME_LIMIT:-400} s"; fi
  fail "the machine stopped without a result (QEMU's exit status $ended)"
}

main
