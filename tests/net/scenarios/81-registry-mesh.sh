#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The registry of a mesh over HTTPS, with curl and openssl as the node: joining, tokens, contacts, revocation that reaches who
# waits, renewal over a change of authority, administrators. Topology: ../lib.sh; the registry also serves tunnels.
#
# covers: registry key network, registry key network_v4, registry key registry_url, registry key https_listen
# covers: registry key token_lifetime, registry key mesh_prefix_length, registry key mesh_prefix_length_min
# covers: registry key certificate_lifetime, registry key hello_interval, registry key client_count
# covers: registry key tunnel_refresh, registry key prefix_grace, registry key join_anonymous

# shellcheck source-path=SCRIPTDIR source=../lib.sh disable=SC2119
. "$(dirname "$0")/../lib.sh"
# shellcheck source-path=SCRIPTDIR source=../mesh_api.sh
. "$(dirname "$0")/../mesh_api.sh"

begin "$@"
topology
printf 'x' >"$TEMP/ca.pem"
check_fails "mesh api: nobody answers before the registry runs" fetch_ca

start_registry network=$MESH_PREFIX "network_v4=203.0.113.0/24 28" https_listen=198.51.100.10:443 \
  "registry_url=$API/ https://registry.example.net/" token_lifetime=3600 mesh_prefix_length=60 mesh_prefix_length_min=56 \
  certificate_lifetime=7776000 prefix_grace=86400 hello_interval=2 client_count=6 tunnel_refresh=60
check "mesh api: it serves HTTPS" wait_for 5 https_is_up
check "mesh api: tells the network's authority to whoever asks" fetch_ca
fingerprint=sha256:$(openssl x509 -in "$TEMP/ca.pem" -outform DER | sha256sum | cut -d ' ' -f 1)
check_match "mesh api: its fingerprint is that of the line to paste" "^sixlink join $API/ --token [a-z2-7]{32} --fingerprint $fingerprint\$" \
  "$(registry_command token new)"
check "mesh api: its certificate is good for a name, too" ns client curl -sS --cacert "$TEMP/ca.pem" \
  --resolve registry.example.net:443:198.51.100.10 https://registry.example.net/v1/ca
check_fails "mesh api: and for no other" ns client curl -sS --cacert "$TEMP/ca.pem" \
  --resolve other.example.net:443:198.51.100.10 https://other.example.net/v1/ca
check_fails "mesh api: TLS 1.1 is refused" ns client curl -gsS --cacert "$TEMP/ca.pem" --tlsv1.1 --tls-max 1.1 \
  --ciphers DEFAULT@SECLEVEL=0 "$API/v1/ca"

# Who may not.
make_key one
make_key two
check_equal "mesh api: 401 without a certificate" 401 "$(api - GET /v1/parameters)"
check_equal "mesh api: nobody joins without a token here" 403 "$(join one anonymous=true)"
check_equal "mesh api: it says so" not_allowed "$(answer error.code)"
check_equal "mesh api: an unknown token is refused" 403 "$(join one token=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa)"
check_equal "mesh api: it says so, too" token_unknown "$(answer error.code)"
check_equal "mesh api: 404 for what is not there" 404 "$(api - GET /v1/nothing)"
check_equal "mesh api: 405 for a wrong method" 405 "$(api - PUT /v1/ca '{}')"
head -c 70000 /dev/zero | tr '\0' 'x' >"$TEMP/large"
check_equal "mesh api: a body of 70 KB is refused" 413 "$(api - POST /v1/certificates "@$TEMP/large")"

