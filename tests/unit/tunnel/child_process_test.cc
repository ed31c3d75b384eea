// SPDX-License-Identifier: BSD-3-Clause
#include "src/tunnel/child_process.h"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <thread>

using namespace std::chrono_literals;
using sixlink::tunnel::ChildProcess;
using sixlink::tunnel::read_available;

namespace {

// Its output and status once it has ended.
std::pair<std::string, int> finish(ChildProcess& child, int channel) {
  std::string output;
  int status = -1;
  while (!child.has_ended(status)) std::this_thread::sleep_for(1ms);
  while (read_available(channel, output) && !output.ends_with("\n")) std::this_thread::sleep_for(1ms);
  ::close(channel);
  return {output, status};
}

}  // namespace

TEST_CASE("child: gets its arguments and environment, and no more") {
  auto child = ChildProcess::start({"/bin/sh", "-c", "echo \"$1 $A ${HOME-none}\"; exit 3", "sh", "x y"},
                                   {"A=b"}, false);
  REQUIRE(child.has_value());
  const auto [output, status] = finish(*child, child->release_channel());
  CHECK(output == "x y b none\n");
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 3);
}

TEST_CASE("child: its standard input is empty, or our channel") {
  auto without = ChildProcess::start({"/bin/sh", "-c", "read -r line; echo \"$? $line\""}, {}, false);
  REQUIRE(without.has_value());
  CHECK(finish(*without, without->release_channel()).first == "1 \n");
  auto with = ChildProcess::start({"/bin/sh", "-c", "read -r line; echo \"$? $line\""}, {}, true);
  REQUIRE(with.has_value());
  const int channel = with->release_channel();
  CHECK(::write(channel, "word\n", 5) == 5);
  CHECK(finish(*with, channel).first == "0 word\n");
}

TEST_CASE("child: a program that is not there ends with 127") {
  auto child = ChildProcess::start({"/nonexistent/program"}, {}, false);
  REQUIRE(child.has_value());
  int status = 0;
  while (!child->has_ended(status)) std::this_thread::sleep_for(1ms);
  CHECK(WEXITSTATUS(status) == 127);
  CHECK(child->has_ended(status));
}

TEST_CASE("child: is killed with its children when its owner goes") {
  std::string output;
  int channel = -1;
  {
    auto child = ChildProcess::start({"/bin/sh", "-c", "sleep 100 & echo started; wait"},
                                     {"PATH=/usr/bin:/bin"}, false);
    REQUIRE(child.has_value());
    channel = child->release_channel();
    while (read_available(channel, output) && !output.ends_with("\n")) std::this_thread::sleep_for(1ms);
    CHECK(output == "started\n");
    CHECK(read_available(channel, output));
  }
  // Whoever lives has the other end open.
  int tries = 0;
  while (read_available(channel, output) && ++tries < 500) std::this_thread::sleep_for(10ms);
  CHECK(tries < 500);
  ::close(channel);
}
