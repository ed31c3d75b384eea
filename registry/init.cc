// SPDX-License-Identifier: BSD-3-Clause
// `sixlink-registry init`.
#include "registry/init.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <ostream>

#include "registry/config.h"
#include "registry/config_mesh.h"
#include "registry/host_key.h"
#include "registry/mesh_settings.h"
#include "registry/store/store.h"
#include "src/net/server_address.h"
#include "src/pki/wireguard_key.h"

namespace sixlink::registry {
namespace {

namespace fs = std::filesystem;

// What went wrong, with its path; empty: nothing.
using Failure = std::string;

Failure system_failure(const std::string& what, const std::string& path) {
  return "cannot " + what + " " + path + ": " + std::strerror(errno);
}

// The directory and what is missing above it. One that is there stays as it is.
Failure make_directory(const std::string& path, mode_t mode) {
  std::error_code error;
  if (fs::is_directory(path, error)) return {};
  if (fs::exists(path, error))
    return "cannot create the directory " + path + ": a file of this name is in the way";
  const auto parent = fs::path(path).parent_path();
  if (!parent.empty() && parent != path) {
    if (auto failure = make_directory(parent.string(), 0755); !failure.empty()) return failure;
  }
  if (::mkdir(path.c_str(), mode) != 0 && errno != EEXIST)
    return system_failure("create the directory", path);
  return {};
}

Failure write_and_sync(int file, const std::string& path, std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = ::write(file, text.data(), text.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return system_failure("write", path);
    text.remove_prefix(static_cast<std::size_t>(count));
  }
  return ::fsync(file) == 0 ? Failure() : system_failure("write", path);
}

// Complete or not at all: written beside, then given its name.
Failure write_file(const std::string& path, std::string_view text, bool may_replace) {
  const std::string draft = path + ".new";
  const int file = ::open(draft.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (file < 0) return system_failure("create", draft);
  auto failure =
      ::fchmod(file, 0600) == 0 ? write_and_sync(file, draft, text) : system_failure("create", draft);
  ::close(file);
  if (failure.empty()) {
    // link() refuses a name that is taken, also when it was taken this moment.
    const int result =
        may_replace ? std::rename(draft.c_str(), path.c_str()) : ::link(draft.c_str(), path.c_str());
    if (result != 0) failure = system_failure("create", path);
  }
  if (!failure.empty() || !may_replace) ::unlink(draft.c_str());
  return failure;
}

std::string listen_text(const Options& options) {
  std::string text;
  for (const auto& address : options.listen) text += (text.empty() ? "" : " ") + address;
  return text;
}

// "prefix" came from --prefix, ...
std::string option_of(const std::string& key) {
  std::string option = key == "registry_url" ? "--url" : "--" + key;
  for (char& c : option) {
    if (c == '_') c = '-';
  }
  return option;
}

std::string file_option(const Options& options) {
  return options.is_default_config ? "" : " -f " + options.config_file;
}

std::string tunnel_steps(const Options& options, const Config& config) {
  const auto file = file_option(options);
  std::uint16_t port = net::kTspPort;
  if (!config.listen.empty()) port = config.listen.front().port;
  const std::string port_text = std::to_string(port);
  std::string server = "THIS-MACHINE";
  if (port != net::kTspPort) server += ":" + port_text;
  return "\n"
         "Next:\n"
         "  1. Let UDP and TCP port " +
         port_text +
         " in, where a firewall is in front.\n"
         "  2. Have " +
         config.leases.prefix.to_string() +
         " routed to this machine by your provider or router.\n"
         "  3. Add a user:           sixlink-registry user add NAME" +
         file +
         "\n"
         "     (anonymous clients are served, too; anonymous=no in the configuration refuses them)\n"
         "  4. Start the server:     sixlink-registry" +
         file +
         "\n"
         "  5. Put into sixlink.conf on each client:\n"
         "       server=" +
         server +
         "\n"
         "       userid=NAME\n"
         "       passwd=PASSWORD\n"
         "       auth_method=any\n"
         "     and start it the first time with \"sixlink -y\": it keeps this machine's host key, which is "
         "to be the one "
         "above.\n"
         "     (an anonymous client: only server, and auth_method=anonymous)\n";
}

std::string mesh_steps(const Options& options, const Config& config) {
  const auto file = file_option(options);
  std::string ports;
  for (const auto& where : config.mesh.listen) {
    const auto port = std::to_string(where.port);
    if (ports.find(port) == std::string::npos) ports += (ports.empty() ? "" : ", ") + port;
  }
  return "\n"
         "Next, for the mesh:\n"
         "  1. Let TCP port " +
         ports + " in; nodes find this machine as " + config.mesh.urls.front() +
         "\n"
         "  2. Start the server:     sixlink-registry" +
         file +
         "\n"
         "  3. For each node:        sixlink-registry token new" +
         file +
         "\n"
         "     prints a line; paste it as root on that machine, then start sixlink there.\n"
         "  4. Keep a copy of " +
         config.authority_directory() + " and " +
         (config.mesh.database.empty() ? config.mesh_database() : std::string("the database")) +
         ": without them no node can join or renew.\n";
}

// A mesh's database and authority. Empty: they are there, and `fingerprint` is the authority's.
Failure make_mesh(const Options& options, const Config& config, std::string& fingerprint) {
  auto opened = open_database(config.mesh_database());
  if (!opened.database) return opened.problem;
  auto settings = registrar_settings(config);
  if (!options.name.empty()) settings.name = options.name;
  Registrar registrar(*opened.database, std::move(settings));
  const auto now = std::chrono::system_clock::now();
  auto problem = registrar.open(now);
  if (problem.empty()) fingerprint = registrar.authorities().root(now)->certificate().fingerprint();
  return problem;
}

std::string default_url() {
  char name[256] = "";
  const bool is_known = ::gethostname(name, sizeof name - 1) == 0 && net::is_host_name(name);
  return std::string("https://") + (is_known ? name : "registry.example.net") + "/";
}

}  // namespace

int run_init(const Options& options, std::ostream& out, std::ostream& err) {
  const auto fail = [&](const std::string& text, int code) {
    err << "sixlink-registry: " << text << "\n";
    return code;
  };
  ConfigValues values;
  values.prefix = options.prefix;
  if (options.run_dir) values.run_dir = *options.run_dir;
  if (options.state_dir) values.state_dir = *options.state_dir;
  if (!options.listen.empty()) values.listen = listen_text(options);
  if (!options.network.empty()) {
    values.network = options.network;
    values.network_v4 = options.network_v4;
    values.registry_url = options.url.empty() ? default_url() : options.url;
    const auto url = parse_registry_url(values.registry_url);
    if (url && url->port != 443) {
      const auto port = ":" + std::to_string(url->port);
      values.https_listen = "0.0.0.0" + port + " [::]" + port;
    }
  }
  for (const std::string* value : {&values.prefix, &values.listen, &values.run_dir, &values.state_dir,
                                   &values.network, &values.network_v4, &values.registry_url}) {
    if (value->find_first_of("\r\n") != std::string::npos) {
      return fail("\"" + *value + "\" has a line end in it, which a configuration cannot hold",
                  kExitBadConfiguration);
    }
  }
  // The daemon starts from somewhere else.
  for (std::string* directory : {&values.run_dir, &values.state_dir}) {
    std::error_code error;
    const auto absolute = fs::absolute(*directory, error);
    if (error) return fail("cannot resolve " + *directory + ": " + error.message(), kExitFailure);
    *directory = absolute.lexically_normal().string();
  }
  const std::string text = config_text(values);
  const LoadedConfig loaded = parse_config(options.config_file, text);
  for (const auto& problem : loaded.problems) fail(option_of(problem.key) + ": " + problem.message, 0);
  if (!loaded.config) return kExitBadConfiguration;

  std::error_code error;
  const auto status = fs::symlink_status(options.config_file, error);
  if (fs::exists(status) && !options.force) {
    return fail(options.config_file + " exists already; --force replaces it, --config FILE writes another",
                kExitFailure);
  }
  if (fs::is_directory(status)) return fail(options.config_file + " is a directory", kExitFailure);

  Failure failure = make_directory(values.state_dir, 0700);
  if (!failure.empty()) return fail(failure, kExitFailure);
  const Config& config = *loaded.config;
  std::string summary = "Written: " + options.config_file + "\n";
  if (config.serves_tunnels()) {
    const std::string database = config.database_path();
    if (const auto store = Store::open(database); !store) {
      return fail("cannot create the database " + database + ": " + store.error().message(), kExitFailure);
    }
    const auto host_key = load_or_make_host_key(config.host_key_path());
    if (!host_key.key) return fail(host_key.problem, kExitFailure);
    const auto wireguard_key = pki::load_or_make_wireguard_key(config.wireguard_key_path());
    if (!wireguard_key.pair) return fail(wireguard_key.problem, kExitFailure);
    summary += "Database: " + database + "\nHost key: " + tsp::host_key_fingerprint(host_key.key->blob()) +
               "\nWireGuard key: " + wireguard_key.pair->public_key().to_string() + "\n";
  }
  if (config.mesh.network) {
    std::string fingerprint;
    failure = make_mesh(options, config, fingerprint);
    if (!failure.empty()) return fail(failure, kExitFailure);
    summary += "Mesh: " + config.mesh.network->to_string() + "\nAuthority: " + fingerprint + "\n";
  }
  if (const auto parent = fs::path(options.config_file).parent_path(); !parent.empty()) {
    failure = make_directory(parent.string(), 0755);
  }
  if (failure.empty()) failure = write_file(options.config_file, text, options.force);
  if (!failure.empty()) return fail(failure, kExitFailure);
  out << summary;
  if (config.serves_tunnels()) out << tunnel_steps(options, config);
  if (config.mesh.network) out << mesh_steps(options, config);
  return kExitOk;
}

}  // namespace sixlink::registry
