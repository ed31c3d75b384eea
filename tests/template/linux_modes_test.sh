#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# template/linux.sh: what is particular to a mode or an interface kind, under every shell. The kernel's own tunnel
# interfaces, which few test machines have, are stand-ins; what the real kernel says that lacks them is tested too.

# Arguments of the template are the exception.
# shellcheck disable=SC2119
# shellcheck source-path=SCRIPTDIR source=linux_network.sh
. "$(dirname "$0")/linux_network.sh"

# ---- IPv4 in the tunnel -----------------------------------------------------------------------------------------

case_ipv4_default_routes() {
  environment_of v4v6 tun host
  before=$(clean_snapshot)
  create
  expect_status 0 create
  expect_quiet
  ip -4 addr show dev tun0 | grep -q 'inet 203.0.113.2/32 ' || fail "the address is missing"
  ip -6 addr show dev tun0 | grep -q 'inet6' && fail "the tunnel of IPv4 has an IPv6 address"
  expect_way4 203.0.113.1 tun0
  # Backup: behind the native one, and there when it goes.
  expect_way4 198.18.7.7 up0
  ip route del default
  expect_way4 198.18.7.7 tun0
  ip route add default via 192.0.2.1
  teardown
  expect_status 0 teardown
  expect_same "teardown left a difference" "$before" "$(clean_snapshot)"
  # Better than a native one, although nothing is better than its metric 0.
  export SIXLINK_DEFAULT_ROUTE=yes
  create
  expect_status 0 "create with default_route=yes"
  expect_way4 198.18.7.7 tun0
  expect_way4 223.18.7.7 tun0
  ip -4 route show default | grep -q 'via 192.0.2.1 dev up0' || fail "the native default route is gone"
  expect_way 2001:db8:99::1 up0
  teardown
  expect_same "teardown left a difference" "$before" "$(clean_snapshot)"
  export SIXLINK_DEFAULT_ROUTE=no
  ip route del default
  before=$(clean_snapshot)
  create
  expect_status 0 "create with default_route=no"
  ip -4 route get 198.18.7.7 >/dev/null 2>&1 && fail "there is a default route"
  expect_way4 203.0.113.1 tun0
  teardown
  expect_same "teardown left a difference" "$before" "$(clean_snapshot)"
}

case_dslite() {
  environment_of v4v6 tun host
  export TSP_CLIENT_ADDRESS_IPV4=192.0.0.2 TSP_SERVER_ADDRESS_IPV4=192.0.0.1 SIXLINK_MTU=1460
  before=$(clean_snapshot)
  create
  expect_status 0 create
  ip -4 addr show dev tun0 | grep -q 'inet 192.0.0.2/32 ' || fail "the address is missing"
  expect_way4 192.0.0.1 tun0
  ip link show dev tun0 | grep -q 'mtu 1460' || fail "the MTU is not 1460"
  teardown
  expect_same "teardown left a difference" "$before" "$(clean_snapshot)"
  # Less than IPv6 can have: the tunnel has no IPv6 then, and needs none.
  SIXLINK_MTU=1000 create
  expect_status 0 "an MTU of 1000"
  teardown
  expect_status 0 teardown
  ip link set dev tun0 mtu 1500
  expect_same "teardown left a difference" "$before" "$(clean_snapshot)"
}

case_broker_with_ipv4() {
  broker_environment
  export SIXLINK_PREFIX_V4=203.0.113.0/24 SIXLINK_SERVER_V4=203.0.113.1
  before=$(clean_snapshot)
  create
  expect_status 0 create
  expect_quiet
  ip -4 addr show dev tun0 | grep -q 'inet 203.0.113.1/32 ' || fail "the IPv4 address is missing"
  expect_way4 203.0.113.77 tun0
  expect_way 2001:db8:42:9::1 tun0
  [ "$(cat /proc/sys/net/ipv4/ip_forward)" = 1 ] || fail "IPv4 forwarding is off"
  ip -4 route show default | grep -q tun0 && fail "the broker has a default route into its tunnels"
  once=$(clean_snapshot)
  create
  expect_same "the second create changed something" "$once" "$(clean_snapshot)"
  teardown
  expect_status 0 teardown
  expect_same "teardown left a difference" "$before" "$(clean_snapshot)"
  for value in 203.0.113.0 203.0.113.0/33 x/24 2001:db8::/32; do
    SIXLINK_PREFIX_V4=$value create
    expect_status 2 "SIXLINK_PREFIX_V4=$value"
    expect_error "SIXLINK_PREFIX_V4 must be an IPv4 prefix"
  done
  SIXLINK_SERVER_V4='' create
  expect_status 2 "no SIXLINK_SERVER_V4"
  expect_error "SIXLINK_SERVER_V4 is not set"
}

