# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# A network under the mesh, made of namespaces: nodes behind NATs of every kind, on IPv6 alone, where UDP is blocked, on a common LAN.
# Sourced by scenarios, the bench and the demo; builds on ../net/lib.sh, which has the checks, processes and cleaning up.
#
#                                 backbone: a router, every cable its own network
#                    198.51.100.1 and fe80::1, for everybody; faults are injected here
#      |                 |                |                    |                    |                  |
#   registry          public             v6                 routerN              routerN            routerS
#  198.51.100.10     198.51.100.N     2001:db8:ff:N::2   (NAT, 198.51.100.N)   (UDP blocked)     (NAT of a LAN)
#  2001:db8:ff:a::2  2001:db8:ff:N::2  no IPv4             |                    |                 |         |
#                                                        node 192.0.2.2       node 192.0.2.2    node .2   node .3
#
# Each NAT has the same 192.0.2.0/24 behind it, as homes have. Kinds of NAT, in the words of RFC 4787:
#
#   full-cone           endpoint-independent mapping and filtering
#   address-restricted  endpoint-independent mapping, address-dependent filtering
#   port-restricted     endpoint-independent mapping, address- and port-dependent filtering
#   symmetric           address- and port-dependent mapping and filtering
#   port-kept           port-restricted, and the mapped port is the one before the NAT, which of the others is never so
#
# 85-mesh-nets.sh checks that they are what they are called. No cable has a delay: that takes netem, which kernels without it do not
# have, so round trips say nothing here but that they were measured.

# shellcheck disable=SC2034,SC2119 # variables for the scripts; functions with optional arguments
# shellcheck source-path=SCRIPTDIR source=../net/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../net/lib.sh"

MESH=$ROOT/tests/mesh
MESH_TOOLS=$MESH/tools
REGISTRY_V6=2001:db8:ff:a::2
REGISTRY_NAME=registry.example.net
NETWORK=2001:db8:42::/48
# A node's port behind a NAT, plus its host number: what the NAT makes of UDP port 3653.
MAPPED_PORTS=43650

NODES=()                                       # in the order of add_node
declare -A NODE_KIND=() NODE_V4=() NODE_V6=()  # underlay, as the backbone sees it; empty: none
declare -A LAN_HOSTS=() LAN_V4=()
declare -A NODE_PID=() NODE_ADDRESS=() NODE_PREFIX=()
UNDERLAYS=0

# --- The network ---

PATH=$PATH:/usr/sbin:/sbin

# What missing_for_namespaces() does not look for.
missing_for_mesh() {
  local why
  why=$(missing_for_namespaces)
  if [ -n "$why" ]; then
    echo "$why"
  elif ! command -v babeld >/dev/null; then
    echo "the program 'babeld' is not installed (make deps)"
  fi
}

# The backbone and the registry's host.
mesh_network() {
  skip_where_missing "$(missing_for_mesh)"
  add_namespace backbone
  ip -n "$PREFIX-backbone" addr add 198.51.100.1/32 dev lo
  set_sysctl backbone net/ipv4/ip_forward 1
  set_sysctl backbone net/ipv6/conf/all/forwarding 1
  ns backbone nft -f - <<'NFT' || die "nft cannot set up the backbone's faults"
table inet faults {
  set dead4 { type ipv4_addr; }
  set dead6 { type ipv6_addr; }
  set side4 { type ipv4_addr; }
  set side6 { type ipv6_addr; }
  chain forward {
    type filter hook forward priority filter;
    ip saddr @dead4 drop
    ip daddr @dead4 drop
    ip6 saddr @dead6 drop
    ip6 daddr @dead6 drop
    ip saddr @side4 ip daddr != @side4 drop
    ip saddr != @side4 ip daddr @side4 drop
    ip6 saddr @side6 ip6 daddr != @side6 drop
    ip6 saddr != @side6 ip6 daddr @side6 drop
  }
}
NFT
  add_namespace registry
  plug registry bregistry "$REGISTRY_V4" "$REGISTRY_V6"
}

