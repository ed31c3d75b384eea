#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# For the tests of template/linux.sh: a network namespace a case, environments, stand-ins, and the loop over all cases
# and shells. A test sources this file, defines functions case_NAME, and ends with `run_cases "$@"`.
#
#     router (fe80::1, 192.0.2.1)  up1 ---- up0  2001:db8:1::10/64, 192.0.2.10/24, native default routes
#                                           tun0 the daemon's interface, which it has opened already
#     with make_home:  LAN host  lan0 ---- home0
#                                lan1 ---- home1
#
# For all cases: bash tests/template/linux_test.sh; for one under one shell: ... linux_test.sh --case NAME SHELL

set -u
export LC_ALL=C
PATH=$PATH:/usr/sbin:/sbin
self=$(realpath "$0")
root=$(realpath "$(dirname "$0")/../..")
template=$root/template/linux.sh
shells=(dash bash "busybox sh" mksh ksh)
real_ip=$(command -v ip)

# ---- the namespace ------------------------------------------------------------------------------------------------

make_network() {
  ip link set lo up
  ip link add up0 type veth peer name up1
  ip link set up0 addrgenmode none
  ip link set up1 addrgenmode none
  echo 0 >/proc/sys/net/ipv6/conf/up1/accept_ra
  ip link set up0 up
  ip link set up1 up
  ip -6 addr add fe80::10/64 dev up0 nodad
  ip -6 addr add fe80::1/64 dev up1 nodad
  ip -6 addr add 2001:db8:1::10/64 dev up0 nodad
  ip addr add 192.0.2.10/24 dev up0
  ip route add default via 192.0.2.1
  ip -6 route add default via fe80::1 dev up0 metric 1024
  ip tuntap add mode tun dev tun0
  wait_for_local_routes "fe80::10 dev up0" "fe80::1 dev up1" "2001:db8:1::10 dev up0"
}

# The kernel makes an address's own route later, in a work queue of its own: a snapshot in between is none of a quiet network.
wait_for_local_routes() { # "ADDRESS dev IF"...
  local address tries
  for address in "$@"; do
    for ((tries = 0; tries < 200; ++tries)); do
      ip -6 route show table local | grep -q "^local $address " && break
      sleep 0.01
    done
  done
}

