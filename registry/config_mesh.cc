// SPDX-License-Identifier: BSD-3-Clause
#include "registry/config_mesh.h"

#include <algorithm>
#include <memory>

#include "registry/ca/database.h"
#include "registry/listen_addresses.h"
#include "registry/mail/email_address.h"
#include "src/config/setters.h"

namespace sixlink::registry {
namespace {

constexpr int kShortestNetwork = 8;
constexpr int kLongestNetwork = 60;  // a registry and 15 nodes
constexpr long kYear = 31536000;
constexpr std::size_t kMostUrls = 8;
constexpr std::string_view kYesNo = "yes or no";
constexpr std::string_view kScheme = "https://";

template <typename Value>
auto in_mesh(Value MeshConfig::*member) {
  return [member](Config& config) -> Value& { return config.mesh.*member; };
}

bool set_network(Config& config, const std::string& value) {
  config.mesh.network.reset();
  if (value.empty()) return true;
  const auto network = net::Prefix::parse(value);
  if (!network || network->length < kShortestNetwork || network->length > kLongestNetwork ||
      !net::is_inner_unicast(network->address))
    return false;
  config.mesh.network = network;
  return true;
}

bool set_network_v4(Config& config, const std::string& value) {
  config.mesh.network_v4.reset();
  if (value.empty()) return true;
  const auto parts = config::split_list(value);
  const auto network = parts.size() == 2 ? net::PrefixV4::parse(parts[0]) : std::nullopt;
  long length = 0;
  if (!network || network->length < 8 || !net::is_unicast(network->address) ||
      network->address.is_loopback() || !config::parse_number(parts[1], network->length + 1, 32, length))
    return false;
  config.mesh.network_v4 = NetworkV4{*network, static_cast<int>(length)};
  return true;
}

bool set_urls(Config& config, const std::string& value) {
  std::vector<std::string> urls;
  std::vector<std::string> hosts;
  for (const auto part : config::split_list(value)) {
    auto url = parse_registry_url(part);
    if (!url || urls.size() == kMostUrls) return false;
    urls.push_back(std::move(url->text));
    if (std::ranges::find(hosts, url->host) == hosts.end()) hosts.push_back(std::move(url->host));
  }
  config.mesh.urls = std::move(urls);
  config.mesh.hosts = std::move(hosts);
  return true;
}

bool set_listen(Config& config, const std::string& value) {
  auto listen = parse_listen_addresses(value, 443);
  if (!listen) return false;
  config.mesh.listen = *std::move(listen);
  return true;
}

bool set_database(Config& config, const std::string& value) {
  config.mesh.database = value;
  return true;
}

bool set_smtp_server(Config& config, const std::string& value) {
  config.mesh.mail.host.clear();
  config.mesh.mail.port = 0;
  if (value.empty()) return true;
  const auto server = net::ServerAddress::parse(value);
  if (!server) return false;
  const bool has_port = value != server->host && value != "[" + server->host + "]";
  config.mesh.mail.host = server->host;
  config.mesh.mail.port = has_port ? server->port : std::uint16_t{0};
  return true;
}

bool set_smtp_security(Config& config, const std::string& value) {
  const auto word = config::lower_case(value);
  if (word != "starttls" && word != "tls" && word != "none") return false;
  config.mesh.mail.security = word == "starttls" ? SmtpSecurity::kStartTls
                              : word == "tls"    ? SmtpSecurity::kTls
                                                 : SmtpSecurity::kNone;
  return true;
}

bool set_smtp_password(Config& config, const std::string& value) {
  config.mesh.mail.password = std::make_shared<const pki::Secret>(value);
  return true;
}

bool set_smtp_from(Config& config, const std::string& value) {
  if (!value.empty() && !is_email_address(value)) return false;
  config.mesh.mail.from = value;
  return true;
}

auto mail_text_key(std::string MailSettings::*member) {
  return [member](Config& config, const std::string& value) {
    config.mesh.mail.*member = value;
    return true;
  };
}

void check_prefixes(Config& config, config::KeyReport& report) {
  auto& mesh = config.mesh;
  const auto& broker = config.leases.prefix;
  if (broker.length <= 64 && (broker.contains(*mesh.network) || mesh.network->contains(broker)))
    report.problem("network", mesh.network->to_string() + " and prefix=" + broker.to_string() +
                                  " overlap: tunnels and the mesh need prefixes of their own");
  if (report.is_refused("mesh_prefix_length") || report.is_refused("mesh_prefix_length_min")) return;
  if (!report.is_given("mesh_prefix_length_min"))
    mesh.shortest_prefix =
        std::min(std::max(mesh.shortest_prefix, mesh.network->length + 1), mesh.prefix_length);
  if (mesh.shortest_prefix <= mesh.network->length)
    report.problem("mesh_prefix_length_min", "is not longer than network=" + mesh.network->to_string() +
                                                 "; give " + std::to_string(mesh.network->length + 1) +
                                                 " or more");
  if (mesh.prefix_length < mesh.shortest_prefix)
    report.problem("mesh_prefix_length",
                   "is " + std::to_string(mesh.prefix_length) +
                       ", shorter than mesh_prefix_length_min=" + std::to_string(mesh.shortest_prefix));
}

void check_mail(Config& config, config::KeyReport& report) {
  const auto& mail = config.mesh.mail;
  if (report.is_refused("smtp_server") || report.is_refused("smtp_from")) return;
  if (mail.is_on() && mail.from.empty())
    report.problem("smtp_server", "needs smtp_from, the address that tokens are sent from");
  if (mail.is_on() && mail.user.empty() != (!mail.password || mail.password->empty()))
    report.problem("smtp_user", "smtp_user and smtp_password go together");
  if (mail.is_on() && mail.security == SmtpSecurity::kNone)
    report.warning("smtp_security", "tokens and the password go readable over the network");
  if (mail.is_on()) return;
  for (const char* key : {"smtp_security", "smtp_user", "smtp_password", "smtp_from", "smtp_ca_file"}) {
    if (report.has_value(key)) report.warning(key, "without effect: there is no smtp_server");
  }
}

}  // namespace

std::optional<RegistryUrl> parse_registry_url(std::string_view text) {
  if (!config::lower_case(text.substr(0, kScheme.size())).starts_with(kScheme)) return std::nullopt;
  auto rest = text.substr(kScheme.size());
  if (rest.ends_with('/')) rest.remove_suffix(1);
  const auto server = net::ServerAddress::parse(rest);
  const bool is_bare_v6 = std::ranges::count(rest, ':') > 1 && !rest.starts_with('[');
  if (!server || is_bare_v6 || server->host.find('%') != std::string::npos) return std::nullopt;
  const auto colon = rest.rfind(':');
  const auto bracket = rest.rfind(']');
  const bool has_port =
      colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket);
  return RegistryUrl{std::string(kScheme) + std::string(rest) + "/", config::lower_case(server->host),
                     has_port ? server->port : std::uint16_t{443}};
}

