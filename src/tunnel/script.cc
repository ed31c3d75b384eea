// SPDX-License-Identifier: BSD-3-Clause
// Runs a template.
#include "src/tunnel/script.h"

#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <cstring>

#include "platform/platform.h"
#include "src/tsp/status.h"
#include "src/tunnel/child_process.h"

namespace sixlink::tunnel {
namespace {

namespace asio = boost::asio;
using asio::experimental::awaitable_operators::operator||;
constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t kKeptOutput = 8192;
// Who ends the program waits for this at most.
constexpr std::chrono::seconds kHurriedLimit{2};

std::string error_text(int number) {
  return std::strerror(number);
}

// What a script's last words were: the line that names a failed command, else the last line.
std::string last_words(const std::string& output) {
  std::string chosen;
  bool is_ours = false;
  std::size_t at = 0;
  while (at < output.size()) {
    auto end = output.find('\n', at);
    if (end == std::string::npos) end = output.size();
    const auto line = output.substr(at, end - at);
    at = end + 1;
    const bool ours = line.starts_with("sixlink: ");
    if (line.empty() || (is_ours && !ours)) continue;
    chosen = ours && is_ours ? chosen + "; " + line.substr(9) : ours ? line.substr(9) : line;
    is_ours = ours;
  }
  return tsp::printable(chosen, 500);
}

// The last of it is what counts.
void keep_last(std::string& output, std::size_t most) {
  if (output.size() > most) output.erase(0, output.size() - kKeptOutput);
}

bool is_readable_file(const std::string& path) {
  return ::access(path.c_str(), R_OK) == 0;
}

asio::awaitable<ScriptResult> run_to_its_end(std::string path, Environment environment,
                                             std::chrono::seconds limit, std::function<bool()> is_hurried) {
  const auto executor = co_await asio::this_coro::executor;
  const auto started = std::chrono::steady_clock::now();
  ScriptResult result;
  if (!is_readable_file(path)) {
    result.problem = "cannot read the template " + path + ": " + error_text(errno);
    co_return result;
  }
  // Registered before the fork, so that the child's end cannot be missed.
  asio::signal_set child_ended(executor, SIGCHLD);
  environment.push_back("PATH=" + child_search_path());
  environment.emplace_back("LC_ALL=C");
  auto child = ChildProcess::start({"/bin/sh", path}, std::move(environment), false);
  if (!child) {
    result.problem = "cannot start the template " + path + ": " + child.error().message();
    co_return result;
  }
  asio::posix::stream_descriptor output(executor, child->release_channel());
  asio::steady_timer timer(executor, started + limit);
  auto deadline = started + limit;
  bool has_output = true;
  bool has_timed_out = false;
  int status = 0;
  // A daemon that the template starts may keep the pipe open, so the child's own end is what counts.
  for (;;) {
    has_output = has_output && read_available(output.native_handle(), result.output);
    keep_last(result.output, 2 * kKeptOutput);
    if (child->has_ended(status)) break;
    const auto now = std::chrono::steady_clock::now();
    if (is_hurried && is_hurried()) {
      deadline = std::min(deadline, now + kHurriedLimit);
      is_hurried = nullptr;
    }
    if (now >= deadline) {
      has_timed_out = true;
      child->kill();
      break;
    }
    // SIGCHLD of another child, or one coalesced away, is caught by looking again after a while.
    timer.expires_at(std::min(deadline, now + std::chrono::milliseconds(250)));
    if (has_output) {
      co_await (output.async_wait(asio::posix::stream_descriptor::wait_read, kAwait) ||
                child_ended.async_wait(kAwait) || timer.async_wait(kAwait));
    } else {
      co_await (child_ended.async_wait(kAwait) || timer.async_wait(kAwait));
    }
  }
  if (has_output) read_available(output.native_handle(), result.output);
  keep_last(result.output, kKeptOutput);
  result.duration =
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - started);
  result.has_succeeded = !has_timed_out && WIFEXITED(status) && WEXITSTATUS(status) == 0;
  if (!has_timed_out && WIFEXITED(status)) result.exit_status = WEXITSTATUS(status);
  if (!result.has_succeeded) {
    if (has_timed_out) {
      result.problem =
          "the template " + path + " did not end in time (" +
          std::to_string(std::chrono::duration_cast<std::chrono::seconds>(deadline - started).count()) +
          " s) and was killed";
    } else if (WIFSIGNALED(status)) {
      result.problem = "the template " + path + " was ended by signal " + std::to_string(WTERMSIG(status));
    } else {
      result.problem = "the template " + path + " failed (exit " + std::to_string(WEXITSTATUS(status)) + ")";
    }
    const auto words = last_words(result.output);
    if (!words.empty()) result.problem += ": " + words;
  }
  co_return result;
}

}  // namespace

asio::awaitable<ScriptResult> run_script(std::string path, Environment environment,
                                         std::chrono::seconds limit, std::function<bool()> is_hurried) {
  const auto executor = co_await asio::this_coro::executor;
  // A coroutine of its own, cut off from the caller's cancellation.
  co_return co_await asio::co_spawn(
      executor, run_to_its_end(std::move(path), std::move(environment), limit, std::move(is_hurried)),
      asio::bind_cancellation_slot(asio::cancellation_slot(), asio::use_awaitable));
}

std::string find_template(const std::string& name, const std::string& home_dir, const std::string& data_dir,
                          std::string& searched) {
  std::vector<std::string> places;
  if (!home_dir.empty()) places.push_back(home_dir + "/template/");
  places.push_back(data_dir + "/template/");
  const auto program = platform::program_directory();
  // build/sixlink in its source tree: the template that belongs to it is beside the build directory.
  if (!program.empty()) {
    for (const char* up : {"/../template/", "/../../template/"}) places.push_back(program + up);
  }
  searched.clear();
  for (const auto& place : places) {
    const auto path = place + name + ".sh";
    if (is_readable_file(path)) return path;
    searched += (searched.empty() ? "" : ", ") + path;
  }
  return {};
}

}  // namespace sixlink::tunnel