# The home network: two cables, each with a host at its end, both in a namespace of their own. home0 has an address of
# its own already.
make_home() {
  local index
  unshare -n sleep 600 </dev/null >/dev/null 2>&1 &
  lan=$!
  echo "$lan" >"$work/lan"
  until [ "$(readlink "/proc/$lan/ns/net")" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.01; done
  for index in 0 1; do
    ip link add "home$index" type veth peer name "lan$index"
    ip link set "lan$index" netns "$lan"
    ip link set "home$index" addrgenmode none
    ip link set "home$index" up
    ip -6 addr add "fe80::a$index/64" dev "home$index" nodad
    in_lan sh -c "echo 0 >/proc/sys/net/ipv6/conf/lan$index/accept_dad"
    in_lan ip link set "lan$index" up
  done
  ip -6 addr add 2001:db8:33::1/64 dev home0 nodad
  ip addr add 198.18.0.1/24 dev home0
  wait_for_local_routes "fe80::a0 dev home0" "fe80::a1 dev home1" "2001:db8:33::1 dev home0"
}

in_lan() { nsenter -t "$lan" -n -- "$@"; }

within() { # SECONDS COMMAND...
  local deadline=$((SECONDS + $1))
  shift
  until "$@"; do
    [ "$SECONDS" -lt "$deadline" ] || return 1
    sleep 0.1
  done
}

# All that a template may touch, as text.
snapshot() {
  ip -6 -o addr show
  ip -4 -o addr show
  ip -6 route show table all | sort
  ip -4 route show table all | sort
  ip -d -o link show | grep -o -e '^[0-9]*: [a-z0-9@]*' -e '[<,]UP[,>]' -e 'mtu [0-9]*' -e 'addrgenmode [a-z0-9]*'
  grep -r . /proc/sys/net/ipv6/conf/*/{forwarding,accept_ra,disable_ipv6} /proc/sys/net/ipv4/ip_forward \
    /proc/sys/net/ipv4/conf/*/{forwarding,accept_redirects,rp_filter}
  nft list ruleset
  radvd_pids
  find "$work/state" "$work/stand-in" -type f
}

clean_snapshot() {
  snapshot 2>/dev/null | sed -E 's/ expires -?[0-9]+sec//; s/valid_lft [0-9]+sec preferred_lft [0-9]+sec//; s/ linkdown//'
}

# The processes of radvd of this case; a zombie has no arguments.
radvd_pids() {
  local file
  grep -lx radvd /proc/[0-9]*/comm 2>/dev/null | while read -r file; do
    if { tr '\0' '\n' <"${file%comm}cmdline"; } 2>/dev/null | grep -qF "$work/state/"; then basename "${file%/comm}"; fi
  done
}

# ---- environments -------------------------------------------------------------------------------------------------

host_environment() {
  export TSP_OPERATION=TSP_TUNNEL_CREATION TSP_VERBOSE=0 TSP_HOME_DIR=/nonexistent
  export TSP_TUNNEL_MODE=v6udpv4 TSP_HOST_TYPE=host TSP_TUNNEL_INTERFACE=tun0
  export TSP_CLIENT_ADDRESS_IPV4=192.0.2.10 TSP_CLIENT_ADDRESS_IPV6=2001:db8:f:f::2
  export TSP_SERVER_ADDRESS_IPV4=198.51.100.1 TSP_SERVER_ADDRESS_IPV6=2001:db8:f:f::1
  export TSP_TUNNEL_PREFIXLEN=128
  export SIXLINK_INTERFACE_KIND=tun SIXLINK_MTU=1280 SIXLINK_RECORD=$work/run/tun0.record
  export SIXLINK_STATE_DIR=$work/state
}

broker_environment() {
  host_environment
  export TSP_HOST_TYPE=broker TSP_SERVER_ADDRESS_IPV6=2001:db8:42::1 TSP_PREFIX=2001:db8:42 TSP_PREFIXLEN=48
}

# The environment in which a host does all that it can do.
full_host_environment() {
  host_environment
  export TSP_PREFIX=2001:0db8:00aa:bb00 TSP_PREFIXLEN=56
  export SIXLINK_DEFAULT_ROUTE=yes SIXLINK_OUTER_SERVER=2001:db8:99::1
}

# Mode, kind and host type as asked for, everything else as it belongs to them.
environment_of() { # MODE KIND HOST-TYPE
  host_environment
  unset SIXLINK_DEFAULT_ROUTE SIXLINK_OUTER_SERVER TSP_PREFIX TSP_PREFIXLEN SIXLINK_HOME_INTERFACES SIXLINK_MSS_CLAMP
  export TSP_TUNNEL_MODE=$1 SIXLINK_INTERFACE_KIND=$2 TSP_HOST_TYPE=$3
  export SIXLINK_OUTER_CLIENT=192.0.2.10 SIXLINK_OUTER_SERVER=198.51.100.1
  if [ "$1" = v4v6 ]; then
    export SIXLINK_OUTER_CLIENT=2001:db8:1::10 SIXLINK_OUTER_SERVER=2001:db8:99::1
    export TSP_CLIENT_ADDRESS_IPV6=2001:db8:1::10 TSP_SERVER_ADDRESS_IPV6=2001:db8:99::1
    export TSP_CLIENT_ADDRESS_IPV4=203.0.113.2 TSP_SERVER_ADDRESS_IPV4=203.0.113.1 TSP_TUNNEL_PREFIXLEN=32
  fi
  if [ "$1" = wireguard ]; then
    export TSP_CLIENT_ADDRESS_IPV4=203.0.113.2 TSP_SERVER_ADDRESS_IPV4=203.0.113.1
    export SIXLINK_ALLOWED="::/0 0.0.0.0/0" SIXLINK_WIREGUARD_CONF=$work/state/six0.wireguard.conf
    # The daemon's, and gone when the template has ended: no part of what is compared.
    mkdir -p "$work/state"
    printf '[Interface]\nPrivateKey = dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo=\n' >"$SIXLINK_WIREGUARD_CONF"
  fi
  if [ "$2" = kernel ]; then
    export TSP_TUNNEL_INTERFACE=six0 SIXLINK_MSS_CLAMP=yes
    export SIXLINK_OUTER_CLIENT_PORT=40000 SIXLINK_OUTER_SERVER_PORT=3653
  fi
  [ "$3" = router ] || return 0
  if [ "$1" = v4v6 ]; then
    export TSP_PREFIX=203.0.113.8 TSP_PREFIXLEN=29 TSP_HOME_INTERFACE=home0
  else
    export TSP_PREFIX=2001:0db8:00aa:bb00 TSP_PREFIXLEN=60 TSP_HOME_INTERFACE=home0 SIXLINK_HOME_INTERFACES="home0 home1"
    export SIXLINK_DNS_SERVERS=2001:db8:53::53
  fi
}

# For one of two environments the interface is up before: taking it down must not be what removes the rest.
bring_up_first() {
  ip link set tun0 down
  [ "$TSP_HOST_TYPE" = host ] || return 0
  ip link set tun0 up
  # With the first address the kernel makes its multicast route, and keeps it.
  ip -6 addr add 2001:db8:5::1/128 dev tun0
  ip -6 addr del 2001:db8:5::1/128 dev tun0
}

# ---- running it ---------------------------------------------------------------------------------------------------

# Runs the template; its output goes to $work/out and $work/err, its status to $status.
template() {
  status=0
  # shellcheck disable=SC2086  # "busybox sh" is two words
  $shell "$template" "$@" >"$work/out" 2>"$work/err" || status=$?
}

create() {
  TSP_OPERATION=TSP_TUNNEL_CREATION template "$@"
}

teardown() {
  TSP_OPERATION=TSP_TUNNEL_TEARDOWN template "$@"
}

fail() {
  echo "$1" >>"$work/reason"
  if [ -s "$work/err" ]; then sed 's/^/  stderr: /' "$work/err" >&2; fi
  exit 1
}

# Ends the case without a verdict.
skip() {
  echo "$1" >"$work/skip"
  exit 0
}

expect_status() {
  [ "$status" -eq "$1" ] || fail "exit status $status instead of $1 ($2): $(cat "$work/err")"
}

expect_same() { # what before after
  if [ "$2" != "$3" ]; then
    diff <(echo "$2") <(echo "$3") >&2
    fail "$1: $(diff <(echo "$2") <(echo "$3") | grep '^[<>]' | head -n 3 | tr '\n' ' ')"
  fi
}

expect_way() { # destination device [from]
  local way
  way=$(ip -6 route get "$1" ${3+from "$3"} 2>&1)
  case $way in
    *" dev $2 "*) ;;
    *) fail "packets to $1 do not leave through $2: $way" ;;
  esac
}

