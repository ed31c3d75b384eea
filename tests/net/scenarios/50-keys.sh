#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# What keys of sixlink.conf do that no other scenario shows: in the request on the wire, on the interfaces behind a router, in the pace
# of keepalives and attempts. Values that are not allowed come first.
#
#   lan ====== client, one to seven ------ router ------+------ registry
#       home0  192.0.2.2, .11 to .17                    +------ direct 198.51.100.20: no NAT
#       home1
# The rest of the topology: ../lib.sh.
#
# covers: key host_type, key prefixlen, key if_prefix, key dns_server, key routing_info, key client_v4, key run_dir, key state_dir
# covers: key last_server, key keepalive, key keepalive_interval, key auto_retry_connect, key retry_delay, key retry_delay_max
# covers: key proxy_client, key template, key gogoc_dir, key tunnel_mode, key if_tunnel_v6v4, key if_tunnel_v6udpv4, key datapath
# covers: key threads, key offload
# covers: key gw6_dir, key tsp_dir, key haccess_proxy_enabled, key haccess_web_enabled, key haccess_document_root
# covers: key hap6_proxy_enabled, key hap6_web_enabled, key hap6_document_root, key syslog_level
# covers: registry key keepalive_interval_min

# shellcheck source-path=SCRIPTDIR source=../lib.sh disable=SC2119,SC2034
. "$(dirname "$0")/../lib.sh"

begin "$@"
topology
add_namespace lan
for home in home0 home1; do link client $home lan $home; done
add_internet_host direct 198.51.100.20
set_hosts direct "$REGISTRY_V4 broker.example.net"
HOMES=(one two three four five six seven)
for index in "${!HOMES[@]}"; do
  add_home_host "${HOMES[index]}" "192.0.2.$((11 + index))"
  set_hosts "${HOMES[index]}" "$REGISTRY_V4 broker.example.net"
done

# --- Values that are not allowed: every one is told, with its line and what is allowed ---

control=$(printf '\001')
bad=('server=[broker.example.net' "userid=alice$control" 'auth_method=kerberos' 'host_type=switch' 'prefixlen=65' 'if_prefix=home0 home0'
  'dns_server=ns1.example.net:-' 'routing_info=b g p' "gogoc_dir=/$control" 'auto_retry_connect=maybe' 'retry_delay=3601'
  'retry_delay_max=soon' 'keepalive=maybe' 'keepalive_interval=86401' 'tunnel_mode=v5v4' 'if_tunnel_v6v4=-six'
  'if_tunnel_v6udpv4=sixteen-is-more-' 'if_tunnel_v4v6=all' 'client_v4=0.0.0.0' 'client_v6=192.0.2.2' 'template=../linux'
  'dslite_client=224.0.0.1' 'dslite_server=::1' 'proxy_client=maybe' "broker_list=list$control" "last_server=last$control"
  'always_use_same_server=maybe' 'log_console=4' 'log_stderr=-1' 'log_file=high' 'log_syslog=9' 'log_filename=logs/' 'log_rotation=maybe'
  'log_rotation_size=64' 'log_rotation_delete=maybe' 'syslog_facility=KERN' 'server_order=random' 'default_route=maybe' 'datapath=gpu'
  'threads=65' 'offload=on'
  "run_dir=/$control" "state_dir=/$control")
write_client_config bad client "${bad[@]}"
run_client bad -n -b
check_equal "bad values: exit status 3" 3 $?
for setting in "${bad[@]}"; do
  key=${setting%%=*}
  line=$(grep -n "^$key=" "$TEMP/bad/bad.conf" | cut -d : -f 1)
  check "bad values, $key: told with file, line and what is allowed" \
    grep -qE "bad\.conf:$line: $key: .*(allowed|give|expected|must|one of|:)" "$TEMP/bad/out"
done
check_equal "bad values: a line for each, and no more" "${#bad[@]}" "$(grep -c 'bad\.conf:[0-9]*: ' "$TEMP/bad/out")"