# ---- the kernel's own interfaces --------------------------------------------------------------------------------

need_nft() {
  nft list tables >/dev/null 2>&1 || skip "this kernel has no nftables"
}

# What the checks of inner addresses are has a case of its own.
expect_commands() { # expected commands, without the queries
  expect_same "the commands" "$1" "$(sed -n -e 's/^+ nft add table inet sixlink_filter_six0; .*/nft: checks of six0/p; t' -e 's/^+ //p' "$work/out")"
}

case_commands_of_sit() {
  need_nft
  kernel_ip
  environment_of v6v4 kernel host
  export TSP_VERBOSE=2 SIXLINK_MSS_CLAMP=no
  create
  expect_status 0 create
  expect_commands 'ip link add name six0 type sit local 192.0.2.10 remote 198.51.100.1 ttl 64 pmtudisc
nft: checks of six0
ip link set dev six0 mtu 1280
ip link set dev six0 addrgenmode none
echo 0 > /proc/sys/net/ipv6/conf/six0/accept_ra
ip link set dev six0 up
ip -6 addr add 2001:db8:f:f::2/128 dev six0 nodad
ip -6 route add 2001:db8:f:f::1/128 dev six0 metric 1024
ip -6 route add default dev six0 metric 8192'
  teardown
  expect_commands 'ip -6 route del default dev six0 metric 8192
ip -6 route del 2001:db8:f:f::1/128 dev six0 metric 1024
ip -6 addr del 2001:db8:f:f::2/128 dev six0
ip link set dev six0 down
echo 1 > /proc/sys/net/ipv6/conf/six0/accept_ra
ip link set dev six0 addrgenmode eui64
ip link set dev six0 mtu 1500
nft delete table inet sixlink_filter_six0
ip link del dev six0'
}

case_commands_of_fou() {
  need_nft
  kernel_ip
  environment_of v6udpv4 kernel host
  export TSP_VERBOSE=2 SIXLINK_MSS_CLAMP=no SIXLINK_DEFAULT_ROUTE=no
  create
  expect_status 0 create
  expect_commands 'modprobe fou
ip fou add port 40000 ipproto 41 local 192.0.2.10
ip link add name six0 type sit local 192.0.2.10 remote 198.51.100.1 ttl 64 pmtudisc encap fou encap-sport 40000 encap-dport 3653 encap-csum
nft: checks of six0
ip link set dev six0 mtu 1280
ip link set dev six0 addrgenmode none
echo 0 > /proc/sys/net/ipv6/conf/six0/accept_ra
ip link set dev six0 up
ip -6 addr add 2001:db8:f:f::2/128 dev six0 nodad
ip -6 route add 2001:db8:f:f::1/128 dev six0 metric 1024'
  grep -qx 'sixlink: loaded the kernel module fou; it stays loaded' "$work/out" || fail "it does not say that it loaded a module"
  teardown
  expect_commands 'ip -6 route del 2001:db8:f:f::1/128 dev six0 metric 1024
ip -6 addr del 2001:db8:f:f::2/128 dev six0
ip link set dev six0 down
echo 1 > /proc/sys/net/ipv6/conf/six0/accept_ra
ip link set dev six0 addrgenmode eui64
ip link set dev six0 mtu 1500
nft delete table inet sixlink_filter_six0
ip link del dev six0
ip fou del port 40000 local 192.0.2.10'
  # Loaded already: not again.
  create
  grep -q modprobe "$work/out" && fail "it loads the module again"
  teardown
  expect_status 0 teardown
}