expect_way4() { # destination device
  local way
  way=$(ip -4 route get "$1" 2>&1)
  case $way in
    *" dev $2 "*) ;;
    *) fail "packets to $1 do not leave through $2: $way" ;;
  esac
}

expect_no_way() {
  if ip -6 route get "$1" >/dev/null 2>&1; then fail "there is a way to $1: $(ip -6 route get "$1")"; fi
}

expect_error() { # text
  grep -qF -- "$1" "$work/err" || fail "stderr does not say '$1': $(cat "$work/err")"
}

expect_quiet() {
  [ ! -s "$work/err" ] || fail "it complains: $(cat "$work/err")"
}

expect_no_record() {
  [ ! -e "$SIXLINK_RECORD" ] || fail "the record is still there: $(cat "$SIXLINK_RECORD")"
}

# ---- stand-ins ----------------------------------------------------------------------------------------------------

# A directory for PATH in which the n-th call of the programs, ip unless others are named, fails, or kills the template
# before or after it. Where kernel_ip was called ip is that one.
stand_in() { # fail|kill-before|kill-after n [program...]
  local when=$1 n=$2 program real
  shift 2
  [ $# -gt 0 ] || set -- ip
  mkdir -p "$work/bin"
  rm -f "$work/calls"
  for program in "$@"; do
    real=$(command -v "$program")
    if [ "$program" = ip ] && [ -e "$work/kernel/ip" ]; then real=$work/kernel/ip; fi
    if [ "$program" = wg ] && [ -e "$work/kernel/wg" ]; then real=$work/kernel/wg; fi
    if [ "$program" = modprobe ] && [ -e "$work/kernel/modprobe" ]; then real=$work/kernel/modprobe; fi
    [ -n "$real" ] || continue
    cat >"$work/bin/$program" <<END
#!/bin/sh
echo "$program \$*" >>'$work/calls'
if [ "\$(wc -l <'$work/calls')" -eq $n ]; then
  case $when in
    fail) printf 'RTNETLINK answers: injected\nsecond line\n' >&2; exit 2 ;;
    kill-before) kill -9 "\$(cat '$work/pid')"; exit 2 ;;
    kill-after) '$real' "\$@"; kill -9 "\$(cat '$work/pid')"; exit 2 ;;
  esac