# refused NAME KEY KEY=VALUE...: good values that do not go together.
refused() {
  local name=$1 key=$2
  shift 2
  write_client_config bad client "$@"
  run_client bad -n -b
  check_equal "together, $name: exit status 3" 3 $?
  check "together, $name: told where" grep -qE "bad\.conf(:[0-9]+)?: $key: " "$TEMP/bad/out"
}
refused "a method without a user" userid auth_method=digest-md5 passwd=s3cret
refused "a method without a password" passwd auth_method=digest-md5 userid=alice
refused "a router without an interface" if_prefix host_type=router
refused "delays the wrong way round" retry_delay_max retry_delay=20 retry_delay_max=10
refused "keepalives without an interval" keepalive_interval keepalive=yes keepalive_interval=0
refused "a proxy over UDP" tunnel_mode proxy_client=yes client_v4=203.0.113.9 keepalive=no tunnel_mode=v6udpv4
refused "a proxy for nobody" client_v4 proxy_client=yes keepalive=no tunnel_mode=v6v4
refused "a proxy that asks whether it works" keepalive proxy_client=yes client_v4=203.0.113.9 tunnel_mode=v6v4

# --- The request, and what is made of the answer ---

capture client eth0 "$TEMP/capture"
asked() { grep -F 'action="create"' "$TEMP/capture" | tail -n 1; }
has_asked() { [ "$(grep -cF 'action="create"' "$TEMP/capture")" -ge "$1" ]; }
home_addresses() { ns client ip -6 -o addr show dev "$1" scope global | awk '{ print $4 }'; }
snapshot client >"$TEMP/client.before"

start_registry mtu=1280 anonymous_prefix=yes
start_client home
check_match "defaults: the request is from the interface's address" '^udp 192\.0\.2\.2:.*<address type="ipv4">192\.0\.2\.2<' "$(asked)"
check_match "defaults: no router, no proxy, keepalives every 30 s" 'type="v6anyv4" proxy="no".*<keepalive interval="30">' "$(asked)"
check_fails "defaults: no prefix is asked for" grep -qE '<router|<prefix|dns_server' <<<"$(asked)"
check_equal "defaults: nothing on the interfaces at home" "" "$(home_addresses home0)$(home_addresses home1)"
check_equal "if_tunnel_v6udpv4: the interface has that name" six0 "$(ns client ip -o link show dev six0 | cut -d ' ' -f 2 | tr -d :)"
stop_client home

ip -n "$PREFIX-client" addr add 192.0.2.3/24 dev eth0
snapshot client >"$TEMP/client.before"
write_client_config home client client_v4=192.0.2.99
run_client home -n -b
check_match "client_v4: an address that is not this machine's ends with 5" '^5$' $?
check_match "client_v4: and is named" '192\.0\.2\.99' "$(cat "$TEMP/home/out")"
write_client_config home client host_type=router prefixlen=60 "if_prefix=home0 home1" dns_server=ns1.example.net:ns2.example.net \
  routing_info=bgp keepalive_interval=70 client_v4=192.0.2.3 if_tunnel_v6udpv4=other \
  run_dir="$TEMP/home/other-run" state_dir="$TEMP/home/other-state" last_server=granted.txt
