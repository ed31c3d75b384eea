# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# The VM's disks: one with this machine's own programs and libraries, and one with what is tested. Sourced by boot.sh.
#
# They are disks and not an initial RAM file system because an emulated machine takes 20 s to unpack that, at each boot.

# Found with `command -v`; their libraries come along. Without one of the first a scenario cannot run at all.
VM_PROGRAMS="bash busybox ip tc ss bridge nft nsenter unshare mount umount ping curl tcpdump
  awk basename cat chmod chown cmp comm cp cut date dd df diff dirname env expr false find grep head id kill ln ls mkdir mktemp mv
  nproc od paste printf ps readlink realpath rm rmdir sed seq setsid sha256sum sh sleep sort stat stdbuf stty sync tail tee
  timeout touch tr true truncate uname uniq wc xargs openssl"
VM_OPTIONAL_PROGRAMS="radvd rdisc6 ndisc6 tracepath nsupdate strace iptables ip6tables iperf3 sysctl dig named rndc wg babeld"

missing_programs() {
  local program missing=
  for program in $VM_PROGRAMS "${VM_PYTHON:-python3}" strip tar flock mke2fs; do
    command -v "$program" >/dev/null || missing="$missing $program"
  done
  echo "$missing"
}

# copy_program STAGE PATH
copy_program() {
  mkdir -p "$1$(dirname "$2")"
  cp -L "$2" "$1$2" && chmod 755 "$1$2"
}

# libraries FILE...: the paths of the shared libraries and loaders that they need.
libraries() {
  ldd "$@" 2>/dev/null | sed -nE 's/.* => (\/[^ ]+) .*/\1/p; s/^[[:space:]]*(\/[^ ]+) \(.*/\1/p' | sort -u
}

# build_base STAGE: everything but what is tested.
build_base() {
  local stage=$1 program path dir files=() stdlib library applet
  for dir in usr/bin usr/sbin usr/lib usr/lib64; do mkdir -p "$stage/$dir"; ln -s "$dir" "$stage/${dir#usr/}"; done
  mkdir -p "$stage"/{dev,proc,sys,run,tmp,root,mnt,sixlink,etc/iproute2,var/lib,var/log,usr/local/bin}
  ln -s /run "$stage/var/run"
  stage_modules "$stage" || return 1

  for program in $VM_PROGRAMS $VM_OPTIONAL_PROGRAMS; do
    path=$(type -P "$program") || continue
    # A program that is a link into a directory of alternatives (awk, nft's iptables) is copied under the name it is called by.
    copy_program "$stage" "$path" || return 1
    files+=("$path")
  done
  copy_program "$stage" "$VM_PYTHON" || return 1
  stdlib=$("$VM_PYTHON" -I -c 'import sysconfig; print(sysconfig.get_path("stdlib"))') || return 1
  copy_python "$stage" "$stdlib" || return 1
  while read -r library; do files+=("$library"); done < <(find "$stdlib/lib-dynload" -name '*.so')

  # OpenSSL and glibc load more at run time.
  while read -r library; do
    copy_program "$stage" "$library"
    files+=("$library")
  done < <(find /usr/lib /usr/lib64 -maxdepth 3 \( -name 'legacy.so' -o -name 'libnss_dns.so*' -o -name 'libnss_files.so*' \
    -o -name 'libgcc_s.so.1' -o -name 'libstdbuf.so' \) 2>/dev/null)
  while read -r library; do copy_program "$stage" "$library" || return 1; done \
    < <(libraries "${files[@]}" "$VM_PYTHON" "$BUILD/sixlink" "$BUILD/sixlink-registry")

  # Busybox is what remains of a userland: init, modprobe, poweroff.
  path=$(type -P busybox)
  while read -r applet; do
    if [ -z "$(find "$stage/usr/bin/$applet" "$stage/usr/sbin/$applet" 2>/dev/null)" ]; then ln -s "$path" "$stage/usr/sbin/$applet"; fi
  done < <(busybox --list)

  for path in /etc/protocols /etc/services /etc/iproute2 /usr/share/iproute2 /usr/lib/iproute2 /etc/ssl/openssl.cnf /usr/lib/ssl/openssl.cnf; do
    if [ -e "$path" ]; then mkdir -p "$stage$(dirname "$path")" && cp -rL "$path" "$stage$(dirname "$path")/"; fi
  done
  printf 'root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534:nobody:/:/bin/false\n' >"$stage/etc/passwd"
  printf 'root:x:0:\nnogroup:x:65534:\n' >"$stage/etc/group"
  # Programs that give up root look their own user up.
  grep -E '^(radvd|tcpdump|bind|named):' /etc/passwd >>"$stage/etc/passwd"
  grep -E '^(radvd|tcpdump|bind|named|nogroup):' /etc/group | grep -v '^nogroup' >>"$stage/etc/group"
  echo '127.0.0.1 localhost' >"$stage/etc/hosts"
  echo 'hosts: files dns' >"$stage/etc/nsswitch.conf"
  : >"$stage/etc/resolv.conf"
  cp "$ROOT/tests/vm/init" "$stage/init" && chmod 755 "$stage/init"
}