# plug HOST CABLE IPV4 IPV6: a cable between the backbone and eth0 of the host, which gets the addresses that are not empty.
plug() {
  link "$1" eth0 backbone "$2"
  if [ -n "$3" ]; then
    ip -n "$PREFIX-$1" -batch - <<IP || die "cannot give $1 the address $3"
addr add $3/32 dev eth0
route add default via 198.51.100.1 dev eth0 onlink
IP
    ip -n "$PREFIX-backbone" route add "$3/32" dev "$2"
  fi
  if [ -n "$4" ]; then
    ip -n "$PREFIX-$1" -batch - <<IP || die "cannot give $1 the address $4"
addr add $4/128 dev eth0 nodad
route add default via fe80::1 dev eth0
IP
    ip -n "$PREFIX-backbone" addr add fe80::1/64 dev "$2" nodad
    ip -n "$PREFIX-backbone" route add "$4/128" dev "$2"
  fi
}

# The next underlay's addresses, in V4 and V6.
next_underlay() {
  UNDERLAYS=$((UNDERLAYS + 1))
  V4=198.51.100.$((20 + UNDERLAYS))
  V6=$(printf '2001:db8:ff:%x::2' $((256 + UNDERLAYS)))
}

# add_node NAME KIND: public (IPv4 and IPv6), v4 (IPv4 alone), v6 (IPv6 alone), a kind of NAT, udp-blocked (a port-restricted NAT that
# passes no UDP), or lan:NAME, a network of add_lan.
add_node() {
  local name=$1 kind=$2 V4 V6
  NODES+=("$name")
  NODE_KIND[$name]=$kind
  add_namespace "$name"
  set_hosts "$name" "$REGISTRY_V4 $REGISTRY_NAME"
  case $kind in
    public)
      next_underlay
      NODE_V4[$name]=$V4 NODE_V6[$name]=$V6
      plug "$name" "b$name" "$V4" "$V6"
      ;;
    v4)
      next_underlay
      NODE_V4[$name]=$V4 NODE_V6[$name]=
      plug "$name" "b$name" "$V4" ""
      ;;
    v6)
      next_underlay
      NODE_V4[$name]='' NODE_V6[$name]=$V6
      plug "$name" "b$name" "" "$V6"
      set_hosts "$name" "$REGISTRY_V6 $REGISTRY_NAME"
      ;;
    lan:*) join_lan "$name" "${kind#lan:}" ;;
    *)
      add_lan "$name" "$kind"
      join_lan "$name" "$name"
      ;;
  esac
}

# add_lan NAME KIND: a router, whose NAT is of that kind, with a network for nodes: its bridge is lan0 in the namespace rNAME.
add_lan() {
  local name=$1 router=r$1 V4 V6
  next_underlay
  add_namespace "$router"
  plug "$router" "b$name" "$V4" ""
  ip -n "$PREFIX-$router" -batch - <<'IP' || die "cannot set up the router of $name"
link add lan0 type bridge
link set lan0 up
addr add 192.0.2.1/24 dev lan0
IP
  set_sysctl "$router" net/ipv4/ip_forward 1
  LAN_V4[$name]=$V4
  LAN_HOSTS[$name]=1
  nat_rules "$router" "$2" "$V4" || die "nft cannot make a NAT of the kind $2"
}

# join_lan NODE LAN
join_lan() {
  local name=$1 lan=$2 host
  host=$((LAN_HOSTS[$lan] + 1))
  LAN_HOSTS[$lan]=$host
  NODE_V4[$name]=${LAN_V4[$lan]} NODE_V6[$name]=
  link "$name" eth0 "r$lan" "l$host"
  ip -n "$PREFIX-r$lan" link set "l$host" master lan0
  ip -n "$PREFIX-$name" -batch - <<IP || die "cannot give $name its address"
addr add 192.0.2.$host/24 dev eth0
route add default via 192.0.2.1
IP
}

# nat_rules ROUTER KIND ADDRESS: for the hosts .2 to .5 of 192.0.2.0/24. What comes unasked is dropped, not refused, so that it leaves
# no entry that a later packet from inside would have to avoid.
nat_rules() {
  local router=$1 kind=$2 address=$3 host static='' inward='' admitted='' blocked=''
  for host in 2 3 4 5; do
    static+="oifname eth0 ip saddr 192.0.2.$host udp sport 3653 snat to $address:$((MAPPED_PORTS + host)); "
    inward+="iifname eth0 udp dport $((MAPPED_PORTS + host)) dnat to 192.0.2.$host:3653; "
  done
  case $kind in
    full-cone) admitted='ip daddr . udp dport @used accept' ;;
    address-restricted) admitted='ip daddr . udp dport . ip saddr @contacted accept' ;;
    port-restricted) inward='' ;;
    port-kept) static='' inward='' ;;
    symmetric)
      static='oifname eth0 meta l4proto { tcp, udp } masquerade to :20000-40000 fully-random;'
      inward=''
      ;;
    udp-blocked)
      blocked='meta l4proto udp drop'
      inward=''
      ;;
    *) return 1 ;;
  esac
  ns "$router" nft -f - <<NFT
