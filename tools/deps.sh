#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Installs what is missing to build, test and demonstrate sixlink: sh tools/deps.sh [--demo | --lint | --bench | --peers]
#
# Uses the system's package manager, with sudo where we are not root, and says what it does. Quiet and quick when
# nothing is missing. --demo leaves out what only the tests need (QEMU, DNS servers, other shells); --lint installs
# what `make lint` needs besides: clang-format and clang-tidy. --bench is --demo and iperf3; --peers is iperf3 and the
# tunnels that `make bench` measures beside ours, none of which is started, now or at boot.

set -u
LC_ALL=C
export LC_ALL
PATH=$PATH:/usr/sbin:/sbin

lint=
demo=
bench=
peers=
case ${1-} in
  '') ;;
  --demo) demo=yes ;;
  --lint) lint=yes ;;
  --bench) demo=yes bench=iperf3 ;;
  --peers) peers=yes ;;
  *)
    echo "usage: sh tools/deps.sh [--demo | --lint | --bench | --peers]" >&2
    exit 2
    ;;
esac

as_root=
if [ "$(id -u)" -ne 0 ]; then as_root=sudo; fi

give_up() {
  echo "deps: $1" >&2
  exit 1
}

# The words of package names are split on purpose everywhere below.
# shellcheck disable=SC2086
install_with() { # packages, then the command
  install_packages=$1
  shift
  [ -n "$install_packages" ] || return 0
  if [ -n "$as_root" ] && ! command -v sudo >/dev/null; then
    give_up "missing:$install_packages. Install them as root: $* $install_packages"
  fi
  echo "deps: installing$install_packages ($as_root${as_root:+ }$*)"
  $as_root "$@" $install_packages
}

# ---- Debian, Ubuntu -------------------------------------------------------------------------------------------

deb_has() {
  [ "$(dpkg-query -W -f '${db:Status-Abbrev}' "$1" 2>/dev/null | cut -c 1-2)" = ii ]
}

# Boost's headers have their version in the package's name. Ours needs 1.81 or later.
boost_is_there() {
  for boost_header in /usr/include/boost/version.hpp /usr/local/include/boost/version.hpp; do
    [ -r "$boost_header" ] || continue
    boost_version=$(sed -n 's/^#define BOOST_VERSION \([0-9]*\).*/\1/p' "$boost_header")
    [ "${boost_version:-0}" -ge 108100 ] && return 0
  done
  return 1
}

deb_boost() {
  for deb_version in 1.81 1.83 1.84 1.85 1.86 1.87 1.88 1.89 1.90; do
    if [ -n "$(apt-cache madison "libboost$deb_version-dev" 2>/dev/null)" ]; then
      echo "libboost$deb_version-dev"
      return
    fi
  done
  echo libboost-dev
}

# First of the packages that is installed, or that the archive has; else the first.
deb_one_of() {
  for deb_name in "$@"; do
    if deb_has "$deb_name"; then
      echo "$deb_name"
      return
    fi
  done
  for deb_name in "$@"; do
    if [ -n "$(apt-cache madison "$deb_name" 2>/dev/null)" ]; then
      echo "$deb_name"
      return
    fi
  done
  echo "$1"
}

deb_missing() {
  missing=
  for package in $deb_packages; do
    deb_has "$package" || missing="$missing $package"
  done
  [ -n "$lint$peers" ] || boost_is_there || missing="$missing $(deb_boost)"
  # The AT&T shell has two names. mksh may be /bin/ksh, but is another shell.
  [ -n "$lint$demo$peers" ] || deb_has ksh93u+m || deb_has ksh || missing="$missing $(deb_one_of ksh93u+m ksh)"
}

apt_update() {
  echo "deps: fetching the package lists ($as_root${as_root:+ }apt-get update)"
  $as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq update || echo "deps: apt-get update failed, going on" >&2
}

# babeld, DNS servers, radvd and the benches' peers are for sixlink and for tests in namespaces, which start their own: this machine is
# not to serve with them.
start_no_services() {
  policy=/usr/sbin/policy-rc.d
  if [ -e "$policy" ] || [ -n "$lint" ]; then return 0; fi
  # shellcheck disable=SC2016 # for the inner shell
  $as_root sh -c 'printf "#!/bin/sh\nexit 101\n" >"$0" && chmod 755 "$0"' "$policy" || return 0
  trap '$as_root rm -f "$policy"' EXIT
  trap 'exit 130' INT TERM
}

