# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# Nodes n1, n2, ... on one segment, with certificates that no registry gave out: what a scenario needs that is about the nodes alone.
# Sourced by scenarios; builds on lib.sh.
#
#   n1, n2, n3 -- hub (a bridge); the network is 2001:db8:42::/48, node N has 2001:db8:42:N::/64

# shellcheck disable=SC2034 # variables for the scripts
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# segment HOST...: with their link-local addresses alone. Skips the scenario where nodes cannot run.
segment() {
  local host
  skip_where_missing "$(missing_for_mesh)"
  add_namespace hub
  ip -n "$PREFIX-hub" link add br0 type bridge
  ip -n "$PREFIX-hub" link set br0 up
  for host in "$@"; do
    add_namespace "$host"
    link "$host" eth0 hub "$host"
    ip -n "$PREFIX-hub" link set "$host" master br0
  done
}

# make_nodes PREFIXES NODE=ADDRESS...: certificates of a network with these prefixes, and contacts at these addresses, which the nodes
# know of each other; -: a contact without any.
make_nodes() {
  local node prefixes=$1 files=()
  shift
  for node in "$@"; do
    NODES+=("${node%%=*}")
    files+=("${node%%=*}=2001:db8:42:${node:1:1}::/64=${node#*=}")
  done
  mkdir -p "$TEMP/mesh"
  "$BUILD/tools/mesh_files" "$TEMP/mesh" "$prefixes" "${files[@]}" >/dev/null || die "mesh_files failed"
}

# write_node NODE [KEY=VALUE...]: as if it had joined just now.
write_node() {
  local node=$1
  shift
  mkdir -p "$TEMP/$node/state"
  rm -rf "$TEMP/$node/state/mesh"
  cp -r "$TEMP/mesh/$node" "$TEMP/$node/state/mesh"
  write_node_config "$node" registry=https://registry.example.net:3654 port_mapping=no log_stderr=0 "$@"
}
# start_node NODE: returns when it runs in the background.
start_node() { node "$1" >"$TEMP/$1/out" 2>&1; }

address() { echo "2001:db8:42:${1#n}::1"; }
# field NODE COMMAND... FIELD
field() { node "$1" "${@:2:$#-2}" --json | "$PYTHON" "$TOOLS/json_field.py" "${!#}"; }
field_is() { [ "$(field "$1" "$2" "$3")" = "$4" ]; }
reaches() { ns "$1" ping -6 -c 1 -W 1 "$(address "$2")" >/dev/null 2>&1; }
# all_reach [NODE...]: each every other; without names, all nodes.
all_reach() {
  local from to
  [ "$#" -gt 0 ] || set -- "${NODES[@]}"
  for from in "$@"; do
    for to in "$@"; do [ "$from" = "$to" ] || reaches "$from" "$to" || return 1; done
  done
}
