// SPDX-License-Identifier: BSD-3-Clause
// Runs a program without a shell: standard input given, output captured, with a time limit.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <functional>
#include <string>
#include <vector>

namespace sixlink::registry::dns {

struct ChildResult {
  std::string problem;  // why it could not be run to its end; empty: it ended by itself, with `status`
  int status = 0;
  std::string output;  // standard output and error, the first 8 KiB
};

// The absolute path of a program; empty: it is not in PATH, nor in the usual directories for
// administrators.
std::string find_program(const std::string& name);

// `command`: the program's absolute path and its arguments. Its environment is PATH and LC_ALL alone. It is
// killed when the time is over, when `is_stopping` says so (asked every quarter of a second), and when the
// coroutine is destroyed.
boost::asio::awaitable<ChildResult> run_child(std::vector<std::string> command, std::string input,
                                              std::chrono::seconds limit, std::function<bool()> is_stopping);

}  // namespace sixlink::registry::dns