# policy-rc.d is for now; this is for the next boot. Only what was not there before: an administrator's own service stays.
enable_no_services() {
  command -v systemctl >/dev/null || return 0
  for package in $new_packages; do
    dpkg-query -L "$package" 2>/dev/null | sed -n 's|^/lib/systemd/system/\([^/@]*[.]service\)$|\1|p' | while read -r unit; do
      $as_root systemctl --quiet disable "$unit" 2>/dev/null || true
    done
  done
}

install_deb() {
  deb_packages="g++ make libtinyxml2-dev libspdlog-dev libsqlite3-dev libssl-dev libcurl4-openssl-dev libpq-dev libqrencode-dev libminiupnpc-dev
    iproute2 iputils-ping nftables babeld curl python3 openssl procps util-linux"
  if [ -z "$demo" ]; then
    deb_packages="$deb_packages doctest-dev tcpdump mandoc shellcheck busybox mksh
      qemu-system-x86 e2fsprogs iperf3 radvd ndisc6 iptables miniupnpd-nftables binutils bind9 bind9-dnsutils knot wireguard-go wireguard-tools
      python3-aiosmtpd postgresql"
  fi
  deb_packages="$deb_packages $bench"
  if [ -n "$lint" ]; then deb_packages="clang-format clang-tidy mandoc shellcheck"; fi
  if [ -n "$peers" ]; then deb_packages="iperf3 wireguard-go wireguard-tools openvpn tinc fastd yggdrasil"; fi
  deb_missing
  [ -n "$missing" ] || return 0
  # Without lists the archive knows no package at all.
  if [ -z "$(apt-cache madison make 2>/dev/null)" ]; then
    [ -z "$as_root" ] || command -v sudo >/dev/null || give_up "missing:$missing. Run as root: apt-get update, and sh tools/deps.sh"
    apt_update
    deb_missing
  fi
  if [ -z "$as_root" ] || command -v sudo >/dev/null; then start_no_services; fi
  new_packages=$missing
  install_with "$missing" env DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o DPkg::Lock::Timeout=300 --no-install-recommends install && {
    [ -n "$lint" ] || enable_no_services
    return 0
  }
  # Old lists name files that the archive no longer has.
  apt_update
  deb_missing
  install_with "$missing" env DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o DPkg::Lock::Timeout=300 --no-install-recommends install ||
    give_up "could not install$missing: apt-get says why above"
  [ -n "$lint" ] || enable_no_services
  boost_is_there || [ -n "$lint$peers" ] ||
    give_up "the archive's Boost is older than 1.81: install Boost 1.81 or later, or use Debian 12, Ubuntu 24.04 or newer"
}

# ---- others, best effort ----------------------------------------------------------------------------------------

install_rpm() {
  rpm_packages="gcc-c++ make boost-devel tinyxml2-devel spdlog-devel fmt-devel sqlite-devel openssl-devel libcurl-devel libpq-devel qrencode-devel miniupnpc-devel doctest-devel
    iproute iputils nftables babeld curl tcpdump python3 mandoc ShellCheck busybox mksh ksh openssl procps-ng util-linux
    qemu-system-x86-core e2fsprogs iperf3 radvd ndisc6 iptables-nft bind bind-utils knot wireguard-tools python3-aiosmtpd postgresql-server"
  rpm_packages="$rpm_packages $bench"
  if [ -n "$lint" ]; then rpm_packages="clang-tools-extra mandoc ShellCheck"; fi
  if [ -n "$peers" ]; then rpm_packages="iperf3 wireguard-tools openvpn tinc fastd yggdrasil"; fi
  missing=
  for package in $rpm_packages; do
    rpm -q --whatprovides "$package" >/dev/null 2>&1 || missing="$missing $package"
  done
  install_with "$missing" dnf -q -y install
}

install_apk() {
  apk_packages="g++ make linux-headers boost-dev tinyxml2-dev spdlog-dev fmt-dev sqlite-dev openssl-dev curl-dev libpq-dev libqrencode-dev miniupnpc-dev doctest-dev bash
    iproute2 iputils nftables babeld curl tcpdump python3 mandoc shellcheck busybox mksh loksh openssl procps util-linux coreutils
    qemu-system-x86_64 e2fsprogs iperf3 radvd ndisc6 iptables miniupnpd-nftables bind bind-tools knot wireguard-go wireguard-tools py3-aiosmtpd postgresql"
  apk_packages="$apk_packages $bench"
  if [ -n "$lint" ]; then apk_packages="clang-extra-tools mandoc shellcheck"; fi
  if [ -n "$peers" ]; then apk_packages="iperf3 wireguard-go wireguard-tools openvpn tinc fastd yggdrasil"; fi
  missing=
  for package in $apk_packages; do
    apk -q info -e "$package" || missing="$missing $package"
  done
  install_with "$missing" apk add -q
}

