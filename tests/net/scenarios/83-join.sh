#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Ways into a mesh, and ways that lead nowhere: wrong fingerprints, foreign registries, tokens that are unknown, used or lost halfway,
# e-mail, machines without a token. And what doctor finds.
#
#   registry 198.51.100.10      the mesh's; serves registry.example.net
#   foreign                     another mesh's, which says that it is registry.example.net
#   relay                       passes TCP on to the registry, and loses answers
#   one, two, three             machines that want to join
# The rest of the topology: tests/mesh/lib.sh.
#
# covers: command join, command doctor, flag --token, flag --anonymous, flag --email, flag --fingerprint, flag --req
# covers: flag --ca-only, flag --is-needed, flag --lan-interface, key babeld

# shellcheck source-path=SCRIPTDIR source=../../mesh/lib.sh disable=SC2119
. "$(dirname "$0")/../../mesh/lib.sh"

begin "$@"
mesh_network
for name in one two three foreign relay; do add_node "$name" v4; done
MAIL_V4=${NODE_V4[relay]}

# joins NODE FLAG...: prints the exit status; what was said is in NODE/join.out.
joins() {
  local name=$1
  [ -e "$TEMP/$name/$name.conf" ] || write_node_config "$name"
  shift
  ns_hosts "$name" timeout --foreground 60 "$SIXLINK" join "$MESH_URL" -f "$TEMP/$name/$name.conf" "$@" \
    >"$TEMP/$name/join.out" 2>&1 </dev/null
  echo $?
}
says() { check_match "$1" "$2" "$(cat "$TEMP/$3/join.out")"; }
registry_of() { ns "$1" "$REGISTRY" "${@:2}" -f "$TEMP/$1/$1.conf"; }
has_no_certificate() { [ ! -e "$TEMP/$1/state/mesh/node.pem" ]; }
nodes_count() { registry_of registry nodes --json | "$PYTHON" -c 'import json, sys; print(len(json.load(sys.stdin)["nodes"]))'; }
subnet() { sed -n 's/^subnet *//p' "$TEMP/$1/join.out"; }

# --- Nobody there, somebody else there ---

check_equal "join: 9 when there is no registry" 9 "$(joins one --anonymous -y)"
says "join: and says so" 'no connection to https://registry\.example\.net' one
start_mesh_registry join_anonymous=no
line=$(registry_of registry token new)
check_match "token new: a line to paste" '^sixlink join https://registry\.example\.net/? --token [a-z2-7]+ --fingerprint sha256:[0-9a-f]{64}$' "$line"
token=$(sed -E 's/.*--token ([^ ]+).*/\1/' <<<"$line")
fingerprint=$(sed -E 's/.*--fingerprint ([^ ]+).*/\1/' <<<"$line")
wrong=sha256:$(printf '%064d' 0)

check_equal "join: 16 with a wrong fingerprint" 16 "$(joins one --token "$token" --fingerprint "$wrong")"
says "join: names both fingerprints, and nothing was sent" "$fingerprint, not $wrong.*Nothing was sent" one
check_equal "join: 16 when nobody says whether the registry is believed" 16 "$(joins one --token "$token")"
says "join: shows its fingerprint" "$fingerprint" one

real_pid=$REGISTRY_PID
start_mesh_registry_on foreign join_anonymous=yes
set_hosts two "${NODE_V4[foreign]} $REGISTRY_NAME"
check_equal "join: 16 when another answers in the registry's name" 16 "$(joins two --token "$token" --fingerprint "$fingerprint")"
check_fails "join: it was not asked for anything" grep -rq 'certificates' "$TEMP/foreign/log"
check_equal "join: --ca-only has the authority alone" 0 "$(set_hosts two "$REGISTRY_V4 $REGISTRY_NAME"; joins two --ca-only --fingerprint "$fingerprint")"
check "join: --ca-only wrote it" [ -s "$TEMP/two/state/mesh/ca.pem" ]
set_hosts two "${NODE_V4[foreign]} $REGISTRY_NAME"
check_equal "join: 16 when an authority is known, and another answers" 16 "$(joins two --anonymous -y)"
says "join: says that it is not this mesh's" "not this mesh's registry" two
check "join: no certificate came of all that" has_no_certificate two
set_hosts two "$REGISTRY_V4 $REGISTRY_NAME"