before=$(grep -cF 'action="create"' "$TEMP/capture")
spawn_client home
wait_for 10 has_asked $((before + 1)) || die "no request"
check_match "client_v4: the request is from that address" '^udp 192\.0\.2\.3:.*<address type="ipv4">192\.0\.2\.3<' "$(asked)"
check_match "host_type, prefixlen, routing_info: are asked for" '<router protocol="bgp">.*<prefix length="60"/>' "$(asked)"
check_match "dns_server: both names are told" '<dns_server>.*"dn">ns1\.example\.net<.*"dn">ns2\.example\.net<.*</dns_server>' "$(asked)"
check_match "keepalive_interval: is told" '<keepalive interval="70">' "$(asked)"
if command -v radvd >/dev/null; then
  wait_up home || die "the router's tunnel does not come up: $(tail -n 2 "$TEMP/home/out")"
  prefix=$(status_field home prefix)
  check_match "prefixlen: is what was delegated" '/60$' "$prefix"
  first=$(home_addresses home0)
  second=$(home_addresses home1)
  check_match "if_prefix: the first interface has ::1 of the prefix" "^${prefix%%::/60}::1/64$" "$first"
  check_match "if_prefix: the second one has ::1 of the next /64" "^${prefix%%0::/60}1::1/64$" "$second"
  check_equal "if_tunnel_v6udpv4: another name" other "$(ns client ip -o link show dev other | cut -d ' ' -f 2 | tr -d :)"
  check_equal "run_dir: has the files" "home.pid home.record home.sock home.tunnel" \
    "$(cd "$TEMP/home/other-run" && echo home.pid home.record home.sock home.tunnel | tr ' ' '\n' | while read -r file; do
      [ -e "$file" ] && echo "$file"; done | tr '\n' ' ' | sed 's/ $//')"
  check_equal "state_dir, last_server: the broker is kept there" broker.example.net "$(cat "$TEMP/home/other-state/granted.txt")"
  check_fails "last_server: and nowhere else" ls "$TEMP/home/other-state/tsp-last-server.txt"
  stop_client home
  check "router: addresses, routes and settings are as before" is_as_before client
else
  skip "if_prefix on the interfaces" "the program 'radvd' is not installed (make deps)"
  stop_client home
fi
write_client_config home client host_type=router prefixlen=0 if_prefix=home0
before=$(grep -cF 'action="create"' "$TEMP/capture")
spawn_client home
wait_for 10 has_asked $((before + 1)) || die "no request"
check_match "prefixlen=0: the length is the broker's choice" '<router>' "$(asked)"
check_fails "prefixlen=0: none is told" grep -q '<prefix length' <<<"$(asked)"
stop_client home

# --- gogoc_dir and its older names, template: which script is run ---

mkdir -p "$TEMP/dir-a/template" "$TEMP/dir-b/template"
for dir in dir-a dir-b; do
  cat >"$TEMP/$dir/template/own.sh" <<'TEMPLATE'
#!/bin/sh
echo "$TSP_OPERATION $TSP_HOME_DIR" >>"$TSP_HOME_DIR/template.log"
if [ "$TSP_OPERATION" = TSP_TUNNEL_CREATION ]; then ip link set "$TSP_TUNNEL_INTERFACE" up; fi
TEMPLATE
done
# runs_template NAME DIRECTORY KEY=VALUE...
runs_template() {
  local name=$1 dir=$TEMP/$2
  shift 2
  rm -f "$TEMP"/dir-?/template.log
  write_client_config home client template=own "$@"
  sed -i '/^gogoc_dir=$/d' "$TEMP/home/home.conf"
  spawn_client home
  wait_up home || die "the tunnel does not come up: $(tail -n 2 "$TEMP/home/out")"
  stop_client home
  check_equal "$name: its template is run, and told the directory" \
    "TSP_TUNNEL_CREATION $dir TSP_TUNNEL_TEARDOWN $dir" "$(tr '\n' ' ' <"$dir/template.log" | sed 's/ $//')"
}
runs_template gogoc_dir dir-a gogoc_dir="$TEMP/dir-a"
runs_template gw6_dir dir-b gogoc_dir= gw6_dir="$TEMP/dir-b"
runs_template tsp_dir dir-a gogoc_dir= tsp_dir="$TEMP/dir-a"
runs_template "gogoc_dir before tsp_dir" dir-b tsp_dir="$TEMP/dir-a" gogoc_dir="$TEMP/dir-b"

# Services that are no more: a warning each, with the line, and a tunnel all the same.
obsolete=(haccess_proxy_enabled=no haccess_web_enabled=no haccess_document_root=/nowhere hap6_proxy_enabled=yes hap6_web_enabled=yes
  hap6_document_root=/nowhere syslog_level=7)
