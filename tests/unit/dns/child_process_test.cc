// SPDX-License-Identifier: BSD-3-Clause
#include "registry/dns/child_process.h"

#include <doctest/doctest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <optional>

using namespace sixlink::registry::dns;
using namespace std::chrono_literals;

namespace {

ChildResult run(
    std::vector<std::string> command, std::string input, std::chrono::seconds limit = 20s,
    std::function<bool()> is_stopping = [] { return false; }) {
  boost::asio::io_context io;
  std::optional<ChildResult> result;
  boost::asio::co_spawn(io, run_child(std::move(command), std::move(input), limit, std::move(is_stopping)),
                        [&](const std::exception_ptr& exception, ChildResult done) {
                          REQUIRE_FALSE(exception);
                          result = std::move(done);
                        });
  io.run();
  REQUIRE(result.has_value());
  return *result;
}

}  // namespace

TEST_CASE("child process: input goes in, output and status come back") {
  const auto result =
      run({"/bin/sh", "-c", "read line; echo \"got $line\"; echo oops >&2; exit 7"}, "hello\nmore\n");
  CHECK(result.problem.empty());
  CHECK(result.status == 7);
  CHECK(result.output == "got hello\noops\n");
}

TEST_CASE("child process: more input than a socket holds, and more output than is kept") {
  const std::string input(3'000'000, 'x');
  auto result = run({"/usr/bin/env", "wc", "-c"}, input);
  CHECK(result.problem.empty());
  CHECK(std::stoul(result.output) == input.size());
  result = run({"/bin/cat"}, input);
  CHECK(result.status == 0);
  CHECK(result.output == input.substr(0, 8192));
}

TEST_CASE("child process: one that does not read its input") {
  const auto result = run({"/bin/sh", "-c", "exit 3"}, std::string(3'000'000, 'x'));
  CHECK(result.problem.empty());
  CHECK(result.status == 3);
}

TEST_CASE("child process: arguments are not looked at by a shell, the environment is bare") {
  ::setenv("SIXLINK_TEST_SECRET", "secret", 1);
  CHECK(run({"/bin/echo", "$(id); `id` *"}, "").output == "$(id); `id` *\n");
  const auto environment = run({"/usr/bin/env"}, "").output;
  CHECK(environment.find("secret") == std::string::npos);
  CHECK(environment.find("LC_ALL=C\n") != std::string::npos);
  ::unsetenv("SIXLINK_TEST_SECRET");
}

TEST_CASE("child process: one that takes too long is killed, with its children") {
  const auto started = std::chrono::steady_clock::now();
  const auto result = run({"/bin/sh", "-c", "echo begun; sleep 60 & sleep 60"}, "", 1s);
  CHECK(result.problem.find("did not end in time (1 s)") != std::string::npos);
  CHECK(result.output == "begun\n");
  CHECK(std::chrono::steady_clock::now() - started < 10s);
}

TEST_CASE("child process: it ends when we end") {
  const auto started = std::chrono::steady_clock::now();
  const auto result = run({"/bin/sleep", "60"}, "", 60s, [] { return true; });
  CHECK_FALSE(result.problem.empty());
  CHECK(std::chrono::steady_clock::now() - started < 10s);
}

TEST_CASE("child process: what cannot be started, and what a signal ends") {
  CHECK(run({"/nonexistent/program"}, "").problem == "cannot run /nonexistent/program");
  CHECK(run({"/bin/sh", "-c", "kill -9 $$"}, "").problem == "/bin/sh was ended by signal 9");
}

TEST_CASE("child process: programs are found") {
  CHECK(find_program("sh").ends_with("/sh"));
  CHECK(find_program("no-such-program-anywhere").empty());
}
