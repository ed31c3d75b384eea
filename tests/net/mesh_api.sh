# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# For scenarios of the mesh's registry: curl and openssl as the node. Sourced after lib.sh, which has TEMP, ns and so on.
# What the registry answered to api() is in $TEMP/answer, the status is printed.

# shellcheck disable=SC2034 # for the scenarios
MESH_PREFIX=2001:db8:43::/48
API=https://198.51.100.10

# api NODE|- METHOD PATH [BODY]: from the host "client", with the node's certificate (-: none).
api() {
  local node=$1 method=$2 path=$3 identity=()
  shift 3
  [ "$node" = - ] || identity=(--cert "$TEMP/$node.pem" --key "$TEMP/$node.key")
  ns "${API_HOST:-client}" curl -gsS --max-time 65 --cacert "$TEMP/ca.pem" "${identity[@]}" -X "$method" \
    ${1:+--data-binary "$1"} -o "$TEMP/answer" -w '%{http_code}\n' "$API$path" 2>"$TEMP/curl.err"
}

# answer PATH: a field of the last answer, "error.code".
answer() { "$PYTHON" "$TOOLS/json_field.py" "$1" <"$TEMP/answer"; }

# make_key NODE [CN]: a key and a request for it.
make_key() {
  openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$TEMP/$1.key" -out "$TEMP/$1.csr" \
    -subj "/CN=${2:-$1}" 2>/dev/null
}

# request_body NODE WORD...: the JSON to join with; words are NAME=VALUE.
request_body() {
  "$PYTHON" -c 'import json,sys
body = {"request": open(sys.argv[1]).read()}
for word in sys.argv[2:]:
    name, value = word.split("=", 1)
    body[name] = True if value == "true" else value
print(json.dumps(body))' "$TEMP/$1.csr" "${@:2}"
}

# fetch_ca: what whoever joins gets first, without believing anybody.
fetch_ca() {
  ns "${API_HOST:-client}" curl -gsSk --max-time 10 "$API/v1/ca" >"$TEMP/ca.json" &&
    "$PYTHON" "$TOOLS/json_field.py" authorities.0 <"$TEMP/ca.json" >"$TEMP/ca.pem"
}

# join NODE WORD...: prints the status; the certificate is in $TEMP/NODE.pem.
join() {
  local node=$1 status
  shift
  status=$(api - POST /v1/certificates "$(request_body "$node" "$@")")
  if [ "$status" = 201 ]; then
    answer certificate >"$TEMP/$node.pem"
    answer prefix >"$TEMP/$node.prefix"
  fi
  echo "$status"
}

# make_contact NODE [SEQUENCE [PREFIX]]: its contact, signed, base64 on one line.
make_contact() {
  local now
  now=$(date +%s)
  printf '<contact><prefix>%s</prefix><key type="wireguard">%s</key><endpoint kind="public" transport="udp" port="3653">%s</endpoint><nat>none</nat><sequence>%s</sequence><expires>%s</expires><parameters>0</parameters><software>test 1</software></contact>' \
    "${3:-$(cat "$TEMP/$1.prefix")}" "$(head -c 32 /dev/urandom | base64)" 198.51.100.77 "${2:-$now}" $((now + 3600)) |
    openssl cms -sign -binary -noattr -nosmimecap -nodetach -md sha256 -outform DER -signer "$TEMP/$1.pem" \
      -inkey "$TEMP/$1.key" | base64 -w 0
}

# token WORD...: a new token, as `token new` with these options prints it.
token() { registry_command token new "$@" | sed -n 's/.* --token \([a-z2-7]*\) .*/\1/p'; }

https_is_up() { [ -n "$(ns "${1:-registry}" ss -Htnl 'sport = :443')" ]; }
