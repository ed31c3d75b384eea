# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash disable=SC2034
# The kernel that the VM boots: Debian's cloud kernel, which has what such machines leave out of theirs. Sourced by boot.sh.
#
# The package is fetched with apt-get and unpacked below $VM_DIR, once; nothing of it is installed. VM_KERNEL names a directory with
# another unpacked kernel instead: boot/vmlinuz-*, boot/config-* and lib/modules/*, as they are in the package. NVMe disks and ext4 must be built in.

# What scenarios use, with what these depend on. What is built in, or that a kernel calls otherwise, is not missed here: init loads
# what it can, and a scenario that lacks something says so.
VM_MODULES="sit ip6_tunnel tunnel4 tunnel6 ip_tunnel fou fou6 ip_gre ip6_gre tun veth bridge dummy wireguard af_packet
  sch_netem sch_tbf sch_prio sch_ingress cls_u32 cls_matchall act_mirred
  nf_tables nft_chain_nat nft_compat nft_masq nft_nat nft_redir nft_ct nft_reject nft_reject_inet nft_reject_ipv4 nft_reject_ipv6
  nft_limit nft_log nft_fib nft_fib_inet nft_hash nft_numgen nft_objref nft_socket nf_conntrack nf_nat nf_log_syslog
  nf_reject_ipv4 nf_reject_ipv6 nf_defrag_ipv4 nf_defrag_ipv6 nf_conntrack_netlink nfnetlink xt_tcpmss xt_TCPMSS
  ip_tables ip6_tables iptable_filter ip6table_filter iptable_nat udp_diag tcp_diag inet_diag unix_diag packet_diag netlink_diag
  raw_diag crc32c_generic libcrc32c crc32c-intel"

# Sets kernel_root, with boot/ and lib/modules/ below it; else why_no_kernel.
find_kernel() {
  why_no_kernel=
  if [ -n "${VM_KERNEL:-}" ]; then
    kernel_root=$VM_KERNEL
    is_kernel "$kernel_root" || why_no_kernel="VM_KERNEL=$VM_KERNEL has no boot/vmlinuz-* and lib/modules/*, or no boot/config-* with BLK_DEV_NVME and EXT4_FS built in"
    return
  fi
  kernel_root=$VM_DIR/kernel
  is_kernel "$kernel_root" || fetch_kernel
}

is_kernel() {
  grep -qs '^CONFIG_BLK_DEV_NVME=y' "$1"/boot/config-* && grep -qs '^CONFIG_EXT4_FS=y' "$1"/boot/config-* &&
    compgen -G "$1/boot/vmlinuz-*" >/dev/null && compgen -G "$1/lib/modules/*/kernel" >/dev/null
}

fetch_kernel() {
  local package directory output
  if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
    why_no_kernel="Debian's kernel package needs apt-get: unpack linux-image-*-cloud-amd64 somewhere and set VM_KERNEL to the directory"
    return
  fi
  # The package of that name is empty and depends on today's kernel.
  package=$(apt-cache depends linux-image-cloud-amd64 2>/dev/null | sed -n 's/^ *Depends: \(linux-image-.*\)/\1/p' | head -n 1)
  if [ -z "$package" ]; then
    why_no_kernel="the package archive has no linux-image-cloud-amd64 (apt-get update; Debian has it): set VM_KERNEL to an unpacked kernel"
    return
  fi
  directory=$(mktemp -d "$VM_DIR/fetch.XXXXXX") || exit 1
  echo "fetching $package" >&2
  if ! output=$(cd "$directory" && apt-get -qq -o APT::Sandbox::User="$(id -un)" download "$package" 2>&1); then
    why_no_kernel="cannot fetch $package: $(tail -n 1 <<<"$output")"
  elif ! output=$(dpkg-deb -x "$directory"/*.deb "$directory/kernel" 2>&1); then
    why_no_kernel="cannot unpack $package: $(tail -n 1 <<<"$output")"
  elif ! is_kernel "$directory/kernel"; then
    why_no_kernel="$package has no boot/vmlinuz-* and lib/modules/*, or no NVMe and ext4 built in"
  else
    rm -rf "$kernel_root"
    mv "$directory/kernel" "$kernel_root"
  fi
  rm -rf "$directory"
}

kernel_image() { compgen -G "$kernel_root/boot/vmlinuz-*" | head -n 1; }
kernel_release() { basename "$(compgen -G "$kernel_root/lib/modules/*" | head -n 1)"; }

# stage_modules DIRECTORY: the modules and what they depend on, below DIRECTORY/lib/modules, with the lists that modprobe reads.
stage_modules() {
  local release modules file
  release=$(kernel_release)
  modules=$kernel_root/lib/modules/$release
  if [ ! -s "$modules/modules.dep" ]; then
    # A package comes without: the lists are made where it is installed.
    (cd "$modules" && busybox depmod -b "$kernel_root" "$release") || return 1
  fi
  mkdir -p "$1/lib/modules/$release"
  while read -r file; do
    file=${file#"/lib/modules/$release/"}
    mkdir -p "$1/lib/modules/$release/$(dirname "$file")"
    cp "$modules/$file" "$1/lib/modules/$release/$file" || return 1
  done < <(with_dependencies <"$modules/modules.dep")
  for file in modules.builtin modules.order; do
    if [ -e "$modules/$file" ]; then cp "$modules/$file" "$1/lib/modules/$release/"; fi
  done
  busybox depmod -b "$1" "$release"
}

# From modules.dep to the paths of $VM_MODULES and all that these need.
with_dependencies() {
  awk -v wanted="$VM_MODULES" '
    function name_of(path) { sub(/.*\//, "", path); sub(/\.ko.*/, "", path); gsub(/-/, "_", path); return path }
    function take(path,    i, n, parts) {
      if (path in taken) return
      taken[path] = 1
      print path
      n = split(needs[path], parts, " ")
      for (i = 1; i <= n; i++) take(parts[i])
    }
    { path = $1; sub(/:$/, "", path); $1 = ""; needs[path] = $0; paths[name_of(path)] = path }
    END {
      n = split(wanted, names, /[ \n]+/)
      for (i = 1; i <= n; i++) {
        name = names[i]
        gsub(/-/, "_", name)
        if (name in paths) take(paths[name])
      }
    }'
}
