// SPDX-License-Identifier: BSD-3-Clause
// The log_* keys, which sixlink.conf and sixlink-registry.conf share.
#pragma once

#include <string>
#include <vector>

#include "src/config/key_value.h"

namespace sixlink::log {

struct LogConfig {
  // gogoc's levels: 0 off, 1 main events and errors, 2 details, 3 everything. An empty value means 1.
  int console = 0;
  int stderr_level = 1;
  int file = 0;
  int syslog = 0;
  std::string filename;  // set by the program's table: its default differs
  bool rotation = true;
  int rotation_kib = 32;
  bool rotation_delete = false;
  std::string syslog_facility = "USER";
};

// Sets one log_* or syslog_facility key; false: the value is not allowed. The table below names them with
// what is allowed.
struct LogKey {
  std::string_view name;
  std::string_view allowed;
  std::string_view default_value;
  bool (*set)(LogConfig&, const std::string& value);
  config::ValueKind kind = config::ValueKind::kPlain;
};
const std::vector<LogKey>& log_keys();

// Adds the shared keys to a program's own table.
template <typename Config>
void append_log_keys(std::vector<config::Key<Config>>& keys, LogConfig Config::*member,
                     std::string_view default_filename) {
  for (const LogKey& key : log_keys()) {
    const bool is_filename = key.name == "log_filename";
    keys.push_back({key.name, key.allowed, is_filename ? default_filename : key.default_value,
                    [set = key.set, member](Config& config, const std::string& value) {
                      return set(config.*member, value);
                    },
                    key.kind});
  }
}

}  // namespace sixlink::log
