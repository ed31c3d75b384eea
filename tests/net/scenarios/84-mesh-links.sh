#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Three nodes that know each other from their caches alone, without a registry: links, routing, a node that is killed and comes
# back, and what is left in the system.
#
#   n1, n2, n3 -- hub (a bridge): 198.51.100.N; the network is 2001:db8:42::/48, node N has 2001:db8:42:N::/64
#
# covers: key up, command status, command stop, command peers, command routes, command path

# shellcheck source-path=SCRIPTDIR source=../lib.sh disable=SC2119,SC2034
. "$(dirname "$0")/../lib.sh"

begin "$@"
why=$(missing_for_namespaces)
[ -n "$why" ] || command -v babeld >/dev/null || why="the program 'babeld' is not installed (make deps)"
if [ -n "$why" ]; then
  skip "$SCENARIO" "$why"
  exit 0
fi
NODES="n1 n2 n3"
PIDS_OF=()

address() { echo "2001:db8:42:${1#n}::1"; }

add_namespace hub
ip -n "$PREFIX-hub" link add br0 type bridge
ip -n "$PREFIX-hub" link set br0 up
for node in $NODES; do
  add_namespace "$node"
  link "$node" eth0 hub "$node"
  ip -n "$PREFIX-hub" link set "$node" master br0
  ip -n "$PREFIX-$node" addr add "198.51.100.${node#n}/24" dev eth0
done

mkdir -p "$TEMP/mesh"
"$BUILD/tools/mesh_files" "$TEMP/mesh" 2001:db8:42::/48 n1=2001:db8:42:1::/64=198.51.100.1 n2=2001:db8:42:2::/64=198.51.100.2 \
  n3=2001:db8:42:3::/64=198.51.100.3 || die "mesh_files failed"

write_node() {
  local node=$1 dir=$TEMP/$1
  shift
  mkdir -p "$dir/state"
  rm -rf "$dir/state/mesh"
  cp -r "$TEMP/mesh/$node" "$dir/state/mesh"
  write_config "$dir/$node.conf" "$@" <<CONF
registry=https://registry.example.net:3654
port_mapping=no
run_dir=$dir/run
state_dir=$dir/state
log_stderr=0
log_file=3
log_filename=$dir/log
log_rotation=no
CONF
}
node() { ns "$1" "$SIXLINK" "${@:2}" -f "$TEMP/$1/$1.conf"; }
start_node() { node "$1" >"$TEMP/$1/out" 2>&1; }
daemon_pid() { cat "$TEMP/$1/run/$1.pid"; }
# field NODE COMMAND... FIELD
field() { node "$1" "${@:2:$#-2}" --json | "$PYTHON" "$TOOLS/json_field.py" "${!#}"; }
field_is() { [ "$(field "$1" "$2" "$3")" = "$4" ]; }
reaches() { ns "$1" ping -6 -c 1 -W 1 "$(address "$2")" >/dev/null 2>&1; }
all_reach() {
  local from to
  for from in "$@"; do
    for to in "$@"; do [ "$from" = "$to" ] || reaches "$from" "$to" || return 1; done
  done
}
milliseconds() { date +%s%3N; }

for node in $NODES; do
  write_node "$node" up="echo up \$sixlink_ip \$sixlink_iface \$sixlink_subnet \$sixlink_network >$TEMP/$node/hook"
  snapshot "$node" >"$TEMP/$node.before"
done

check_fails "mesh: no way between nodes before they run" reaches n1 n2
check_equal "mesh: a node that has not joined says so" 1 "$(
  mv "$TEMP/n1/state/mesh/node.pem" "$TEMP/n1/pem"
  node n1 -n >"$TEMP/n1/early" 2>&1
  mv "$TEMP/n1/pem" "$TEMP/n1/state/mesh/node.pem"
  grep -c 'has not joined' "$TEMP/n1/log"
)"

started=$(milliseconds)
for node in $NODES; do
  start_node "$node" || fail "mesh: $node starts" "$(tail -n 3 "$TEMP/$node/out" "$TEMP/$node/log")"
done
check "mesh: every node reaches every other" wait_for 20 all_reach n1 n2 n3
echo "all reach all after $(($(milliseconds) - started)) ms"
for node in $NODES; do
  check "mesh: $node has two links" wait_for 10 field_is "$node" status links.up 2
done
check_equal "status: state" up "$(field n1 status state)"
check_equal "status: address" "$(address n1)" "$(field n1 status address)"
check_equal "status: exit status 0 with a link" 0 "$(exit_status node n1 status)"
check_equal "status: babeld runs" true "$(field n1 status router.running)"
check_equal "peers: userspace" userspace "$(field n1 peers peers.0.datapath)"
check_match "peers: a round trip" '^[0-9.]+$' "$(field n1 peers peers.0.rtt_ms)"
check_match "routes: to the others" '2001:db8:42:[23]::/64' "$(node n1 routes --json)"
check_equal "path: one hop" true "$(field n1 path "$(address n2)" reached)"
check_match "path: not outside of the network" 'not in the network' "$(node n1 path 2001:db8:99::1 --json 2>&1)"
check_match "up=: run with the node's names" "^up $(address n1) lo 2001:db8:42:1::/64 2001:db8:42::/48\$" "$(cat "$TEMP/n1/hook")"
check_match "filter: what is for nobody in the network is refused" 'unreachable' \
  "$(ns n1 ip -6 route get 2001:db8:42:ffff::1 2>&1; ns n1 ip -6 route show 2001:db8:42::/48)"

# --- a node dies ---
stop_pid "$(daemon_pid n2)" KILL
check "mesh: the others go on" wait_for 5 all_reach n1 n3
check "mesh: the links of the dead node go" wait_for 10 field_is n1 status links.up 1
check "kill -9: its record is there" test -s "$TEMP/n2/run/n2.mesh"
started=$(milliseconds)
start_node n2
check "mesh: it comes back" wait_for 15 all_reach n1 n2 n3
echo "all reach all again after $(($(milliseconds) - started)) ms"
check "kill -9: nothing is there twice" test "$(ns n2 ip -6 addr show dev lo | grep -c "$(address n2)")" = 1

# --- a node moves ---
interfaces() { ns "$1" ip -o link show | grep -o "sixm[0-9]*" | sort -u | tr "\n" " "; }
links_before=$(interfaces n3)
move_n3() { # OLD NEW
  ip -n "$PREFIX-n3" -batch - <<IP
addr del $1/24 dev eth0
addr add $2/24 dev eth0
IP
}
move_n3 198.51.100.3 198.51.100.33
started=$(milliseconds)
n1_sees_n3_at() { node n1 peers --json | grep -q "\"$1:3653\""; }
check "mesh: a node that has another address is followed" wait_for 10 n1_sees_n3_at 198.51.100.33
check "mesh: all reach it there" wait_for 10 all_reach n1 n2 n3
echo "all reach all after $(($(milliseconds) - started)) ms"
check_equal "mesh: its links are the same ones" "$links_before" "$(interfaces n3)"
move_n3 198.51.100.33 198.51.100.3

memory=$(memory_kib "$(daemon_pid n1)")
check "mesh: memory of a node with two links, $memory KiB" test "$memory" -lt 30720

for node in $NODES; do check_equal "stop: $node" 0 "$(exit_status node "$node" stop)"; done
for node in $NODES; do check "stop: $node is as before" is_as_before "$node"; done