table ip nat {
  chain prerouting {
    type nat hook prerouting priority dstnat;
    $inward
  }
  chain postrouting {
    type nat hook postrouting priority srcnat;
    $static
    oifname eth0 ip saddr 192.0.2.0/24 masquerade
  }
}
table ip guard {
  set used { type ipv4_addr . inet_service; flags dynamic, timeout; timeout 2m; size 1024; }
  set contacted { type ipv4_addr . inet_service . ipv4_addr; flags dynamic, timeout; timeout 2m; size 16384; }
  chain forward {
    type filter hook forward priority filter;
    $blocked
    oifname eth0 meta l4proto udp update @used { ip saddr . udp sport } update @contacted { ip saddr . udp sport . ip daddr }
    iifname eth0 ct state new goto unasked
  }
  chain unasked {
    $admitted
    drop
  }
  chain input {
    type filter hook input priority filter;
    iifname eth0 ct state new meta l4proto { tcp, udp } drop
  }
}
NFT
}

# --- Faults ---

# underlay_set VERB SET NODE...: adds to or deletes from SET4 and SET6 what the nodes have. Those of one LAN share an address.
underlay_set() {
  local verb=$1 set=$2 name v4=() v6=() batch=''
  shift 2
  for name in "$@"; do
    if [ -n "${NODE_V4[$name]}" ]; then v4+=("${NODE_V4[$name]}"); fi
    if [ -n "${NODE_V6[$name]}" ]; then v6+=("${NODE_V6[$name]}"); fi
  done
  if [ "${#v4[@]}" -gt 0 ]; then batch+="$verb element inet faults ${set}4 { $(commas "${v4[@]}") }"$'\n'; fi
  if [ "${#v6[@]}" -gt 0 ]; then batch+="$verb element inet faults ${set}6 { $(commas "${v6[@]}") }"$'\n'; fi
  ns backbone nft -f - <<<"$batch"
}
commas() { printf '%s\n' "$@" | sort -u | paste -sd,; }

# partition NODE...: from now on these reach each other only, and so do all others and the registry.
partition() { underlay_set add side "$@"; }
heal() { ns backbone nft -f - <<<$'flush set inet faults side4\nflush set inet faults side6'; }

# cut_off NODE...: nothing passes their cables any more. Not even an ICMP error comes from there, as of a machine without power.
cut_off() { underlay_set add dead "$@"; }
plug_in() { underlay_set delete dead "$@"; }

# --- Captures ---

# start_captures: of everything on the backbone's cables and on each LAN, until stop_captures.
start_captures() {
  local lan
  command -v tcpdump >/dev/null || die "the program 'tcpdump' is not installed (make deps)"
  rm -rf "$TEMP/captures"
  mkdir -p "$TEMP/captures"
  CAPTURES=()
  start_capture backbone any backbone
  for lan in "${!LAN_V4[@]}"; do start_capture "r$lan" lan0 "$lan"; done
  for lan in backbone "${!LAN_V4[@]}"; do
    wait_for 10 grep -q '^tcpdump: listening\|, link-type' "$TEMP/captures/$lan.out" ||
      die "the capture of $lan does not start: $(cat "$TEMP/captures/$lan.out")"
  done
}
start_capture() {
  spawn "$TEMP/captures/$3.out" nsenter --net="$(netns "$1")" -- tcpdump -i "$2" -n -s 0 -U --immediate-mode -B 8192 -Z root \
    -w "$TEMP/captures/$3.pcap"
  CAPTURES+=("$SPAWNED")
}
stop_captures() {
  local pid
  # The last packets are on their way from the kernel to the files.
  sleep 0.3
  for pid in "${CAPTURES[@]}"; do kill -INT "$pid" 2>/dev/null; done
  for pid in "${CAPTURES[@]}"; do wait "$pid" 2>/dev/null; done
}