# Joining.
token=$(token)
check_equal "mesh api: a token lets a node join" 201 "$(join one "token=$token")"
check "mesh api: its certificate is the authority's" openssl verify -CAfile "$TEMP/ca.pem" "$TEMP/one.pem"
check_match "mesh api: it has a prefix of the configured length" "^2001:db8:43:[0-9a-f]+::/60\$" "$(cat "$TEMP/one.prefix")"
check_match "mesh api: which the certificate has, too" "2001:db8:43:" "$(openssl x509 -in "$TEMP/one.pem" -noout -ext sbgp-ipAddrBlock)"
check_match "mesh api: and an IPv4 prefix" "^203\.0\.113\.[0-9]+/28\$" "$(answer prefix_v4)"
cp "$TEMP/one.pem" "$TEMP/first.pem"
check_equal "mesh api: the same key and token are answered again" 201 "$(join one "token=$token")"
check "mesh api: with the same certificate" cmp "$TEMP/first.pem" "$TEMP/one.pem"
check_equal "mesh api: another key with that token is not" 409 "$(join two "token=$token")"
check_equal "mesh api: as it was used" token_used "$(answer error.code)"
check_equal "mesh api: a node of its own token joins" 201 "$(join two "token=$(token --prefix-length 64 --expires 5m)")"
check_match "mesh api: with the length that the token says" "/64\$" "$(cat "$TEMP/two.prefix")"
check_fails "mesh api: no token is made for a shorter prefix than allowed" registry_command token new --prefix-length 52
make_key forger 198.51.100.10
check_equal "mesh api: nobody gets a certificate with the registry's name" 400 "$(join forger "token=$(token)")"

# Parameters and contacts.
check_equal "mesh api: a node is given the parameters" 200 "$(api one GET /v1/parameters)"
version=$(answer version)
answer parameters | base64 -d >"$TEMP/parameters.der"
check "mesh api: which the authority signed" openssl cms -verify -in "$TEMP/parameters.der" -inform DER -binary -CAfile "$TEMP/ca.pem" \
  -purpose any -out "$TEMP/parameters.xml"
check_match "mesh api: as they were configured" "<hello-interval>2<.*<client-count>6<.*<tunnel-refresh>60<" "$(cat "$TEMP/parameters.xml")"
check_equal "mesh api: a contact is taken" 200 "$(api one PUT /v1/contact "{\"contact\":\"$(make_contact one)\",\"neighbours\":[{\"prefix\":\"$(cat "$TEMP/two.prefix")\",\"rtt_us\":1234}]}")"
check_equal "mesh api: and where it came from is told" 198.51.100.1 "$(answer observed)"
check_equal "mesh api: an older one is not" 409 "$(api one PUT /v1/contact "{\"contact\":\"$(make_contact one 5)\"}")"
check_equal "mesh api: another node's is not" 400 "$(api two PUT /v1/contact "{\"contact\":\"$(make_contact one)\"}")"
check_equal "mesh api: one for another's prefix is not" 400 "$(api two PUT /v1/contact "{\"contact\":\"$(make_contact two '' "$(cat "$TEMP/one.prefix")")\"}")"
api two PUT /v1/contact "{\"contact\":\"$(make_contact two)\"}" >/dev/null
check_equal "mesh api: random contacts" 200 "$(api two GET '/v1/contacts?count=5')"
answer contacts.0 | base64 -d >"$TEMP/contact.der" 2>/dev/null
check_match "mesh api: are those of the others" "<prefix>$(cat "$TEMP/one.prefix")<" "$(openssl cms -verify -in "$TEMP/contact.der" -inform DER -binary -noverify 2>/dev/null)"
check_equal "mesh api: and not one's own" "" "$(answer contacts.1)"
check_equal "mesh api: a contact by prefix" 200 "$(api two GET "/v1/contacts/$(cat "$TEMP/one.prefix")")"
check_equal "mesh api: a node is introduced" 200 "$(api two POST /v1/introductions "{\"prefix\":\"$(cat "$TEMP/one.prefix")\"}")"
check_equal "mesh api: a node that leaves is forgotten" 204 "$(api one DELETE /v1/contact)"
check_equal "mesh api: by all" 404 "$(api two GET "/v1/contacts/$(cat "$TEMP/one.prefix")")"
check_match "mesh: nodes are listed" "$(cat "$TEMP/one.prefix") +203\.0\.113\.[0-9]+/28 +live" "$(registry_command nodes)"

