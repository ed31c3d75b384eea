// SPDX-License-Identifier: BSD-3-Clause
// Loading sixlink.conf: the file's lines through the table of keys, then the checks between them.
#include "src/client/config.h"

#include <sys/stat.h>

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <filesystem>
#include <string>
#include <utility>

#include "src/client/config_checks.h"
#include "src/client/config_legacy.h"
#include "src/client/options.h"
#include "src/config/build_info.h"

namespace sixlink::client {
namespace {

std::string relative_to(const std::string& directory, const std::string& path) {
  if (directory.empty() || path.empty() || path.front() == '/') return path;
  return directory + (directory.back() == '/' ? "" : "/") + path;
}

void take(config::Entry& entry, config::TableLoader<Config>& loader) {
  const LegacyKey* legacy = find_legacy_key(entry.key);
  if (legacy == nullptr) return loader.take(entry);
  if (!legacy->notice.empty() && (legacy->silent_value.empty() || entry.value != legacy->silent_value)) {
    loader.report().warning(entry, std::string(legacy->notice));
  }
  if (!legacy->current_name.empty()) loader.take(entry, legacy->current_name);
}

// What a key's default depends on, and gogoc's bounds.
void fill_in(Config& config, const config::KeyReport& report) {
  if (!report.has_value("auth_method") && !(config.user_id.empty() && config.password.empty())) {
    config.auth_method = AuthMethod::kAny;
  }
  config.retry_delay = std::max(config.retry_delay, std::chrono::seconds(1));
  // gw6c had no such key: a long retry_delay alone is no mistake.
  if (!report.has_value("retry_delay_max")) {
    config.retry_delay_max = std::max(config.retry_delay_max, config.retry_delay);
  }
  config.retry_delay_max = std::max(config.retry_delay_max, std::chrono::seconds(1));
}

void place_files(Config& config) {
  const std::string& home = config.home_dir;
  config.log.filename = relative_to(home, config.log.filename);
  config.run_dir = relative_to(home, config.run_dir);
  config.state_dir = relative_to(home, config.state_dir);
  // Not gogoc_dir: where programs lie nothing is written.
  config.broker_list = relative_to(config.state_dir, config.broker_list);
  config.last_server = relative_to(config.state_dir, config.last_server);
  config.private_key_file = relative_to(config.state_dir, config.private_key_file);
  config.mesh.directory = relative_to(config.state_dir, "mesh");
  if (home.empty()) config.home_dir = std::string(config::data_dir());
}

// Before the daemon changes to another directory.
void make_absolute(std::string& path) {
  std::error_code ignored;
  auto absolute = std::filesystem::absolute(path, ignored);
  if (!ignored) path = absolute.string();
}

void warn_of_exposed_password(const std::string& path, std::vector<config::Problem>& warnings) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0 || (status.st_mode & (S_IRGRP | S_IROTH)) == 0) return;
  warnings.push_back({0, "passwd",
                      std::string("the file holds a password and ") +
                          ((status.st_mode & S_IROTH) != 0 ? "everyone" : "its group") +
                          " may read it; run: chmod 600 " + path});
}

}  // namespace

std::string Config::instance_name() const {
  auto name = std::filesystem::path(path).stem().string();
  return name.empty() || name == "." || name == ".." ? "sixlink" : name;
}

std::string Config::wireguard_conf_path() const {
  return relative_to(state_dir, instance_name() + ".wireguard.conf");
}

LoadedConfig parse_config(const std::string& path, std::string_view text, const Options* options) {
  auto file = config::parse_key_values(text);
  config::TableLoader<Config> loader(config_keys(), "sixlink.conf(5)", std::move(file.problems));
  // gogoc_dir's old names give way to it, wherever they stand: some files have both for two clients.
  const bool has_home = std::any_of(file.entries.begin(), file.entries.end(),
                                    [](const auto& entry) { return entry.key == "gogoc_dir"; });
  for (auto& entry : file.entries) {
    const LegacyKey* legacy = find_legacy_key(entry.key);
    if (has_home && legacy != nullptr && legacy->current_name == "gogoc_dir") continue;
    take(entry, loader);
  }
  Config& config = loader.config();
  config.path = path;
  fill_in(config, loader.report());
  if (options != nullptr) apply_options(*options, config);
  // Who asks a running program knows not with which flags it was started.
  if (options == nullptr || options->command == Command::kRun) cross_check(config, loader.report());
  place_files(config);
  return loader.finish();
}

namespace {

void make_paths_absolute(Config& config) {
  for (std::string* file :
       {&config.home_dir, &config.log.filename, &config.run_dir, &config.state_dir, &config.broker_list,
        &config.last_server, &config.private_key_file, &config.mesh.directory}) {
    make_absolute(*file);
  }
}

}  // namespace

LoadedConfig load_config(const std::string& path, const Options* options) {
  auto result =
      config::load_file(path, "copy " + std::string(config::data_dir()) + "/conf/sixlink.conf to here",
                        [options](const std::string& file, std::string_view text) {
                          return parse_config(file, text, options);
                        });
  if (result.config) {
    if (!result.config->password.empty()) warn_of_exposed_password(path, result.warnings);
    make_paths_absolute(*result.config);
  }
  return result;
}

LoadedConfig load_config_text(const std::string& path, std::string_view text, const Options* options) {
  auto result = parse_config(path, text, options);
  if (result.config) make_paths_absolute(*result.config);
  return result;
}

void apply_options(const Options& options, Config& config) {
  if (options.if_prefix) config.home_interfaces = {*options.if_prefix};
  config.accepts_unknown_host_key = options.assume_yes;
  for (const auto& name : options.lan_interfaces) {
    auto& names = config.mesh.lan_interfaces;
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  }
  if (options.if_v6udpv4) config.interface_v6udpv4 = *options.if_v6udpv4;
  if (options.if_or_source) {
    boost::system::error_code not_an_address;
    const auto address = boost::asio::ip::make_address(*options.if_or_source, not_an_address);
    (not_an_address    ? config.interface_v6v4
     : address.is_v4() ? config.client_v4
                       : config.client_v6) = *options.if_or_source;
  }
  if (options.retry_delay) {
    config.retry_delay = std::chrono::seconds(std::max(1, *options.retry_delay));
    config.retry_delay_max = std::max(config.retry_delay_max, config.retry_delay);
  }
}

}  // namespace sixlink::client