case_commands_of_ip6tnl() {
  need_nft
  kernel_ip
  environment_of v4v6 kernel host
  export TSP_VERBOSE=2 SIXLINK_MSS_CLAMP=no SIXLINK_DEFAULT_ROUTE=yes SIXLINK_MTU=1452
  create
  expect_status 0 create
  expect_commands 'ip link add name six0 type ip6tnl mode ipip6 local 2001:db8:1::10 remote 2001:db8:99::1 hoplimit 64 encaplimit none
nft: checks of six0
ip link set dev six0 mtu 1452
ip link set dev six0 addrgenmode none
ip link set dev six0 up
ip -4 addr add 203.0.113.2/32 dev six0
ip -4 route add 203.0.113.1/32 dev six0 metric 1024
ip -4 route add 0.0.0.0/1 dev six0 metric 1024
ip -4 route add 128.0.0.0/1 dev six0 metric 1024'
  teardown
  expect_commands 'ip -4 route del 128.0.0.0/1 dev six0 metric 1024
ip -4 route del 0.0.0.0/1 dev six0 metric 1024
ip -4 route del 203.0.113.1/32 dev six0 metric 1024
ip -4 addr del 203.0.113.2/32 dev six0
ip link set dev six0 down
ip link set dev six0 addrgenmode eui64
ip link set dev six0 mtu 1500
nft delete table inet sixlink_filter_six0
ip link del dev six0'
}

case_a_kernel_without_tunnels() {
  if ip link add probe type sit local 192.0.2.10 remote 192.0.2.77 2>/dev/null; then skip "this kernel has sit"; fi
  before=$(clean_snapshot)
  for mode in v6v4 v4v6 v6udpv4; do
    for host in host router; do
      environment_of $mode kernel $host
      if [ $host = router ]; then export SIXLINK_HOME_INTERFACES=up1; fi
      create
      expect_status 3 "$mode on a kernel without such tunnels"
      expect_error "sixlink: this kernel has no "
      [ "$(wc -l <"$work/err")" = 1 ] || fail "not one line: $(cat "$work/err")"
      expect_no_record
      expect_same "$mode: something is left" "$before" "$(clean_snapshot)"
      teardown
      expect_status 0 "teardown after status 3"
    done
  done
}

case_what_kernels_say_that_cannot() {
  kernel_ip
  while IFS='|' read -r mode command code error; do
    environment_of "$mode" kernel host
    before=$(clean_snapshot)
    mkdir -p "$work/bin"
    cat >"$work/bin/ip" <<END
#!/bin/sh
case "\$*" in
  '$command'*) echo '$error' >&2; exit 2 ;;
esac
exec '$work/kernel/ip' "\$@"
END
    chmod +x "$work/bin/ip"
    PATH=$work/bin:$PATH create
    expect_status "$code" "'$command' says '$error'"
    expect_no_record
    expect_same "'$command' says '$error': something is left" "$before" "$(clean_snapshot)"
  done <<'END'
v6v4|link add|3|Error: Unknown device type.
v6v4|link add|3|RTNETLINK answers: Operation not supported
v6v4|link add|3|RTNETLINK answers: Not supported
v6v4|link add|3|RTNETLINK answers: No such device
v6v4|link add|1|RTNETLINK answers: File exists
v6v4|link add|1|RTNETLINK answers: Operation not permitted
v4v6|link add|3|RTNETLINK answers: Protocol not supported
v6udpv4|link add|3|RTNETLINK answers: Invalid argument
v6udpv4|link add|3|RTNETLINK answers: File exists
v6udpv4|fou add|3|Object "fou" is unknown, try "ip help".
v6udpv4|fou add|3|RTNETLINK answers: No such file or directory
v6udpv4|fou add|3|RTNETLINK answers: Address already in use
v6udpv4|fou add|1|RTNETLINK answers: Operation not permitted
END
  # A kernel whose module cannot be loaded.
  environment_of v6udpv4 kernel host
  rm -f "$work/fou-is-loaded"
  : >"$work/no-modules"
  create
  expect_status 3 "FOU without its module"
  expect_error "sixlink: this kernel has no FOU: ip fou add port 40000 ipproto 41 local 192.0.2.10: RTNETLINK answers: No such file or directory"
  expect_no_record
  # What the kernel's tunnels cannot have for an end.
  SIXLINK_OUTER_SERVER=2001:db8:99::1 create
  expect_status 3 "v6udpv4 over IPv6"
  environment_of v4v6 kernel host
  SIXLINK_OUTER_SERVER=fe80::1%up0 create
  expect_status 3 "a broker on the link"
  SIXLINK_OUTER_CLIENT=fe80::10%up0 create
  expect_status 3 "a link-local address of ours"
}

