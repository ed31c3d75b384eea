#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Names in DNS: each user has one, and the reverse zone of a router's prefix is delegated to the name server that runs behind its
# tunnel; wrong keys and DNS servers that are away disturb no tunnel, and nothing is left of leases that ended.
#
#   client: router with a LAN, its own named           registry            web: named, primary of users.example.net and of
#   for the prefix, reached through the tunnel   ----  (sixlink)  -------  2.4.0.0.8.b.d.0.1.0.0.2.ip6.arpa, and resolver
#
# Topology: ../lib.sh. The last part does the same with Knot DNS as the server, when that is installed.
#
# covers: key dns_server

# shellcheck source-path=SCRIPTDIR source=../lib.sh disable=SC2119,SC2034
. "$(dirname "$0")/../lib.sh"

begin "$@"
PATH=$PATH:/usr/sbin:/sbin
for program in named dig nsupdate tsig-keygen; do
  if ! command -v $program >/dev/null; then
    skip "$SCENARIO" "the program '$program' is not installed (make deps)"
    exit 0
  fi
done
topology
add_namespace lan
link client lan0 lan eth0
for host in laptop phone tablet guest; do add_home_host $host "192.0.2.$((10 + ${#NAMESPACES[@]}))"; done
for host in laptop phone tablet; do set_hosts $host "$REGISTRY_V4 broker.example.net"; done

reverse=2.4.0.0.8.b.d.0.1.0.0.2.ip6.arpa
domain=users.example.net

# --- DNS servers ---

