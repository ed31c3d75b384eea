#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The log keys to the letter of their documentation: levels, an empty level, the file's place and mode, rotation by size with and
# without copies, syslog and its facility. Topology: ../lib.sh; syslog is a socket of ours at /dev/log in the client's own /dev.
#
# covers: key log_console, key log_stderr, key log_file, key log_syslog, key log_filename, key log_rotation, key log_rotation_size
# covers: key log_rotation_delete, key syslog_facility

# shellcheck source-path=SCRIPTDIR source=../lib.sh disable=SC2119,SC2034
. "$(dirname "$0")/../lib.sh"

begin "$@"
topology
DIR=$TEMP/home

# attempt KEY=VALUE...: one that fails at once, for nobody listens on that port. What goes to the terminal is apart.
attempt() {
  write_client_config home client server=$REGISTRY_V4:3654 tunnel_mode=v6udpv4 "$@"
  ns client timeout 20 "$SIXLINK" -f "$DIR/home.conf" -n -b >"$DIR/stdout" 2>"$DIR/stderr" </dev/null
}
lacks_earlier() { ! grep -q "an earlier line" "$1"; }
has() { grep -qE "\]: $1: " "$2"; }
lacks() { ! has "$@"; }
# has_level NAME LEVEL FILE: what a level shows, and what it does not.
has_level() {
  case $2 in
    0) check "$1: nothing" test ! -s "$3" ;;
    1) check "$1: main events and errors" has '(info|error)' "$3" && check "$1: no details" lacks '(debug|trace)' "$3" ;;
    2) check "$1: details of each step" has debug "$3" && check "$1: not what is sent" lacks trace "$3" ;;
    3) check "$1: what is sent" has trace "$3" ;;
  esac
}

# --- log_console, log_stderr, log_file: their levels; empty is 1 ---

for level in 0 1 2 3 ''; do
  attempt log_console=$level log_stderr=0 log_file=0
  has_level "log_console=$level" "${level:-1}" "$DIR/stdout"
  check "log_console=$level: nothing on standard error" test ! -s "$DIR/stderr"
  check_fails "log_file=0: no file" ls "$DIR/log"
  attempt log_console=0 log_stderr=$level log_file=0
  has_level "log_stderr=$level" "${level:-1}" "$DIR/stderr"
  check "log_stderr=$level: nothing on standard output" test ! -s "$DIR/stdout"
  attempt log_console=0 log_stderr=0 log_file=$level
  if [ "$level" = 0 ]; then : >"$DIR/log"; fi
  has_level "log_file=$level" "${level:-1}" "$DIR/log"
  check "log_file=$level: nothing on the terminal" test ! -s "$DIR/stdout" -a ! -s "$DIR/stderr"
  rm "$DIR/log"
done
attempt log_console=1 log_stderr=2 log_file=3
has_level "each its own: log_console=1" 1 "$DIR/stdout"
has_level "each its own: log_stderr=2" 2 "$DIR/stderr"
has_level "each its own: log_file=3" 3 "$DIR/log"
check_match "the line: time with zone, program, process, level, text" \
  '^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{12}[+-][0-9]{2}:[0-9]{2} sixlink\[[0-9]+\]: error: no tunnel: ' "$(grep error: "$DIR/log")"

# --- log_filename ---

check_fails "log_filename: neither file nor directory before" ls "$DIR/deep"
attempt log_file=1 log_filename="$DIR/deep/er/sixlink.log"
check_equal "log_filename: the file and its directory are made, mode 640" 640 "$(stat -c %a "$DIR/deep/er/sixlink.log")"
mkdir -p "$DIR/dir"
attempt log_file=1 gogoc_dir="$DIR/dir" log_filename=relative.log
check "log_filename: a relative one begins at gogoc_dir" test -s "$DIR/dir/relative.log"
attempt log_file=1 log_filename=/proc/sixlink.log
check_equal "log_filename: one that cannot be written does not end the program" 9 $?
check_match "log_filename: and is a warning" 'warning: log_filename: cannot open /proc/sixlink\.log' "$(cat "$DIR/stderr")"

