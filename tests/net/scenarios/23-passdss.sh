#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# PASSDSS-3DES-1: the broker's host key is kept, an unknown one and a changed one are refused, and the password is on no wire.
# Topology: ../lib.sh.
#
# covers: flag -y, key auth_method

# shellcheck source-path=SCRIPTDIR source=../lib.sh disable=SC2119,SC2034
. "$(dirname "$0")/../lib.sh"

begin "$@"
topology
start_registry
add_user alice s3cret
KNOWN=$TEMP/home/state/gogockeys.pub
KEY_FILE=$TEMP/registry/state/passdss-host-key.pem
fingerprint() { grep -o 'host key SHA256:[A-Za-z0-9+/]*' "$TEMP/registry/log" | tail -n 1 | cut -d ' ' -f 3; }
known_lines() { grep -c '^broker.example.net ssh-dss [A-Za-z0-9+/]*=*$' "$KNOWN" 2>/dev/null; }

# login NAME=VALUE... -- FLAG...: one attempt; its exit status.
login() {
  local settings=()
  while [ $# -gt 0 ] && [ "$1" != -- ]; do
    settings+=("$1")
    shift
  done
  shift
  write_client_config home client userid=alice passwd=s3cret "${settings[@]}"
  run_client home -n -b "$@"
}

# --- The registry's key ---

check_equal "host key: the registry made one that it alone can read" 600 "$(stat -c %a "$KEY_FILE")"
check_match "host key: the log shows its fingerprint" '^SHA256:[A-Za-z0-9+/]{43}$' "$(fingerprint)"
cp "$KEY_FILE" "$TEMP/key.before"
FIRST=$(fingerprint)
stop_pid "$REGISTRY_PID"
start_registry
check "host key: a restart keeps it" cmp "$TEMP/key.before" "$KEY_FILE"
check_equal "host key: with the same fingerprint" "$FIRST" "$(fingerprint)"

# --- An unknown key ---

capture client eth0 "$TEMP/unknown.capture"
pid=$SPAWNED
for method in any passdss-3des-1; do
  login auth_method=$method --
  check_equal "unknown key, $method: ends with 16" 16 $?
  check "unknown key, $method: the message has the fingerprint" grep -qF "$FIRST" "$TEMP/home/out"
  check_match "unknown key, $method: and says what to do" 'start once with -y' "$(cat "$TEMP/home/out")"
done
stop_pid "$pid"
check_fails "unknown key: no other method is tried" grep -qE 'AUTHENTICATE (PLAIN|DIGEST-MD5)' "$TEMP/unknown.capture"
check "unknown key: PASSDSS-3DES-1 is asked for" grep -q 'AUTHENTICATE PASSDSS-3DES-1' "$TEMP/unknown.capture"
check_fails "unknown key: nothing was kept" test -e "$KNOWN"

# --- -y, with a wrong password first ---

write_client_config home client userid=alice passwd=mistyped auth_method=any
run_client home -n -b -y
check_equal "wrong password: ends with 16" 16 $?
check_match "wrong password: the message says so" 'userid, passwd' "$(cat "$TEMP/home/out")"
check_equal "-y: the key is kept, the broker proved that it is its own" 1 "$(known_lines)"
check_equal "-y: in a file that is nobody else's" 600 "$(stat -c %a "$KNOWN")"
rm "$KNOWN"

capture client eth0 "$TEMP/login.capture"
pid=$SPAWNED
write_client_config home client userid=alice passwd=s3cret auth_method=any
spawn_client home -y
check "-y: the tunnel comes up" wait_up home
check_equal "any: takes PASSDSS-3DES-1" PASSDSS-3DES-1 "$(status_field home authentication)"
check "-y: ping" can_ping client "$BROKER_V6"
stop_client home
stop_pid "$pid"
check_fails "any: the password is not on the wire, nor in base64" grep -q 's3cret' "$TEMP/login.capture"
check "any: the capture decodes base64" grep -q 'decoded:.*alice' "$TEMP/login.capture"
check_equal "-y: the key is kept" 1 "$(known_lines)"

# --- The key is known ---

start_client home auth_method=any userid=alice passwd=s3cret
check_equal "known key: any takes PASSDSS-3DES-1 without -y" PASSDSS-3DES-1 "$(status_field home authentication)"
stop_client home
start_client home auth_method=passdss-3des-1 userid=alice passwd=s3cret
check_equal "known key: by its name, over UDP" "PASSDSS-3DES-1 UDP" \
  "$(status_field home authentication) $(status_field home transport)"
stop_client home
check_equal "known key: is kept once" 1 "$(known_lines)"

# Over TCP: v6udpv4 cannot be had there, so the login's success shows in what is said afterwards.
block_udp
capture client eth0 "$TEMP/tcp.capture"
pid=$SPAWNED
login auth_method=any tunnel_mode=v6anyv4 --
stop_pid "$pid"
unblock_udp
check "TCP: PASSDSS-3DES-1 is asked for" grep -q '^tcp .*AUTHENTICATE PASSDSS-3DES-1' "$TEMP/tcp.capture"
check "TCP: the login succeeds" grep -q "^tcp .*'200 Success" <(sed "s/b\"/b'/g" "$TEMP/tcp.capture")
check "TCP: a tunnel is asked for" grep -q '^tcp .*action="create"' "$TEMP/tcp.capture"
check_fails "TCP: the password is not on the wire" grep -q 's3cret' "$TEMP/tcp.capture"

# --- A malformed line is reported and kept ---

sed -i '1i broker.example.net ssh-dss nonsense' "$KNOWN"
start_client home auth_method=any userid=alice passwd=s3cret
stop_client home
check_match "malformed line: is reported" 'gogockeys.pub:1: .*ignored' "$(cat "$TEMP/home/log")"
check_equal "malformed line: stays" "broker.example.net ssh-dss nonsense" "$(head -n 1 "$KNOWN")"
sed -i 1d "$KNOWN"

# --- A changed key ---

cp "$KNOWN" "$TEMP/known.before"
stop_pid "$REGISTRY_PID"
rm "$KEY_FILE"
start_registry
check_fails "changed key: it is another one" test "$FIRST" = "$(fingerprint)"
capture client eth0 "$TEMP/changed.capture"
pid=$SPAWNED
for flag in -b -y; do
  login auth_method=any -- "$flag"
  check_equal "changed key, $flag: ends with 16" 16 $?
  check_match "changed key, $flag: the message says what it means" 'CHANGED.*between this machine and the broker' "$(cat "$TEMP/home/out")"
  check "changed key, $flag: shows both fingerprints" grep -qF "it was $FIRST and is now $(fingerprint)" "$TEMP/home/out"
  check "changed key, $flag: names the line to remove" grep -qF "remove line 1 of $KNOWN" "$TEMP/home/out"
done
stop_pid "$pid"
check_fails "changed key: no other method is tried" grep -qE 'AUTHENTICATE (PLAIN|DIGEST-MD5)' "$TEMP/changed.capture"
check "changed key: the file is as it was" cmp "$TEMP/known.before" "$KNOWN"
sed -i 1d "$KNOWN"
write_client_config home client userid=alice passwd=s3cret auth_method=any
spawn_client home -y
check "changed key: after the line's removal -y accepts the new one" wait_up home
stop_client home

# --- Files that cannot be trusted ---

ln -sf "$TEMP/elsewhere" "$KNOWN"
login auth_method=any -- -y
check_equal "a symbolic link in its place: ends with 16" 16 $?
check_fails "a symbolic link in its place: is not followed" test -e "$TEMP/elsewhere"
rm "$KNOWN"

stop_pid "$REGISTRY_PID"
echo "no key" >"$KEY_FILE"
start_registry
check_match "broken host key: the registry says what to do" 'PASSDSS-3DES-1 is not offered: .*passdss-host-key.pem' "$(cat "$TEMP/registry/log")"
check_equal "broken host key: stays as it is" "no key" "$(cat "$KEY_FILE")"
start_client home auth_method=any userid=alice passwd=s3cret
check_equal "broken host key: the other methods work" DIGEST-MD5 "$(status_field home authentication)"
stop_client home

stop_pid "$REGISTRY_PID"
rm "$KEY_FILE"
start_registry auth_passdss=no
login auth_method=passdss-3des-1 -- -y
check_equal "auth_passdss=no: the method is not offered" 17 $?
check_fails "auth_passdss=no: no key is made" test -e "$KEY_FILE"
