#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Everything that goes wrong around a tunnel that is up: what the client does, how long it takes, and that nothing is left behind. The
# table is printed at the end. (A step of the clock needs a kernel of its own: tests/vm.) Topology: ../lib.sh.

# shellcheck source-path=SCRIPTDIR source=../lib.sh disable=SC2119,SC2034
. "$(dirname "$0")/../lib.sh"

begin "$@"
topology
start_web
snapshot client >"$TEMP/client.before"

table=()
now_ms() { date +%s%3N; }
# fault NAME WHAT_HAPPENS: since `began` (in ms) the tunnel did not work; now it does.
recovered() {
  table+=("$(printf '%-28s %-62s %6.1f s' "$1" "$2" "$(awk "BEGIN { print ($(now_ms) - $began) / 1000 }")")")
}
works() { can_ping client "$WEB_V6" 1; }
# Traffic all the time, as a user has it.
keep_pinging() {
  spawn_in client "$TEMP/pinging.out" ping -6 -n -i 0.2 "$WEB_V6"
  PINGING=$SPAWNED
}

# The real template, with an `ip` that can be made to fail.
mkdir -p "$TEMP/home_dir/template" "$TEMP/bin" "$TEMP/logs"
cat >"$TEMP/home_dir/template/mended.sh" <<TEMPLATE
#!/bin/sh
PATH=$TEMP/bin:\$PATH
export PATH
exec sh "$ROOT/template/linux.sh" "\$@"
TEMPLATE
cat >"$TEMP/bin/ip" <<IP
#!/bin/sh
if [ -e "$TEMP/ip-is-broken" ]; then
  case "\$*" in *"route add default"*) echo "RTNETLINK answers: Cannot allocate memory" >&2; exit 2 ;; esac
fi
exec $(command -v ip) "\$@"
IP
chmod 755 "$TEMP/bin/ip"

# Sending fails as on a machine whose queues are full, as long as the file is there.
cat >"$TEMP/full.c" <<'C'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
static int is_full(void) { const char *file = getenv("FULL_FILE"); return file && access(file, F_OK) == 0; }
int sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags) {
  static int (*real)(int, struct mmsghdr *, unsigned, int);
  if (is_full()) { errno = ENOBUFS; return -1; }
  if (!real) real = (int (*)(int, struct mmsghdr *, unsigned, int))dlsym(RTLD_NEXT, "sendmmsg");
  return real(fd, messages, count, flags);
}
ssize_t send(int fd, const void *data, size_t size, int flags) {
  static ssize_t (*real)(int, const void *, size_t, int);
  if (is_full()) { errno = ENOBUFS; return -1; }
  if (!real) real = (ssize_t (*)(int, const void *, size_t, int))dlsym(RTLD_NEXT, "send");
  return real(fd, data, size, flags);
}
C
"${CC:-cc}" -shared -fPIC -o "$TEMP/full.so" "$TEMP/full.c" -ldl || die "cannot compile the library that makes sending fail"

# Log and state on a small disk.
mkdir -p "$TEMP/small"
mount -t tmpfs -o size=256k tmpfs "$TEMP/small" || die "cannot mount a small file system"
trap 'umount "$TEMP/small" 2>/dev/null; cleanup' EXIT
mkdir "$TEMP/small/log" "$TEMP/small/state"

start_registry
write_client_config home client keepalive_interval=30 gogoc_dir="$TEMP/home_dir" template=mended \
  log_filename="$TEMP/small/log/log" state_dir="$TEMP/small/state" always_use_same_server=yes
spawn_in client "$TEMP/home/out" env LD_PRELOAD="$TEMP/full.so" FULL_FILE="$TEMP/queues-are-full" \
  "$SIXLINK" -f "$TEMP/home/home.conf" -n
CLIENT_PID[home]=$SPAWNED
wait_up home || die "the tunnel does not come up: $(tail -n 2 "$TEMP/home/out")"
check "before: ping" works
pid=${CLIENT_PID[home]}
same_process() { is_running "$pid"; }
reconnections() { status_field home reconnections; }

# --- Queues full (ENOBUFS, EAGAIN): packets are lost, the tunnel is not ---
before=$(reconnections)
touch "$TEMP/queues-are-full"
sleep 2
check_fails "queues full: no ping" works
rm "$TEMP/queues-are-full"
began=$(now_ms)
check "queues full: works as soon as there is room" wait_for 10 works
recovered "queues full (ENOBUFS, 2 s)" "packets dropped and counted, the tunnel stays"
check_equal "queues full: the tunnel stayed" "$before" "$(reconnections)"

# --- The interface is deleted ---
before=$(reconnections)
began=$(now_ms)
ns client ip link del dev six0
check "interface deleted: works again" wait_for 20 works
recovered "interface deleted" "noticed at once, negotiated anew"
check "interface deleted: one reconnection" test "$(reconnections)" -gt "$before"

