#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# `sixlink stop --release` gives address and prefix back to the broker; a mere stop keeps them for the client's return.
# Topology: ../lib.sh.
#
# covers: command stop, flag --release

# shellcheck source-path=SCRIPTDIR source=../lib.sh disable=SC2119,SC2034
. "$(dirname "$0")/../lib.sh"

begin "$@"
topology
start_registry
add_user alice s3cret
leases() { # leases in the registry's database
  "$PYTHON" -c 'import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute("SELECT count(*) FROM leases").fetchone()[0])' \
    "$TEMP/registry/state/registry.db"
}
inner() { ns client ip -6 -o addr show dev six0 scope global | awk '{ print $4 }'; }
snapshot client >"$TEMP/client.before"

# --- Without --release the lease stays ---

start_client home auth_method=digest-md5 userid=alice passwd=s3cret
FIRST=$(inner)
check "stop: succeeds" client home stop
check_equal "stop: the user's lease stays" 1 "$(leases)"
start_client home auth_method=digest-md5 userid=alice passwd=s3cret
check_equal "stop: the client gets the same address again" "$FIRST" "$(inner)"

# --- A user ---

check_equal "stop --release, user: succeeds" 0 "$(exit_status client home stop --release)"
check_equal "stop --release, user: the lease is gone" 0 "$(leases)"
check "stop --release, user: the log says so" grep -q 'given back to broker broker.example.net' "$TEMP/home/log"
check "stop --release, user: addresses and routes are as before" is_as_before client
check "stop --release, user: nothing is left in run_dir" run_dir_is_empty home

# --- An anonymous client, behind NAT: by its tunnel's own socket ---

start_client home auth_method=anonymous
check_equal "anonymous: holds a lease" 1 "$(leases)"
ADDRESS=$(inner)
# Somebody else behind the same NAT, and somebody with another address, who know the inner address.
check "stranger behind the NAT: is answered 200" ns client "$PYTHON" "$TOOLS/release.py" "$REGISTRY_V4" "${ADDRESS%/*}"
check_equal "stranger behind the NAT: releases nothing" 1 "$(leases)"
check "stranger over TCP: is answered 200" ns client "$PYTHON" "$TOOLS/release.py" --tcp "$REGISTRY_V4" "${ADDRESS%/*}"
check_equal "stranger over TCP: releases nothing" 1 "$(leases)"
add_internet_host other 198.51.100.30
check "stranger elsewhere: is answered 200" ns other "$PYTHON" "$TOOLS/release.py" "$REGISTRY_V4" "${ADDRESS%/*}"
check_equal "stranger elsewhere: releases nothing" 1 "$(leases)"
# Whoever forges the client's address must guess its port; this one guesses from its own.
guess() { ns other "$PYTHON" "$TOOLS/release.py" "$REGISTRY_V4" "${ADDRESS%/*}" >/dev/null; }
guess_all() {
  local i
  for ((i = 0; i < 25; i++)); do guess || return; done
}
check_fails "guessing the port: is stopped" guess_all
check "guessing the port: the registry says so" grep -q 'too many deletes of nothing from one address' "$TEMP/registry/log"
check "anonymous: the tunnel still works" can_ping client "$BROKER_V6"
check_equal "stop --release, anonymous: succeeds" 0 "$(exit_status client home stop --release)"
check_equal "stop --release, anonymous: the lease is gone" 0 "$(leases)"
check "stop --release, anonymous: addresses and routes are as before" is_as_before client

# --- When it cannot be ---

start_client home auth_method=digest-md5 userid=alice passwd=s3cret
stop_pid "$REGISTRY_PID"
check_equal "no broker: stop --release fails" 1 "$(exit_status client home stop --release)"
check "no broker: the tunnel is down all the same" is_as_before client
check "no broker: the log says what failed" grep -q 'could not be given back' "$TEMP/home/log"
check_equal "no daemon: stop --release ends with 2" 2 "$(exit_status client home stop --release)"
run_registry
write_client_config home client auth_method=plain userid=alice passwd=wrong
spawn_client home
wait_for 5 status_is home 1
check_equal "never up: stop --release says that there is nothing" 1 "$(exit_status client home stop --release)"
check_equal "never up: and leaves the lease of others alone" 1 "$(leases)"