# --- With a token ---

check_equal "join: 16 with a token that nobody made" 16 "$(joins one --token aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa --fingerprint "$fingerprint")"
check_equal "join: 16 without a token" 16 "$(joins one --fingerprint "$fingerprint")"
check_equal "join: 16 without a token where none may" 16 "$(joins one --anonymous)"
check_equal "join: 16 by e-mail where none is sent" 16 "$(joins one --email one@example.net)"
check_equal "join: 3 with a subject that there is not" 3 "$(joins one --token "$token" --req nonsense=1)"
check_equal "is-needed: 0 before" 0 "$(joins one --is-needed)"
check_equal "join: with the line that token new printed" 0 \
  "$(joins one --token "$token" --fingerprint "$fingerprint" --req CN=router7 --req O=Example --lan-interface eth0)"
says "join: prints the subnet" '^subnet +2001:db8:42:[0-9a-f:]+/64$' one
says "join: prints when the certificate will be renewed" 'renews by itself on 20[0-9]{2}-[0-9]{2}-[0-9]{2}' one
check "join: wrote the registry into the configuration" grep -qx "registry=$MESH_URL" "$TEMP/one/one.conf"
check "join: and the interface of the local network" grep -qx lan_interface=eth0 "$TEMP/one/one.conf"
check "join: kept what was there" grep -qx "run_dir=$TEMP/one/run" "$TEMP/one/one.conf"
check_equal "join: the key is its owner's alone" 600 "$(stat -c %a "$TEMP/one/state/mesh/node.key")"
check_match "nodes: has the subject" 'router7' "$(registry_of registry nodes)"
check_equal "is-needed: 1 afterwards" 1 "$(joins one --is-needed)"
check_equal "join: 16 with a token that was used" 16 "$(joins two --token "$token")"
check "join: no certificate came of that" has_no_certificate two
sha256sum "$TEMP"/one/state/mesh/* >"$TEMP/before"
check_equal "join: again, it changes nothing" 0 "$(joins one --token "$token")"
check "join: no file is another" sha256sum --quiet -c "$TEMP/before"
check_equal "join: one node is known" 1 "$(nodes_count)"

# --- A token that is lost halfway ---

token=$(registry_of registry token new | sed -E 's/.*--token ([^ ]+).*/\1/')
spawn_in relay "$TEMP/relay.out" "$PYTHON" "$TOOLS/lost_answer.py" "${NODE_V4[relay]}" 443 "$REGISTRY_V4" 443 1
wait_for 5 grep -q listening "$TEMP/relay.out" || die "the relay does not start: $(cat "$TEMP/relay.out")"
set_hosts three "${NODE_V4[relay]} $REGISTRY_NAME"
check_equal "lost answer: 9" 9 "$(joins three --token "$token" --fingerprint "$fingerprint")"
says "lost answer: nothing is lost" 'Nothing is lost' three
check "lost answer: no certificate came" has_no_certificate three
check_equal "lost answer: but it was issued" 2 "$(nodes_count)"
stop_pid "$real_pid" KILL
set_hosts three "$REGISTRY_V4 $REGISTRY_NAME"
check_equal "lost answer: 9 while the registry is dead" 9 "$(joins three --token "$token" --fingerprint "$fingerprint")"
start_mesh_registry join_anonymous=yes
check_equal "lost answer: the same command succeeds" 0 "$(joins three --token "$token" --fingerprint "$fingerprint")"
check_equal "lost answer: with the same prefix" 2 "$(nodes_count)"
check_equal "lost answer: nobody else can use the token" 16 "$(joins two --token "$token")"

# --- Without a token ---

