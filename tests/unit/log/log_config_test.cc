// SPDX-License-Identifier: BSD-3-Clause
#include "src/log/log_config.h"

#include <doctest/doctest.h>

using namespace sixlink;

namespace {

const log::LogKey& key(std::string_view name) {
  for (const auto& key : log::log_keys()) {
    if (key.name == name) return key;
  }
  FAIL("no such key");
  return log::log_keys().front();
}

}  // namespace

TEST_CASE("log config: levels are 0 to 3, and 1 without a value") {
  log::LogConfig config;
  for (const auto name : {"log_console", "log_stderr", "log_file", "log_syslog"}) {
    CAPTURE(name);
    CHECK(key(name).set(config, ""));
    for (const auto value : {"0", "3"}) CHECK(key(name).set(config, value));
    for (const auto value : {"4", "-1", "x", "1 ", "1.0", "01x"}) CHECK_FALSE(key(name).set(config, value));
  }
  CHECK(config.console == 3);
  CHECK(config.stderr_level == 3);
  CHECK(config.file == 3);
  CHECK(config.syslog == 3);
  CHECK(key("log_file").set(config, ""));
  CHECK(config.file == 1);
}

TEST_CASE("log config: rotation size, facility and file name take gogoc's values only") {
  log::LogConfig config;
  for (const auto value : {"16", "32", "128", "1024"}) CHECK(key("log_rotation_size").set(config, value));
  CHECK(config.rotation_kib == 1024);
  for (const auto value : {"", "0", "64", "32k"}) CHECK_FALSE(key("log_rotation_size").set(config, value));
  CHECK(config.rotation_kib == 1024);
  for (const auto value : {"USER", "user", "LOCAL0", "Local7"})
    CHECK(key("syslog_facility").set(config, value));
  CHECK(config.syslog_facility == "LOCAL7");
  for (const auto value : {"", "LOCAL8", "DAEMON", "LOCAL"})
    CHECK_FALSE(key("syslog_facility").set(config, value));
  CHECK(key("log_filename").set(config, "/var/log/x.log"));
  for (const auto value : {"", "/var/log/"}) CHECK_FALSE(key("log_filename").set(config, value));
  CHECK(config.filename == "/var/log/x.log");
}

TEST_CASE("log config: each default is the one of LogConfig") {
  const log::LogConfig standard;
  log::LogConfig config{.console = 3,
                        .stderr_level = 3,
                        .file = 3,
                        .syslog = 3,
                        .filename = {},
                        .rotation = false,
                        .rotation_kib = 16,
                        .rotation_delete = true,
                        .syslog_facility = "LOCAL1"};
  for (const auto& key : log::log_keys()) {
    if (key.name != "log_filename") CHECK(key.set(config, std::string(key.default_value)));
  }
  CHECK(config.console == standard.console);
  CHECK(config.stderr_level == standard.stderr_level);
  CHECK(config.file == standard.file);
  CHECK(config.syslog == standard.syslog);
  CHECK(config.rotation == standard.rotation);
  CHECK(config.rotation_kib == standard.rotation_kib);
  CHECK(config.rotation_delete == standard.rotation_delete);
  CHECK(config.syslog_facility == standard.syslog_facility);
}
