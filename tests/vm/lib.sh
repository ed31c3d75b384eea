#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# What the scenarios of the kernel's own tunnels share: the network of ../net/lib.sh, on a kernel that has them, and one more machine,
#
#   direct, 198.51.100.20, on the IPv4 Internet itself: no NAT, which protocol 41 would not cross.
#
# boot.sh runs a scenario in its VM. `bash tests/vm/scenarios/NAME.sh` runs it on this machine's kernel, where that has what it needs.

# shellcheck source-path=SCRIPTDIR source=../net/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../net/lib.sh"

DIRECT_V4=198.51.100.20
# An emulated processor that has half of a real one needs a minute for 20 MB.
FETCH_TIMEOUT=300

# needs_kernel MODULE...: skips the scenario where the kernel lacks one. Loads them all, so that what a module brings with it (sit0 in
# every namespace) is there before the first snapshot.
needs_kernel() {
  local module
  for module in "$@"; do
    if ! modprobe -q "$module" 2>/dev/null && [ ! -d "/sys/module/$module" ]; then
      skip "$SCENARIO" "the kernel $(uname -r) has no module $module: run it with tests/vm/boot.sh"
      exit 0
    fi
  done
}

needs_program() {
  local program
  for program in "$@"; do
    if ! command -v "$program" >/dev/null; then
      skip "$SCENARIO" "the program '$program' is not installed (make deps)"
      exit 0
    fi
  done
}

# vm_topology: topology, and "direct".
vm_topology() {
  topology
  add_internet_host direct $DIRECT_V4
  set_hosts direct "$REGISTRY_V4 broker.example.net"
}

# --- Who moves the packets ---

# link_kind HOST INTERFACE: what the kernel says it is: sit, ip6tnl, tun.
link_kind() {
  ns "$1" ip -d -o link show dev "$2" 2>/dev/null | grep -oE ' (sit|ip6tnl|tun|gre|wireguard) ' | head -n 1 | tr -d ' '
}

# show_link HOST INTERFACE: the evidence, for people.
show_link() { ns "$1" ip -d -o link show dev "$2" | sed 's/\\ */ /g; s/^/# /'; }

# data_sockets CLIENT: how many TUN devices, and packet and raw sockets, a client's process has open: without one it can neither take a
# packet from the tunnel nor give it one. Raw ICMP sockets are not counted: these send its own keepalives and get nothing but answers.
data_sockets() {
  local pid=${CLIENT_PID[$1]} target inode count=0
  while read -r target; do
    case $target in
      /dev/net/tun) count=$((count + 1)) ;;
      'socket:['*)
        inode=${target#*[}
        # /proc/net/raw: the protocol stands where others have the local port, in hexadecimal: 41 is 29, 4 is 04.
        if awk -v inode="${inode%]}" '$10 == inode && $2 !~ /:(0001|003A)$/ { found = 1 } END { exit !found }' \
          "/proc/$pid/net/raw" "/proc/$pid/net/raw6" ||
          awk -v inode="${inode%]}" '$9 == inode { found = 1 } END { exit !found }' "/proc/$pid/net/packet"; then
          count=$((count + 1))
        fi
        ;;
    esac
  done < <(find "/proc/$pid/fd" -type l -exec readlink {} \; 2>/dev/null)
  echo "$count"
}

# moved HOST INTERFACE rx|tx: the bytes that the kernel's interface counted.
moved() {
  ns "$1" ip -s link show dev "$2" | awk -v which="$3" '$1 == toupper(which) ":" { getline; print $1 }'
}

# cpu_ticks PID: the time that a process has used.
cpu_ticks() { awk '{ print $14 + $15 }' "/proc/$1/stat"; }

is_over() { [ "$1" -gt "$2" ] || { echo "$1 is not over $2"; return 1; }; }
is_under() { [ "$1" -lt "$2" ] || { echo "$1 is not under $2"; return 1; }; }

# path_mtu_is HOST ADDRESS MTU: what HOST knows of the path after a packet that is too big for it.
path_mtu_is() {
  ns "$1" ping -6 -n -c 2 -W 1 -M "do" -s 1400 "$2" >/dev/null 2>&1
  ns "$1" ip -6 route get "$2" | grep -q "mtu $3 " || { ns "$1" ip -6 route get "$2"; return 1; }
}

is_reconnecting() { ! is_up "$1" || field_is_over "$1" reconnections 0; }

# finishes_checksums HOST INTERFACE: what the host sends has its checksums and is cut into packets, as if a real card had sent it. Between
# namespaces nobody does that, and a NAT in between spoils the outer checksum of UDP around TCP that has none yet.
finishes_checksums() {
  ns "$1" "$PYTHON" -c 'import ctypes, fcntl, socket, struct, sys
ETHTOOL_STXCSUM, SIOCETHTOOL = 0x17, 0x8946
value = ctypes.create_string_buffer(struct.pack("=II", ETHTOOL_STXCSUM, 0))
fcntl.ioctl(socket.socket(), SIOCETHTOOL, struct.pack("16sP16x", sys.argv[1].encode(), ctypes.addressof(value)))' "$2" ||
    die "cannot switch checksum offload off on $1's $2"
}
