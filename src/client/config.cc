// SPDX-License-Identifier: BSD-3-Clause
// Loading sixlink.conf: the file's lines through the table of keys, then the checks between them.
#include "src/client/config.h"

#include <openssl/crypto.h>
#include <sys/stat.h>

#include <algorithm>
#include <boost/asio/ip/address_v4.hpp>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <numeric>
#include <string>

#include "src/config/build_info.h"
#include "src/client/config_checks.h"
#include "src/client/config_legacy.h"
#include "src/client/options.h"

namespace sixlink::client {
namespace {

using Key = config::Key<Config>;

const Key* find_key(std::string_view name) {
  for (const Key& key : config_keys()) {
    if (key.name == name) return &key;
  }
  return nullptr;
}

// The number of letters to insert, remove or replace to get from one word to the other.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0]++;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

std::string unknown_key_message(std::string_view name) {
  constexpr std::size_t kLongestKey = 64;  // longer is no mistyped key, and would cost
  std::string_view nearest;
  std::size_t best = name.size() / 3 + 1;  // further away it is another word
  if (name.size() <= kLongestKey) {
    for (const Key& key : config_keys()) {
      const auto distance = edit_distance(name, key.name);
      if (distance > best || (distance == best && !nearest.empty())) continue;
      best = distance;
      nearest = key.name;
    }
  }
  if (nearest.empty()) return "unknown key; sixlink.conf(5) lists them all";
  return "unknown key; did you mean " + std::string(nearest) + "?";
}

// gogoc: a log level without a value is 1; any other key without a value has its default.
bool empty_is_a_value(std::string_view key) {
  return key == "log_console" || key == "log_stderr" || key == "log_file" || key == "log_syslog";
}

void wipe(std::string& text) {
  if (!text.empty()) OPENSSL_cleanse(text.data(), text.size());
}

std::string relative_to(const std::string& directory, const std::string& path) {
  if (directory.empty() || path.empty() || path.front() == '/') return path;
  return directory + (directory.back() == '/' ? "" : "/") + path;
}

// One load: keeps where each key stood.
class Loader {
 public:
  explicit Loader(LoadedConfig& result) : result_(result) {
    // The one default that LogConfig cannot know: each program has its own.
    const Key* key = find_key("log_filename");
    key->set(config_, std::string(key->default_value));
  }

  void take(const config::Entry& entry) {
    std::string name = entry.key;
    if (const LegacyKey* legacy = find_legacy_key(name)) {
      if (!legacy->notice.empty() && (legacy->silent_value.empty() || entry.value != legacy->silent_value)) {
        result_.warnings.push_back({entry.line, entry.key, std::string(legacy->notice)});
      }
      if (legacy->current_name.empty()) return;
      name = legacy->current_name;
    }
    const Key* key = find_key(name);
    if (key == nullptr) {
      result_.problems.push_back({entry.line, entry.key, unknown_key_message(entry.key)});
      return;
    }
    const bool use_default = entry.value.empty() && !empty_is_a_value(name);
    const std::string value = use_default ? std::string(key->default_value) : entry.value;
    if (!key->set(config_, value)) {
      // What passwd held is not for a log.
      const std::string shown = name == "passwd" ? "the value" : "\"" + entry.value + "\"";
      result_.problems.push_back(
          {entry.line, entry.key, shown + " is not allowed; allowed: " + std::string(key->allowed)});
    }
    const auto [seen, first] = given_.try_emplace(name, Given{entry.line, !use_default});
    if (first) return;
    result_.warnings.push_back(
        {entry.line, entry.key, "given twice; line " + std::to_string(seen->second.line) + " is ignored"});
    seen->second = {entry.line, !use_default};
  }

