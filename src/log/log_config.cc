// SPDX-License-Identifier: BSD-3-Clause
// The log_* keys: gogoc's names, values and defaults.
#include "src/log/log_config.h"

#include <array>
#include <cctype>

namespace sixlink::log {
namespace {

constexpr std::string_view kLevels = "0 (off), 1 (main events and errors), 2 (details), 3 (everything)";

template <int LogConfig::*member>
bool set_level(LogConfig& config, const std::string& value) {
  long level = 1;  // gogoc: a key without a value asks for the least verbose level
  if (!value.empty() && !config::parse_number(value, 0, 3, level)) return false;
  config.*member = static_cast<int>(level);
  return true;
}

template <bool LogConfig::*member>
bool set_flag(LogConfig& config, const std::string& value) {
  return config::parse_yes_no(value, config.*member);
}

bool set_filename(LogConfig& config, const std::string& value) {
  if (value.empty() || value.back() == '/') return false;
  config.filename = value;
  return true;
}

bool set_rotation_size(LogConfig& config, const std::string& value) {
  for (const int size : {16, 32, 128, 1024}) {
    if (value != std::to_string(size)) continue;
    config.rotation_kib = size;
    return true;
  }
  return false;
}

bool set_facility(LogConfig& config, const std::string& value) {
  static constexpr std::array<std::string_view, 9> kFacilities = {
      "USER", "LOCAL0", "LOCAL1", "LOCAL2", "LOCAL3", "LOCAL4", "LOCAL5", "LOCAL6", "LOCAL7"};
  std::string upper(value);
  for (char& c : upper) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  for (const auto facility : kFacilities) {
    if (upper != facility) continue;
    config.syslog_facility = upper;
    return true;
  }
  return false;
}

}  // namespace

const std::vector<LogKey>& log_keys() {
  using enum config::ValueKind;
  static const std::vector<LogKey> keys = {
      {"log_console", kLevels, "0", set_level<&LogConfig::console>, kMayBeEmpty},
      {"log_stderr", kLevels, "1", set_level<&LogConfig::stderr_level>, kMayBeEmpty},
      {"log_file", kLevels, "0", set_level<&LogConfig::file>, kMayBeEmpty},
      {"log_syslog", kLevels, "0", set_level<&LogConfig::syslog>, kMayBeEmpty},
      {"log_filename", "a file's path", "", set_filename},
      {"log_rotation", "yes or no", "yes", set_flag<&LogConfig::rotation>},
      {"log_rotation_size", "16, 32, 128 or 1024 (KiB)", "32", set_rotation_size},
      {"log_rotation_delete", "yes or no", "no", set_flag<&LogConfig::rotation_delete>},
      {"syslog_facility", "USER or LOCAL0 to LOCAL7", "USER", set_facility},
  };
  return keys;
}

}  // namespace sixlink::log
