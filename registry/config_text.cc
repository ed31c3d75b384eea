// SPDX-License-Identifier: BSD-3-Clause
// The text of a complete configuration, for init and for conf/sixlink-registry.conf.
#include "registry/init.h"

#include <string_view>
#include <utility>

namespace sixlink::registry {
namespace {

constexpr std::string_view kText =
    R"(# Configuration of sixlink-registry: name=value lines. A line that begins with # is a comment, and shows the default
# where it looks like a setting. sixlink-registry.conf(5) explains every key.

# ---- Addresses -------------------------------------------------------------------------------------------------

# The IPv6 prefix that is routed to this machine, /32 to /64. Its first /64 holds the tunnels' own addresses (::1 is this
# machine's), the rest is delegated to clients that ask for a prefix.
@PREFIX@

# Where to serve, UDP and TCP: addresses with an optional :port (default 3653), separated by blanks.
listen=@LISTEN@

# This machine's IPv4 address as clients see it, when a NAT with port forwarding is in front. Empty: the address that a
# client spoke to.
#server_v4=

# An IPv4 prefix (/8 to /30) that is routed to this machine, for clients on IPv6-only networks (v4v6) and for WireGuard
# tunnels. Its first address is this machine's. Empty: no v4v6, and IPv6 only in WireGuard.
#prefix_v4=

# The DNS server (an IPv6 address) that clients are told. Empty: this machine's address inside the tunnels.
#dns_server=

# ---- Who may have a tunnel -------------------------------------------------------------------------------------

# Users are kept with "sixlink-registry user add|passwd|del|list". Clients without a user:
#anonymous=yes

# Whether anonymous clients may have a prefix delegated.
#anonymous_prefix=no

# An anonymous client's address is free again after so many seconds without a packet.
#anonymous_lifetime=86400

# Addresses that anonymous clients behind one outer IPv4 address may hold together.
#anonymous_per_address=256

# How users may log in. PLAIN sends the password readable over the network, DIGEST-MD5 and PASSDSS-3DES-1 do not. For the
# last one this machine has a host key, which clients keep: passdss-host-key.pem in state_dir, to be kept in a backup.
#auth_plain=yes
#auth_digest_md5=yes
#auth_passdss=yes

# Part of what is stored of a password: after a change every user needs a new password.
#realm=sixlink

# ---- Tunnels ---------------------------------------------------------------------------------------------------

# The lengths of prefix that a client may ask for, of IPv6 and of prefix_v4. Who leaves it to the server gets the longest
# (of IPv4 a /30 at least).
#prefix_length_min=56
#prefix_length_max=64
#prefix_v4_length_min=29
#prefix_v4_length_max=32

# v6udpv4 passes NAT, v6v4 needs a client with a public IPv4 address, v4v6 is IPv4 for clients with IPv6 only.
#tunnel_modes=v6udpv4 v6v4 v4v6

# What a client gets that takes either (v6anyv4) and is not behind NAT.
#prefer=v6udpv4

# Whether a client may ask for a v6v4 or v4v6 tunnel that ends at another machine.
#proxy=no

# The network interface of the tunnels, and its MTU (1280 to 1480); v6udpv4 has 1472 and v4v6 1460 at most.
#interface=sixlink0
#mtu=1280

# Threads that move packets each way, auto or a number; and whether they use the system's segmentation and receive
# offloads (auto), or not (off).
#threads=auto
#offload=auto

# The lifetime in seconds that clients are told.
#lifetime=604800

# Clients that want to send keepalives more often (seconds) are told this interval.
#keepalive_interval_min=5

# ---- WireGuard -------------------------------------------------------------------------------------------------

# Encrypted tunnels, for sixlink's clients and, with "sixlink-registry peer export", for everything that has WireGuard. This
# machine's key is wireguard.key in state_dir, to be kept in a backup.
#wireguard=yes

# A UDP port of its own for them; 0: the port of listen=, beside TSP.
#wireguard_port=0

# Who moves the packets: kernel (with a port of its own), userspace (this program), auto (the kernel where it can).
#wireguard_datapath=auto
#wireguard_interface=sixlink-wg0

# The name or address, with an optional :port, that exported peers send to. Empty: server_v4, or an address of listen=.
#wireguard_endpoint=

# ---- Names in DNS ----------------------------------------------------------------------------------------------

# Where dynamic updates (RFC 2136) go, an address or name with an optional :port, and the file of the TSIG key that signs
# them ("tsig-keygen sixlink" makes one; readable by this server only). Empty: nothing is published.
#dns_update_server=
#dns_update_key=

# The zones of ip6.arpa on that server which a client's prefix is delegated from, and where tunnel addresses get PTR
# records. Empty: the zones of prefix=.
#reverse_zone=

# Each user's tunnel is USER.user_domain, in the zone user_zone (empty: user_domain itself). Empty: users have no names.
#user_domain=
#user_zone=

# How long resolvers may remember these records, in seconds.
#dns_ttl=600

# ---- Other brokers ---------------------------------------------------------------------------------------------

# Where newcomers are sent: addresses or names of other brokers with an optional :port, separated by blanks. always: this
# registry serves nobody itself; load: above one of the two limits; drain: only after "sixlink-registry drain".
#redirect=
#redirect_when=always

# Tunnels in use, and percent of a core that this program takes; 0: no limit. With one of them redirect_when is load.
#redirect_above_tunnels=0
#redirect_above_load=0

# ---- The mesh --------------------------------------------------------------------------------------------------

# The IPv6 prefix of a mesh whose registry this is: nodes get parts of it. Its authority's key is in ca in state_dir, to be
# kept in a backup. Empty: no mesh. With a mesh, prefix= may be left out: then there are no tunnels.
@NETWORK@

# IPv4 inside the mesh: a prefix, and the length of each node's. Empty: IPv6 only. May be changed later: nodes take it over by themselves.
@NETWORK_V4@

# Where nodes find this registry; the first is told with tokens. Several are for several names and addresses of it.
@REGISTRY_URL@

# Where HTTPS is served: addresses with an optional :port (default 443), separated by blanks. By UDP on the same ports nodes are told
# where they are seen, as those behind NATs need: let it through.
@HTTPS_LISTEN@

# Whether nodes may join without a token ("sixlink-registry token new"), and how many join from one address in an hour.
#join_anonymous=no
#joins_per_hour=200

# How long tokens are good, in seconds.
#token_lifetime=604800

# The length of nodes' prefixes, and the shortest that a token may be for.
#mesh_prefix_length=64
#mesh_prefix_length_min=48

# How long nodes' certificates are good, and how long afterwards the prefix is still kept for the node, in seconds.
#certificate_lifetime=31536000
#prefix_grace=8640000

# For all nodes: the interval of Babel's hellos, the links that a node makes, and after how many seconds one is replaced.
#hello_interval=4
#client_count=10
#tunnel_refresh=300

# A PostgreSQL database (postgresql://USER@HOST/NAME) that several registries of the mesh share. Empty: mesh.db in state_dir.
#mesh_database=

# Tokens are sent by e-mail to whoever asks, by this server: starttls (port 587), tls (465) or none; and who sends them.
#smtp_server=
#smtp_security=starttls
#smtp_user=
#smtp_password=
#smtp_from=

# The certificates that the mail server's is checked with. Empty: the system's.
#smtp_ca_file=

# ---- Limits ----------------------------------------------------------------------------------------------------

# Negotiations going on at once: together, and from one outer address.
#max_sessions=4096
#sessions_per_address=256

# Failed logins a minute, and requests for tunnels a second, from one outer address.
#login_attempts_per_minute=20
#requests_per_second=50

# ---- This machine ----------------------------------------------------------------------------------------------

# The script that makes the interface and its routes: NAME of template/NAME.sh.
#template=linux

# The PID file and what must not survive a reboot; the database.
run_dir=@RUN_DIR@
state_dir=@STATE_DIR@

# ---- Log -------------------------------------------------------------------------------------------------------

# Levels: 0 off, 1 main events and errors, 2 details, 3 everything.
#log_console=0
#log_stderr=1
#log_file=0
#log_syslog=0
#log_filename=/var/log/sixlink-registry.log
#log_rotation=yes
#log_rotation_size=32
#log_rotation_delete=no
#syslog_facility=USER
)";

}  // namespace

std::string config_text(const ConfigValues& values) {
  const auto line = [](const std::string& key, const std::string& value) {
    return (value.empty() ? "#" : "") + key + "=" + value;
  };
  const std::pair<std::string_view, std::string> marks[] = {
      {"@PREFIX@", line("prefix", values.prefix)},
      {"@LISTEN@", values.listen},
      {"@NETWORK@", line("network", values.network)},
      {"@NETWORK_V4@", line("network_v4", values.network_v4)},
      {"@REGISTRY_URL@", line("registry_url", values.registry_url)},
      {"@HTTPS_LISTEN@", values.https_listen.empty() ? std::string("#https_listen=0.0.0.0 [::]")
                                                     : line("https_listen", values.https_listen)},
      {"@RUN_DIR@", values.run_dir},
      {"@STATE_DIR@", values.state_dir}};
  std::string text(kText);
  for (const auto& [mark, value] : marks) {
    text.replace(text.find(mark), mark.size(), value);
  }
  return text;
}

}  // namespace sixlink::registry
