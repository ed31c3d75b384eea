// SPDX-License-Identifier: BSD-3-Clause
// One dynamic update through nsupdate.
#include "registry/dns/nsupdate.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "registry/dns/child_process.h"
#include "src/tsp/status.h"

namespace sixlink::registry::dns {
namespace {

// What nsupdate waits for an answer, and what we wait for nsupdate: it may have to look the server's name up.
constexpr const char* kAnswerLimit = "10";
constexpr std::chrono::seconds kProcessLimit{30};

// The output's lines as one, without what nsupdate puts before comments.
std::string one_line(std::string_view output) {
  std::string text;
  while (!output.empty()) {
    const auto end = std::min(output.find('\n'), output.size());
    auto line = output.substr(0, end);
    output.remove_prefix(std::min(end + 1, output.size()));
    while (!line.empty() && (line.front() == ';' || line.front() == ' ')) line.remove_prefix(1);
    if (line.empty() || line == "syntax error") continue;
    text += (text.empty() ? "" : "; ") + std::string(line);
  }
  return tsp::printable(text, 300);
}

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

}  // namespace

UpdateResult interpret_nsupdate(int status, std::string_view output) {
  UpdateResult result;
  if (status == 0) {
    result.has_succeeded = true;
    result.was_answered = true;
    return result;
  }
  result.was_answered = contains(output, "update failed: ");
  result.problem = one_line(output);
  if (result.problem.empty()) result.problem = "nsupdate failed (exit " + std::to_string(status) + ")";
  if (contains(output, "update failed: NOTAUTH(")) {
    result.problem +=
        "; the DNS server does not accept the key of dns_update_key (its name, algorithm and secret must be "
        "the "
        "same there, and both clocks right)";
  } else if (contains(output, "update failed: NOTAUTH")) {
    result.problem += "; the DNS server is not the primary of this zone";
  } else if (contains(output, "update failed: ") || contains(output, "syntax error")) {
    const bool is_address = contains(output, "couldn't get address");
    if (!is_address) result.failure = UpdateQueue::Failure::kRefused;
    if (contains(output, "update failed: REFUSED"))
      result.problem += "; does the zone allow updates by this key (allow-update, update-policy)?";
  }
  return result;
}

boost::asio::awaitable<UpdateResult> run_nsupdate(std::string key_file, std::string script,
                                                  std::function<bool()> is_stopping) {
  UpdateResult result;
  const auto program = find_program("nsupdate");
  if (program.empty()) {
    result.problem = "the program nsupdate is not installed (package bind9-dnsutils or bind-utils)";
    co_return result;
  }
  // nsupdate's own words about a missing file name another one.
  if (::access(key_file.c_str(), R_OK) != 0) {
    result.problem = "cannot read dns_update_key=" + key_file + ": " + std::strerror(errno);
    co_return result;
  }
  // TCP: an update of a batch is longer than a datagram.
  std::vector<std::string> command = {program, "-v", "-t", kAnswerLimit, "-k", std::move(key_file)};
  const auto child =
      co_await run_child(std::move(command), std::move(script), kProcessLimit, std::move(is_stopping));
  if (child.problem.empty()) {
    result = interpret_nsupdate(child.status, child.output);
  } else {
    result.problem = child.problem;
    if (const auto words = one_line(child.output); !words.empty()) result.problem += ": " + words;
  }
  co_return result;
}

std::string key_file_problem(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0)
    return "cannot read dns_update_key=" + path + ": " + std::strerror(errno);
  if ((status.st_mode & 037) == 0) return {};
  return "dns_update_key=" + path +
         " can be read or written by others: who has this key can change the zones; " + "\"chmod 640 " +
         path + "\"";
}

}  // namespace sixlink::registry::dns
