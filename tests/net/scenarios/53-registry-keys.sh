#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# What keys of sixlink-registry.conf do that no other scenario shows: in replies on the wire, on the interface, in the logs, in what a
# DNS server is asked for, and in what one client may take. Values that are not allowed come first, then what the defaults do.
#
#   client 192.0.2.2 --- router (NAT) --- registry 198.51.100.10 --- web 2001:db8:99::2: a DNS server, and clients over IPv6
#
# The rest of the topology: ../lib.sh.
#
# covers: registry key anonymous_lifetime, registry key anonymous_per_address, registry key server_v4, registry key lifetime
# covers: registry key realm, registry key interface, registry key template, registry key run_dir, registry key state_dir
# covers: registry key prefix_length_min, registry key prefix_length_max, registry key prefix_v4, registry key prefix_v4_length_min
# covers: registry key prefix_v4_length_max, registry key max_sessions, registry key sessions_per_address
# covers: registry key threads, registry key offload
# covers: registry key login_attempts_per_minute, registry key requests_per_second, registry key redirect_above_load
# covers: registry key dns_update_server, registry key dns_update_key, registry key reverse_zone, registry key user_domain
# covers: registry key user_zone, registry key dns_ttl, registry key log_console, registry key log_stderr, registry key log_file
# covers: registry key log_filename, registry key log_rotation, registry key log_rotation_size, registry key log_rotation_delete
# covers: registry key log_syslog, registry key syslog_facility

# shellcheck source-path=SCRIPTDIR source=../lib.sh disable=SC2119,SC2034
. "$(dirname "$0")/../lib.sh"

begin "$@"
topology
DIR=$TEMP/registry

ask() { ns client "$PYTHON" "$TOOLS/ask.py" "$1" "$REGISTRY_V4" "${@:2}"; }
create() { ask create v6udpv4 192.0.2.2 "$@"; }
restart_registry() {
  stop_pid "$REGISTRY_PID"
  start_registry "$@"
}
registry_field() { registry_command status --json | "$PYTHON" "$TOOLS/json_field.py" "$1"; }
registry_field_is() { [ "$(registry_field "$1")" = "$2" ]; }

# --- Values that are not allowed: every one is told, with its line and what is allowed ---

bad=(prefix=192.0.2.0/24 'listen=broker.example.net' server_v4=127.0.0.1 anonymous=maybe anonymous_prefix=2 anonymous_lifetime=59
  anonymous_per_address=0 auth_plain=maybe auth_digest_md5=maybe auth_passdss=maybe 'realm=a"b' prefix_length_min=32 prefix_length_max=65
  prefix_v4=203.0.113.1/24 prefix_v4_length_min=8 prefix_v4_length_max=33 tunnel_modes=v5v4 prefer=v4v6 proxy=maybe interface=-six
  mtu=1279 dns_server=192.0.2.1 lifetime=59 keepalive_interval_min=0 max_sessions=0 sessions_per_address=1000001
  login_attempts_per_minute=0 requests_per_second=soon template=../linux threads=65 offload=on
  'dns_update_server=[::1' reverse_zone=example.net user_domain=a..b user_zone=-a- dns_ttl=9
  'redirect=a b:c' redirect_when=never redirect_above_tunnels=-1 redirect_above_load=101 log_console=4 log_stderr=-1 log_file=high
  log_syslog=9 log_filename=logs/ log_rotation=maybe log_rotation_size=64 log_rotation_delete=maybe syslog_facility=KERN)
write_registry_config registry "${bad[@]}"
ns registry timeout 10 "$REGISTRY" -f "$DIR/registry.conf" -n >"$DIR/out" 2>&1
check_equal "bad values: exit status 3" 3 $?
for setting in "${bad[@]}"; do
  key=${setting%%=*}
  line=$(grep -n "^$key=" "$DIR/registry.conf" | cut -d : -f 1)
  check "bad values, $key: told with file, line and what is allowed" \
    grep -qE "registry\.conf:$line: $key: .*(allowed|give|expected|must|one of|:)" "$DIR/out"