case_interfaces_of_others() {
  kernel_ip
  environment_of v6v4 kernel host
  before=$(clean_snapshot)
  for name in sit0 ip6tnl0 tunl0 gre0; do
    TSP_TUNNEL_INTERFACE=$name create
    expect_status 2 "$name"
    expect_error "sixlink: the interface $name is the kernel's own for what belongs to no tunnel: choose another name with if_tunnel_v6v4"
  done
  # One that is there is not taken over, and not removed.
  ip tuntap add mode tun dev six0
  before=$(clean_snapshot)
  create
  expect_status 1 "an interface of that name"
  expect_error "sixlink: there is an interface six0 already, and it is not ours: remove it, or choose another name with if_tunnel_v6v4"
  expect_no_record
  teardown
  expect_same "something was done" "$before" "$(clean_snapshot)"
  # Also where a record claims it, of which it is no tunnel.
  mkdir -p "$work/run"
  echo 'tunnel six0 sit 192.0.2.10 198.51.100.1 0 0 .' >"$SIXLINK_RECORD"
  create
  expect_status 1 "an interface of that name with a record"
  expect_same "something was done" "$before" "$(clean_snapshot)"
  echo 'tunnel six0 sit 192.0.2.10 198.51.100.1 0 0 .' >"$SIXLINK_RECORD"
  teardown
  expect_status 0 "teardown with a record that is not true"
  expect_same "something was done" "$before" "$(clean_snapshot)"
  ip link del six0
}

case_another_address() {
  kernel_ip
  environment_of v6v4 kernel host
  before=$(clean_snapshot)
  create
  expect_status 0 create
  # After a change of address the tunnel is another: the old one gives way.
  SIXLINK_OUTER_CLIENT=192.0.2.11 create
  expect_status 0 "create with another address"
  [ "$(cat "$work"/stand-in/tunnel-six0)" = "192.0.2.11 198.51.100.1" ] || fail "the tunnel has the old address"
  teardown
  expect_status 0 teardown
  expect_same "teardown left a difference" "$before" "$(clean_snapshot)"
  # From our own datapath to the kernel's, with what a crash left of the former.
  SIXLINK_INTERFACE_KIND=tun TSP_TUNNEL_INTERFACE=tun0 create
  expect_status 0 "create on a tun"
  create
  expect_status 0 "create on the kernel's interface"
  [ -z "$(ip -6 addr show dev tun0 scope global)" ] || fail "the addresses on tun0 are still there"
  teardown
  expect_same "teardown left a difference" "$before" "$(clean_snapshot)"
}

case_hostile_values_of_all_modes() {
  kernel_ip
  pwn=$work/pwn
  environment_of v6udpv4 kernel router
  make_home
  before=$(clean_snapshot)
  refuse_all v6udpv4 kernel router SIXLINK_OUTER_CLIENT SIXLINK_OUTER_CLIENT_PORT SIXLINK_OUTER_SERVER_PORT SIXLINK_HOME_INTERFACES \
    SIXLINK_DNS_SERVERS SIXLINK_STATE_DIR SIXLINK_MSS_CLAMP
  refuse_all v4v6 kernel router TSP_CLIENT_ADDRESS_IPV4 TSP_SERVER_ADDRESS_IPV4 TSP_PREFIX TSP_PREFIXLEN TSP_TUNNEL_PREFIXLEN SIXLINK_OUTER_CLIENT
  expect_same "something was done" "$before" "$(clean_snapshot)"
}

