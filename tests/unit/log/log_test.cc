// SPDX-License-Identifier: BSD-3-Clause
#include "src/log/log.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <fstream>

#include "tests/unit/temporary_directory.h"

using namespace sixlink;
using namespace std::chrono_literals;

namespace {

// Sends a descriptor's output to a file as long as it lives.
class Redirected {
 public:
  Redirected(int fd, const std::string& path) : fd_(fd), saved_(::dup(fd)) {
    const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    ::dup2(file, fd_);
    ::close(file);
  }
  ~Redirected() {
    ::dup2(saved_, fd_);
    ::close(saved_);
  }
  Redirected(const Redirected&) = delete;
  Redirected& operator=(const Redirected&) = delete;

 private:
  int fd_;
  int saved_;
};

void log_each_level(spdlog::logger& logger) {
  logger.error("E");
  logger.warn("W");
  logger.info("I");
  logger.debug("D");
  logger.trace("T");
}

// The texts of the lines, which are one letter each here.
std::string letters(const std::string& content) {
  std::string result;
  for (std::size_t at = content.find('\n'); at != std::string::npos; at = content.find('\n', at + 1)) {
    if (at > 0) result += content[at - 1];
  }
  return result;
}

}  // namespace

TEST_CASE("logger: each destination has its own level") {
  const test::TemporaryDirectory directory;
  log::LogConfig config;
  config.console = 3;
  config.stderr_level = 1;
  config.file = 2;
  config.filename = directory.file("x.log");
  std::string problem = "old";
  {
    const Redirected out(STDOUT_FILENO, directory.file("out"));
    const Redirected err(STDERR_FILENO, directory.file("err"));
    const auto logger = log::make_logger("sixlink", config, problem);
    log_each_level(*logger);
    log::detach_terminal(*logger);
    logger->error("X");
  }
  CHECK(problem.empty());
  CHECK(letters(test::content_of(directory.file("out"))) == "EWIDT");
  CHECK(letters(test::content_of(directory.file("err"))) == "EWI");
  CHECK(letters(test::content_of(directory.file("x.log"))) == "EWIDX");
}

TEST_CASE("logger: level 0 everywhere is silent") {
  const test::TemporaryDirectory directory;
  log::LogConfig config;
  config.stderr_level = 0;
  std::string problem;
  const auto logger = log::make_logger("sixlink", config, problem);
  log_each_level(*logger);
  CHECK_FALSE(logger->should_log(spdlog::level::critical));
}

TEST_CASE("logger: a file that cannot be opened is told, and used as soon as it can be") {
  const test::TemporaryDirectory directory;
  std::ofstream(directory.file("a")) << "";
  log::LogConfig config;
  config.stderr_level = 0;
  config.file = 1;
  config.filename = directory.file("a/x.log");
  std::string problem;
  const auto logger = log::make_logger("sixlink", config, problem);
  CHECK(problem.find(config.filename) != std::string::npos);
  CHECK(problem.find("Not a directory") != std::string::npos);
  logger->info("lost");
}

TEST_CASE("logger: syslog takes every facility") {
  for (const auto facility : {"USER", "LOCAL0", "LOCAL7"}) {
    log::LogConfig config;
    config.stderr_level = 0;
    config.syslog = 1;
    config.syslog_facility = facility;
    std::string problem;
    const auto logger = log::make_logger("sixlink-test", config, problem);
    logger->debug("not written: level 1");
    CHECK(problem.empty());
    CHECK(logger->sinks().size() == 1);
  }
}

TEST_CASE("rate limit: lets a burst through and counts the rest") {
  log::RateLimit limit(2, 10s);
  const std::chrono::steady_clock::time_point start{1h};
  CHECK(limit.allow(start));
  CHECK(limit.allow(start + 1s));
  CHECK_FALSE(limit.allow(start + 2s));
  CHECK_FALSE(limit.allow(start + 9s));
  CHECK(limit.allow(start + 10s));
  CHECK(limit.take_suppressed() == 2);
  CHECK(limit.take_suppressed() == 0);
}