# --- log_rotation, log_rotation_size, log_rotation_delete ---

rotated() { find "$DIR/logs" -name 'sixlink.*.log' | wc -l; }
# filled KIB BYTES: a log of so many bytes less than the size, to which lines are added.
filled() {
  rm -rf "$DIR/logs"
  mkdir "$DIR/logs"
  { yes 'an earlier line of the log' 2>/dev/null | head -c $(($1 * 1024 - $2 - 1)) && echo; } >"$DIR/logs/sixlink.log"
}
size() { stat -c %s "$DIR/logs/sixlink.log"; }
for kib in 16 32 128 1024; do
  filled $kib 8000
  attempt log_file=1 log_filename="$DIR/logs/sixlink.log" log_rotation=yes log_rotation_size=$kib
  check_equal "log_rotation_size=$kib: nothing happens below that" 0 "$(rotated)"
  check "log_rotation_size=$kib: the lines are added" test "$(size)" -gt $((kib * 1024 - 8000))
  filled $kib 20
  cp "$DIR/logs/sixlink.log" "$DIR/earlier"
  attempt log_file=1 log_filename="$DIR/logs/sixlink.log" log_rotation=yes log_rotation_size=$kib
  check_equal "log_rotation_size=$kib: the file is renamed before a line would make it larger" 1 "$(rotated)"
  copy=$(find "$DIR/logs" -name 'sixlink.*.log')
  check_match "log_rotation_size=$kib: with the time in its name" '/sixlink\.[0-9]{8}T[0-9]{6}Z\.log$' "$copy"
  check "log_rotation_size=$kib: and is what it was" cmp "$copy" "$DIR/earlier"
  check "log_rotation_size=$kib: the new one has the lines" has error "$DIR/logs/sixlink.log"
  check "log_rotation_size=$kib: and not the earlier ones" lacks_earlier "$DIR/logs/sixlink.log"
done
filled 32 20
attempt log_file=1 log_filename="$DIR/logs/sixlink.log" log_rotation= log_rotation_size=
check_equal "log_rotation: by default, at 32 KiB" 1 "$(rotated)"
sleep 1
size=$(size)
{ yes 'a line' 2>/dev/null | head -c $((32 * 1024 - size - 21)) && echo; } >>"$DIR/logs/sixlink.log"
attempt log_file=1 log_filename="$DIR/logs/sixlink.log" log_rotation= log_rotation_size=
check_equal "log_rotation: copies are kept" 2 "$(rotated)"
filled 32 20
attempt log_file=1 log_filename="$DIR/logs/sixlink.log" log_rotation=no log_rotation_size=32
check_equal "log_rotation=no: no copy" 0 "$(rotated)"
check "log_rotation=no: the file grows" test "$(size)" -gt 32768
filled 16 20
attempt log_file=1 log_filename="$DIR/logs/sixlink.log" log_rotation=yes log_rotation_size=16 log_rotation_delete=yes
check_equal "log_rotation_delete=yes: no copy" 0 "$(rotated)"
check "log_rotation_delete=yes: no more than that size" test "$(size)" -le 16384
check "log_rotation_delete=yes: the new lines" has error "$DIR/logs/sixlink.log"
check "log_rotation_delete=yes: not the earlier ones" lacks_earlier "$DIR/logs/sixlink.log"

# --- log_syslog, syslog_facility ---

cat >"$TEMP/syslog.py" <<'PYTHON'
import socket
import sys

with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
    sock.bind(sys.argv[1])
    print("listening", flush=True)
    while True:
        print(sock.recv(65536).decode(errors="replace").rstrip("\0"), flush=True)
PYTHON
spawn "$TEMP/syslog.out" "$PYTHON" "$TEMP/syslog.py" "$TEMP/syslog.socket"
wait_for 10 grep -q '^listening' "$TEMP/syslog.out" || die "the syslog socket cannot be made: $(cat "$TEMP/syslog.out")"

