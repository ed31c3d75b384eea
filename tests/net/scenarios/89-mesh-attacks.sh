#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# What a mesh refuses: certificates of another authority, and expired ones; others' contacts and messages sent again; a node that announces another's
# prefix; old parameters of the network; guessed tokens, and floods of requests to join. After each, the mesh is as it was. (Revoked
# certificates: 88-mesh-20.) Topology: tests/mesh/lib.sh, three nodes in the open, one whose owner means ill, and a registry of his.

# shellcheck source-path=SCRIPTDIR source=../../mesh/lib.sh disable=SC2119
. "$(dirname "$0")/../../mesh/lib.sh"

begin "$@"
mesh_network
for name in a b c evil late; do add_node $name public; done
good=(a b c)
add_namespace foreign
plug foreign bforeign 198.51.100.12 2001:db8:ff:c::2

# Of late's certificate nothing is left at the end.
start_mesh_registry certificate_lifetime=60
join_node late || die "late cannot join: $(cat "$TEMP/late/join.out")"
late_joined=$SECONDS
stop_mesh_registry
start_mesh_registry certificate_lifetime=31536000
start_captures
node_field() { node "$1" status --json 2>/dev/null | "$PYTHON" "$TOOLS/json_field.py" "$2"; }
join_nodes "${good[@]}"
run_nodes "${good[@]}"
check "attacks: three nodes reach each other" everyone_reaches 30 "${good[@]}"
everyone_has_all() {
  local name
  for name in "${good[@]}"; do [ "$(links "$name" | wc -l)" = 2 ] || return 1; done
}
check "attacks: and have links" wait_for 10 everyone_has_all
stop_captures
is_as_it_was() { everyone_reaches 10 "${good[@]}" && everyone_has_all; }

# --- Another authority, which gives the same prefixes ---

set_hosts evil "198.51.100.12 $REGISTRY_NAME"
own_registry=$REGISTRY_PID
start_mesh_registry_on foreign
REGISTRY_PID=$own_registry
join_node evil || die "cannot join the other network: $(cat "$TEMP/evil/join.out")"
set_node_key evil "client_only=${NODE_V4[a]}"
run_nodes evil
has_bad_contacts() { [ "$(node_field "$1" counters.bad_contacts)" -gt 0 ]; }
check_equal "foreign authority: nothing was refused before" 0 "$(node_field a counters.bad_contacts)"
check "foreign authority: its node is refused" wait_for 10 has_bad_contacts a
check_equal "foreign authority: it has no link" alone "$(node_field evil state)"
check "foreign authority: the mesh is as it was" is_as_it_was
stop_node evil

# --- What others said, sent again by somebody else ---

for kind in control wireguard; do
  said=$(ns evil "$PYTHON" "$MESH_TOOLS/replay.py" "$TEMP/captures/backbone.pcap" "${NODE_V4[a]}" 3653 $kind ||
    ns evil "$PYTHON" "$MESH_TOOLS/replay.py" "$TEMP/captures/backbone.pcap" "${NODE_V6[a]}" 3653 $kind)
  echo "# attacks: $kind sent again: $said"
  read -r sent _ _ _ sent_bytes _ _ came_bytes _ <<<"$said"
  check "$kind sent again: there was something to send" test "${sent:-0}" -gt 0
  check "$kind sent again: no more comes back than was sent" test "${came_bytes:-1}" -le "${sent_bytes:-0}"
  check "$kind sent again: the mesh is as it was" is_as_it_was
done

# --- A node that announces another's prefix ---

# c says that a is behind it, as near as can be; b has links with both.
interface=$(links c | awk '$1 == "b" { print $2 }')
ip -n "$PREFIX-c" addr add fe80::bad/64 dev "$interface" nodad
hears_foreign() { [ "$(node_field b foreign_announcements)" -gt 0 ]; }
check_fails "stolen prefix: nothing is noticed before" hears_foreign
spawn_in c "$TEMP/speaker.out" "$PYTHON" "$MESH_TOOLS/babel_speaker.py" "$interface" fe80::bad --metric 0 \
  --router-id "$(printf %s 20010db800420bad)" "${NODE_PREFIX[a]}"
