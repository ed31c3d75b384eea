#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# A mesh's registry that sends tokens by e-mail, to a real SMTP receiver that wants STARTTLS and a login; and that serves a mesh
# alone, without tunnels. Topology: ../lib.sh; the mail server is on the machine "mail", 198.51.100.25.
#
# covers: registry key smtp_server, registry key smtp_user, registry key smtp_password, registry key smtp_from
# covers: registry key smtp_ca_file, registry key smtp_security, registry key joins_per_hour

# shellcheck source-path=SCRIPTDIR source=../lib.sh disable=SC2119
. "$(dirname "$0")/../lib.sh"
# shellcheck source-path=SCRIPTDIR source=../mesh_api.sh
. "$(dirname "$0")/../mesh_api.sh"

begin "$@"
if ! "$PYTHON" -c 'import aiosmtpd' 2>/dev/null; then
  skip "$SCENARIO" "needs aiosmtpd for Python (make deps)"
  exit 0
fi
topology
add_internet_host mail 198.51.100.25

openssl req -x509 -newkey rsa:2048 -nodes -keyout "$TEMP/mail.key" -out "$TEMP/mail.pem" -subj /CN=mail -days 2 \
  -addext subjectAltName=IP:198.51.100.25 2>/dev/null

# A registry of a mesh alone, as init makes it.
mkdir -p "$TEMP/registry"
check_fails "init: a mesh needs a network" ns registry "$REGISTRY" init --mesh -f "$TEMP/registry/registry.conf"
check_match "init --mesh: prints what to do next" 'sixlink-registry token new' "$(ns registry "$REGISTRY" init --mesh --network $MESH_PREFIX \
  --ipv4 203.0.113.0/24 30 --url "$API/" --name 'a mesh' --state-dir "$TEMP/registry/state" --run-dir "$TEMP/registry/run" \
  -f "$TEMP/registry/registry.conf" 2>&1)"
# shellcheck disable=SC2317 # called by check
served() { grep -q 'is served at' "$TEMP/registry/out" && https_is_up; }
# serve [KEY=VALUE...]: adds them to the configuration and starts the registry.
serve() {
  printf '%s\n' "$@" >>"$TEMP/registry/registry.conf"
  spawn_in registry "$TEMP/registry/out" "$REGISTRY" -f "$TEMP/registry/registry.conf" -n
  # shellcheck disable=SC2034 # for lib.sh
  REGISTRY_PID=$SPAWNED
  wait_for 20 served || die "the registry does not start: $(tail -n 3 "$TEMP/registry/out")"
}
serve log_stderr=2 joins_per_hour=12
check "mesh alone: HTTPS is served" fetch_ca
check_match "mesh alone: with the authority's name" 'CN ?= ?a mesh' "$(openssl x509 -in "$TEMP/ca.pem" -noout -subject)"
check_equal "mesh alone: no interface is made" "" "$(ns registry ip -o link show type tun)"
check_equal "mail: without a mail server there is none" 403 "$(api - POST /v1/tokens/email '{"email":"alice@example.net"}')"
check_equal "mail: it says so" not_allowed "$(answer error.code)"
stop_pid "$REGISTRY_PID"
check_equal "mesh alone: exit status 0 on SIGTERM" 0 "$STOPPED_STATUS"

spawn_in mail "$TEMP/mail.out" "$PYTHON" "$TOOLS/smtp_receiver.py" 198.51.100.25 587 "$TEMP/mail.pem" "$TEMP/mail.key" registry swordfish
wait_for 20 grep -q '^receiving' "$TEMP/mail.out" || die "the mail server does not start: $(tail -n 3 "$TEMP/mail.out")"

# A server whose certificate nobody vouches for gets neither password nor token.
serve smtp_server=198.51.100.25 smtp_user=registry smtp_password=swordfish smtp_from=registry@example.net
check_equal "mail: asked for" 202 "$(api - POST /v1/tokens/email '{"email":"alice@example.net"}')"
check "mail: a mail server without a good certificate is not used" wait_for 10 grep -q 'cannot send an e-mail to alice' "$TEMP/registry/out"
check_fails "mail: and gets no mail" grep -q '^mail from' "$TEMP/mail.out"
stop_pid "$REGISTRY_PID"
check_equal "mail: the registry ends at once while one waits" 0 "$STOPPED_STATUS"

serve "smtp_ca_file=$TEMP/mail.pem"
check_equal "mail: a token is asked for" 202 "$(api - POST /v1/tokens/email '{"email":"bob@example.net"}')"
check "mail: it is sent" wait_for 10 grep -q '^mail from registry@example.net to bob@example.net' "$TEMP/mail.out"
wait_for 5 grep -q 'sixlink join' "$TEMP/mail.out"
line=$(grep -o "sixlink join .*" "$TEMP/mail.out")
check_match "mail: with the line to paste" "^sixlink join $API/ --token [a-z2-7]{32} --fingerprint sha256:[0-9a-f]{64}\$" "$line"
token=${line#* --token }
token=${token%% *}
make_key bob
check_equal "mail: whoever has it joins" 201 "$(join bob "token=$token")"
check_match "mail: with an IPv4 prefix, as init was told" '^203\.0\.113\.[0-9]+/30$' "$(answer prefix_v4)"
check_match "mesh: nodes are found by e-mail address" '^2001:db8:43:.*::1$' "$(registry_command addresses bob@example.net)"
check_equal "mail: the same mailbox is not filled" 202 "$(api - POST /v1/tokens/email '{"email":"bob@example.net"}')"
check_equal "mail: nobody else is written to" 400 "$(api - POST /v1/tokens/email '{"email":"bob@example.net\r\nBcc: eve@example.net"}')"
check_equal "mail: one was sent" 1 "$(grep -c '^mail from' "$TEMP/mail.out")"

for _ in 1 2 3 4 5 6 7 8 9 10 11 12; do join bob "token=$token" >/dev/null; done
check_equal "mesh: one address joins no more often than joins_per_hour" 429 "$(join bob "token=$token")"
stop_pid "$REGISTRY_PID"

# What is not encrypted is told to the administrator.
serve smtp_security=none
check "mail: an unencrypted way is warned of" grep -q 'smtp_security.*readable' "$TEMP/registry/out"
