#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Shows what sixlink is for: a machine behind an IPv4 NAT gets IPv6 from a registry and fetches a file from an IPv6-only server.
#
#   bash tests/net/demo.sh                    the demo; KEEP=1 in the environment leaves everything up at its end
#   bash tests/net/demo.sh --in HOST COMMAND  runs a command on a host of a demo that was kept: client, router, registry or web
#   bash tests/net/demo.sh --clean            takes away a demo that was kept
#
# Everything runs in network namespaces: the machine's own network is not touched. lib.sh makes and removes them.

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=demo_stage.sh
. "$(dirname "$0")/demo_stage.sh"

DEMO=demo
FILE_SIZE=100M
KEPT=$BUILD/demo.kept  # variables of a demo that was kept

picture() {
  cat <<'PICTURE'
   your machine          a home router        the IPv4 Internet               the IPv6 Internet
   +----------+          +----------+         +--------------+                +------------+
   |  client  |----------|  router  |---------|   registry   |----------------|    web     |
   | 192.0.2.2|          |   NAT    |         |198.51.100.10 |                |2001:db8:99:|
   | no IPv6  |          |          |         |              |                | :2, no IPv4|
   +----------+          +----------+         +--------------+                +------------+
        \======= IPv6 in UDP, port 3653 =========/
         2001:db8:42::/48, from the registry
PICTURE
}

milliseconds() { echo $(($(date +%s%N) / 1000000)); }

# --- The demo's steps ---

before() {
  heading "1. Before: the client has no IPv6"
  show client ip -6 route show default
  if show client ping -6 -n -c 1 -W 1 "$WEB_V6"; then give_up "the ping should have failed: there is no tunnel yet"; fi
}

set_up_registry() {
  local conf=$TEMP/registry/registry.conf
  heading "2. The registry: made by init, started, serving"
  mkdir -p "$TEMP/registry"
  show registry "$REGISTRY" init --prefix $REGISTRY_PREFIX --config "$conf" --state-dir "$TEMP/registry/state" \
    --run-dir "$TEMP/registry/run" || give_up "sixlink-registry init failed"
  printf '\n'
  show registry "$REGISTRY" -f "$conf" || give_up "the registry does not start"
  wait_for 10 listens registry || give_up "the registry does not listen on port 3653"
  show registry ip -6 -brief addr show dev sixlink0
}

start_the_client() {
  local conf=$TEMP/client/sixlink.conf
  heading "3. The client: conf/sixlink.conf with the broker's name, started"
  mkdir -p "$TEMP/client"
  (umask 077 && sed -e 's/^server=.*/server=broker.example.net/' \
    -e "s|^#*run_dir=.*|run_dir=$TEMP/client/run|" -e "s|^#*state_dir=.*|state_dir=$TEMP/client/state|" \
    "$ROOT/conf/sixlink.conf" >"$conf")
  show client grep -E '^[a-z]' "$conf"
  STARTED=$(milliseconds)
  show client "$SIXLINK" -f "$conf" || give_up "the client's tunnel does not come up"
  UP=$(milliseconds)
  # The demo's first packet, measured with the start.
  ns client ping -6 -n -c 1 -W 2 "$WEB_V6" >/dev/null 2>&1 || give_up "the first ping is not answered"
  ANSWERED=$(milliseconds)
  show client cat "$(echo "$TEMP"/client/run/*.pid)"
}

use_the_tunnel() {
  local device
  heading "4. What was negotiated"
  CLIENT_HOST[sixlink]=client
  device=$(demo_status interface)
  show client ip -6 -brief addr show dev "$device"
  show client ip -6 route show dev "$device"

  heading "5. IPv6 works: ping, and a file of $FILE_SIZE from the IPv6-only server"
  show client ping -6 -n -c 3 -i 0.2 -W 2 "$WEB_V6" || give_up "ping is not answered"
  printf '\n'
  show client curl -gsS --max-time 120 -o "$TEMP/fetched" -w '%{size_download} bytes in %{time_total} s, from %{remote_ip}\n' \
    "http://[$WEB_V6]/file" || give_up "curl failed"
  show web sha256sum "$TEMP/file"
  show client sha256sum "$TEMP/fetched"
  [ "$(sha256sum <"$TEMP/fetched")" = "$FILE_SUM" ] || give_up "the file arrived changed"
  rm "$TEMP/fetched"
}