start_client home "${obsolete[@]}"
for setting in "${obsolete[@]}"; do
  key=${setting%%=*}
  line=$(grep -n "^$key=" "$TEMP/home/home.conf" | cut -d : -f 1)
  check "$key: a warning with file and line" grep -qE "warning: .*home\.conf:$line: $key: obsolete, ignored" "$TEMP/home/out"
done
check "obsolete keys: the tunnel works" can_ping client "$BROKER_V6"
stop_client home

# --- tunnel_mode, if_tunnel_v6v4, datapath: a host without NAT in front of it ---

check_fails "if_tunnel_v6v4: no such interface before" ns direct ip link show dev six7
write_client_config direct direct tunnel_mode=v6v4 if_tunnel_v6v4=six7 datapath=userspace
spawn_client direct
wait_up direct || die "the tunnel of direct does not come up: $(tail -n 2 "$TEMP/direct/out")"
check_match "if_tunnel_v6v4, datapath=userspace: a TUN of that name" ' tun ' "$(ns direct ip -d -o link show dev six7)"
check "tunnel_mode=v6v4: ping" can_ping direct "$BROKER_V6"
check_equal "datapath=userspace: status says so" userspace "$(status_field direct datapath)"
stop_client direct
for offload in auto off; do
  write_client_config direct direct threads=2 offload=$offload
  spawn_client direct
  wait_up direct || die "the tunnel with offload=$offload does not come up: $(tail -n 2 "$TEMP/direct/out")"
  check "threads=2 offload=$offload: ping" can_ping direct "$BROKER_V6"
  check_equal "threads=2: status says so" 2 "$(status_field direct threads)"
  case $offload in
    auto) check_match "offload=auto: status says what there is" 'none|tun-checksum|udp-' "$(status_field direct offloads)" ;;
    off) check_equal "offload=off: status says so" none "$(status_field direct offloads)" ;;
  esac
  stop_client direct
done
write_client_config direct direct tunnel_mode=v6v4 if_tunnel_v6v4=six7 datapath=kernel
CLIENT_TIMEOUT=5 run_client direct -n -b
status=$?
if [ "$status" = 124 ] || [ "$status" = 0 ]; then
  check_match "datapath=kernel: it was the kernel's interface" 'kernel, MTU' "$(cat "$TEMP/direct/log")"
else
  check_equal "datapath=kernel: a kernel without sit ends with 18" 18 "$status"
  check_match "datapath=kernel: and says that it has none" 'sit|no tunnel interface' "$(cat "$TEMP/direct/out")"
fi

# --- proxy_client: another machine's tunnel, and its router's configuration ---

write_client_config home client proxy_client=yes client_v4=203.0.113.9 tunnel_mode=v6v4 keepalive=no template=cisco if_tunnel_v6v4=sit7
run_client home -n -b
check_equal "proxy_client: a broker that does not allow it refuses: 13" 13 $?
stop_pid "$REGISTRY_PID"
start_registry mtu=1280 proxy=yes keepalive_interval_min=1
run_client home -n -b
check_equal "proxy_client: needs nobody to hold it, ends with 0" 0 $?
check_match "proxy_client: is asked for, for that machine's address" 'type="v6v4" proxy="yes".*<address type="ipv4">203\.0\.113\.9<' "$(asked)"
check_fails "proxy_client: no keepalive is asked for" grep -q '<keepalive' <<<"$(asked)"
described=$(cat "$TEMP/home/run/cisco-sit7.txt")
check_match "template=cisco: the router's configuration is there" '^interface Tunnel7' "$described"
check_match "template=cisco: between the right ends" "tunnel source 203\\.0\\.113\\.9 tunnel destination 198\\.51\\.100\\.10" \
  "$(tr -s '\n ' ' ' <<<"$described")"