install_pacman() {
  pacman_packages="gcc make boost tinyxml2 spdlog fmt sqlite openssl postgresql-libs qrencode miniupnpc doctest iproute2 iputils nftables babeld curl tcpdump python
    mandoc shellcheck busybox mksh ksh procps-ng util-linux qemu-system-x86 e2fsprogs iperf3 radvd ndisc6 iptables bind knot wireguard-tools postgresql"
  pacman_packages="$pacman_packages $bench"
  if [ -n "$lint" ]; then pacman_packages="clang mandoc shellcheck"; fi
  if [ -n "$peers" ]; then pacman_packages="iperf3 wireguard-tools openvpn tinc yggdrasil"; fi
  missing=
  for package in $pacman_packages; do
    pacman -Qq "$package" >/dev/null 2>&1 || missing="$missing $package"
  done
  install_with "$missing" pacman -S --noconfirm --needed
}

# Of the BSDs and macOS only what the build and the unit tests need: the scenarios want Linux's network namespaces.
install_freebsd() {
  missing=
  for package in gmake bash boost-libs tinyxml2 spdlog libfmt sqlite3 curl miniupnpc postgresql15-client doctest; do
    pkg info -e "$package" || missing="$missing $package"
  done
  install_with "$missing" pkg install -q -y
}

install_pkgsrc() {
  missing=
  for package in gmake bash boost-headers tinyxml2 spdlog fmtlib sqlite3 curl miniupnpc postgresql15-client doctest; do
    pkg_info -q -e "$package" >/dev/null || missing="$missing $package"
  done
  install_with "$missing" pkgin -y install
}

# Of several versions pkg_add -I takes none and says so. libcrypto is LibreSSL there, which is not enough.
install_openbsd() {
  missing=
  for package in gmake bash boost tinyxml2 spdlog sqlite3 curl miniupnpc postgresql-client; do
    pkg_info -q -e "$package-*" >/dev/null || missing="$missing $package"
  done
  install_with "$missing" pkg_add -I &&
    echo "deps: install OpenSSL 3 (the package openssl) and doctest's header by hand; tell make where with CXXFLAGS and LDFLAGS" >&2
}

# Homebrew installs for the user, not for root.
install_brew() {
  missing=
  for package in make bash boost tinyxml2 spdlog fmt sqlite openssl@3 curl libpq qrencode miniupnpc doctest; do
    brew list --versions "$package" >/dev/null || missing="$missing $package"
  done
  as_root=
  install_with "$missing" brew install -q
}

# ---- main -----------------------------------------------------------------------------------------------------

hand_made="Install by hand: a C++20 compiler, make, Boost 1.81 or later, tinyxml2, spdlog with fmt, SQLite 3, OpenSSL 3, libcurl for OpenSSL, libpq, libminiupnpc, doctest,
iproute2, ping, nftables, babeld, curl, tcpdump, python3, mandoc, shellcheck, busybox, mksh, ksh, qemu-system-x86_64, e2fsprogs, iperf3, radvd, rdisc6, iptables"

if command -v apt-get >/dev/null; then
  install_deb
elif command -v dnf >/dev/null; then
  install_rpm || give_up "dnf could not install everything. $hand_made"
elif command -v apk >/dev/null; then
  install_apk || give_up "apk could not install everything. $hand_made"
elif command -v pacman >/dev/null; then
  install_pacman || give_up "pacman could not install everything. $hand_made"
elif [ "$(uname -s)" = FreeBSD ]; then
  install_freebsd || give_up "pkg could not install everything. $hand_made"
elif [ "$(uname -s)" = OpenBSD ]; then
  install_openbsd || give_up "pkg_add could not install everything. $hand_made"
elif command -v pkgin >/dev/null; then
  install_pkgsrc || give_up "pkgin could not install everything. $hand_made"
elif command -v brew >/dev/null; then
  install_brew || give_up "brew could not install everything. $hand_made"
else
  give_up "this system's package manager is not known. $hand_made"
fi