void append_mesh_keys(std::vector<config::Key<Config>>& keys) {
  const auto add = [&](config::Key<Config> key) { keys.push_back(std::move(key)); };
  add({"network",
       "a prefix of 8 to 60 bits of global or unique local addresses (2001:db8:42::/48), or nothing", "",
       set_network});
  add({"network_v4",
       "an IPv4 prefix of 8 bits or more and the length that each node has (203.0.113.0/24 28), or nothing",
       "", set_network_v4});
  add({"registry_url", "at most 8 URLs of a host and perhaps a port (https://registry.example.net:8443/)", "",
       set_urls});
  add({"https_listen",
       "addresses, each with an optional :port, IPv6 with a port in brackets, separated by blanks or commas",
       "0.0.0.0 [::]", set_listen});
  add({"join_anonymous", kYesNo, "no", config::yes_no(in_mesh(&MeshConfig::anonymous))});
  add({"joins_per_hour", "1 to 1000000", "200",
       config::number(in_mesh(&MeshConfig::joins_per_hour), 1, 1000000)});
  add({"token_lifetime", "60 to 31536000 (seconds)", "604800",
       config::number(in_mesh(&MeshConfig::token_lifetime), 60, kYear)});
  add({"mesh_prefix_length", "9 to 64", "64", config::number(in_mesh(&MeshConfig::prefix_length), 9, 64)});
  add({"mesh_prefix_length_min", "9 to 64", "48",
       config::number(in_mesh(&MeshConfig::shortest_prefix), 9, 64)});
  add({"certificate_lifetime", "60 to 157680000 (seconds)", "31536000",
       config::number(in_mesh(&MeshConfig::certificate_lifetime), 60, 5 * kYear)});
  add({"prefix_grace", "0 to 157680000 (seconds)", "8640000",
       config::number(in_mesh(&MeshConfig::prefix_grace), 0, 5 * kYear)});
  add({"hello_interval", "1 to 600 (seconds)", "4",
       config::number(in_mesh(&MeshConfig::hello_interval), 1, 600)});
  add({"client_count", "1 to 100", "10", config::number(in_mesh(&MeshConfig::client_count), 1, 100)});
  add({"tunnel_refresh", "10 to 86400 (seconds)", "300",
       config::number(in_mesh(&MeshConfig::tunnel_refresh), 10, 86400)});
  add({"mesh_database", "a postgresql:// URI, or nothing", "", set_database});
  add({"smtp_server", "an address or a name, with an optional :port", "", set_smtp_server});
  add({"smtp_security", "starttls, tls or none", "starttls", set_smtp_security});
  add({"smtp_user", "a name", "", mail_text_key(&MailSettings::user)});
  add({"smtp_password", "a password", "", set_smtp_password, config::ValueKind::kSecret});
  add({"smtp_from", "an e-mail address", "", set_smtp_from});
  add({"smtp_ca_file", "the path of a PEM file", "", mail_text_key(&MailSettings::authorities)});
}

void check_mesh(Config& config, config::KeyReport& report) {
  auto& mesh = config.mesh;
  if (report.is_refused("network")) return;
  if (!mesh.network) {
    for (const char* key :
         {"network_v4", "registry_url", "https_listen", "join_anonymous", "joins_per_hour", "token_lifetime",
          "mesh_prefix_length", "mesh_prefix_length_min", "certificate_lifetime", "prefix_grace",
          "hello_interval", "client_count", "tunnel_refresh", "mesh_database", "smtp_server"}) {
      if (report.has_value(key)) report.warning(key, "without effect: there is no network, so no mesh");
    }
    return;
  }
  check_prefixes(config, report);
  if (mesh.urls.empty() && !report.is_refused("registry_url"))
    report.problem("network",
                   "needs registry_url, where nodes find this registry; add a line such as "
                   "registry_url=https://registry.example.net/");
  if (!mesh.database.empty() && !is_postgres(mesh.database))
    report.problem("mesh_database", "is not a postgresql:// URI; leave it empty for a file in state_dir");
  check_mail(config, report);
}

}  // namespace sixlink::registry