check_fails "proxy_client: no interface on this machine" ns client ip link show dev sit7
check_equal "proxy_client: stop takes it back" 0 "$(exit_status client home stop)"
check_fails "proxy_client: the router's configuration is gone" ls "$TEMP/home/run/cisco-sit7.txt"

# --- The pace: keepalive, keepalive_interval; auto_retry_connect, retry_delay, retry_delay_max ---

# Echo requests in the tunnel: ICMPv6 (58) of type 128 behind the UDP header of 8 bytes; larger ones probe the path. Attempts: nobody listens on port 3654, so
# that one is one datagram, refused.
{
  echo "table ip pace {"
  for home in "${HOMES[@]}"; do echo "counter $home { }"; done
  echo "chain forward { type filter hook forward priority filter - 1;"
  for index in "${!HOMES[@]}"; do
    echo "ip saddr 192.0.2.$((11 + index)) udp dport 3653 @th,96,16 < 400 @th,112,8 58 @th,384,8 128 counter name ${HOMES[index]}"
    echo "ip saddr 192.0.2.$((11 + index)) udp dport 3654 counter name ${HOMES[index]}"
  done
  printf '}\n}\n'
} | ns router nft -f -
# All at one time: what is counted while others are read would be too much.
read_counters() { ns router nft list counters table ip pace >"$TEMP/counters"; }
count() { awk -v name="$1" '$1 == "counter" { is_it = $2 == name } is_it && $1 == "packets" { print $2 }' "$TEMP/counters"; }
# between NAME HOST LEAST MOST: what the router counted of it.
between() {
  local seen
  seen=$(count "$2")
  if [ "$seen" -ge "$3" ] && [ "$seen" -le "$4" ]; then
    pass "$1"
  else
    fail "$1" "counted $seen, not $3 to $4"
  fi
}
# Refusals are not to be rationed: one that is missing is asked for again.
set_sysctl registry net/ipv4/icmp_ratelimit 0
write_client_config one one keepalive_interval=2
write_client_config two two keepalive_interval=
write_client_config three three keepalive=no
for home in one two three; do
  spawn_client $home
  wait_up $home || die "the tunnel of $home does not come up: $(tail -n 2 "$TEMP/$home/out")"
done
# What goes to and fro at first, as neighbours get to know each other, is not the pace.
sleep 2
ns router nft reset counters table ip pace >/dev/null
write_client_config four four server=$REGISTRY_V4:3654 tunnel_mode=v6udpv4 retry_delay=1 retry_delay_max=1
write_client_config five five server=$REGISTRY_V4:3654 tunnel_mode=v6udpv4 retry_delay=1 retry_delay_max=300
write_client_config six six server=$REGISTRY_V4:3654 tunnel_mode=v6udpv4 retry_delay= retry_delay_max=
write_client_config seven seven server=$REGISTRY_V4:3654 tunnel_mode=v6udpv4 auto_retry_connect=no
for home in four five six seven; do spawn_client $home; done
sleep 9
read_counters
between "keepalive=no: no echo goes out" three 0 0
between "keepalive_interval: 30 s, the default: one at most" two 0 1
between "keepalive_interval=2: one each 2 s" one 3 6
between "auto_retry_connect=no: one attempt" seven 1 1
check "auto_retry_connect=no: has ended" is_gone_or_zombie "${CLIENT_PID[seven]}"
wait "${CLIENT_PID[seven]}"
check_equal "auto_retry_connect=no: with the failure's exit status" 9 $?
between "retry_delay: 30 s, the default: one attempt" six 1 1
check "retry_delay: and the next one is due" is_running "${CLIENT_PID[six]}"
check_match "retry_delay: in 30 s, a quarter more or less" '^(1[3-9]|2[0-9]|30)$' "$(status_field six retry_in_s)"
between "retry_delay=1: at 0, 1, 3 and 7 s, a quarter more or less" five 3 4
between "retry_delay_max=1: each second" four 7 13
