// SPDX-License-Identifier: BSD-3-Clause
// platform/<os>/tun.cc. What needs the privilege to create interfaces is left out without it.
#include <doctest/doctest.h>
#include <net/if.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <functional>
#include <iostream>

#include "platform/platform.h"

using namespace sixlink::platform;

namespace {

// In a child with a network namespace of its own, so that the machine's interfaces are not touched. -1: not
// permitted here.
int in_own_network(const std::function<int()>& body) {
  std::cout.flush();  // or the child would write it again
  const pid_t pid = ::fork();
  if (pid == 0) {
    if (::unshare(CLONE_NEWNET) != 0) ::_exit(255);
    ::_exit(body());
  }
  int status = 0;
  REQUIRE(::waitpid(pid, &status, 0) == pid);
  REQUIRE(WIFEXITED(status));
  return WEXITSTATUS(status) == 255 ? -1 : WEXITSTATUS(status);
}

boost::system::error_code error_of(int number) {
  return {number, boost::system::system_category()};
}

}  // namespace

TEST_CASE("tun: the first free name, a given name, no name twice, and gone with the object") {
  const int result = in_own_network([] {
    auto first = open_tun("tun");
    if (!first)
      return first.error() == boost::system::errc::no_such_file_or_directory ||
                     first.error() == boost::system::errc::operation_not_permitted
                 ? 255
                 : 1;
    auto second = open_tun("tun");
    if (!second || (*first)->name() != "tun0" || (*second)->name() != "tun1") return 2;
    auto named = open_tun("sixlink-test0");
    if (!named || (*named)->name() != "sixlink-test0" || ::if_nametoindex("sixlink-test0") == 0) return 3;
    if (open_tun("sixlink-test0").error().value() != EEXIST) return 4;
    if (open_tun("lo").error().value() != EEXIST) return 5;
    if (open_tun("a-name-too-long-for-an-interface").error().value() != ENAMETOOLONG) return 6;
    // Nothing there, and an interface that is down takes nothing: neither may block.
    std::uint8_t buffer[100];
    if ((*named)->read(buffer) != 0) return 7;
    if ((*named)->write(buffer) >= 0) return 8;
    named->reset();
    if (::if_nametoindex("sixlink-test0") != 0) return 9;
    return open_tun("sixlink-test0").has_value() ? 0 : 10;
  });
  if (result < 0) {
    MESSAGE("not tested: needs the privilege to create interfaces, and /dev/net/tun");
    return;
  }
  CHECK(result == 0);
}

TEST_CASE("tun: a failure says what to do") {
  CHECK(explain_tun_error("tun0", error_of(EPERM)).find("run as root") != std::string::npos);
  CHECK(explain_tun_error("tun0", error_of(ENOENT)).find("modprobe tun") != std::string::npos);
  CHECK(explain_tun_error("tun7", error_of(EEXIST)).find("choose another one") != std::string::npos);
  for (const int number : {EPERM, ENODEV, EBUSY, ENOMEM}) {
    CHECK(
        explain_tun_error("tun7", error_of(number)).starts_with("cannot create the tunnel interface tun7: "));
  }
}
