// SPDX-License-Identifier: BSD-3-Clause
// One dynamic update through nsupdate (BIND's; RFC 2136, signed with TSIG, RFC 8945).
#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <string>
#include <string_view>

#include "registry/dns/update_queue.h"

namespace sixlink::registry::dns {

struct UpdateResult {
  bool has_succeeded = false;
  bool was_answered = false;  // by the DNS server, also with a refusal
  UpdateQueue::Failure failure = UpdateQueue::Failure::kZone;
  std::string problem;  // one line for the log
};

boost::asio::awaitable<UpdateResult> run_nsupdate(std::string key_file, std::string script,
                                                  std::function<bool()> is_stopping);

// What an ended nsupdate meant.
UpdateResult interpret_nsupdate(int status, std::string_view output);

// What is wrong with the key's file: missing, or open to others. Empty: nothing.
std::string key_file_problem(const std::string& path);

}  // namespace sixlink::registry::dns