# A foreign authority's certificate for the same prefix.
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$TEMP/foreign.key" -out "$TEMP/foreign.pem" -subj /CN=one \
  -addext "sbgp-ipAddrBlock=critical,IPv6:$(cat "$TEMP/one.prefix")" 2>/dev/null
check_equal "mesh api: a foreign certificate is refused" 403 "$(api foreign GET /v1/parameters)"
check_equal "mesh api: it says so as well" certificate_refused "$(answer error.code)"

# Revocation reaches who waits.
check_equal "mesh api: nothing newer" 204 "$(api one GET "/v1/parameters?newer_than=$version&wait=0")"
(api one GET "/v1/parameters?newer_than=$version&wait=30"; date +%s%N) >"$TEMP/held" 2>&1 &
held=$!
sleep 1
begun=$(date +%s%N)
registry_command revoke "$(cat "$TEMP/two.prefix")" >"$TEMP/revoked" || fail "mesh: revoke" "$(cat "$TEMP/revoked")"
wait "$held"
check_equal "mesh: a revocation is told to whoever waits" 200 "$(head -n 1 "$TEMP/held")"
milliseconds=$((($(tail -n 1 "$TEMP/held") - begun) / 1000000))
check "mesh: within a second ($milliseconds ms)" test "$milliseconds" -lt 1000
check_equal "mesh api: the revoked node is refused" 403 "$(api two GET /v1/parameters)"
check_equal "mesh api: as one that was revoked" revoked "$(answer error.code)"
check_equal "mesh api: its key does not join again" 403 "$(join two "token=$(token --prefix-length 64)")"
serial=$(openssl x509 -in "$TEMP/two.pem" -noout -serial | cut -d = -f 2 | tr 'A-F' 'a-f')
api one GET /v1/parameters >/dev/null
answer parameters | base64 -d | openssl cms -verify -inform DER -binary -noverify 2>/dev/null >"$TEMP/parameters.xml"
check_match "mesh: its serial number is in the parameters" "<revoked>$serial<" "$(cat "$TEMP/parameters.xml")"

# Administrators.
check_equal "mesh api: a node is no administrator" 403 "$(api one GET /v1/admin/nodes)"
registry_command admin new operator --out "$TEMP" >"$TEMP/admin.out" || fail "mesh: admin new" "$(cat "$TEMP/admin.out")"
check_equal "mesh api: an administrator sees the nodes" 200 "$(api operator GET /v1/admin/nodes)"
check_match "mesh api: with their states" '"state": ?"revoked"' "$(cat "$TEMP/answer")"
check_equal "mesh api: makes tokens" 201 "$(api operator POST /v1/admin/tokens '{"expires_in":600}')"
check_match "mesh api: with the line to paste" "^sixlink join" "$(answer line)"
check_equal "mesh api: takes them back" 200 "$(api operator DELETE "/v1/admin/tokens/$(answer id)")"
check_equal "mesh api: finds addresses by name" 200 "$(api operator GET '/v1/admin/addresses?who=one')"
check_match "mesh api: which nodes number ::1" "^2001:db8:43:.*::1\$" "$(answer addresses.0.address)"
api one PUT /v1/contact "{\"contact\":\"$(make_contact one)\",\"neighbours\":[{\"prefix\":\"$(cat "$TEMP/two.prefix")\",\"rtt_us\":1234}]}" >/dev/null
check_equal "mesh api: gets the topology for Graphviz" 200 "$(api operator GET '/v1/admin/topology?format=dot')"
check_match "mesh api: with its links" '" -- ".*1\.2 ms' "$(cat "$TEMP/answer")"
check_match "mesh: versions are listed" "test 1" "$(registry_command versions)"
registry_command admin revoke operator >/dev/null
check_equal "mesh api: a revoked administrator is refused" 403 "$(api operator GET /v1/admin/nodes)"