fi
exec '$real' "\$@"
END
    chmod +x "$work/bin/$program"
  done
}

create_with_stand_in() {
  status=0
  # Without the message of bash that a child was killed.
  {
    # shellcheck disable=SC2016,SC2086  # for the inner shell; "busybox sh" is two words
    PATH=$work/bin:$PATH sh -c 'echo $$ >"$1"; shift; exec "$@"' sh "$work/pid" $shell "$template" \
      >"$work/out" 2>"$work/err" || status=$?
  } 2>/dev/null
}

# An ip, and a modprobe, of a kernel that has sit, ip6tnl and FOU, in front of the real ones. The new interface is a TUN
# in truth, so that all else about it is the real kernel's. It takes the arguments of ip-link(8) and ip-fou(8), no others.
kernel_ip() {
  mkdir -p "$work/kernel" "$work/stand-in"
  cat >"$work/kernel/ip" <<END
#!/bin/bash
dir='$work/stand-in' real='$real_ip'
END
  cat >>"$work/kernel/ip" <<'END'
usage() { echo "ip: stand-in: not in the manual: $*" >&2; exit 255; }
answer() { echo "RTNETLINK answers: $1" >&2; exit 2; }
is_v4() { [[ $1 =~ ^[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+$ ]]; }
is_v6() { [[ $1 == *:*:* && $1 =~ ^[0-9a-fA-F:]+$ ]]; }
case "$1 ${2-} ${3-}" in
  "link add name")
    name=$4
    [ "$5" = type ] || usage "$@"
    type=$6
    shift 6
    local= remote=
    while [ $# -gt 0 ]; do
      case $type:$1 in
        *:local) local=$2 && shift ;;
        *:remote) remote=$2 && shift ;;
        sit:ttl | ip6tnl:hoplimit) [[ $2 =~ ^[0-9]+$ ]] || usage "$@"; shift ;;
        sit:pmtudisc | *:encap-csum) ;;
        ip6tnl:mode) [ "$2" = ipip6 ] || usage "$@"; shift ;;
        ip6tnl:encaplimit) [ "$2" = none ] || usage "$@"; shift ;;
        *:encap) [ "$2" = fou ] && [ -n "$(ls -A "$dir" | grep '^fou-')" ] || answer "Invalid argument"; shift ;;
        *:encap-sport | *:encap-dport) [[ $2 =~ ^[0-9]+$ ]] || usage "$@"; shift ;;
        *) usage "$@" ;;
      esac
      shift
    done
    case $type in
      sit) is_v4 "$local" && is_v4 "$remote" || usage "$type" "$local" "$remote" ;;
      ip6tnl) is_v6 "$local" && is_v6 "$remote" || usage "$type" "$local" "$remote" ;;
      wireguard) [ -z "$local$remote" ] || usage "$type" "$local" "$remote" ;;
      *) usage "$type" ;;
    esac
    [ "$type" = wireguard ] || ! grep -qsx "$local $remote" "$dir"/tunnel-* || answer "File exists"
    "$real" tuntap add mode tun dev "$name" || answer "File exists"
    echo "$local $remote" >"$dir/tunnel-$name"
    echo "$type" >"$dir/type-$name"
    exit 0
    ;;
  "link del dev")
    rm -f "$dir/tunnel-$4" "$dir/type-$4" "$dir/conf-$4"
    exec "$real" "$@"
    ;;
  "fou show "*)
    [ -e "$dir/../fou-is-loaded" ] || { answer "No such file or directory"; }
    for file in "$dir"/fou-*; do [ -e "$file" ] && echo "port $(cat "$file") "; done
    exit 0
    ;;
  "fou add "*)
    [ -e "$dir/../fou-is-loaded" ] || answer "No such file or directory"
    [ $# = 8 ] && [ "$3 $5 $6 $7" = "port ipproto 41 local" ] && is_v4 "$8" || usage "$@"
    [ ! -e "$dir/fou-$4-$8" ] || answer "Address already in use"
    echo "$4 ipproto 41 local $8" >"$dir/fou-$4-$8"
    exit 0
    ;;
  "fou del "*)
    [ $# = 6 ] && [ "$3 $5" = "port local" ] || usage "$@"
    [ -e "$dir/fou-$4-$6" ] || answer "Invalid argument"
    rm "$dir/fou-$4-$6"
    exit 0
    ;;
esac
# Its own word for what the interface is.
for last; do :; done
if [ -e "$dir/type-$last" ] && [[ " $* " == *" link show dev "* ]]; then
  case $(cat "$dir/type-$last") in
    sit) what=link/sit ;;
    ip6tnl) what=link/tunnel6 ;;
    wireguard)
      output=$("$real" "$@") || exit
      echo "$output" | sed 's/ tun type tun / wireguard /'
      exit
      ;;
  esac
  output=$("$real" "$@") || exit
  echo "${output/link\/none /$what 0.0.0.0 }"
  exit
