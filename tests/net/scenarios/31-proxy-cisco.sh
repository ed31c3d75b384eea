#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# proxy_client=yes: the tunnel is another machine's. The templates cisco and checktunnel; and the tunnel works when that machine
# sets it up as told. Its end here is no Cisco router but a raw socket of ours.
#
#   client asks for the tunnel --- router (NAT) --- registry --- web
#   192.0.2.2                          |
#                                      +--- cisco, 198.51.100.20: has the tunnel
# The rest of the topology: ../lib.sh.
#
# covers: registry key proxy

# shellcheck source-path=SCRIPTDIR source=../lib.sh disable=SC2119,SC2034
. "$(dirname "$0")/../lib.sh"

begin "$@"
topology
add_internet_host cisco 198.51.100.20
snapshot client >"$TEMP/client.before"
CISCO=198.51.100.20

# Asks for the tunnel. The program has nothing to hold and ends.
start_proxy() { # KEY=VALUE...
  write_client_config home client proxy_client=yes keepalive=no tunnel_mode=v6v4 "client_v4=$CISCO" "$@"
  run_client home -n
}

# --- The negative: a registry that does not do that, and configurations that make no sense ---

start_registry
check_equal "refused: a registry that does not serve other machines" 13 \
  "$(start_proxy template=cisco auto_retry_connect=no >/dev/null 2>&1; echo $?)"
check_equal "refused: no configuration is written" "" "$(ls "$TEMP"/home/run/cisco-* 2>/dev/null)"
stop_pid "$REGISTRY_PID"
start_registry proxy=yes
add_user alice s3cret

# --- cisco ---

check "cisco: the program ends when it has the tunnel" start_proxy template=cisco
FILE=$(ls "$TEMP"/home/run/cisco-*.txt)
check_match "cisco: the configuration is in run_dir" 'run/cisco-[a-z0-9]+\.txt$' "$FILE"
TEXT=$(cat "$FILE")
INNER=$(sed -n 's| ipv6 address \(.*\)/128|\1|p' <<<"$TEXT")
check_match "cisco: the tunnel's own address is the registry's" '^2001:db8:42::' "$INNER"
check_match "cisco: from the other machine" "^ tunnel source $CISCO$" "$TEXT"
check_match "cisco: to the registry" "^ tunnel destination $REGISTRY_V4$" "$TEXT"
check_match "cisco: protocol 41" '^ tunnel mode ipv6ip$' "$TEXT"
check_match "cisco: a way to the broker" "^ipv6 route $BROKER_V6/128 Tunnel[0-9]+$" "$TEXT"
check_match "cisco: what takes it back, as a comment" '^! no interface Tunnel[0-9]+$' "$TEXT"
check_match "cisco: a default route behind others" '^ipv6 route ::/0 Tunnel[0-9]+ 250$' "$TEXT"
check "cisco: nothing on this machine has changed" is_as_before client
check "cisco: the log has the configuration" grep -q "tunnel mode ipv6ip" "$TEMP/home/log"

# The other machine's end: an echo request in protocol 41, and its answer.
echo_from() { # HOST ADDRESS
  ns "$1" "$PYTHON" "$TOOLS/raw_clients.py" echo v6v4 "$REGISTRY_V4" "$2" "$INNER" "$BROKER_V6"
}
check_equal "cisco: the broker answers the other machine through the tunnel" answered "$(echo_from cisco $CISCO)"
check_equal "cisco: a third machine cannot use the tunnel" "no answer" "$(echo_from router 198.51.100.1)"

check "cisco: stop succeeds" client home stop
check "cisco: nothing is left in run_dir" run_dir_is_empty home

# --- cisco, for a router ---

check "cisco router: the program ends when it has the tunnel" start_proxy template=cisco auth_method=digest-md5 userid=alice passwd=s3cret host_type=router prefixlen=64 if_prefix=GigabitEthernet0/1
TEXT=$(cat "$TEMP"/home/run/cisco-*.txt)
check_match "cisco router: the home interface" '^interface GigabitEthernet0/1$' "$TEXT"
check_match "cisco router: has the first address of the prefix" '^ ipv6 address 2001:db8:42:[0-9a-f:]+::1/64$' "$TEXT"
check_match "cisco router: the rest of the prefix goes nowhere" '^ipv6 route 2001:0?db8:0?042:.*/64 Null0$' "$TEXT"
check "cisco router: stop succeeds" client home stop
check "cisco router: nothing on this machine has changed" is_as_before client

# --- checktunnel ---

check "checktunnel: the program ends when it has the tunnel" start_proxy template=checktunnel auth_method=digest-md5 userid=alice passwd=s3cret
check "checktunnel: the log has the report" grep -q "Nothing is changed. The tunnel:" "$TEMP/home/log"
check "checktunnel: the log has the commands" grep -q "ip link add name .* type sit local $CISCO remote $REGISTRY_V4" "$TEMP/home/log"
check "checktunnel: nothing on this machine has changed" is_as_before client
check "checktunnel: stop succeeds" client home stop
check "checktunnel: nothing is left in run_dir" run_dir_is_empty home
