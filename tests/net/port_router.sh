# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# A node behind a router with the real miniupnpd, and a peer outside: what the scenarios have in common that are about ports which a
# router lets in. Sourced by them; builds on lib.sh. The scenario gives the addresses and the router's rules.
#
#   node eth0 ---- lan0 router wan0 ---- eth0 peer
#
#   OUTSIDE      the address by which the peer reaches the node
#   PEER_SOURCE  how a rule of the node's knows the peer's packets
#   MAPPING      where the node's status tells of it

# shellcheck disable=SC2034 # variables for the scripts
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

PATH=$PATH:/usr/sbin:/sbin
# The address that the router maps to: miniupnpd refuses every address that RFC 6890 reserves, those for documentation too. It exists
# in these namespaces alone.
OUTER=25.0.0.1

# node_behind_router: without addresses, but for the router's of IPv4, which miniupnpd wants. Skips the scenario where that cannot be.
node_behind_router() {
  local why program
  why=$(missing_for_namespaces)
  for program in miniupnpd babeld openssl; do
    [ -n "$why" ] || command -v $program >/dev/null || why="the program '$program' is not installed (make deps)"
  done
  skip_where_missing "$why"
  add_namespace node
  add_namespace router
  add_namespace peer
  link node eth0 router lan0
  link peer eth0 router wan0
  ip -n "$PREFIX-router" -batch - <<IP || die "cannot set up the router"
addr add $OUTER/32 dev wan0
addr add 192.0.2.1/24 dev lan0
IP
  mkdir -p "$TEMP/mesh" "$TEMP/node/state" "$TEMP/router"
  "$BUILD/tools/mesh_files" "$TEMP/mesh" 2001:db8:42::/48 node=2001:db8:42:1::/64=- other=2001:db8:42:2::/64=198.51.100.2 ||
    die "mesh_files failed"
  cp -r "$TEMP/mesh/node" "$TEMP/node/state/mesh"
  write_config "$TEMP/node/node.conf" <<CONF
registry=https://registry.example.net:3654
port_mapping=yes
run_dir=$TEMP/node/run
state_dir=$TEMP/node/state
log_stderr=0
log_file=3
log_filename=$TEMP/node/log
log_rotation=no
CONF
  ns node nft -f - <<NFT || die "nft cannot count what arrives"
table inet seen {
  counter arrivals { }
  chain input {
    type filter hook input priority filter;
    $PEER_SOURCE udp dport 3653 counter name arrivals
  }
}
NFT
}

# run_router KEY=VALUE...: miniupnpd.
run_router() {
  write_config "$TEMP/miniupnpd.conf" "$@" <<CONF
ext_ifname=wan0
ext_ip=$OUTER
listening_ip=lan0
http_port=5000
secure_mode=yes
min_lifetime=120
max_lifetime=86400
uuid=5b1a9f2e-0000-4000-8000-000000000082
allow 1024-65535 192.0.2.0/24 1024-65535
deny 0-65535 0.0.0.0/0 0-65535
CONF
  spawn "$TEMP/router/out" nsenter --net="$(netns router)" -- miniupnpd -d -f "$TEMP/miniupnpd.conf" -P "$TEMP/router/pid"
  ROUTER_PID=$SPAWNED
  wait_for 10 grep -qE 'HTTP listening|Listening for NAT-PMP/PCP' "$TEMP/router/out" ||
    die "miniupnpd does not start: $(tail -n 3 "$TEMP/router/out")"
}
stop_router() { stop_pid "$ROUTER_PID" KILL; }

start_node() {
  spawn_in node "$TEMP/node/out" "$SIXLINK" -f "$TEMP/node/node.conf" -n
  NODE_PID=$SPAWNED
}
status() { ns node "$SIXLINK" status --json -f "$TEMP/node/node.conf" | "$PYTHON" "$TOOLS/json_field.py" "$MAPPING.$1"; }
is_mapped_by() { [ "$(status protocol)" = "$1" ] && [ "$(status mapped.1.external_port)" = 3653 ]; }

# The node's TLS answers, and what is sent to its UDP port arrives.
answers_tls() {
  local at=$OUTSIDE
  case $at in *:*) at="[$at]" ;; esac
  timeout 5 nsenter --net="$(netns peer)" -- openssl s_client -connect "$at:3653" -alpn sixlink -brief </dev/null 2>&1 |
    grep -q '^CONNECTION ESTABLISHED'
}
arrived() { ns node nft list counter inet seen arrivals | sed -n 's/.*packets \([0-9]*\).*/\1/p'; }
udp_arrives() {
  local before
  before=$(arrived)
  ns peer bash -c "printf x >/dev/udp/$OUTSIDE/3653"
  sleep 0.2
  [ "$(arrived)" -gt "$before" ]
}
