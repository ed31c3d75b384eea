// SPDX-License-Identifier: BSD-3-Clause
// Formats a log message as exactly one line: text that came from the network can add none and moves no
// cursor.
#pragma once

#include <spdlog/formatter.h>
#include <spdlog/pattern_formatter.h>

#include <memory>
#include <string>

namespace sixlink::log {

// "2024-01-31T23:59:59.123+01:00 sixlink[4711]: warning: text" (ISO 8601 with the zone's offset).
inline constexpr const char* kLinePattern = "%Y-%m-%dT%H:%M:%S.%e%z %n[%P]: %l: %v";
// Syslog adds time, program and priority itself.
inline constexpr const char* kSyslogPattern = "%v";

class LineFormatter final : public spdlog::formatter {
 public:
  // `end` ends each line; empty for syslog.
  LineFormatter(std::string pattern, std::string end);
  void format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& out) override;
  std::unique_ptr<spdlog::formatter> clone() const override;

 private:
  std::string pattern_;
  std::string end_;
  spdlog::pattern_formatter formatter_;
};

}  // namespace sixlink::log