refuse_all() { # MODE KIND HOST-TYPE variable...
  local name value
  environment_of "$1" "$2" "$3"
  shift 3
  for name in "$@"; do
    for value in "x; touch $pwn" "\$(touch $pwn)" "\`touch $pwn\`" "../../../tmp/x;" "*" "-1;" "99999999999999999999" "fe80::1%;x" \
      $'\001\033[31m' "' ; touch $pwn ; '"; do
      status=0
      # shellcheck disable=SC2086
      env "$name=$value" $shell "$template" >"$work/out" 2>"$work/err" || status=$?
      # A link-local address is one that the kernel's tunnels cannot have.
      case $name:$value:$status in
        SIXLINK_OUTER_CLIENT:*%*:3) continue ;;
      esac
      # Names of interfaces too, if odd.
      case $name:$value in
        SIXLINK_HOME_INTERFACES:9*) continue ;;
      esac
      expect_status 2 "$name=$value"
      [ "$(wc -l <"$work/err")" = 1 ] || fail "$name=$value: not one line: $(cat "$work/err")"
      LC_ALL=C grep -q '[[:cntrl:]]' "$work/err" && fail "$name: control characters reach the terminal"
      [ ! -e "$pwn" ] || fail "$name=$value was executed"
    done
  done
}

# ---- inner addresses ---------------------------------------------------------------------------------------------

# Each line it reads, "passed|dropped in|out SOURCE DESTINATION", has it write a UDP packet into the kernel's end of six0, or
# has the kernel send one, and tell what became of it. The first word is what it waits for longer. The stand-in for the
# kernel's tunnel is a TUN, which is kept open: a kernel takes its time to notice that there is a reader.
# shellcheck disable=SC2034  # for the coprocess
packet_program='
import fcntl, ipaddress, os, select, socket, struct, sys, time
tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
fcntl.ioctl(tun, 0x400454CA, struct.pack("16sH22x", b"six0", 0x1001))
text, port = b"sixlink", 7777

def checksum(data):
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF

def udp_packet(source, target):
    length = 8 + len(text)
    udp = struct.pack("!4H", 4000, port, length, 0)
    pseudo = source.packed + target.packed + struct.pack("!2H", 17, length)
    udp = udp[:6] + struct.pack("!H", checksum(pseudo + udp + text + b"\0")) + text
    if source.version == 6:
        return struct.pack("!IHBB", 6 << 28, length, 17, 64) + source.packed + target.packed + udp
    header = struct.pack("!2B3H2BH", 0x45, 0, 20 + length, 1, 0, 64, 17, 0) + source.packed + target.packed
    return header[:10] + struct.pack("!H", checksum(header)) + header[12:] + udp

def comes_in(family, source, target, patience):
    with socket.socket(family, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("", port))
        os.write(tun, udp_packet(source, target))
        return bool(select.select([receiver], [], [], patience)[0])

def goes_out(family, source, target, patience):
    with socket.socket(family, socket.SOCK_DGRAM) as sender:
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"six0")
        sender.bind((str(source), 0))
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            try:
                sender.sendto(text, (str(target), port))
            except PermissionError:
                pass
            while select.select([tun], [], [], 0.1)[0]:
                if os.read(tun, 2000).endswith(text):
                    return True
    return False

for line in sys.stdin:
    wanted, direction, source, target = line.split()
    source, target = ipaddress.ip_address(source), ipaddress.ip_address(target)
    family = socket.AF_INET6 if source.version == 6 else socket.AF_INET
    passed = (comes_in if direction == "in" else goes_out)(family, source, target, 10 if wanted == "passed" else 0.2)
    print("passed" if passed else "dropped", flush=True)
'

start_packets() {
  coproc PACKETS { exec python3 -c "$packet_program" 2>"$work/err"; }
}

expect_packet() { # passed|dropped in|out SOURCE DESTINATION
  local seen=nothing
  echo "$*" >&"${PACKETS[1]}"
  read -r seen <&"${PACKETS[0]}"
  [ "$seen" = "$1" ] || fail "$2 from $3 to $4: $seen instead of $1"
}