# The standard library without what no test needs, compiled in the way that does not look at times: files in the VM are all new.
copy_python() { # STAGE STDLIB
  mkdir -p "$1$2"
  (cd "$2" && find . \( -name __pycache__ -o -name test -o -name tests -o -name 'config-*' -o -name idlelib -o -name lib2to3 -o -name tkinter \
    -o -name distutils -o -name pydoc_data -o -name ensurepip -o -name site-packages -o -name dist-packages -o -name unittest \
    -o -name 'turtle*' \) -prune -o -type f -print0 | tar --null -cf - -T -) | tar -C "$1$2" -xf - || return 1
  "$VM_PYTHON" -I -m compileall -q -j 0 --invalidation-mode unchecked-hash -s "$1" "$1$2"
}

# make_disk DIRECTORY FILE: as ext4 with half as much room again. All of it is root's, whoever makes it, where the system can tell mke2fs so.
make_disk() {
  local as_root=() kib
  if [ "$(id -u)" -ne 0 ] && unshare -Ur true 2>/dev/null; then as_root=(unshare -Ur); fi
  kib=$(du -sk "$1" | cut -f 1)
  rm -f "$2.new"
  "${as_root[@]}" mke2fs -q -t ext4 -O ^has_journal -m 0 -d "$1" "$2.new" $((kib * 3 / 2 + 16384))k >/dev/null && mv "$2.new" "$2"
}

# What the base depends on; when it changes the base is made anew.
base_stamp() {
  local program
  cat "$ROOT/tests/vm/image.sh" "$ROOT/tests/vm/kernel.sh" "$ROOT/tests/vm/init"
  kernel_release
  for program in $VM_PROGRAMS $VM_OPTIONAL_PROGRAMS "$VM_PYTHON"; do stat -Lc '%n %s %Y' "$(type -P "$program")" 2>/dev/null; done
  libraries "$BUILD/sixlink" "$BUILD/sixlink-registry"
}

# Makes $VM_DIR/base.ext4 unless it is there and up to date.
make_base() {
  local stamp stage
  stamp=$(base_stamp | sha256sum)
  if [ -s "$VM_DIR/base.ext4" ] && [ "$(cat "$VM_DIR/base.stamp" 2>/dev/null)" = "$stamp" ]; then return; fi
  echo "making the VM's file system" >&2
  rm -f "$VM_DIR/base.stamp"
  stage=$(mktemp -d "$VM_DIR/stage.XXXXXX") || return 1
  if ! build_base "$stage" || ! make_disk "$stage" "$VM_DIR/base.ext4"; then
    rm -rf "$stage"
    return 1
  fi
  rm -rf "$stage"
  echo "$stamp" >"$VM_DIR/base.stamp"
}

# make_tree FILE: a disk with the programs and scripts under test; init mounts it at /sixlink.
make_tree() {
  local stage program
  stage=$(mktemp -d "$VM_DIR/stage.XXXXXX") || return 1
  mkdir -p "$stage/build/tools" "$stage/tests"
  for program in sixlink sixlink-registry tools/mesh_files; do
    if [ ! -x "$BUILD/$program" ]; then continue; fi
    # Debugging information is most of it, and every byte goes through the emulated machine.
    strip -o "$stage/build/$program" "$BUILD/$program" || return 1
  done
  cp -r "$ROOT/template" "$ROOT/conf" "$stage/" && cp -r "$ROOT/tests/net" "$ROOT/tests/mesh" "$ROOT/tests/vm" "$stage/tests/" || return 1
  make_disk "$stage" "$1" || return 1
  rm -rf "$stage"
}
