// SPDX-License-Identifier: BSD-3-Clause
// One logger for the process, over spdlog: console, stderr, rotating file and syslog, each with a level of
// its own.
#pragma once

#include <spdlog/spdlog.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "src/log/log_config.h"

namespace sixlink::log {

// gogoc's level 1 is spdlog's info (so warn and err too), 2 is debug, 3 is trace.
// Makes the logger for `program` (the syslog identity and the line's prefix). Never fails: a log file that
// cannot be opened (disk full, read-only) is tried again with the lines that come, and `problem` says what is
// wrong with it now. Lines hold no control characters whatever the message holds. The console sink writes to
// stdout, and like the stderr sink it stops after detach_terminal(). The process ignores SIGPIPE: a reader of
// the log that went away is no reason to end.
std::shared_ptr<spdlog::logger> make_logger(const std::string& program, const LogConfig& config,
                                            std::string& problem);

// After the process went into the background: nothing more is written to stdout and stderr.
void detach_terminal(spdlog::logger& logger);

// Lets at most `burst` lines a `period` through and counts the rest: for events that the network can cause. A
// machine: time is given.
class RateLimit {
 public:
  RateLimit(unsigned burst, std::chrono::seconds period) : burst_(burst), period_(period) {}
  // True: write the line; then take_suppressed() tells how many were left out since the last one.
  bool allow(std::chrono::steady_clock::time_point now) {
    if (now - window_start_ >= period_) {
      window_start_ = now;
      used_ = 0;
    }
    if (used_ < burst_) {
      ++used_;
      return true;
    }
    ++suppressed_;
    return false;
  }
  std::uint64_t take_suppressed() {
    const auto count = suppressed_;
    suppressed_ = 0;
    return count;
  }

 private:
  unsigned burst_;
  std::chrono::seconds period_;
  std::chrono::steady_clock::time_point window_start_{};
  unsigned used_ = 0;
  std::uint64_t suppressed_ = 0;
};

}  // namespace sixlink::log