check_equal "anonymous: where the registry allows it" 0 "$(joins two --anonymous)"
check_match "anonymous: another subnet" '^2001:db8:42:' "$(subnet two)"
check_fails "anonymous: nobody else's" grep -qx "$(subnet two)" <<<"$(subnet one; subnet three)"

# --- doctor ---

doctor() { ns_hosts "$1" "$SIXLINK" doctor -f "$TEMP/$1/$1.conf" "${@:2}"; }
doctor one >"$TEMP/doctor.out" 2>&1
check_equal "doctor: 0 when nothing has failed" 0 $?
check_match "doctor: this node's subnet" "^ok +joined .*$(subnet one)" "$(cat "$TEMP/doctor.out")"
for what in certificate ipv6 tun babeld dns registry clock mtu; do
  check_match "doctor: $what is well" "^ok +$what " "$(cat "$TEMP/doctor.out")"
done
check_match "doctor: no node runs, and what to do" '^warning +node .*no node runs' "$(cat "$TEMP/doctor.out")"
check_match "doctor --json: names what it looked at" '"ok":true.*"check":"clock","result":"ok"' "$(doctor one --json)"
set_node_key one babeld=no-such-babeld
check_equal "doctor: 1 without babeld" 1 "$(exit_status doctor one)"
check_match "doctor: says what to install" 'install babeld' "$(doctor one)"
sed -i '/^babeld=/d' "$TEMP/one/one.conf"
check_equal "doctor: 1 on a machine that did not join" 1 "$(write_node_config relay; exit_status doctor relay)"
check "revoke: the node" registry_of registry revoke "$(subnet one)"
check_equal "doctor: 1 when the certificate was revoked" 1 "$(exit_status doctor one)"
check_match "doctor: says that it was" '^FAILED +registry .*revoked' "$(doctor one)"
check_equal "join: 16 for a revoked node without a new token" 16 "$(joins one)"
stop_mesh_registry
check_match "doctor: the registry is away" '^warning +registry .*no connection' "$(doctor three)"

# --- By e-mail ---

if ! "$PYTHON" -c 'import aiosmtpd' 2>/dev/null; then
  skip "join --email" "python3-aiosmtpd is not installed (make deps)"
  exit "$FAILED_CHECKS"
fi
openssl req -x509 -newkey rsa:2048 -nodes -keyout "$TEMP/mail.key" -out "$TEMP/mail.pem" -subj /CN=mail -days 2 \
  -addext "subjectAltName=IP:$MAIL_V4" >/dev/null 2>&1
spawn_in relay "$TEMP/mail.out" "$PYTHON" "$TOOLS/smtp_receiver.py" "$MAIL_V4" 2525 "$TEMP/mail.pem" "$TEMP/mail.key" registry mailpw
wait_for 10 grep -q receiving "$TEMP/mail.out" || die "the mail server does not start: $(cat "$TEMP/mail.out")"
start_mesh_registry join_anonymous=no "smtp_server=$MAIL_V4:2525" smtp_user=registry smtp_password=mailpw \
  smtp_from=registry@example.net "smtp_ca_file=$TEMP/mail.pem"
rm -rf "$TEMP/two/state"
mkfifo "$TEMP/answer"
ns_hosts two timeout --foreground 60 "$SIXLINK" join "$MESH_URL" -f "$TEMP/two/two.conf" --email two@example.net \
  --fingerprint "$fingerprint" >"$TEMP/two/join.out" 2>&1 <"$TEMP/answer" &
joining=$!
PIDS+=("$joining")
exec 7>"$TEMP/answer"
check "email: a mail with a token comes" wait_for 15 grep -qE -- '--token [a-z2-7]{16,}' "$TEMP/mail.out"
grep -oE -- '--token [a-z2-7]+' "$TEMP/mail.out" | head -n 1 | cut -d ' ' -f 2 >&7
exec 7>&-
wait "$joining"
check_equal "email: the token that was entered is taken" 0 $?
says "email: the subnet" '^subnet +2001:db8:42:' two