done
check_equal "bad values: a line for each, and no more" "${#bad[@]}" "$(grep -c 'registry\.conf:[0-9]*: ' "$DIR/out")"

# --- template, run_dir, state_dir ---

write_registry_config registry template=nowhere
ns registry timeout 10 "$REGISTRY" -f "$DIR/registry.conf" -n >"$DIR/out" 2>&1
check_equal "template: one that is not there ends it" 1 $?
check_match "template: and it says where it looked" 'no template "nowhere": looked for .*template/nowhere\.sh' "$(cat "$DIR/out")"

# --- What the defaults do ---

rm -rf "$DIR/run" "$DIR/state"
start_registry "run_dir=$DIR/elsewhere" "state_dir=$DIR/kept"
add_user alice s3cret
check "run_dir: the process id is below it" test -s "$DIR/elsewhere/registry.pid" -a ! -e "$DIR/run"
check "state_dir: the database is below it" test -s "$DIR/kept/registry.db" -a ! -e "$DIR/state"
answer=$(create)
check_match "default: our end is where the client spoke to" '<address type="ipv4">198\.51\.100\.10<' "$answer"
check_match "default: anonymous leases live a day" 'lifetime="86400"' "$answer"
check_match "default: users' leases live a week" 'lifetime="604800"' "$(create 0 alice s3cret)"
check_equal "default: a realm" sixlink "$(ask realm)"
check "default: the interface" ns registry ip link show dev sixlink0
check_equal "default: 30 tunnels at once for one address" "200 x 30" "$(ask creates 30)"
check_equal "default: 30 sessions begun" "200 x 30" "$(ask begins 30)"
check_equal "default: the first of three sessions goes on" "200 200 200" "$(ask evicts 3)"
check_equal "default: after some wrong passwords the right one is taken" "300 300 300 300 200" "$(ask logins alice a b c d s3cret)"
check_equal "default: an anonymous client gets no prefix" 522 "$(create 64 | sed -n 1p)"
check_equal "default: lengths of prefixes, a user's" "518 200 200" \
  "$(for length in 55 56 64; do create $length alice s3cret | sed -n 1p; done | tr '\n' ' ' | sed 's/ $//')"

# --- In the reply, on the interface, one client's share ---

ip -n "$PREFIX-registry" link show dev broker7 >/dev/null 2>&1 && die "there is an interface broker7 already"
restart_registry server_v4=203.0.113.77 lifetime=12345 "realm=Example Net" interface=broker7 anonymous_per_address=2 \
  prefix_length_min=60 prefix_length_max=62 anonymous_prefix=yes
add_user bob s3cret
answer=$(create)
check_match "server_v4: clients are told it" '<server>[^/]*<address type="ipv4">203\.0\.113\.77<' "$(tr -d '\r\n' <<<"$answer")"
check_match "lifetime: clients are told it" 'lifetime="12345"' "$answer"
check_equal "realm: in the challenge" "Example Net" "$(ask realm)"
write_client_config home client auth_method=digest-md5 userid=bob passwd=s3cret keepalive_interval=5
spawn_client home
check "realm: a user who got a password for it logs in" wait_up home
check "interface: it has the registry's address" grep -q "$BROKER_V6/" <<<"$(ns registry ip -6 -o addr show dev broker7)"
check_fails "interface: there is no other" ns registry ip link show dev sixlink0
check "interface: packets pass" can_ping client "$WEB_V6"
stop_client home
check_equal "anonymous_per_address: a second tunnel, not a third and a fourth" "200 x 1, 530 x 2" "$(ask creates 3)"
check_equal "prefix_length_min, prefix_length_max: what may be asked for" "518 200 200 518" \
  "$(for length in 59 60 62 63; do create $length bob s3cret | sed -n 1p; done | tr '\n' ' ' | sed 's/ $//')"

# --- threads, offload ---

start_web