  void finish(const std::string& path) {
    config_.path = path;
    if (!has_value("auth_method") && !(config_.user_id.empty() && config_.password.empty())) {
      config_.auth_method = AuthMethod::kAny;
    }
    config_.retry_delay = std::max(config_.retry_delay, std::chrono::seconds(1));
    // gw6c had no such key: a long retry_delay alone is no mistake.
    if (!has_value("retry_delay_max")) {
      config_.retry_delay_max = std::max(config_.retry_delay_max, config_.retry_delay);
    }
    config_.retry_delay_max = std::max(config_.retry_delay_max, std::chrono::seconds(1));
    const LineOf line_of = [this](std::string_view key) {
      const auto found = given_.find(key);
      return found == given_.end() ? 0 : found->second.line;
    };
    // A value that was refused left its default behind: what that breaks is not the user's second mistake.
    if (result_.problems.empty()) {
      cross_check(config_, line_of, result_.problems);
    } else {
      std::vector<config::Problem> more;
      cross_check(config_, line_of, more);
      for (auto& problem : more) {
        const bool has_one = std::any_of(result_.problems.begin(), result_.problems.end(),
                                         [&](const auto& other) { return other.key == problem.key; });
        if (!has_one) result_.problems.push_back(std::move(problem));
      }
    }
    warn_of_unsupported(config_, line_of, result_.warnings);
    place_files();
    const auto by_line = [](const config::Problem& a, const config::Problem& b) { return a.line < b.line; };
    std::stable_sort(result_.problems.begin(), result_.problems.end(), by_line);
    std::stable_sort(result_.warnings.begin(), result_.warnings.end(), by_line);
    if (result_.problems.empty()) result_.config = std::move(config_);
  }

 private:
  struct Given {
    int line;
    bool has_value;
  };

  bool has_value(std::string_view key) const {
    const auto found = given_.find(key);
    return found != given_.end() && found->second.has_value;
  }

  void place_files() {
    const std::string& home = config_.home_dir;
    config_.log.filename = relative_to(home, config_.log.filename);
    config_.run_dir = relative_to(home, config_.run_dir);
    config_.state_dir = relative_to(home, config_.state_dir);
    const std::string& lists = home.empty() ? config_.state_dir : home;
    config_.broker_list = relative_to(lists, config_.broker_list);
    config_.last_server = relative_to(lists, config_.last_server);
    if (home.empty()) config_.home_dir = std::string(config::data_dir());
  }

  LoadedConfig& result_;
  Config config_;
  std::map<std::string, Given, std::less<>> given_;
};

// Before the daemon changes to another directory.
void make_absolute(std::string& path) {
  std::error_code ignored;
  auto absolute = std::filesystem::absolute(path, ignored);
  if (!ignored) path = absolute.string();
}

std::string cannot_read_message(const boost::system::error_code& error) {
  std::string message = "cannot read the configuration: " + error.message();
  if (error == boost::system::errc::no_such_file_or_directory) {
    message +=
        "; name another file with -f FILE, or copy " + std::string(config::data_dir()) + "/conf/sixlink.conf to here";
  } else if (error == boost::system::errc::permission_denied) {
    message += "; run as root";
  }
  return message;
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

LoadedConfig parse_config(const std::string& path, std::string_view text) {
  LoadedConfig result;
  auto file = config::parse_key_values(text);
  result.problems = std::move(file.problems);
  Loader loader(result);
  // gogoc_dir's old names give way to it, wherever they stand: some files have both for two clients.
  const bool has_home = std::any_of(file.entries.begin(), file.entries.end(),
                                    [](const auto& entry) { return entry.key == "gogoc_dir"; });
  for (auto& entry : file.entries) {
    const LegacyKey* legacy = find_legacy_key(entry.key);
    if (has_home && legacy != nullptr && legacy->current_name == "gogoc_dir") continue;
    loader.take(entry);
    if (entry.key == "passwd") wipe(entry.value);
  }
  loader.finish(path);
  return result;
}

LoadedConfig load_config(const std::string& path) {
  auto text = config::read_file(path);
  if (!text) {
    LoadedConfig result;
    result.problems.push_back({0, {}, cannot_read_message(text.error())});
    return result;
  }
  auto result = parse_config(path, *text);
  wipe(*text);
  if (result.config) {
    if (!result.config->password.empty()) warn_of_exposed_password(path, result.warnings);
    for (std::string* file :
         {&result.config->home_dir, &result.config->log.filename, &result.config->run_dir,
          &result.config->state_dir, &result.config->broker_list, &result.config->last_server}) {
      make_absolute(*file);
    }
  }
  return result;
}

void apply_options(const Options& options, Config& config) {
  if (options.if_prefix) config.home_interface = *options.if_prefix;
  if (options.if_v6udpv4) config.interface_v6udpv4 = *options.if_v6udpv4;
  if (options.if_or_source) {
    boost::system::error_code not_an_address;
    boost::asio::ip::make_address_v4(*options.if_or_source, not_an_address);
    (not_an_address ? config.interface_v6v4 : config.client_v4) = *options.if_or_source;
  }
  if (options.retry_delay) {
    config.retry_delay = std::chrono::seconds(std::max(1, *options.retry_delay));
    config.retry_delay_max = std::max(config.retry_delay_max, config.retry_delay);
  }
}

}  // namespace sixlink::client