# cleartext [FLAG...]: what the search finds in the captures; see tools/cleartext.py.
cleartext() { "$PYTHON" "$MESH_TOOLS/cleartext.py" --inner $NETWORK "$@" "$TEMP"/captures/*.pcap 2>&1; }

# --- The registry ---

MESH_URL=https://$REGISTRY_NAME

# start_mesh_registry [KEY=VALUE...]: makes the network's authority at the first call, and serves. Who has no token is admitted, as
# many as ask from one address: several nodes are behind one in some of the networks.
start_mesh_registry() { start_mesh_registry_on registry "$@"; }
start_mesh_registry_on() {
  local host=$1 dir=$TEMP/$1 setting
  shift
  if [ ! -d "$dir/state/ca" ]; then
    mkdir -p "$dir"
    ns "$host" "$REGISTRY" init --mesh --network $NETWORK --url "$MESH_URL/" --state-dir "$dir/state" --run-dir "$dir/run" \
      -f "$dir/$host.conf" >"$dir/init.out" 2>&1 || die "init failed: $(cat "$dir/init.out")"
    printf '%s\n' join_anonymous=yes log_stderr=1 log_file=3 "log_filename=$dir/log" log_rotation=no >>"$dir/$host.conf"
  fi
  for setting in "$@"; do
    sed -i "/^${setting%%=*}=/d" "$dir/$host.conf"
    echo "$setting" >>"$dir/$host.conf"
  done
  spawn_in "$host" "$dir/out" "$REGISTRY" -f "$dir/$host.conf" -n
  REGISTRY_PID=$SPAWNED
  wait_for 30 is_listening "$host" 443 || die "the registry does not start: $(tail -n 3 "$dir/out")"
}
is_listening() { [ -n "$(ns "$1" ss -Htnl "sport = :$2")" ]; }
stop_mesh_registry() { stop_pid "$REGISTRY_PID" "${1:-TERM}"; }

# --- Nodes ---

# write_node_config NODE [KEY=VALUE...]: what `sixlink join` finds, and adds to.
write_node_config() {
  local name=$1 dir=$TEMP/$1
  shift
  mkdir -p "$dir"
  write_config "$dir/$name.conf" "$@" <<CONF
run_dir=$dir/run
state_dir=$dir/state
log_console=0
log_stderr=1
log_file=3
log_filename=$dir/log
log_rotation=no
CONF
}

# equip_nodes INNER [KEY=VALUE...]: each of add_node has what `sixlink join` leaves, and knows where those in the open are, without a
# registry: certificates of a network with the prefixes INNER, contacts in the caches, and a configuration with these keys.
equip_nodes() {
  local inner=$1 name place number=0 files=()
  shift
  for name in "${NODES[@]}"; do
    number=$((number + 1))
    NODE_PREFIX[$name]=2001:db8:42:$(printf '%x' $number)::/64
    NODE_ADDRESS[$name]=${NODE_PREFIX[$name]%/64}1
    case ${NODE_KIND[$name]} in public | v4) place=${NODE_V4[$name]} ;; *) place=- ;; esac
    files+=("$name=${NODE_PREFIX[$name]}=$place")
  done
  mkdir -p "$TEMP/mesh"
  "$BUILD/tools/mesh_files" "$TEMP/mesh" "$inner" "${files[@]}" >/dev/null || die "mesh_files failed"
  for name in "${NODES[@]}"; do
    mkdir -p "$TEMP/$name/state"
    cp -r "$TEMP/mesh/$name" "$TEMP/$name/state/mesh"
    write_node_config "$name" registry=https://registry.example.net "$@"
  done
}

# join_node NODE [FLAG...]: by default without a token, believing whoever answers.
join_node() {
  local name=$1 dir=$TEMP/$1
  shift
  [ "$#" -gt 0 ] || set -- --anonymous -y
  [ -e "$dir/$name.conf" ] || write_node_config "$name"
  ns_hosts "$name" timeout --foreground 60 "$SIXLINK" join "$MESH_URL" -f "$dir/$name.conf" "$@" >"$dir/join.out" 2>&1 </dev/null
}

# join_nodes NODE...: without tokens, some at a time: each makes keys and has them signed.
join_nodes() {
  local name pids failed=''
  while [ "$#" -gt 0 ]; do
    pids=()
    for name in "${@:1:8}"; do
      join_node "$name" &
      pids+=("$!")
    done
    for name in "${@:1:8}"; do
      wait "${pids[0]}" || failed+=" $name: $(tail -n 2 "$TEMP/$name/join.out" | tr '\n' ' ')"
      pids=("${pids[@]:1}")
      read_node "$name"
    done
    shift $(($# < 8 ? $# : 8))
  done
  [ -z "$failed" ] || die "cannot join:$failed"
}

# read_node NODE: its prefix and address, of its certificate.
read_node() {
  local prefix
  prefix=$(openssl x509 -in "$TEMP/$1/state/mesh/node.pem" -noout -ext sbgp-ipAddrBlock 2>/dev/null |
    sed -n 's|^ *\([0-9a-fA-F:]*/[0-9]*\)$|\1|p' | head -n 1 | tr 'A-F' 'a-f')
  NODE_PREFIX[$1]=$prefix
  NODE_ADDRESS[$1]=${prefix%/*}1
}

# set_node_key NODE KEY=VALUE...
set_node_key() {
  local file=$TEMP/$1/$1.conf
  shift
  printf '%s\n' "$@" >>"$file"
}

# run_nodes NODE...: starts them at once; does not wait for anything.
run_nodes() {
  local name
  for name in "$@"; do
    spawn_in "$name" "$TEMP/$name/out" "$SIXLINK" -f "$TEMP/$name/$name.conf" -n
    NODE_PID[$name]=$SPAWNED
  done
}
# nodes_run NODE...: they have their addresses, and what is for the network stays in it. Before, a host with IPv6 of its own sends that
# where everything else goes.
nodes_run() { wait_for 30 all_nodes_run "$@" || die "a node does not start"; }
all_nodes_run() {
  local name
  for name in "$@"; do grep -q ': node .* runs, with the address' "$TEMP/$name/out" || return 1; done
}
stop_node() { stop_pid "${NODE_PID[$1]}" "${2:-TERM}"; }

# pids_called NODE NAME: the processes of that name on the node's host.
pids_called() {
  local pid
  for pid in $(ip netns pids "$PREFIX-$1"); do
    if [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "$2" ]; then echo "$pid"; fi
  done
}
babeld_pid() { pids_called "$1" babeld | head -n 1; }
has_other_babeld() {
  local pid
  pid=$(babeld_pid "$1")
  [ -n "$pid" ] && [ "$pid" != "$2" ]
}

# kill_node NODE...: its processes end as when the machine does: without a word.
kill_node() {
  local name pids=()
  for name in "$@"; do
    mapfile -t -O "${#pids[@]}" pids < <(pids_called "$name" sixlink; pids_called "$name" babeld)
  done
  # The shell would tell of each.
  for name in "$@"; do disown "${NODE_PID[$name]}" 2>/dev/null; done
  kill -KILL "${pids[@]}" 2>/dev/null
  for name in "$@"; do wait_for 5 is_gone "${NODE_PID[$name]}"; done
}

forget_node() { disown "${NODE_PID[$1]}" 2>/dev/null; }

# node NODE SUBCOMMAND...
node() {
  local name=$1
  shift
  ns "$name" "$SIXLINK" "$@" -f "$TEMP/$name/$name.conf"
}

# everyone_reaches SECONDS [NODE...]: prints how long it took, or who did not reach whom.
everyone_reaches() {
  local seconds=$1 name pairs=()
  shift
  [ "$#" -gt 0 ] || set -- "${NODES[@]}"
  for name in "$@"; do pairs+=("$(netns "$name")=${NODE_ADDRESS[$name]}"); done
  "$PYTHON" "$MESH_TOOLS/reach.py" $((seconds * ${TEST_SLOWNESS:-1})) "${pairs[@]}"
}

# says_marker NODE NODE: sends MARKER from one to the other, who must get it.
MARKER=these-words-are-for-the-mesh-alone
says_marker() {
  PYTHONPATH=$MESH_TOOLS "$PYTHON" - "$(netns "$1")" "$(netns "$2")" "${NODE_ADDRESS[$2]}" $MARKER <<'PY'
import socket
import sys
from hosts import Host

with Host(sys.argv[2]):
    sink = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
with Host(sys.argv[1]):
    source = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
sink.bind((sys.argv[3], 0))
sink.settimeout(1)
for _ in range(5):
    source.sendto(sys.argv[4].encode(), sink.getsockname()[:2])
    try:
        if sink.recv(100) == sys.argv[4].encode():
            sys.exit(0)
    except socket.timeout:
        pass
sys.exit("it did not arrive")
PY
}

now_ms() { echo $(($(date +%s%N) / 1000000)); }
is_json() { "$PYTHON" -c 'import json, sys; json.loads(sys.argv[1])' "$1"; }

# twenty_nodes: of every kind. Two of them, lan1 and lan2, are on one LAN.
twenty_nodes() {
  local i
  for i in 1 2 3 4; do add_node "pub$i" public; done
  add_node four v4
  for i in 1 2; do add_node "six$i" v6; done
  for i in 1 2; do add_node "full$i" full-cone; done
  for i in 1 2; do add_node "addr$i" address-restricted; done
  for i in 1 2; do add_node "port$i" port-restricted; done
  for i in 1 2 3; do add_node "sym$i" symmetric; done
  for i in 1 2; do add_node "tcp$i" udp-blocked; done
  add_lan home port-restricted
  for i in 1 2; do add_node "lan$i" lan:home; done
}

# node_of_prefix PREFIX: its name.
node_of_prefix() {
  local name
  for name in "${NODES[@]}"; do
    if [ "${NODE_PREFIX[$name]:-}" = "$1" ]; then echo "$name"; fi
  done
}

# links NODE: a line for each of its links that are up: the neighbour's name, the interface, the transport.
links() {
  local prefix interface transport
  node "$1" peers --json 2>/dev/null | "$PYTHON" "$MESH_TOOLS/links.py" | while read -r prefix interface transport; do
    echo "$(node_of_prefix "$prefix") $interface $transport"
  done
}
# endpoint_of NODE PEER: where NODE has its link to PEER that is up; nothing: there is none.
endpoint_of() {
  node "$1" peers --json | "$PYTHON" -c '
import json, sys
for peer in json.load(sys.stdin)["peers"]:
    if peer["peer"] == sys.argv[1] and peer["state"] == "up":
        print(peer["endpoint"])' "${NODE_PREFIX[$2]}"
}
has_link() { links "$1" | grep -q "^$2 "; }
has_link_by() { links "$1" | grep -q " $2\$"; }

# through NODE: a line for each node that it reaches through another: that node's name, and the neighbour's that is the way there.
through() {
  local -A neighbour=()
  local name interface prefix device
  while read -r name interface _; do neighbour[$interface]=$name; done < <(links "$1")
  while read -r prefix device; do
    name=$(node_of_prefix "$prefix")
    if [ -n "$name" ] && [ -n "${neighbour[$device]:-}" ] && [ "${neighbour[$device]}" != "$name" ]; then
      echo "$name ${neighbour[$device]}"
    fi
  done < <(ip -n "$PREFIX-$1" -6 route show table all | sed -n 's/^\([0-9a-f:]*\/[0-9]*\) .*dev \(sixm[0-9]*\) .*/\1 \2/p')
}

