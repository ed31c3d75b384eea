#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Two registries of one mesh share a PostgreSQL database: what one gives the other knows, nothing is given twice, and a
# revocation by one is told by the other. Topology: ../lib.sh; the second registry is on the machine "second".
#
# covers: registry key mesh_database

# shellcheck source-path=SCRIPTDIR source=../lib.sh disable=SC2119
. "$(dirname "$0")/../lib.sh"
# shellcheck source-path=SCRIPTDIR source=../mesh_api.sh
. "$(dirname "$0")/../mesh_api.sh"

begin "$@"
POSTGRES=$(dirname "$(command -v initdb 2>/dev/null || echo /none/initdb)")
for directory in /usr/lib/postgresql/*/bin; do [ ! -x "$directory/initdb" ] || POSTGRES=$directory; done
if [ ! -x "$POSTGRES/initdb" ]; then
  skip "$SCENARIO" "needs PostgreSQL (make deps)"
  exit 0
fi
if in_user_namespace; then
  skip "$SCENARIO" "needs root: PostgreSQL runs as another user"
  exit 0
fi
topology
add_internet_host second 198.51.100.11

# PostgreSQL does not run as root.
OWNER=$(id -un postgres 2>/dev/null || echo nobody)
DATA=$TEMP/postgres
mkdir "$DATA" && chown "$OWNER" "$DATA" && chmod 755 "$TEMP"
# shellcheck disable=SC2024 # the log is ours
setpriv --reuid "$OWNER" --regid "$(id -gn "$OWNER")" --clear-groups "$POSTGRES/initdb" -D "$DATA/data" -A trust -U mesh --no-sync \
  >"$TEMP/initdb.out" 2>&1 || die "initdb: $(tail -n 2 "$TEMP/initdb.out")"
echo "host all all 198.51.100.0/24 trust" >>"$DATA/data/pg_hba.conf"
URI=postgresql://mesh@198.51.100.10/postgres
# shellcheck disable=SC2317 # called by wait_for
is_there() { ns second "$POSTGRES/psql" -w -c 'SELECT 1' "$URI"; }
start_database() {
  spawn_in registry "$TEMP/postgres.out" setpriv --reuid "$OWNER" --regid "$(id -gn "$OWNER")" --clear-groups "$POSTGRES/postgres" \
    -D "$DATA/data" -h 198.51.100.10 -k "$DATA" -c fsync=off
  DATABASE_PID=$SPAWNED
  wait_for 20 is_there || die "PostgreSQL does not start: $(tail -n 2 "$TEMP/postgres.out")"
}
start_database
# shellcheck disable=SC2317 # called by wait_for
node_is_known() { [ "$(api one GET /v1/node)" = 200 ]; }

if [ -x "$BUILD/unit-tests" ]; then
  check_match "postgres: the database behaves as SQLite does" 'test cases: *1 [|] *1 passed' "$(ns second env \
    "SIXLINK_TEST_POSTGRES=$URI" "$BUILD/unit-tests" -tc='mesh database: PostgreSQL behaves alike')"
fi

start_registry network=$MESH_PREFIX https_listen=198.51.100.10:443 "registry_url=$API/ https://198.51.100.11/" "mesh_database=$URI"
wait_for 5 https_is_up
fetch_ca

write_registry_config second prefix=2001:db8:44::/48 network=$MESH_PREFIX https_listen=198.51.100.11:443 \
  "registry_url=$API/ https://198.51.100.11/" "mesh_database=$URI"
status=$(ns second "$REGISTRY" nodes -f "$TEMP/second/second.conf" 2>"$TEMP/second.err"; echo $?)
check_equal "postgres: a second registry without the authority's key does not serve" 1 "$status"
check_match "postgres: and says what to do" 'copy it from the registry' "$(cat "$TEMP/second.err")"
mkdir -p "$TEMP/second/state"
cp -r "$TEMP/registry/state/ca" "$TEMP/second/state/"
spawn_in second "$TEMP/second/out" "$REGISTRY" -f "$TEMP/second/second.conf" -n
wait_for 20 https_is_up second || die "the second registry does not start: $(tail -n 2 "$TEMP/second/out")"

second() { API=https://198.51.100.11 "$@"; }
make_key one
make_key two
make_key three
check_equal "postgres: a token of the first is good at the second" 201 "$(second join one "token=$(token)")"
check_equal "postgres: and nodes of the first" 201 "$(join two "token=$(token)")"
check_equal "postgres: have other prefixes" 201 "$(second join three "token=$(token)")"
check_equal "postgres: each its own" 3 "$(cat "$TEMP"/{one,two,three}.prefix | sort -u | wc -l)"
check_equal "postgres: a node of the second is known at the first" 200 "$(api one GET /v1/node)"
api one PUT /v1/contact "{\"contact\":\"$(make_contact one)\"}" >/dev/null
check_equal "postgres: a contact given to the first is told by the second" 200 "$(second api two GET "/v1/contacts/$(cat "$TEMP/one.prefix")")"
check_equal "postgres: also among random ones" 200 "$(second api two GET '/v1/contacts?count=3')"
check "postgres: it is there" test -n "$(answer contacts.0)"

# Both give prefixes, and take the same token, at the same moment.
# shellcheck disable=SC2317 # called in the background
joins_at() {
  ns client curl -gsS --max-time 30 --cacert "$TEMP/ca.pem" --data-binary "@$TEMP/$2.body" -o "$TEMP/$2.answer" \
    -w '%{http_code}\n' "$1/v1/certificates" >"$TEMP/$2.status" 2>&1
}
shared=$(token)
for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
  make_key "racer$i"
  [ "$i" -le 2 ] || shared=$(token)
  request_body "racer$i" "token=$shared" >"$TEMP/racer$i.body"
done
racing=()
for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
  joins_at "https://198.51.100.1$((i % 2))" "racer$i" &
  racing+=($!)
done
wait "${racing[@]}"
check_equal "postgres: of two keys with one token one joins, wherever they ask" "201 409" "$(sort "$TEMP"/racer{1,2}.status | tr '\n' ' ' | sed 's/ $//')"
check_equal "postgres: all others that ask at the same moment join" 10 "$(cat "$TEMP"/racer{3,4,5,6,7,8,9,10,11,12}.status | grep -c '^201$')"
check_equal "postgres: no two with the same prefix" 11 "$(cat "$TEMP"/racer*.answer | grep -o '"prefix":"[^"]*"' | sort -u | wc -l)"

api one GET /v1/parameters >/dev/null
version=$(answer version)
(second api one GET "/v1/parameters?newer_than=$version&wait=20"; date +%s%N) >"$TEMP/held" 2>&1 &
held=$!
sleep 1
begun=$(date +%s%N)
registry_command revoke "$(cat "$TEMP/two.prefix")" >/dev/null || fail "postgres: revoke" "it failed"
wait "$held"
check_equal "postgres: a revocation at the first is told by the second" 200 "$(head -n 1 "$TEMP/held")"
milliseconds=$((($(tail -n 1 "$TEMP/held") - begun) / 1000000))
check "postgres: within two seconds ($milliseconds ms)" test "$milliseconds" -lt 2000
check_equal "postgres: which refuses the revoked node" 403 "$(second api two GET /v1/node)"

# PostgreSQL is restarted under them.
stop_pid "$DATABASE_PID" INT
check_equal "postgres: without its database the registry says that it cannot" 500 "$(api one GET /v1/node)"
check_fails "postgres: and does not tell why to everybody" grep -q 'postgres\|connection' "$TEMP/answer"
start_database
check "postgres: it serves again when its database does" wait_for 10 node_is_known