# A /dev with the devices that the client needs, and our socket.
mkdir -p "$TEMP/dev/net"
for device in null urandom random net/tun; do : >"$TEMP/dev/$device"; done
ln -s "$TEMP/syslog.socket" "$TEMP/dev/log"
# syslog_attempt KEY=VALUE...: what is new in syslog is in $TEMP/syslog.new then.
syslog_attempt() {
  local before
  before=$(wc -l <"$TEMP/syslog.out")
  write_client_config home client server=$REGISTRY_V4:3654 tunnel_mode=v6udpv4 log_stderr=0 log_file=0 "$@"
  # shellcheck disable=SC2016 # expanded by the inner shell
  ns client unshare -m sh -c 'for device in null urandom random net/tun; do mount --bind "/dev/$device" "$0/$device" || exit 99; done
    mount --rbind "$0" /dev && exec "$@"' "$TEMP/dev" timeout 20 "$SIXLINK" -f "$TEMP/home/home.conf" -n -b >"$DIR/out" 2>&1 </dev/null
  check_equal "syslog, $*: the attempt was made" 9 $?
  sleep 0.2
  tail -n "+$((before + 1))" "$TEMP/syslog.out" >"$TEMP/syslog.new"
}
# facilities: those of the new messages, by number. RFC 3164: <facility * 8 + severity>.
facilities() { sed -nE 's/^<([0-9]+)>.*/\1/p' "$TEMP/syslog.new" | while read -r value; do echo $((value >> 3)); done | sort -un | tr '\n' ' '; }
severities() { sed -nE 's/^<([0-9]+)>.*/\1/p' "$TEMP/syslog.new" | while read -r value; do echo $((value & 7)); done | sort -un | tr '\n' ' '; }

syslog_attempt log_syslog=0
check "log_syslog=0: nothing" test ! -s "$TEMP/syslog.new"
syslog_attempt log_syslog=1
check_match "log_syslog=1: program, process and text" '^<[0-9]+>[A-Z][a-z]{2} .* sixlink\[[0-9]+\]: .*no tunnel: ' "$(cat "$TEMP/syslog.new")"
check_equal "log_syslog=1: errors and main events" "3 6 " "$(severities)"
check_equal "syslog_facility: USER, the default, is 1" "1 " "$(facilities)"
syslog_attempt log_syslog=
check_equal "log_syslog, empty: as 1" "3 6 " "$(severities)"
syslog_attempt log_syslog=2
check_equal "log_syslog=2: and details" "3 6 7 " "$(severities)"
check_fails "log_syslog=2: not what is sent" grep -q VERSION= "$TEMP/syslog.new"
syslog_attempt log_syslog=3
check "log_syslog=3: what is sent" grep -q VERSION= "$TEMP/syslog.new"
for number in 0 1 2 3 4 5 6 7; do
  syslog_attempt log_syslog=1 syslog_facility=LOCAL$number
  check_equal "syslog_facility=LOCAL$number: is $((16 + number))" "$((16 + number)) " "$(facilities)"
done

# --- In the background: nothing on the terminal any more, the file goes on; what is moved away is begun anew ---

start_registry
write_client_config home client log_console=3 log_stderr=3
ns_hosts client timeout 30 "$SIXLINK" -f "$DIR/home.conf" >"$DIR/stdout" 2>"$DIR/stderr" </dev/null
check_equal "in the background: the tunnel is up" 0 $?
check "in the background: the way there was told" has info "$DIR/stdout"
cat "$DIR/stdout" "$DIR/stderr" >"$DIR/terminal"
mv "$DIR/log" "$DIR/log.moved"
client home stop >/dev/null
check "log_console, log_stderr: silent from then on" cmp "$DIR/terminal" <(cat "$DIR/stdout" "$DIR/stderr")
check "log_file: goes on, in a new file when the old one was moved away" grep -q ' ended$' "$DIR/log"