fi
exec "$real" "$@"
END
  cat >"$work/kernel/modprobe" <<END
#!/bin/sh
if [ "\$1" = fou ] && [ ! -e '$work/no-modules' ]; then : >'$work/fou-is-loaded'; exit 0; fi
echo "modprobe: FATAL: Module \$1 not found in directory /lib/modules" >&2
exit 1
END
  # Of wg(8) what the template uses: the file is read, and the interface is one.
  cat >"$work/kernel/wg" <<END
#!/bin/sh
case \$1:\$# in
  setconf:3 | syncconf:3) ;;
  *) echo "wg: stand-in: not in the manual: \$*" >&2; exit 255 ;;
esac
[ "\$(cat '$work/stand-in/type-'"\$2" 2>/dev/null)" = wireguard ] || { echo "Unable to modify interface: No such device" >&2; exit 1; }
grep -q '^PrivateKey = ' "\$3" || { echo "fopen: No such file or directory" >&2; exit 1; }
grep AllowedIPs "\$3" >'$work/stand-in/conf-'"\$2"
exit 0
END
  chmod +x "$work/kernel/ip" "$work/kernel/modprobe" "$work/kernel/wg"
  PATH=$work/kernel:$PATH
}

# ---- all cases ----------------------------------------------------------------------------------------------------

run_case() { # name shell
  shell=$2
  work=$(mktemp -d)
  trap 'end_case' EXIT
  lan=
  make_network || fail "cannot make the network"
  ("case_$1")
  code=$?
  if [ -s "$work/skip" ]; then
    echo "SKIP $1 ($shell): $(cat "$work/skip")"
  elif [ "$code" -eq 0 ]; then
    echo "PASS $1 ($shell)"
  else
    echo "FAIL $1 ($shell): $(tr -s '[:cntrl:]' ' ' <"$work/reason" 2>/dev/null || echo "ended with status $code")"
  fi
}

end_case() {
  local pid
  for pid in $(radvd_pids) $(cat "$work/lan" 2>/dev/null); do kill -KILL "$pid" 2>/dev/null; done
  rm -rf --one-file-system "$work"
}

# Debian's busybox-static prefers its own ip to the one in PATH.
shell_is_missing() { # shell
  # shellcheck disable=SC2086
  if ! $1 -c : 2>/dev/null; then
    echo "${1%% *} is not installed"
  elif [ "$1" = "busybox sh" ] && ! $1 -c 'ip -V' 2>/dev/null | grep -q iproute2; then
    echo "this busybox takes its own ip before the one in PATH: install another (Debian: busybox, not busybox-static)"
  fi
}

# A network of its own: a case never runs in the caller's.
in_namespace() { # case shell
  unshare -nm bash "$self" --inside "$1" "$2"
}

run_all() { # shell
  local name reason
  reason=$(shell_is_missing "$1")
  if [ -n "$reason" ]; then
    echo "SKIP $(basename "$self" .sh) ($1): $reason"
    return
  fi
  while read -r name; do
    in_namespace "$name" "$1" </dev/null
  done < <(sed -n 's/^case_\([a-z_0-9]*\)() {$/\1/p' "$self")
}

run_cases() {
  local reason index
  case ${1:-} in
    --case)
      in_namespace "$2" "$3"
      exit
      ;;
    --inside)
      run_case "$2" "$3"
      exit 0
      ;;
  esac
  if ! reason=$(unshare -nm ip tuntap add mode tun dev tun0 2>&1); then
    echo "SKIP $(basename "$self" .sh): cannot make a network namespace with a tun interface: $reason"
    exit 0
  fi
  # All shells at once: most of the time goes into waiting for processes.
  outputs=$(mktemp -d)
  trap 'rm -rf "$outputs"' EXIT
  for index in "${!shells[@]}"; do
    run_all "${shells[index]}" >"$outputs/$index" 2>&1 &
  done
  wait
  for index in "${!shells[@]}"; do cat "$outputs/$index"; done
}