for offload in auto off; do
  restart_registry threads=3 offload=$offload
  check_equal "threads=3: status says so" 3 "$(registry_field threads)"
  case $offload in
    auto) check_match "offload=auto: status says what there is" 'none|tun-checksum|udp-' "$(registry_field offloads)" ;;
    off) check_equal "offload=off: status says so" none "$(registry_field offloads)" ;;
  esac
  start_client home keepalive_interval=5
  check "threads=3 offload=$offload: packets pass" can_ping client "$WEB_V6"
  check "threads=3 offload=$offload: TCP passes" fetches client
  stop_client home
done

# --- anonymous_lifetime: leases of which nothing was heard for longer ---

restart_registry anonymous_lifetime=60
check_match "anonymous_lifetime: clients are told it" 'lifetime="60"' "$(create)"
before=$(registry_field leases)
stop_pid "$REGISTRY_PID"
"$PYTHON" - "$DIR/state/registry.db" <<'PYTHON'
import sqlite3
import sys

database = sqlite3.connect(sys.argv[1])
database.execute("UPDATE leases SET created = created - 100, last_seen = last_seen - 61")
database.commit()
PYTHON
run_registry
check "anonymous_lifetime: it is there before" registry_field_is leases "$before"
kill -HUP "$REGISTRY_PID"
check "anonymous_lifetime: the anonymous lease ends, not the user's" wait_for 5 registry_field_is leases 1

# --- max_sessions, sessions_per_address, login_attempts_per_minute, requests_per_second ---

restart_registry max_sessions=2 login_attempts_per_minute=2
add_user carol s3cret
check_equal "max_sessions: the longest silent one makes room" "- 200 200" "$(ask evicts 3)"
check_equal "login_attempts_per_minute: after two wrong passwords not even the right one" "300 300 530" \
  "$(ask logins carol a b s3cret)"
restart_registry sessions_per_address=3
check_equal "sessions_per_address: a fourth is told that the server is busy" "200 x 3, 530 x 2" "$(ask begins 5)"
restart_registry requests_per_second=1
check_match "requests_per_second: 20 at once, then one a second" '^200 x 2[01], 530 x (9|10)$' "$(ask creates 30)"

# --- prefix_v4 and its lengths: over IPv6 ---

# As a user: an anonymous client that asks again gets what it has.
create_v4v6() { ns web "$PYTHON" "$TOOLS/ask.py" create 2001:db8:99::1 v4v6 "$WEB_V6" "${1:-0}" carol s3cret; }
restart_registry "listen=0.0.0.0 [::]"
check_equal "prefix_v4: no v4v6 without it" 303 "$(create_v4v6 | sed -n 1p)"
restart_registry "listen=0.0.0.0 [::]" prefix_v4=203.0.113.0/24
check_match "prefix_v4: an address of it" '<client>.*<address type="ipv4">203\.0\.113\.' "$(create_v4v6 | tr -d '\r\n')"
check_equal "prefix_v4: lengths by default" "518 200 200" \
  "$(for length in 28 29 32; do create_v4v6 $length | sed -n 1p; done | tr '\n' ' ' | sed 's/ $//')"
restart_registry "listen=0.0.0.0 [::]" prefix_v4=203.0.113.0/24 prefix_v4_length_min=27 prefix_v4_length_max=28
check_equal "prefix_v4_length_min, prefix_v4_length_max: what may be asked for" "518 200 200 518" \
  "$(for length in 26 27 28 29; do create_v4v6 $length | sed -n 1p; done | tr '\n' ' ' | sed 's/ $//')"

# --- What a DNS server is asked for ---