case_inner_addresses_of_ipv6() {
  need_nft
  kernel_ip
  environment_of v6v4 kernel host
  export TSP_PREFIX=2001:0db8:00aa:bb00 TSP_PREFIXLEN=60 SIXLINK_MSS_CLAMP=no
  create
  expect_status 0 create
  # An address of the delegated prefix, and one that is not the tunnel's.
  ip -6 addr add 2001:db8:aa:bb07::7/128 dev lo nodad
  ip -6 addr add 2001:db8:77::7/128 dev lo nodad
  start_packets
  client=2001:db8:f:f::2 server=2001:db8:f:f::1 web=2001:db8:99::1
  expect_packet passed in $web $client
  expect_packet passed in $web 2001:db8:aa:bb07::7
  expect_packet dropped in $web 2001:db8:1::10
  expect_packet dropped in $web 2001:db8:77::7
  expect_packet dropped in $client $client
  expect_packet dropped in 2001:db8:aa:bb09::9 $client
  expect_packet dropped in fe80::9 $client
  expect_packet dropped in $web ff02::1
  expect_packet passed out $client $server
  expect_packet passed out 2001:db8:aa:bb07::7 $server
  expect_packet dropped out 2001:db8:1::10 $server
  expect_packet dropped out 2001:db8:77::7 $server
  expect_packet dropped out $client ff05::1
  expect_packet dropped in 198.51.100.9 192.0.2.10
  # It is these rules that do it.
  nft delete table inet sixlink_filter_six0
  expect_packet passed in $web 2001:db8:77::7
  expect_packet passed in 2001:db8:aa:bb09::9 $client
  expect_packet passed out 2001:db8:77::7 $server
  teardown
  expect_status 0 "teardown without the table"
  expect_quiet
}

case_inner_addresses_of_ipv4() {
  need_nft
  kernel_ip
  environment_of v4v6 kernel host
  export TSP_PREFIX=203.0.113.8 TSP_PREFIXLEN=29 SIXLINK_MSS_CLAMP=no
  create
  expect_status 0 create
  ip addr add 203.0.113.11/32 dev lo
  start_packets
  client=203.0.113.2 server=203.0.113.1 web=198.51.100.30
  echo 1 >/proc/sys/net/ipv4/conf/six0/accept_local
  expect_packet passed in $web $client
  expect_packet passed in $web 203.0.113.11
  expect_packet dropped in $web 192.0.2.10
  expect_packet dropped in $client $client
  expect_packet dropped in 203.0.113.12 $client
  expect_packet dropped in 169.254.0.9 $client
  expect_packet dropped in $web 224.0.0.1
  expect_packet passed out $client $server
  expect_packet passed out 203.0.113.11 $server
  expect_packet dropped out 192.0.2.10 $server
  # What is translated on its way out has the tunnel's address there.
  nft 'add table ip nat; add chain ip nat post { type nat hook postrouting priority 100; }; add rule ip nat post oifname six0 snat to 203.0.113.2'
  expect_packet passed out 192.0.2.10 $server
  nft delete table ip nat
  # It is these rules that do it.
  nft delete table inet sixlink_filter_six0
  expect_packet passed in $web 192.0.2.10
  expect_packet passed in 203.0.113.12 $client
  expect_packet passed out 192.0.2.10 $server
  teardown
  expect_status 0 "teardown without the table"
  expect_quiet
}

# A real iptables, in front of an nft that does not work.
real_iptables() { # family
  local tables=iptables
  [ "$1" = 4 ] || tables=ip6tables
  $tables -w -t mangle -S >/dev/null 2>&1 || skip "there is no $tables, or the kernel lacks what it needs"
  mkdir -p "$work/no-nft"
  printf '#!/bin/sh\nexit 1\n' >"$work/no-nft/nft"
  chmod +x "$work/no-nft/nft"
  PATH=$work/no-nft:$PATH
}

case_inner_addresses_with_ip6tables() {
  kernel_ip
  environment_of v6v4 kernel host
  export TSP_PREFIX=2001:0db8:00aa:bb00 TSP_PREFIXLEN=60 SIXLINK_MSS_CLAMP=no
  real_iptables 6
  ip6tables -w -t mangle -N mine
  rules=$(ip6tables -w -t mangle -S)
  create
  expect_status 0 create
  expect_quiet
  once=$(ip6tables -w -t mangle -S)
  start_packets
  client=2001:db8:f:f::2 server=2001:db8:f:f::1 web=2001:db8:99::1
  expect_packet passed in $web $client
  expect_packet dropped in $web 2001:db8:1::10
  expect_packet dropped in 2001:db8:aa:bb09::9 $client
  expect_packet dropped in fe80::9 $client
  expect_packet passed out $client $server
  expect_packet dropped out 2001:db8:1::10 $server
  expect_packet dropped out $client ff05::1
  create
  expect_status 0 "second create"
  expect_same "the second create changed the rules" "$once" "$(ip6tables -w -t mangle -S)"
  teardown
  expect_status 0 teardown
  expect_quiet
  expect_same "teardown left rules" "$rules" "$(ip6tables -w -t mangle -S)"
  teardown
  expect_status 0 "second teardown"
}