demo_status() { ns client "$SIXLINK" status --json -f "$TEMP/client/sixlink.conf" | "$PYTHON" "$TOOLS/json_field.py" "$1"; }

show_status() {
  heading "6. What the client says of itself"
  show client "$SIXLINK" status -f "$TEMP/client/sixlink.conf" || give_up "status says that the tunnel is not up"
}

show_timings() {
  local json
  heading "7. From a cold start to the first answered ping"
  json=$(ns client "$SIXLINK" status --json -f "$TEMP/client/sixlink.conf")
  "$PYTHON" - "$STARTED" "$UP" "$ANSWERED" "$json" <<'PYTHON' || give_up "status --json has no timings"
import json
import sys

started, up, answered = map(int, sys.argv[1:4])
timings = json.loads(sys.argv[4])["timings"]
trips = timings["round_trips"]
inside = timings["resolve_ms"] + timings["negotiation_ms"] + timings["template_ms"]
rows = [
    ("asking for the broker's address", timings["resolve_ms"], ""),
    ("negotiation", timings["negotiation_ms"], "%d round trips" % trips),
    ("template: address, MTU, routes", timings["template_ms"], ""),
    ("the program's start, its way into the background", max(0, up - started - inside), ""),
    ("the first ping", answered - up, ""),
]
for name, value, remark in rows:
    print("    %-50s %7.1f ms   %s" % (name, value, remark))
print("    %-50s %7.1f ms" % ("together", answered - started))
PYTHON
}

stop_everything() {
  local left web_pid=$1
  heading "8. Stopped: nothing is left"
  show client "$SIXLINK" stop -f "$TEMP/client/sixlink.conf" || give_up "the client does not stop"
  typed registry "kill $(cat "$TEMP"/registry/run/*.pid)"
  kill -TERM "$(cat "$TEMP"/registry/run/*.pid)"
  kill -TERM "$web_pid"
  wait_for 10 no_namespace_pids

  nothing_left "processes" "$(namespace_pids)"
  nothing_left "files in the client's run_dir" "$(ls -A "$TEMP/client/run" 2>/dev/null)"
  nothing_left "files in the registry's run_dir" "$(ls -A "$TEMP/registry/run" 2>/dev/null)"
  nothing_left "interfaces, addresses, routes and settings on the client" "$(is_as_before client)"
  nothing_left "interfaces, addresses, routes and settings on the registry" "$(is_as_before registry)"
  if can_ping client "$WEB_V6" 1 >/dev/null 2>&1; then give_up "the client still has IPv6"; fi
  remove_everything
  left=$(ip netns list | grep "^$PREFIX-")
  nothing_left "network namespaces" "$left"
  nothing_left "files below $TEMP" "$(ls -A "$TEMP" 2>/dev/null)"
}

nothing_left() {
  if [ -n "$2" ]; then
    printf '    %s: %s\n' "$1" "$2"
    give_up "left behind: $1"
  fi
  printf '    %-60s none left\n' "$1"
}