# a_transit: of some node that reaches another through a third, the three names.
a_transit() {
  local name found
  for name in $(shuf -e "${NODES[@]}"); do
    found=$(through "$name" | shuf -n 1)
    if [ -n "$found" ]; then
      echo "$name $found"
      return
    fi
  done
  return 1
}

# gap_when_killed SOURCE SINK TRANSIT HOW [OUTPUT]: HOW is "kill", kill -9 of all of its processes, or "off", with its cable cut at the
# same moment, so that the system does not answer in their place. Prints what tools/flow.py does. The node stays dead. As this is for
# $(...), `forget_node TRANSIT` belongs before it: the shell would tell of the killed process.
gap_when_killed() {
  local ipv4=${NODE_V4[$3]} ipv6=${NODE_V6[$3]} command
  command="kill -KILL $( (pids_called "$3" sixlink; pids_called "$3" babeld) | tr '\n' ' ')"
  if [ "$4" = off ]; then
    ipv4=${ipv4:+add element inet faults dead4 { $ipv4 \};}
    ipv6=${ipv6:+add element inet faults dead6 { $ipv6 \};}
    command="nsenter --net=$(netns backbone) nft '$ipv4 $ipv6'; $command"
  fi
  "$PYTHON" "$MESH_TOOLS/flow.py" "${5:-$TEMP/flow.json}" 1.5 "${FLOW_AFTER:-8}" "$(netns "$1")=${NODE_ADDRESS[$1]}" \
    "$(netns "$2")=${NODE_ADDRESS[$2]}" -- sh -c "$command"
}
