#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# What the keys of a node do: values that are not allowed come first, then what each changes in who links with whom, by what and from
# where, on the interfaces and in the routes.
#
#   hub, one, two, three, four: on the Internet, each with IPv4 and IPv6. Topology: tests/mesh/lib.sh.
#
# covers: key registry, key neighbour, key client_only, key endpoint, key remote_gateway, key disable_proto, key link_transport
# covers: key link_port, key link_tcp_port, key link_mtu, key gateway, key main_interface, key lan_interface, key port_mapping
# covers: key client_count, key tunnel_refresh, key most_served, key up, key daemon
# covers: command status, command peers, command topology, flag --dot, flag --json

# shellcheck source-path=SCRIPTDIR source=../../mesh/lib.sh disable=SC2119
. "$(dirname "$0")/../../mesh/lib.sh"

begin "$@"
mesh_network
for name in hub one two three four; do add_node "$name" public; done

# --- Values that are not allowed: every one is told, with its line and what is allowed ---

control=$(printf '\001')
bad=('neighbour=192.0.2.1' 'client_only=a b' 'endpoint=0.0.0.0' 'remote_gateway=router' 'disable_proto=icmp' 'link_transport=sctp'
  'link_port=0' 'link_tcp_port=70000' 'link_mtu=1279' 'gateway=maybe' 'main_interface=all' 'lan_interface=eth0;reboot'
  'port_mapping=maybe' 'client_count=101' 'tunnel_refresh=9' 'most_served=-1' 'babeld=bin/babeld' "up=$control" "daemon=$control")
write_node_config one "registry=$MESH_URL" "${bad[@]}"
check_equal "bad values: exit status 3" 3 "$(exit_status node one peers)"
node one peers >"$TEMP/bad.out" 2>&1
for setting in "${bad[@]}"; do
  key=${setting%%=*}
  line=$(grep -n "^$key=" "$TEMP/one/one.conf" | cut -d : -f 1)
  check "bad values, $key: told with file, line and what is allowed" grep -qE "one\.conf:$line: $key: .*allowed" "$TEMP/bad.out"
done
check_equal "bad values: a line for each, and no more" "${#bad[@]}" "$(grep -c 'one\.conf:[0-9]*: ' "$TEMP/bad.out")"

# refused NAME KEY KEY=VALUE...: good values that do not go together.
refused() {
  local name=$1 key=$2
  shift 2
  write_node_config one "$@"
  check_equal "together, $name: exit status 3" 3 "$(exit_status ns one "$SIXLINK" -n -f "$TEMP/one/one.conf")"
  check "together, $name: told where" grep -qE "one\.conf(:[0-9]+)?: $key: " <<<"$(ns one "$SIXLINK" -n -f "$TEMP/one/one.conf" 2>&1)"
}
refused "a node that is a tunnel client" server "registry=$MESH_URL" server=broker.example.net
refused "nothing that carries links" disable_proto "registry=$MESH_URL" disable_proto=ipv4,ipv6
refused "what carries links is disabled" link_transport "registry=$MESH_URL" disable_proto=tcp link_transport=tcp
refused "one link, and others" neighbour "registry=$MESH_URL" client_only=198.51.100.21 neighbour=2001:db8:42:7::/64
refused "one link, and a gateway" gateway "registry=$MESH_URL" client_only=198.51.100.21 gateway=yes
refused "a neighbour without a mesh" neighbour neighbour=2001:db8:42:7::/64 server=broker.example.net
write_node_config one "registry=$MESH_URL"
check_equal "a node that did not join: ends" 3 "$(exit_status ns one timeout 10 "$SIXLINK" -n -f "$TEMP/one/one.conf")"
check "a node that did not join: is told what to do" grep -qF "run: sixlink join $MESH_URL" "$TEMP/one/log"

# --- What they do ---