if command -v nsupdate >/dev/null; then
  spawn_in web "$TEMP/updates" "$PYTHON" "$TOOLS/dns_updates.py" "$WEB_V6" 53
  wait_for 10 grep -q listening "$TEMP/updates" || die "the DNS server does not start: $(cat "$TEMP/updates")"
  printf 'key "sixlink" { algorithm hmac-sha256; secret "%s"; };\n' "$(head -c 32 /dev/zero | base64)" >"$TEMP/dns.key"
  chmod 600 "$TEMP/dns.key"
  asks_for() { kill -HUP "$REGISTRY_PID" && sleep 0.2 && grep -qE "$1" "$TEMP/updates"; }
  restart_registry "dns_update_server=$WEB_V6" "dns_update_key=$TEMP/dns.key" user_domain=users.example.net
  add_user dave s3cret
  create 0 dave s3cret >"$TEMP/answer"
  check_match "user_domain: the client is told its name" '<address type="dn">dave\.users\.example\.net<' "$(cat "$TEMP/answer")"
  check "user_domain: its name is published, in the zone of that name, for 600 s" \
    wait_for 5 asks_for '^users\.example\.net dave\.users\.example\.net 600 AAAA$'
  check "default: the address is in the zone of the prefix" \
    wait_for 5 asks_for '^2\.4\.0\.0\.8\.b\.d\.0\.1\.0\.0\.2\.ip6\.arpa [0-9a-f]\.0\.[0-9a-f.]*\.ip6\.arpa 600 PTR$'
  restart_registry "dns_update_server=$WEB_V6" "dns_update_key=$TEMP/dns.key" user_domain=users.example.net user_zone=example.net \
    reverse_zone=0.0.0.0.2.4.0.0.8.b.d.0.1.0.0.2.ip6.arpa dns_ttl=77
  create 0 dave s3cret >"$TEMP/answer"
  check "user_zone, dns_ttl: in the zone above, for 77 s" \
    wait_for 5 asks_for '^example\.net dave\.users\.example\.net 77 AAAA$'
  check "reverse_zone, dns_ttl: in that zone, for 77 s" \
    wait_for 5 asks_for '^0\.0\.0\.0\.2\.4\.0\.0\.8\.b\.d\.0\.1\.0\.0\.2\.ip6\.arpa [0-9a-f]\.0\.[0-9a-f.]*\.ip6\.arpa 77 PTR$'
else
  skip "keys about DNS" "the program 'nsupdate' is not installed (make deps)"
fi

# --- redirect_above_load: while it works more than that ---

restart_registry redirect=198.51.100.20 redirect_above_load=1
check_equal "redirect_above_load: idle, newcomers are served" no "$(registry_field redirects)"
check_equal "redirect_above_load: with a tunnel" "200 x 1" "$(ask creates 1)"
spawn_in client "$TEMP/busy" "$PYTHON" "$TOOLS/ask.py" versions $REGISTRY_V4 10000000
BUSY=$SPAWNED
check "redirect_above_load: busy, they are redirected" wait_for 20 registry_field_is redirects load
check_equal "redirect_above_load: with 1200" 120 "$(create | sed -n 1p)"
stop_pid "$BUSY"

# --- Logs ---