# A copy: systems with AppArmor let the installed one read /etc/bind only.
cp "$(command -v named)" "$TEMP/named"
mkdir "$TEMP/web" "$TEMP/dns"
tsig-keygen sixlink >"$TEMP/dns/good.key"
tsig-keygen sixlink >"$TEMP/dns/wrong.key"
chmod 600 "$TEMP"/dns/*.key
update_key=$TEMP/dns/registry.key
(umask 077 && cat "$TEMP/dns/good.key" >"$update_key")

# write_zone FILE ZONE: an empty one.
write_zone() {
  printf '%s\n' "\$TTL 60" "@ SOA ns.example.net. hostmaster.example.net. 1 60 60 600 1" "@ NS ns.example.net." >"$1"
}

# bind_config DIRECTORY ADDRESS: what every named of ours has.
bind_config() {
  cat <<CONF
options {
  directory "$1"; pid-file none; session-keyfile none; lock-file none; managed-keys-directory "$1";
  listen-on { none; }; listen-on-v6 { $2; }; query-source-v6 address $2;
  notify no; dnssec-validation no; empty-zones-enable no; qname-minimization off;
  recursion yes; allow-recursion { any; }; servfail-ttl 0; lame-ttl 0; max-ncache-ttl 1;
};
controls { };
CONF
}

write_bind() {
  rm -rf "$TEMP/web/bind"
  mkdir -p "$TEMP/web/bind"
  write_zone "$TEMP/web/bind/reverse" $reverse
  write_zone "$TEMP/web/bind/users" $domain
  write_zone "$TEMP/web/bind/net" example.net
  {
    echo "include \"$TEMP/dns/good.key\";"
    bind_config "$TEMP/web/bind" $WEB_V6
    echo "zone \"$reverse\" { type primary; file \"reverse\"; allow-update { key sixlink; }; };"
    echo "zone \"$domain\" { type primary; file \"users\"; allow-update { key sixlink; }; };"
    # Where the resolver would ask the root, which is not here.
    echo "zone \"example.net\" { type primary; file \"net\"; };"
  } >"$TEMP/web/bind/named.conf"
  echo "ns AAAA $WEB_V6" >>"$TEMP/web/bind/net"
}

answers() { ns "$1" dig +time=1 +tries=1 "@$2" SOA "$3" | grep -q 'status: NOERROR'; }
start_bind() {
  spawn_in web "$TEMP/web/out" "$TEMP/named" -g -n 1 -c "$TEMP/web/bind/named.conf"
  DNS_PID=$SPAWNED
  wait_for 10 answers web $WEB_V6 $reverse || die "named does not start: $(tail -n 3 "$TEMP/web/out")"
}
stop_dns() { stop_pid "$DNS_PID"; }

# lookup NAME TYPE: the resolver's answer.
lookup() { ns web dig +short +time=2 +tries=2 "@$WEB_V6" "$1" "$2"; }
# published NAME TYPE: what the primary itself has, delegations included.
published() {
  ns web dig +norecurse +noall +answer +authority +time=2 +tries=2 "@$WEB_V6" "$1" "$2" |
    awk -v type="$2" -v name="$1." 'tolower($1) == tolower(name) && $4 == type { print $5 }' | sort | tr '\n' ' '
}
is_published() { [ "$(published "$1" "$2")" = "${3:+$3 }" ]; }
has_name() { published "$1.$domain" AAAA | grep -q '^2001:db8:42:'; }
# delegations: how many zones of the reverse zone are delegated to the name server $1.
delegations() { ns web dig +time=2 +tries=2 -y "$TSIG" "@$WEB_V6" $reverse AXFR | awk -v to="$1." '$4 == "NS" && $5 == to' | wc -l; }
delegated() { [ "$(delegations "$1")" = "$2" ]; }
TSIG=$(awk '/algorithm/ { gsub(/[;"]/, "", $2); a = $2 } /secret/ { gsub(/[;"]/, "", $2); s = $2 } END { print a ":sixlink:" s }' \
  "$TEMP/dns/good.key")

registry_logs() { grep -qE -- "$1" "$TEMP/registry/log"; }
status_says() { registry_command dns status | grep -qE -- "$1"; }
hang_up() { kill -HUP "$REGISTRY_PID"; }

dns_keys=(
  "dns_update_server=[$WEB_V6]" "dns_update_key=$update_key" "user_domain=$domain"
  anonymous_prefix=yes anonymous_lifetime=60
)

# --- Delegated, and resolvable through the tunnel ---

write_bind
start_bind
check_equal "reverse DNS: a prefix is not delegated before" "" "$(published 1.0.$reverse NS)"
check_equal "names: a user has none before" "" "$(lookup alice.$domain AAAA)"

start_registry "${dns_keys[@]}"
for user in alice bob carol dave; do add_user $user s3cret; done
check_equal "dns status: 0 while nothing is wrong" 0 "$(exit_status registry_command dns status)"

router_keys=(
  auth_method=digest-md5 userid=alice passwd=s3cret host_type=router if_prefix=lan0 "dns_server=alice.$domain"
)
host_keys=(auth_method=digest-md5 passwd=s3cret)
start_client home "${router_keys[@]}" prefixlen=56
check "names: alice's AAAA record" wait_for 5 has_name alice
address=$(lookup alice.$domain AAAA)
check_equal "names: it is the tunnel's address" "$address" "$(ns client ip -6 -o addr show dev six0 scope global | awk '{ sub("/.*", "", $4); print $4 }')"
pointer=$("$PYTHON" -c 'import ipaddress, sys; print(ipaddress.ip_address(sys.argv[1]).reverse_pointer)' "$address")
check "names: the address has the name" wait_for 5 is_published "$pointer" PTR alice.$domain.
check "reverse DNS: the prefix is delegated" wait_for 5 is_published 1.0.$reverse NS alice.$domain.

router_name=1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.0.$reverse
check_equal "reverse DNS: nothing resolves while the client's name server is off" "" "$(lookup $router_name PTR)"
mkdir "$TEMP/client"
write_zone "$TEMP/client/reverse" 1.0.$reverse
echo "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0 PTR gate.home.example." >>"$TEMP/client/reverse"
{
  bind_config "$TEMP/client" "$address"
  echo "zone \"1.0.$reverse\" { type primary; file \"reverse\"; };"
} >"$TEMP/client/named.conf"
spawn_in client "$TEMP/client/out" "$TEMP/named" -g -n 1 -c "$TEMP/client/named.conf"
client_named=$SPAWNED
check "reverse DNS: the client's name server is reached through the tunnel" wait_for 10 answers web "$address" 1.0.$reverse
resolves() { [ "$(lookup $router_name PTR)" = gate.home.example. ]; }
check "reverse DNS: an address of the prefix resolves by the delegation" wait_for 10 resolves
stop_client home
check_fails "reverse DNS: the answer came through the tunnel" answers web "$address" 1.0.$reverse
stop_pid "$client_named"

# An anonymous router's lease ends by itself: looked at last.
guest=$(ns guest "$PYTHON" "$TOOLS/router_request.py" $REGISTRY_V4 60 ns.guest.example)
check_match "reverse DNS: an anonymous router has a prefix" '^200' "$guest"
check "reverse DNS: it is delegated, too" wait_for 5 delegated ns.guest.example 1

# --- A changed prefix; what cannot be delegated ---

write_client_config home client "${router_keys[@]}" prefixlen=58
spawn_client home
wait_up home || die "the tunnel does not come up again"
check "reverse DNS: a prefix between nibbles is four zones" wait_for 5 delegated alice.$domain 4
check "reverse DNS: the old prefix is not delegated any more" is_published 1.0.$reverse NS ""
for server in 198.51.100.53 ns_1.example.net ns.1.0.0.2.ip6.arpa; do
  check_equal "reverse DNS: status 509 for the name server $server" 509 \
    "$(ns guest "$PYTHON" "$TOOLS/router_request.py" $REGISTRY_V4 60 $server)"
done

# --- A DNS server that is away ---

stop_dns
write_client_config laptop laptop "${host_keys[@]}" userid=bob
spawn_client laptop
check "outage: a client is up at once without DNS" wait_up laptop 5
check "outage: the log says so" wait_for 15 registry_logs 'cannot update the DNS zone users\.example\.net on 2001:db8:99::2: Communication with'
check "outage: dns status says so" status_says 'problem       Communication with'
check_equal "outage: dns status fails" 1 "$(exit_status registry_command dns status)"
check "outage: a tunnel carries packets" can_ping client "$WEB_V6"
start_bind
check "outage: the name is there once the server is back" wait_for 40 has_name bob
check "outage: the log says that it is over" wait_for 40 registry_logs 'DNS zone users\.example\.net can be updated again'

# --- The registry ends while DNS is away, and a lease with it ---

stop_dns
check "crash: the user is deleted" registry_command user del bob
hang_up
sleep 1
stop_pid "$REGISTRY_PID" KILL
ns registry ip link del sixlink0 2>/dev/null
start_bind
check "crash: bob's record is still there" has_name bob
run_registry
no_name() { ! has_name "$1"; }
check "crash: it goes after the restart" wait_for 10 no_name bob
check "crash: alice's stays" has_name alice

# --- A DNS server that says nothing while the registry ends ---

silence() { ns web nft -f - <<<'table inet silence { chain input { type filter hook input priority 0; iif != lo tcp dport 53 drop; }; }'; }
silence
write_client_config tablet tablet "${host_keys[@]}" userid=erin
add_user erin s3cret
spawn_client tablet
check "silence: a client is up at once" wait_up tablet 5
updates() { local pid; for pid in $(ip netns pids "$PREFIX-registry"); do grep -q '^nsupdate$' "/proc/$pid/comm" 2>/dev/null && return 0; done; return 1; }
no_updates() { ! updates; }
check "silence: an update waits for its answer" wait_for 5 updates
check "silence: a tunnel carries packets meanwhile" can_ping client "$WEB_V6"
SECONDS=0
stop_pid "$REGISTRY_PID"
check_equal "silence: the registry ends cleanly" 0 "$STOPPED_STATUS"
check "silence: it does not wait for the answer" [ "$SECONDS" -lt 6 ]
check "silence: no update is left behind" wait_for 2 no_updates
ns web nft delete table inet silence
run_registry
check "silence: the name is there after a restart" wait_for 10 has_name erin
stop_client tablet

# --- A wrong key ---

stop_client laptop
cat "$TEMP/dns/wrong.key" >"$update_key"
write_client_config phone phone "${host_keys[@]}" userid=carol
spawn_client phone
check "wrong key: a client is up at once" wait_up phone 5
check "wrong key: the log says what is wrong" wait_for 15 registry_logs 'NOTAUTH\(BAD(SIG|KEY)\); the DNS server does not accept the key of dns_update_key'
check "wrong key: the server refused it" grep -q 'tsig verify failure' "$TEMP/web/out"
check "wrong key: no name" no_name carol
lines=$(grep -c 'cannot update the DNS zone' "$TEMP/registry/log")
sleep 4
check_equal "wrong key: the log is not filled with it" "$lines" "$(grep -c 'cannot update the DNS zone' "$TEMP/registry/log")"
cat "$TEMP/dns/good.key" >"$update_key"
hang_up
check "wrong key: the name is there once the key is right" wait_for 10 has_name carol
chmod 644 "$update_key"
check "key file: dns status warns when others may read it" status_says 'warning .*can be read or written by others'
chmod 600 "$update_key"

# --- A DNS server that lost its zones ---

stop_dns
write_bind
start_bind
check "resync: the names are gone" no_name alice
check "resync: everything is sent again" registry_command dns resync
check "resync: alice's name is back" wait_for 10 has_name alice
check "resync: carol's, too" wait_for 10 has_name carol
check "resync: and the delegations" wait_for 10 delegated alice.$domain 4

# --- Leases end ---

check "end: the user is deleted" registry_command user del alice
hang_up
check "end: the name is gone" wait_for 10 no_name alice
check "end: the delegations, too" wait_for 10 delegated alice.$domain 0
check "end: carol's name stays" has_name carol
check "end: an anonymous router's delegation goes when its lease has expired" wait_for 120 delegated ns.guest.example 0
check_fails "end: dns status has nothing to do" status_says 'to (add|remove) +[1-9]'
check_equal "end: dns status is content" 0 "$(exit_status registry_command dns status)"
stop_client home
stop_client phone
stop_dns

# --- Knot DNS ---

if ! command -v knotd >/dev/null; then
  skip "knot" "the program 'knotd' is not installed"
  exit 0
fi
mkdir -p "$TEMP/web/knot/run"
for zone in $reverse $domain; do
  printf '%s\n' "$zone. 60 SOA ns.example.net. hostmaster.example.net. 1 60 60 600 1" "$zone. 60 NS ns.example.net." \
    >"$TEMP/web/knot/$zone.zone"
done
cat >"$TEMP/web/knot/knot.conf" <<CONF
server:
    rundir: $TEMP/web/knot/run
    listen: $WEB_V6@53
database:
    storage: $TEMP/web/knot
log:
  - target: stderr
    any: info
key:
  - id: sixlink
    algorithm: $(cut -d: -f1 <<<"$TSIG")
    secret: $(cut -d: -f3 <<<"$TSIG")
acl:
  - id: registry
    key: sixlink
    action: [update, transfer]
template:
  - id: default
    storage: $TEMP/web/knot
    file: "%s.zone"
    acl: registry
zone:
  - domain: $reverse
  - domain: $domain
CONF
spawn_in web "$TEMP/web/out" knotd -c "$TEMP/web/knot/knot.conf"
DNS_PID=$SPAWNED
wait_for 10 answers web $WEB_V6 $reverse || die "knotd does not start: $(tail -n 3 "$TEMP/web/out")"
check "knot: nothing is there before" no_name carol
check "knot: everything is sent again" registry_command dns resync
check "knot: carol's name" wait_for 10 has_name carol
set_hosts client "$REGISTRY_V4 broker.example.net"
write_client_config router client "${host_keys[@]}" userid=dave host_type=router if_prefix=lan0 dns_server=dave.$domain prefixlen=59
spawn_client router
check "knot: a router is up" wait_up router
check "knot: its prefix is delegated, two zones" wait_for 10 delegated dave.$domain 2
check "knot: the user is deleted" registry_command user del dave
hang_up
check "knot: the delegations are gone" wait_for 10 delegated dave.$domain 0
check "knot: and the name" no_name dave