start_mesh_registry
# Nobody begins links by itself; the hub takes them.
write_node_config hub client_count=0 port_mapping=no link_port=4000 link_tcp_port=443 most_served=20 gateway=yes "endpoint=${NODE_V4[hub]}:4000 ${NODE_V4[hub]}:443/tcp"
join_nodes hub
ip -n "$PREFIX-one" link add br7 type bridge
ip -n "$PREFIX-one" link set br7 up
# shellcheck disable=SC2016 # for the node's shell
write_node_config one client_count=0 port_mapping=no "neighbour=${NODE_PREFIX[hub]}" link_mtu=1300 main_interface=br7 lan_interface=eth0 \
  'up=echo $sixlink_ip $sixlink_iface $sixlink_subnet $sixlink_network >'"$TEMP/one/up" "daemon=echo started \$sixlink_ip \$sixlink_iface \$sixlink_subnet \$sixlink_network >>$TEMP/one/daemon; exec sleep 1234"
write_node_config two client_count=0 port_mapping=no "neighbour=${NODE_ADDRESS[hub]}" link_transport=udp tunnel_refresh=60
write_node_config three port_mapping=no "client_only=${NODE_V4[hub]}:4000"
write_node_config four client_count=0 port_mapping=no disable_proto=ipv6,tcp "neighbour=${NODE_PREFIX[hub]}"
join_nodes one two three four
run_nodes hub one two three four
check "keys: everyone reaches everyone through the hub" everyone_reaches 40

