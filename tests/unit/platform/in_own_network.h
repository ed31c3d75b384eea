// SPDX-License-Identifier: BSD-3-Clause
// A network namespace of its own for a test that changes interfaces, and the few changes that tests make.
#pragma once

#include <doctest/doctest.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <string>

namespace sixlink::test {

// Runs `body` in a child with a network namespace of its own, so that the machine's interfaces are not
// touched. Its result; -1: not permitted here (or the body said 255).
inline int in_own_network(const std::function<int()>& body) {
  std::cout.flush();  // or the child would write it again
  const pid_t pid = ::fork();
  if (pid == 0) {
    if (::unshare(CLONE_NEWNET) != 0) ::_exit(255);
    const int result = body();
    std::fflush(stdout);
    ::_exit(result);
  }
  int status = 0;
  REQUIRE(::waitpid(pid, &status, 0) == pid);
  REQUIRE(WIFEXITED(status));
  return WEXITSTATUS(status) == 255 ? -1 : WEXITSTATUS(status);
}

// ip(8) with these arguments, silently; whether it succeeded.
inline bool ip(const std::string& arguments) {
  return std::system(("ip " + arguments + " >/dev/null 2>&1").c_str()) == 0;
}

// Writes a number to a file below /proc/sys/net, which is that of the calling thread's namespace.
inline bool set_sysctl(const std::string& name, const std::string& value) {
  return std::system(("echo " + value + " >/proc/sys/net/" + name + " 2>/dev/null").c_str()) == 0;
}

}  // namespace sixlink::test