case_inner_addresses_with_iptables() {
  kernel_ip
  environment_of v4v6 kernel host
  export SIXLINK_MSS_CLAMP=no
  real_iptables 4
  rules=$(iptables -w -t mangle -S)
  create
  expect_status 0 create
  expect_quiet
  start_packets
  expect_packet passed in 198.51.100.30 203.0.113.2
  expect_packet dropped in 198.51.100.30 192.0.2.10
  expect_packet dropped in 203.0.113.2 203.0.113.2
  # It may be translated yet.
  expect_packet passed out 192.0.2.10 203.0.113.1
  teardown
  expect_status 0 teardown
  expect_same "teardown left rules" "$rules" "$(iptables -w -t mangle -S)"
}

case_inner_addresses_with_nothing() {
  kernel_ip
  environment_of v6v4 kernel host
  export SIXLINK_MSS_CLAMP=no
  mkdir -p "$work/broken"
  for name in nft iptables ip6tables; do
    printf '#!/bin/sh\necho "Protocol not supported" >&2\nexit 1\n' >"$work/broken/$name"
    chmod +x "$work/broken/$name"
  done
  before=$(clean_snapshot)
  PATH=$work/broken:$PATH create
  expect_status 0 create
  expect_quiet
  [ "$(grep -c '^sixlink: warning: neither nft nor ip6tables can check the addresses' "$work/out")" = 1 ] || fail "not one warning: $(cat "$work/out")"
  PATH=$work/broken:$PATH teardown
  expect_status 0 teardown
  expect_same "teardown left a difference" "$before" "$(clean_snapshot)"
}

# ---- MSS ------------------------------------------------------------------------------------------------------

case_mss_with_nft() {
  need_nft
  environment_of v6udpv4 tun host
  export SIXLINK_MSS_CLAMP=yes SIXLINK_MTU=1400
  nft 'add table inet mine; add chain inet mine c'
  before=$(clean_snapshot)
  create
  expect_status 0 create
  expect_same "the rules" 'table inet sixlink_tun0 {
	chain forward {
		type filter hook forward priority mangle; policy accept;
		oifname "tun0" meta nfproto ipv6 tcp flags syn tcp option maxseg size set rt mtu
		iifname "tun0" meta nfproto ipv6 tcp flags syn tcp option maxseg size > 1340 tcp option maxseg size set 1340
	}

	chain output {
		type filter hook output priority mangle; policy accept;
		oifname "tun0" meta nfproto ipv6 tcp flags syn tcp option maxseg size set rt mtu
	}

	chain input {
		type filter hook input priority mangle; policy accept;
		iifname "tun0" meta nfproto ipv6 tcp flags syn tcp option maxseg size > 1340 tcp option maxseg size set 1340
	}
}' "$(nft list table inet sixlink_tun0)"
  create
  expect_status 0 "second create"
  [ "$(nft list table inet sixlink_tun0 | grep -c oifname)" = 2 ] || fail "the second create doubled the rules"
  # Another MTU: other rules, not more.
  SIXLINK_MTU=1300 create
  [ "$(nft list table inet sixlink_tun0 | grep -c 'size > 1240 ')" = 2 ] || fail "the rules have not the new MTU"
  [ "$(nft list table inet sixlink_tun0 | grep -c 'size > 1340 ')" = 0 ] || fail "the rules have the old MTU still"
  teardown
  expect_status 0 teardown
  ip link set tun0 mtu 1500
  expect_same "teardown left a difference" "$before" "$(clean_snapshot)"
  environment_of v4v6 tun host
  export SIXLINK_MSS_CLAMP=yes SIXLINK_MTU=1400
  create
  nft list table inet sixlink_tun0 | grep -q 'meta nfproto ipv4 .* > 1360 .* set 1360' || fail "not IPv4's headers: $(nft list ruleset)"
  # Someone has removed the table.
  nft delete table inet sixlink_tun0
  teardown
  expect_status 0 "teardown without the table"
  expect_quiet
}

