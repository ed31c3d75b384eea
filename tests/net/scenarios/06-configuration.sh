#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# What is wrong with a configuration is said with file, line and key; an existing gogoc.conf with its own template works as it is.
# Topology: ../lib.sh.

# shellcheck source-path=SCRIPTDIR source=../lib.sh disable=SC2119,SC2034
. "$(dirname "$0")/../lib.sh"

begin "$@"
topology
start_registry
add_user alice s3cret

# rejected NAME LINE KEY SETTING: the setting as the last line of a good configuration.
rejected() {
  local file=$TEMP/$1/$1.conf
  write_client_config "$1" client
  echo "$4" >>"$file"
  run_client "$1" -n -b
  check_equal "configuration, $1: exit status 3" 3 $?
  check_match "configuration, $1: names file, line and key" "$file:$2:.*$3" "$(cat "$TEMP/$1/out")"
}
lines=$(write_client_config count client; wc -l <"$TEMP/count/count.conf")
line=$((lines + 1))
rejected unknown-key $line frobnicate 'frobnicate=yes'
rejected bad-number $line keepalive_interval 'keepalive_interval=soon'
rejected bad-choice $line auth_method 'auth_method=kerberos'
rejected no-equals-sign $line server 'server broker.example.net'

write_client_config missing client
rm "$TEMP/missing/missing.conf"
run_client missing -n -b
check_equal "configuration: exit status 3 when the file is missing" 3 $?
check_match "configuration: names the missing file" "missing.conf" "$(cat "$TEMP/missing/out")"

write_client_config exposed client auth_method=plain userid=alice passwd=s3cret
chmod 644 "$TEMP/exposed/exposed.conf"
spawn_client exposed
wait_up exposed || die "the tunnel does not come up"
check "configuration: a password that everyone may read gets a warning" grep -qE 'readable|permission|chmod' "$TEMP/exposed/out" \
  "$TEMP/exposed/log"
stop_client exposed

ns registry "$REGISTRY" -f "$TEMP/registry/none.conf" -n >"$TEMP/registry/out2" 2>&1
check_equal "configuration: the registry's exit status is 3 too" 3 $?

# --- An existing gogoc.conf, with the template that came with it ---

mkdir -p "$TEMP/gogoc/template"
cat >"$TEMP/gogoc/gogoc.conf" <<CONF
# Basic
userid=alice
passwd=s3cret
server=broker.example.net
auth_method=any

# Routing
host_type=host
prefixlen=64
if_prefix=
dns_server=

# Advanced
gogoc_dir=$TEMP/gogoc
auto_retry_connect=yes
retry_delay=30
retry_delay_max=300
keepalive=yes
keepalive_interval=30
tunnel_mode=v6anyv4
if_tunnel_v6v4=sit1
if_tunnel_v6udpv4=tun
if_tunnel_v4v6=sit0
client_v4=auto
client_v6=auto
template=linux
proxy_client=no

# Broker lists
broker_list=tsp-broker-list.txt
last_server=tsp-last-server.txt
always_use_same_server=no

# Logging
log_console=1
log_stderr=0
log_file=
log_syslog=0
log_filename=gogoc.log
log_rotation=yes
log_rotation_size=32
log_rotation_delete=no
syslog_facility=USER
CONF
chmod 600 "$TEMP/gogoc/gogoc.conf"
cat >"$TEMP/gogoc/template/linux.sh" <<'TEMPLATE'
#!/bin/sh
# A user's own template: knows the TSP_* names and nothing else.
if [ "$TSP_OPERATION" = TSP_TUNNEL_TEARDOWN ]; then
  echo down >>"$TSP_HOME_DIR/template.log"
  ip -6 addr del "$TSP_CLIENT_ADDRESS_IPV6/$TSP_TUNNEL_PREFIXLEN" dev "$TSP_TUNNEL_INTERFACE"
  exit 0
fi
echo "$TSP_TUNNEL_MODE $TSP_HOST_TYPE $TSP_TUNNEL_INTERFACE $TSP_CLIENT_ADDRESS_IPV6 $TSP_SERVER_ADDRESS_IPV6" \
  "$TSP_CLIENT_ADDRESS_IPV4 $TSP_SERVER_ADDRESS_IPV4 $TSP_TUNNEL_PREFIXLEN" >>"$TSP_HOME_DIR/template.log"
ip link set "$TSP_TUNNEL_INTERFACE" up mtu 1280 || exit 1
ip -6 addr add "$TSP_CLIENT_ADDRESS_IPV6/$TSP_TUNNEL_PREFIXLEN" dev "$TSP_TUNNEL_INTERFACE" || exit 1
ip -6 route add 2000::/3 dev "$TSP_TUNNEL_INTERFACE" || exit 1
TEMPLATE
chmod 755 "$TEMP/gogoc/template/linux.sh"

# -y, as gogoc needs it at the first start with a broker that offers PASSDSS-3DES-1.
# It says nothing of run_dir and state_dir: the defaults are the system's, which a tmpfs stands for.
# shellcheck disable=SC2016 # expanded by the inner shell
spawn "$TEMP/gogoc/out" nsenter --net="/run/netns/$PREFIX-client" -- unshare -m sh -c '
  mount --bind "$0" /etc/hosts && mount -t tmpfs tmpfs /run && mount -t tmpfs tmpfs /var/lib && cd / && exec "$@"' \
  "$TEMP/hosts.client" "$SIXLINK" -f "$TEMP/gogoc/gogoc.conf" -n -y
gogoc_pid=$SPAWNED
check "gogoc.conf: works as it is" wait_for 15 can_ping client "$BROKER_V6" 1
check_match "gogoc.conf: the user's template got its variables" \
  '^v6udpv4 host tun0 2001:db8:42:[0-9a-f:]+ 2001:db8:42::1 192\.0\.2\.2 198\.51\.100\.10 128$' "$(cat "$TEMP/gogoc/template.log")"
stop_pid "$gogoc_pid" HUP
check_equal "gogoc.conf: SIGHUP ends cleanly" 0 "$STOPPED_STATUS"
check "gogoc.conf: the user's template was asked to take it down" grep -q '^down$' "$TEMP/gogoc/template.log"