speaker=$SPAWNED
check "stolen prefix: is noticed by the neighbour" wait_for 15 hears_foreign
check_match "stolen prefix: and told in its log" 'not its own' "$(cat "$TEMP/b/log")"
goes_to_a() { ns b ip -6 route get "${NODE_ADDRESS[a]}" | grep -q "dev $(links b | awk '$1 == "a" { print $2 }') "; }
check "stolen prefix: traffic is not drawn there" wait_for 10 goes_to_a
stop_pid "$speaker"
check "stolen prefix: the mesh is as it was" is_as_it_was

# --- Old parameters of the network ---

old=$(node_field a parameters.version)
cp "$TEMP/b/state/mesh/parameters.der" "$TEMP/old.der"
ns registry "$REGISTRY" revoke "${NODE_PREFIX[c]}" -f "$TEMP/registry/registry.conf" >/dev/null || die "cannot revoke c"
has_newer() { [ "$(node_field "$1" parameters.version)" -gt "$old" ]; }
check "old parameters: a has the newer ones" wait_for 10 has_newer a
check "old parameters: and so has b" wait_for 10 has_newer b
stop_mesh_registry
stop_node b
cp "$TEMP/old.der" "$TEMP/b/state/mesh/parameters.der"
run_nodes b
check "old parameters: who comes with them takes the newer ones of a neighbour" wait_for 15 has_newer b
check "old parameters: nobody takes the old ones" has_newer a
check_fails "old parameters: the revoked node is still cut off" can_ping c "${NODE_ADDRESS[a]}" 1
good=(a b)
check "old parameters: the mesh goes on" everyone_reaches 15 a b

# --- Guessed tokens, and floods ---

start_mesh_registry join_anonymous=no
ask_registry() {  # HTTP status of a request to join, from evil or whoever is named
  ns_hosts "${2:-evil}" curl -ks --max-time 5 -o /dev/null -w '%{http_code}\n' -H 'Content-Type: application/json' --data "$1" "$MESH_URL/v1/certificates"
}
set_hosts evil "$REGISTRY_V4 $REGISTRY_NAME"
openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$TEMP/guess.key" -subj /CN=guess 2>/dev/null >"$TEMP/guess.csr"
guess() { ask_registry "{\"token\": \"guess-$1\", \"request\": \"$(awk '{ printf "%s\\n", $0 }' "$TEMP/guess.csr")\"}"; }
check_equal "guessed token: refused" 403 "$(guess 0)"
codes=$(for i in $(seq 1 30); do guess "$i"; done | sort | uniq -c | tr '\n' ' ')
check_match "guessed tokens: soon nobody listens" '429' "$codes"
check_fails "guessed tokens: none was right" grep -q '20[01]' <<<"$codes"
echo "# attacks: 30 guesses: $codes"
token=$(ns registry "$REGISTRY" token new -f "$TEMP/registry/registry.conf" | sed -n 's/.*--token \([a-z2-7]*\).*/\1/p')
good_token="{\"token\": \"$token\", \"request\": \"$(awk '{ printf "%s\\n", $0 }' "$TEMP/guess.csr")\"}"
check_equal "guessed tokens: even a good one is not tried from there now" 429 "$(ask_registry "$good_token")"
check_equal "guessed tokens: from elsewhere it is" 201 "$(ask_registry "$good_token" late)"
check "flood: the mesh goes on" everyone_reaches 15 a b

# --- A certificate that has expired, and cannot be renewed ---

stop_mesh_registry
while [ $((SECONDS - late_joined)) -lt 62 ]; do sleep 0.5; done
before=$(node_field a counters.bad_contacts)
set_node_key late "client_only=${NODE_V4[a]}"
run_nodes late
refuses_more() { [ "$(node_field a counters.bad_contacts)" -gt "$before" ]; }
check "expired certificate: its node is refused" wait_for 15 refuses_more
check_equal "expired certificate: it has no link" alone "$(node_field late state)"
check_match "expired certificate: it says so itself" 'expired' "$(node late status)"
check "expired certificate: the mesh goes on" everyone_reaches 15 a b