# iptables that takes what iptables-extensions(8) has of it, and keeps its rules in a file.
fake_iptables() {
  local name
  mkdir -p "$work/tables"
  for name in iptables ip6tables; do
    cat >"$work/tables/$name" <<END
#!/bin/bash
rules='$work/stand-in/$name'
END
    cat >>"$work/tables/$name" <<'END'
touch "$rules"
bad() { echo "$0: Bad argument: $*" >&2; exit 2; }
[ "$1 $2 $3" = "-w -t mangle" ] || bad "$@"
shift 3
action=$1
shift
text="$*"
if [ "$action" = -S ]; then cat "$rules"; exit 0; fi
[[ $text =~ ^(FORWARD|INPUT)\ -i\ [a-z0-9]+\ -p\ tcp\ --tcp-flags\ SYN,RST\ SYN\ -j\ TCPMSS\ --set-mss\ [0-9]+$ ||
  $text =~ ^(FORWARD|OUTPUT)\ -o\ [a-z0-9]+\ -p\ tcp\ --tcp-flags\ SYN,RST\ SYN\ -j\ TCPMSS\ --clamp-mss-to-pmtu$ ]] || bad "$text"
case $action in
  -A) echo "$text" >>"$rules" ;;
  -C) grep -qxF -e "$text" "$rules" || { echo "iptables: Bad rule (does a matching rule exist in that chain?)." >&2; exit 1; } ;;
  -D)
    grep -qxF -e "$text" "$rules" || { echo "iptables: Bad rule (does a matching rule exist in that chain?)." >&2; exit 1; }
    awk -v rule="$text" '$0 == rule && !done { done = 1; next } { print }' "$rules" >"$rules.new"
    mv "$rules.new" "$rules"
    ;;
  *) bad "$action" ;;
esac
END
  done
  cat >"$work/tables/nft" <<'END'
#!/bin/sh
echo "netlink: Error: cache initialization failed: Protocol not supported" >&2
exit 1
END
  mkdir -p "$work/stand-in"
  chmod +x "$work/tables"/*
}

case_mss_with_iptables() {
  environment_of v6udpv4 tun host
  export SIXLINK_MSS_CLAMP=yes SIXLINK_MTU=1400
  fake_iptables
  before=$(clean_snapshot)
  PATH=$work/tables:$PATH create
  expect_status 0 create
  expect_same "the rules" 'FORWARD -o tun0 -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu
OUTPUT -o tun0 -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu
FORWARD -i tun0 -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --set-mss 1340
INPUT -i tun0 -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --set-mss 1340' "$(cat "$work/stand-in/ip6tables")"
  PATH=$work/tables:$PATH create
  [ "$(wc -l <"$work/stand-in/ip6tables")" = 4 ] || fail "the second create doubled the rules"
  PATH=$work/tables:$PATH teardown
  expect_status 0 teardown
  [ ! -s "$work/stand-in/ip6tables" ] || fail "rules are left: $(cat "$work/stand-in/ip6tables")"
  rm -f "$work/stand-in/"*
  expect_same "teardown left a difference" "$before" "$(clean_snapshot)"
}

case_mss_with_nothing() {
  environment_of v6udpv4 tun host
  export SIXLINK_MSS_CLAMP=yes
  fake_iptables
  for name in iptables ip6tables; do cp "$work/tables/nft" "$work/tables/$name"; done
  before=$(clean_snapshot)
  PATH=$work/tables:$PATH create
  expect_status 0 create
  expect_quiet
  [ "$(grep -c '^sixlink: warning: neither nft nor ip6tables can clamp the MSS' "$work/out")" = 1 ] || fail "not one warning: $(cat "$work/out")"
  PATH=$work/tables:$PATH teardown
  expect_status 0 teardown
  expect_same "teardown left a difference" "$before" "$(clean_snapshot)"
}

run_cases "$@"