peers_of() { node "$1" peers --json | "$PYTHON" -c '
import json, sys
for peer in json.load(sys.stdin)["peers"]:
    print(peer["peer"], peer["state"], peer["transport"], peer["endpoint"], "fixed" if peer["fixed"] else "free")'; }
has_peers() { [ "$(peers_of "$1" | grep -c ' up ')" = "$2" ]; }
listens() { ns hub ss -H "$1" "sport = :$2" | grep -q .; }

check "client_count=0, most_served: the hub has the four links that it serves" wait_for 10 has_peers hub 4
check_match "neighbour, link_port: one has one link, fixed, to port 4000" "^${NODE_PREFIX[hub]} up udp .*:4000 fixed\$" "$(peers_of one)"
check_match "link_transport=udp: two's link is by UDP" "^${NODE_PREFIX[hub]} up udp .*:4000 fixed\$" "$(peers_of two)"
check_fails "link_transport=udp: two takes no TLS" grep -q . <<<"$(ns two ss -Htln 'sport = :3653')"
check "link_transport: others do" grep -q . <<<"$(ns four ss -Htln 'sport = :3653'; ns one ss -Htln 'sport = :3653')"
check_match "client_only: three has that one" "^${NODE_PREFIX[hub]} up udp ${NODE_V4[hub]}:4000" "$(peers_of three)"
check_equal "client_only: and no other" 1 "$(peers_of three | wc -l)"
check_match "disable_proto=ipv6,tcp: four's is over IPv4 and UDP" "^${NODE_PREFIX[hub]} up udp ${NODE_V4[hub]}:4000" "$(peers_of four)"
check "link_port: is listened on" listens -uln 4000
check_fails "link_port: and 3653 is only by the node's own address" grep -vq "\[${NODE_ADDRESS[hub]}\]:3653" <<<"$(ns hub ss -Huln 'sport = :3653')"
check "link_tcp_port: is listened on" listens -tln 443
check_fails "link_tcp_port: and 3653 is not" listens -tln 3653
check_match "endpoint: is what others are told" "\"address\":\"${NODE_V4[hub]}\",\"port\":4000,\"transport\":\"udp\",\"kind\":\"public\"" \
  "$(node hub status --json)"
check_match "link_mtu: the link has it" 'mtu 1300' "$(ns one ip -o link show type tun)"
check_match "link_mtu: and so has the other end" 'mtu 1300' "$(ns hub ip -o link show type tun)"
check_match "main_interface: has the node's address" "${NODE_ADDRESS[one]}/128|${NODE_ADDRESS[one]}/64" "$(ns one ip -6 -o addr show dev br7)"
check_match "up: was run, with what it is to know" "^${NODE_ADDRESS[one]} br7 ${NODE_PREFIX[one]} $NETWORK\$" "$(cat "$TEMP/one/up" 2>&1)"
check_equal "daemon: runs" 1 "$(grep -c started "$TEMP/one/daemon")"
check_match "daemon: knows what up knows" "^started ${NODE_ADDRESS[one]} br7 ${NODE_PREFIX[one]} $NETWORK\$" "$(cat "$TEMP/one/daemon")"
sleeper=$(pids_called one sleep)
kill "$sleeper"
daemon_ran_twice() { [ "$(grep -c started "$TEMP/one/daemon")" = 2 ]; }
check "daemon: is started again when it ends" wait_for 15 daemon_ran_twice
has_default() { ip -n "$PREFIX-$1" -6 route show table all | grep -q '^default .*dev sixm'; }
check "gateway: others have a default route into the mesh" wait_for 15 has_default one
check_fails "gateway: the gateway itself has none" has_default hub
check_match "port_mapping=no: nothing is asked of a router" '"port_mapping":(null|\{"protocol":"none")' "$(node one status --json)"
check_match "tunnel_refresh, client_count: the network's stay as they are" '"client_count":10,"tunnel_refresh_s":300' "$(node two status --json)"
check_match "topology --dot: a graph with the hub in it" "\"${NODE_PREFIX[one]}\" -- \"${NODE_PREFIX[hub]}\"" "$(node one topology --dot)"
node one path "${NODE_ADDRESS[two]}" --json >"$TEMP/path.json"
path_field() { "$PYTHON" "$TOOLS/json_field.py" "$1" <"$TEMP/path.json"; }
check_equal "path: by the hub, then there" "${NODE_ADDRESS[hub]} ${NODE_ADDRESS[two]} " "$(path_field hops.0.address) $(path_field hops.1.address) $(path_field hops.2.address)"
check_match "path: with round trips" '^[0-9.]+ [0-9.]+$' "$(path_field hops.0.rtt_ms) $(path_field hops.1.rtt_ms)"
check_match "status: for people" "^subnet +${NODE_PREFIX[one]}" "$(node one status)"
check_match "doctor: a node that runs" '^ok +node ' "$(ns_hosts one "$SIXLINK" doctor -f "$TEMP/one/one.conf")"
check_match "doctor: UDP reaches another node" '^ok +udp ' "$(ns_hosts one "$SIXLINK" doctor -f "$TEMP/one/one.conf")"

# remote_gateway: another way out of this machine than its default route.
stop_node four
ip -n "$PREFIX-four" addr add 198.51.100.250/32 dev eth0
ip -n "$PREFIX-backbone" addr add 198.51.100.2/32 dev lo
set_node_key four remote_gateway=198.51.100.2
ip -n "$PREFIX-four" route add 198.51.100.2/32 dev eth0
ip -n "$PREFIX-four" neigh replace 198.51.100.2 lladdr "$(ip -n "$PREFIX-backbone" -j link show bfour | "$PYTHON" -c 'import json, sys; print(json.load(sys.stdin)[0]["address"])')" dev eth0
run_nodes four
check "remote_gateway: the node has its link" wait_for 15 has_peers four 1
check_match "remote_gateway: the way to the peer leads through it" 'via 198\.51\.100\.2 ' "$(ns four ip route get "${NODE_V4[hub]}")"
stop_node four
check_fails "remote_gateway: and not any more when the node ended" grep -q 'via 198\.51\.100\.2 ' <<<"$(ns four ip route get "${NODE_V4[hub]}")"

for name in one two three hub; do
  stop_node "$name"
  check_equal "end: $name ends with 0" 0 "$STOPPED_STATUS"
done
check_fails "end: daemon= has ended too" grep -q . <<<"$(pids_called one sleep)"
