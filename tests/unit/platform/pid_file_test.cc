// SPDX-License-Identifier: BSD-3-Clause
// platform/posix/background.cc: the PID file and the way into the background.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <functional>
#include <iostream>
#include <sstream>
#include <thread>

#include "platform/platform.h"
#include "tests/unit/temporary_directory.h"

using namespace sixlink::platform;
using namespace std::chrono_literals;
using sixlink::test::TemporaryDirectory;

namespace {

std::string read(const std::string& path) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

// Runs `body` in a child and gives its pid; the child ends by _exit, so that it flushes and checks nothing of
// the test's.
pid_t in_child(const std::function<int()>& body) {
  std::cout.flush();  // or the child would write it again
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(body());
  REQUIRE(pid > 0);
  return pid;
}

int exit_code_of(pid_t pid) {
  int status = 0;
  REQUIRE(::waitpid(pid, &status, 0) == pid);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

bool appears(const std::string& path) {
  for (int i = 0; i < 500; ++i) {
    if (std::filesystem::exists(path)) return true;
    std::this_thread::sleep_for(10ms);
  }
  return false;
}

}  // namespace

TEST_CASE("pid file: holds the pid while it lives and is gone afterwards") {
  const TemporaryDirectory directory;
  const auto path = directory.file("x.pid");
  long holder = -1;
  {
    auto file = PidFile::acquire(path, holder);
    REQUIRE(file.has_value());
    CHECK(holder == 0);
    CHECK(read(path) == std::to_string(::getpid()) + "\n");
    const auto moved = *std::move(file);
    CHECK(std::filesystem::exists(path));
  }
  CHECK_FALSE(std::filesystem::exists(path));
  CHECK(PidFile::acquire(path, holder).has_value());
}

TEST_CASE("pid file: a second holder is refused and told the first one's pid") {
  const TemporaryDirectory directory;
  const auto path = directory.file("x.pid");
  long holder = 0;
  const auto file = PidFile::acquire(path, holder);
  REQUIRE(file.has_value());
  const pid_t child = in_child([&] {
    long other = 0;
    const auto second = PidFile::acquire(path, other);
    return !second && second.error() == boost::system::errc::operation_would_block && other == ::getppid()
               ? 0
               : 1;
  });
  CHECK(exit_code_of(child) == 0);
  CHECK(read(path) == std::to_string(::getpid()) + "\n");
}

TEST_CASE("pid file: a stale one is taken over, also right after a kill -9") {
  const TemporaryDirectory directory;
  const auto path = directory.file("x.pid");
  std::ofstream(path) << "123456789012345\n";
  long holder = 0;
  {
    const auto file = PidFile::acquire(path, holder);
    REQUIRE(file.has_value());
    CHECK(read(path) == std::to_string(::getpid()) + "\n");
  }
  const pid_t child = in_child([&] {
    long ignored = 0;
    const auto held = PidFile::acquire(path, ignored);
    std::ofstream(directory.file("held")) << "x";
    ::pause();
    return held.has_value() ? 0 : 1;
  });
  REQUIRE(appears(directory.file("held")));
  ::kill(child, SIGKILL);
  const auto file = PidFile::acquire(path, holder);
  CHECK(exit_code_of(child) == -SIGKILL);
  REQUIRE(file.has_value());
  CHECK(read(path) == std::to_string(::getpid()) + "\n");
}

TEST_CASE("pid file: what it cannot open is an error, and it follows no link") {
  const TemporaryDirectory directory;
  long holder = 0;
  CHECK(PidFile::acquire(directory.file("missing/x.pid"), holder).error() ==
        boost::system::errc::no_such_file_or_directory);
  std::ofstream(directory.file("target")) << "precious";
  std::filesystem::create_symlink(directory.file("target"), directory.file("link.pid"));
  CHECK_FALSE(PidFile::acquire(directory.file("link.pid"), holder).has_value());
  CHECK(read(directory.file("target")) == "precious");
}

TEST_CASE("background: the parent exits with what the child reports, and the child goes on") {
  const TemporaryDirectory directory;
  const auto done = directory.file("done");
  for (const int code : {0, 9, 255}) {
    const pid_t parent = in_child([&] {
      auto background = Background::fork(77);
      if (!background) return 1;
      std::this_thread::sleep_for(50ms);
      background->report(code, true);
      background->report(3, false);  // only the first one counts
      std::this_thread::sleep_for(100ms);
      // A session of its own, without the terminal.
      std::ofstream(done) << (::getsid(0) == ::getpid() ? "detached" : "attached")
                          << (::isatty(0) != 0 ? " tty" : "");
      return 0;
    });
    CHECK(exit_code_of(parent) == code);
    REQUIRE(appears(done));
    std::this_thread::sleep_for(20ms);
    CHECK(read(done) == "detached");
    std::filesystem::remove(done);
  }
}

TEST_CASE("background: a child that dies without a word gives its own exit code, or the lost one") {
  const auto with = [](const std::function<int()>& child) {
    return exit_code_of(in_child([&] {
      auto background = Background::fork(77);
      return background ? child() : 1;
    }));
  };
  CHECK(with([] { return 42; }) == 42);
  CHECK(with([] { return 0; }) == 77);  // not up, and yet ended well: the shell must not think that it is up
  CHECK(with([]() -> int { return ::raise(SIGKILL); }) == 77);
}

TEST_CASE("background: signals to the waiting parent reach the child") {
  const TemporaryDirectory directory;
  const auto ready = directory.file("ready");
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) {
    const pid_t parent = in_child([&] {
      auto background = Background::fork(77);
      if (!background) return 1;
      sigset_t waited;
      ::sigemptyset(&waited);
      ::sigaddset(&waited, signal);
      ::sigprocmask(SIG_BLOCK, &waited, nullptr);
      std::ofstream(ready) << "x";
      int received = 0;
      ::sigwait(&waited, &received);
      background->report(received == signal ? 5 : 6, false);
      return 0;
    });
    REQUIRE(appears(ready));
    std::this_thread::sleep_for(20ms);
    CHECK(::kill(parent, signal) == 0);
    CHECK(exit_code_of(parent) == 5);
    std::filesystem::remove(ready);
  }
}