rotated() { find "$DIR/logs" -name 'r.*.log' | wc -l; }
# runs KEY=VALUE...: one that serves and ends. What goes to the terminal is apart.
runs() {
  write_registry_config registry "$@"
  nsenter --net="$(netns registry)" -- "$REGISTRY" -f "$DIR/registry.conf" -n >"$DIR/stdout" 2>"$DIR/stderr" </dev/null &
  PIDS+=($!)
  wait_for 10 ask versions 1 || die "it does not serve: $(tail -n 3 "$DIR/stderr")"
  stop_pid $!
}
has_level() { grep -qE "\]: $2: " "$1"; }
lacks_level() { ! has_level "$@"; }
stop_pid "$REGISTRY_PID"
rm -f "$DIR/log"
runs log_stderr=0 log_file=0
check "log_console, log_stderr, log_file: silent with 0" test ! -s "$DIR/stdout" -a ! -s "$DIR/stderr" -a ! -e "$DIR/log"
runs log_console=1 log_stderr=0 log_file=0
check "log_console=1: main events" has_level "$DIR/stdout" info
check "log_console=1: no details" lacks_level "$DIR/stdout" debug
check "log_console=1: nothing on standard error" test ! -s "$DIR/stderr"
runs log_stderr=2 log_file=0
check "log_stderr=2: details" has_level "$DIR/stderr" debug
check "log_stderr=2: nothing on standard output" test ! -s "$DIR/stdout"
mkdir "$DIR/logs"
{ yes 'an earlier line of the log' 2>/dev/null | head -c 16363 && echo; } >"$DIR/logs/r.log"
runs log_stderr=0 log_file=1 "log_filename=$DIR/logs/r.log" log_rotation=no log_rotation_size=16
check_equal "log_rotation=no: the file grows" 0 "$(rotated)"
check "log_file=1, log_filename: the lines are there" has_level "$DIR/logs/r.log" info
runs log_stderr=0 log_file=1 "log_filename=$DIR/logs/r.log" log_rotation=yes log_rotation_size=32
check_equal "log_rotation_size=32: not yet" 0 "$(rotated)"
runs log_stderr=0 log_file=1 "log_filename=$DIR/logs/r.log" log_rotation=yes log_rotation_size=16 log_rotation_delete=yes
check_equal "log_rotation_delete=yes: no copy" 0 "$(rotated)"
check "log_rotation_delete=yes: what was there is gone" test "$(stat -c %s "$DIR/logs/r.log")" -lt 16384
{ yes 'an earlier line of the log' 2>/dev/null | head -c 16363 && echo; } >"$DIR/logs/r.log"
runs log_stderr=0 log_file=1 "log_filename=$DIR/logs/r.log" log_rotation=yes log_rotation_size=16
check_equal "log_rotation=yes, log_rotation_size=16: the file is renamed" 1 "$(rotated)"

# --- Syslog: a socket of ours at /dev/log in a /dev of the registry's own ---

spawn "$TEMP/syslog.out" "$PYTHON" -u -c 'import socket, sys
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
    sock.bind(sys.argv[1])
    print("listening")
    while True:
        print(sock.recv(65536).decode(errors="replace").rstrip("\0"))' "$TEMP/syslog.socket"
wait_for 10 grep -q '^listening' "$TEMP/syslog.out" || die "the syslog socket cannot be made: $(cat "$TEMP/syslog.out")"
mkdir -p "$TEMP/dev/net"
for device in null urandom random net/tun; do : >"$TEMP/dev/$device"; done
ln -s "$TEMP/syslog.socket" "$TEMP/dev/log"
# syslog_run KEY=VALUE...: what came is in $TEMP/syslog.new then.
syslog_run() {
  local before
  before=$(wc -l <"$TEMP/syslog.out")
  write_registry_config registry log_stderr=0 log_file=0 "$@"
  # shellcheck disable=SC2016 # expanded by the inner shell
  spawn "$DIR/out" nsenter --net="$(netns registry)" -- unshare -m sh -c 'for device in null urandom random net/tun; do
    mount --bind "/dev/$device" "$0/$device" || exit 99; done; mount --rbind "$0" /dev && exec "$@"' "$TEMP/dev" \
    "$REGISTRY" -f "$DIR/registry.conf" -n
  wait_for 10 ask versions 1 || die "it does not serve: $(cat "$DIR/out")"
  stop_pid "$SPAWNED"
  sleep 0.2
  tail -n "+$((before + 1))" "$TEMP/syslog.out" >"$TEMP/syslog.new"
}
# <facility * 8 + severity>, RFC 3164; 6 is informational.
syslog_run log_syslog=0
check "log_syslog=0: nothing" test ! -s "$TEMP/syslog.new"
syslog_run log_syslog=1
check_match "log_syslog=1: main events, of facility USER" '^<14>[A-Z][a-z]{2} .* sixlink-registry\[[0-9]+\]: ' "$(cat "$TEMP/syslog.new")"
syslog_run log_syslog=1 syslog_facility=LOCAL5
check_match "syslog_facility=LOCAL5: is 21" '^<174>' "$(cat "$TEMP/syslog.new")"
check_fails "syslog_facility=LOCAL5: and no other" grep -vE '^<17[0-9]>' "$TEMP/syslog.new"
