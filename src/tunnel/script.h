// SPDX-License-Identifier: BSD-3-Clause
// Runs a template: a child process with an environment, a time limit, and its output captured for the error
// message.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <functional>
#include <string>

#include "src/tunnel/parameters.h"

namespace sixlink::tunnel {

struct ScriptResult {
  bool has_succeeded = false;
  int exit_status = -1;  // -1: it did not exit by itself
  std::string output;    // stdout and stderr, the last 8 KiB
  std::string problem;   // why it failed, in one line; quotes the script's own last words
  std::chrono::milliseconds duration{0};
};

// `/bin/sh path` with `environment` and PATH only. The child leads a process group of its own; when the time
// is over the group is killed. Completes always, also while the caller's operations are being cancelled: half
// a template must not be left behind. Once `is_hurried` says so (asked every quarter of a second), the limit
// shrinks to two seconds from then.
boost::asio::awaitable<ScriptResult> run_script(std::string path, Environment environment,
                                                std::chrono::seconds limit,
                                                std::function<bool()> is_hurried = nullptr);

// Where template `name` is: <home_dir>/template/<name>.sh when there, else <data_dir>/template, else beside a
// program that runs from its build directory. Empty: nowhere; `searched` lists the places.
std::string find_template(const std::string& name, const std::string& home_dir, const std::string& data_dir,
                          std::string& searched);

}  // namespace sixlink::tunnel