# The authority changes, the prefix stays.
registry_command ca roll --name "the next" --after 1 >"$TEMP/roll.out" || fail "mesh: ca roll" "$(cat "$TEMP/roll.out")"
sleep 2
old=$(cat "$TEMP/one.prefix")
check_equal "mesh: a node renews" 201 "$(api one POST /v1/certificates/renew "$(request_body one)")"
answer certificate >"$TEMP/one.pem"
check_equal "mesh: and keeps its prefix" "$old" "$(answer prefix)"
check_match "mesh: with the next authority's signature" "CN ?= ?the next" "$(openssl x509 -in "$TEMP/one.pem" -noout -issuer)"
check_equal "mesh api: which is good here" 200 "$(api one GET /v1/node)"
check_equal "mesh: what the old one issued is good, too" 200 "$(cp "$TEMP/first.pem" "$TEMP/old.pem"; cp "$TEMP/one.key" "$TEMP/old.key"; api old GET /v1/node)"
registry_command ca retire "$fingerprint" >/dev/null || fail "mesh: ca retire" "it failed"
sleep 2
fetch_ca
check_match "mesh: HTTPS has a certificate of the next authority" "the next" "$(openssl x509 -in "$TEMP/ca.pem" -noout -subject)"
check_equal "mesh: which is good for who believes it" 200 "$(api one GET /v1/node)"
check_equal "mesh: the retired authority's is not" 403 "$(api old GET /v1/node)"

# After a restart all is as before; guessing is made slow.
stop_pid "$REGISTRY_PID"
check_equal "mesh: the registry ends" 0 "$STOPPED_STATUS"
write_registry_config registry network=$MESH_PREFIX https_listen=0.0.0.0:443 "registry_url=$API/" join_anonymous=yes
run_registry
check "mesh: HTTPS is served after a restart" wait_for 5 https_is_up
fetch_ca
check_equal "mesh: nodes are known after a restart" 200 "$(api one GET /v1/node)"
make_key three
check_equal "mesh: who needs no token joins" 201 "$(join three anonymous=true)"
check_fails "mesh: with a prefix of its own" grep -qxF "$old" "$TEMP/three.prefix"
for _ in 1 2 3 4 5 6; do join three token=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab >/dev/null; done
check_equal "mesh: whoever guesses waits" 429 "$(join three token=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab)"
add_internet_host other 198.51.100.20
check_equal "mesh: all others are served" 200 "$(API_HOST=other api one GET /v1/node)"

# Hostile clients of HTTPS: bounded, and no matter to others.
spawn_in client "$TEMP/hostile.out" "$PYTHON" "$TOOLS/hostile_https.py" 198.51.100.10 443
check "mesh https: survives hostile clients" wait_for 30 grep -q '^holding' "$TEMP/hostile.out"
check_match "mesh https: what is no HTTP is refused" '^no http (400|0)$' "$(cat "$TEMP/hostile.out")"
check_match "mesh https: a header of 20 KB is refused" '^long header (431|400|0)$' "$(cat "$TEMP/hostile.out")"
check_match "mesh https: a body of 100 MB is refused" '^large body 413$' "$(cat "$TEMP/hostile.out")"
check_match "mesh https: and one without end" '^endless chunks (413|0)$' "$(cat "$TEMP/hostile.out")"
check_match "mesh https: nested JSON is refused" '^nested json 400$' "$(cat "$TEMP/hostile.out")"
connections=$(sed -n 's/^connections //p' "$TEMP/hostile.out")
check "mesh https: one address holds $connections connections at most" test "${connections:-999}" -le 256
check_equal "mesh https: others are served meanwhile" 200 "$(API_HOST=other api one GET /v1/node)"
memory=$(memory_kib "$REGISTRY_PID")
check "mesh https: the registry has $((memory / 1024)) MiB" test "$memory" -lt 65536
check_match "status: tells of the mesh" '^mesh +2001:db8:43::/48: [0-9]+ nodes, [0-9]+ of them live' "$(registry_command status)"
