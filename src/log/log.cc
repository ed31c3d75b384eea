// SPDX-License-Identifier: BSD-3-Clause
// Makes the process's logger from the log_* keys.
#include "src/log/log.h"

#include <spdlog/sinks/base_sink.h>
#include <spdlog/sinks/syslog_sink.h>
#include <syslog.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <mutex>
#include <utility>
#include <vector>

#include "src/log/file_sink.h"
#include "src/log/line_formatter.h"

namespace sixlink::log {
namespace {

// Writes without stdio's buffer, which fork() would copy.
class TerminalSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  explicit TerminalSink(int fd) : base_sink(std::make_unique<LineFormatter>(kLinePattern, "\n")), fd_(fd) {}
  void detach() { detached_ = true; }

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    if (detached_) return;
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    for (std::size_t at = 0; at < line.size();) {
      const auto count = ::write(fd_, line.data() + at, line.size() - at);
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) return;  // a closed terminal: there is no one to tell
      at += static_cast<std::size_t>(count);
    }
  }
  void flush_() override {}

 private:
  int fd_;
  std::atomic<bool> detached_ = false;
};

spdlog::level::level_enum spdlog_level(int level) {
  switch (level) {
    case 1:
      return spdlog::level::info;
    case 2:
      return spdlog::level::debug;
    case 3:
      return spdlog::level::trace;
    default:
      return spdlog::level::off;
  }
}

int facility_number(const std::string& name) {
  constexpr int kLocal[] = {LOG_LOCAL0, LOG_LOCAL1, LOG_LOCAL2, LOG_LOCAL3,
                            LOG_LOCAL4, LOG_LOCAL5, LOG_LOCAL6, LOG_LOCAL7};
  if (name.size() == 6 && name.starts_with("LOCAL") && name[5] >= '0' && name[5] <= '7') {
    return kLocal[name[5] - '0'];
  }
  return LOG_USER;
}

}  // namespace

std::shared_ptr<spdlog::logger> make_logger(const std::string& program, const LogConfig& config,
                                            std::string& problem) {
  problem.clear();
  std::vector<spdlog::sink_ptr> sinks;
  auto lowest = spdlog::level::off;
  const auto add = [&](const spdlog::sink_ptr& sink, int level) {
    sink->set_level(spdlog_level(level));
    lowest = std::min(lowest, spdlog_level(level));
    sinks.push_back(sink);
  };
  if (config.console > 0) add(std::make_shared<TerminalSink>(STDOUT_FILENO), config.console);
  if (config.stderr_level > 0) add(std::make_shared<TerminalSink>(STDERR_FILENO), config.stderr_level);
  if (config.file > 0) {
    const auto sink = std::make_shared<FileSink>(
        FileSinkOptions{.path = config.filename,
                        .rotation = config.rotation,
                        .rotation_bytes = static_cast<std::uint64_t>(config.rotation_kib) * 1024,
                        .rotation_delete = config.rotation_delete});
    const auto error = sink->open_now();
    if (!error.empty()) problem = "log_filename: " + error + "; tried again as long as the program runs";
    add(sink, config.file);
  }
  if (config.syslog > 0) {
    const auto sink = std::make_shared<spdlog::sinks::syslog_sink_mt>(
        program, LOG_PID | LOG_NDELAY, facility_number(config.syslog_facility), true);
    sink->set_formatter(std::make_unique<LineFormatter>(kSyslogPattern, ""));
    add(sink, config.syslog);
  }
  auto logger = std::make_shared<spdlog::logger>(program, sinks.begin(), sinks.end());
  logger->set_level(lowest);
  // spdlog's own writes to stderr, which may be someone else's file after the process went into the
  // background.
  logger->set_error_handler([](const std::string&) {});
  return logger;
}

void detach_terminal(spdlog::logger& logger) {
  for (const auto& sink : logger.sinks()) {
    if (auto* terminal = dynamic_cast<TerminalSink*>(sink.get())) terminal->detach();
  }
}

}  // namespace sixlink::log