keep() {
  local self="bash tests/net/demo.sh"
  if [ "$BUILD" != "$ROOT/build" ]; then self="BUILD=${BUILD#"$ROOT/"} $self"; fi
  {
    echo "PREFIX=$PREFIX"
    echo "TEMP=$TEMP"
    echo "NAMESPACES=(${NAMESPACES[*]})"
    # A process that is in the user namespace, by which one gets into it.
    echo "HOLDER=$1"
    echo "OWNER=${SIXLINK_DEMO_OWNER:-0}"
  } >"$KEPT"
  heading "Kept. A look around"
  cat <<HELP
    $self --in client bash                              a shell on the client; also: router, registry, web
    $self --in client ${SIXLINK#"$ROOT/"} status -f $TEMP/client/sixlink.conf
    $self --in client curl -g http://[$WEB_V6]/file -o /dev/null
    $self --in registry ip -6 addr
    configuration, logs and state                        $TEMP

    $self --clean                                       takes everything away

HELP
}

# --- A demo that was kept ---

read_kept() {
  if [ ! -e "$KEPT" ]; then
    echo "demo: no demo was kept (KEEP=1 keeps one); $KEPT is missing" >&2
    exit 1
  fi
  # shellcheck disable=SC1090 # written by keep()
  . "$KEPT"
}

# Runs this script again inside the user namespace of the demo, if it was made in one.
enter_kept() {
  if [ -n "${SIXLINK_DEMO_INSIDE:-}" ]; then
    cd "$SIXLINK_DEMO_INSIDE" || exit 1  # a new mount namespace begins at /
    return
  fi
  if [ "$OWNER" = 0 ]; then return; fi
  if ! is_running "$HOLDER"; then
    rm -rf "$TEMP" "$KEPT"
    echo "demo: it has ended by itself; its files are removed"
    exit 0
  fi
  # Not into the holder's network: its namespace is emptied by --clean.
  SIXLINK_DEMO_INSIDE=$PWD exec nsenter --preserve-credentials --user --mount -t "$HOLDER" -- \
    bash "$ROOT/tests/net/demo.sh" "$@"
}

clean() {
  read_kept
  enter_kept --clean
  rm -f "$KEPT"
  remove_everything
  echo "demo: cleaned up"
}

run_in() {
  local host=$1
  shift
  read_kept
  enter_kept --in "$host" "$@"
  if [ ! -e "$(netns "$host")" ]; then
    echo "demo: there is no host $host; there are: ${NAMESPACES[*]}" >&2
    exit 1
  fi
  ns_hosts "$host" "$@"
}

main() {
  local web_pid
  case ${1:-} in
    --clean)
      clean
      return
      ;;
    --in)
      if [ $# -lt 3 ]; then
        echo "usage: bash tests/net/demo.sh --in client|router|registry|web COMMAND..." >&2
        exit 2
      fi
      shift
      run_in "$@"
      return
      ;;
    "") ;;
    *)
      echo "usage: [KEEP=1] bash tests/net/demo.sh [--in HOST COMMAND... | --clean]" >&2
      exit 2
      ;;
  esac

  if [ -z "${SIXLINK_DEMO_OWNER:-}" ]; then
    export SIXLINK_DEMO_OWNER
    SIXLINK_DEMO_OWNER=$(id -u)
    if [ -e "$KEPT" ]; then bash "$0" --clean; fi
  fi
  begin_demo "$(missing_for_namespaces)" \
    "This needs network namespaces. Run it as root (sudo make demo), or allow unprivileged user namespaces." "$@"
  REASON="could not set up the network"
  topology
  start_web $FILE_SIZE
  web_pid=$SPAWNED
  REASON=
  snapshot client >"$TEMP/client.before"
  snapshot registry >"$TEMP/registry.before"

  heading "The network, in namespaces of this machine"
  picture
  before
  set_up_registry
  start_the_client
  use_the_tunnel
  show_status
  show_timings
  if [ "${KEEP:-}" = 1 ]; then
    keep "$web_pid"
    trap - EXIT INT TERM HUP
    echo "demo: OK and kept up"
    return
  fi
  stop_everything "$web_pid"
  printf '\n'
  REASON="IPv6 over an IPv4 NAT: $FILE_SIZE fetched and verified, first ping answered $((ANSWERED - STARTED)) ms after the start"
}

main "$@"