# --- The machine's address changes ---
before=$(reconnections)
began=$(now_ms)
ns client ip addr flush dev eth0
ns client ip addr add 192.0.2.77/24 dev eth0
ns client ip route replace default via 192.0.2.1
check "address changed: works from the new one within seconds" wait_for 10 works
recovered "address changed" "netlink tells, negotiated anew from the new address"
check_equal "address changed: the tunnel is from the new one" 192.0.2.77 "$(status_field home local_outer)"
ns client ip addr flush dev eth0
ns client ip addr add 192.0.2.2/24 dev eth0
ns client ip route replace default via 192.0.2.1
check "address changed back: works" wait_for 10 works

# --- The uplink flaps: the same address comes back, the tunnel stays ---
sleep 2
before=$(reconnections)
ns client ip link set eth0 down
sleep 1
began=$(now_ms)
ns client ip link set eth0 up
ns client ip route replace default via 192.0.2.1
check "uplink flapped: works" wait_for 15 works
recovered "uplink down for 1 s" "asked early whether the tunnel works, kept"
check_equal "uplink flapped: the tunnel stayed" "$before" "$(reconnections)"

# --- The broker restarts and knows the lease ---
before=$(reconnections)
stop_pid "$REGISTRY_PID"
began=$(now_ms)
run_registry
check "broker restarted: works" wait_for 40 works
recovered "broker restarted" "the lease is durable: the tunnel goes on"

# --- The broker is silent while traffic flows: dead within 10 s ---
keep_pinging
before=$(reconnections)
sleep 2
began=$(now_ms)
kill -STOP "$REGISTRY_PID"
noticed() { ! status_is home 0; }
check "broker silent: noticed within 10 s" wait_for 12 noticed
took=$(($(now_ms) - began))
check "broker silent: in time" test "$took" -le 11000
table+=("$(printf '%-28s %-62s %6.1f s' "broker silent" "traffic unanswered: asked early, taken for dead after" \
  "$(awk "BEGIN { print $took / 1000 }")")")
kill -CONT "$REGISTRY_PID"
began=$(now_ms)
check "broker back: works" wait_for 30 works
recovered "broker back" "negotiated anew with the next attempt"
stop_pid "$PINGING"

# --- Half of all packets are lost, both ways, for 30 s ---
before=$(reconnections)
ns router nft add rule ip guard forward udp dport 3653 numgen random mod 2 0 drop
ns router nft add rule ip guard forward udp sport 3653 numgen random mod 2 0 drop
# One in four is answered: of a hundred, none by chance never happens, and few only if the tunnel is away most of the time.
received=$(ns client ping -6 -n -q -i 0.3 -c 100 -W 1 "$WEB_V6" | sed -n 's/.* \([0-9]*\) received.*/\1/p')
echo "# half the packets lost: ${received:-0} of 100 pings answered, $(($(reconnections) - before)) reconnections in 30 s"
check "half lost: the tunnel still carries some" test "${received:-0}" -ge 5
began=$(now_ms)
nat_ports
check "half lost: works when the line is good again" wait_for 30 works
recovered "half the packets lost (30 s)" "several echoes a question: the tunnel is kept or negotiated anew"

# --- The template fails when the tunnel is made anew ---
touch "$TEMP/ip-is-broken"
ns client ip link del dev six0
check "template fails: said" wait_for 20 last_error_matches home 'Cannot allocate memory'
check "template fails: nothing of the tunnel is left meanwhile" wait_for 10 is_as_before client
rm "$TEMP/ip-is-broken"
began=$(now_ms)
check "template mended: works" wait_for 20 works
recovered "template failed, then mended" "undone, said why, tried again"

# --- The disk is full ---
head -c 1M /dev/zero >"$TEMP/small/filler" 2>/dev/null
check_fails "disk full: it is" dd if=/dev/zero of="$TEMP/small/more" bs=4096 count=1
began=$(now_ms)
ns client ip link del dev six0
check "disk full: works again all the same" wait_for 20 works
recovered "disk full" "logs and lists are not written, the tunnel is made"
rm -f "$TEMP/small/filler" "$TEMP/small/more"

# --- The log's directory is removed ---
rm -rf "$TEMP/small/log"
began=$(now_ms)
ns client ip link del dev six0
check "log directory gone: works again" wait_for 20 works
recovered "log directory gone" "made anew"
check "log directory gone: the log is back" wait_for 5 grep -q 'tunnel up' "$TEMP/small/log/log"

# --- The name cannot be resolved any more ---
: >"$TEMP/hosts.client"
ns client ip link del dev six0
check "DNS gone: said" wait_for 30 last_error_matches home 'cannot resolve'
check "DNS gone: the process lives" same_process
set_hosts client "$REGISTRY_V4 broker.example.net"
began=$(now_ms)
check "DNS back: works" wait_for 30 works
recovered "DNS gone, then back" "said, tried again with growing pauses"

check "all the time: one process" same_process
stop_client home
check_equal "stop: exit status" 0 "$STOPPED_STATUS"
check "after all: nothing is left in run_dir" run_dir_is_empty home
check "after all: addresses, routes and settings are as before" is_as_before client

echo "# fault                        what happens                                                    recovered after"
printf '# %s\n' "${table[@]}"
