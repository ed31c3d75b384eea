// SPDX-License-Identifier: BSD-3-Clause
#include "registry/mail/email_address.h"

#include <algorithm>

#include "src/net/server_address.h"

namespace sixlink::registry {
namespace {

constexpr std::size_t kLongest = 254;
constexpr std::size_t kLongestLocal = 64;

// RFC 5322's atext and the dot.
bool is_local_character(char c) {
  const bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  return is_letter || std::string_view("!#$%&'*+-/=?^_`{|}~.").find(c) != std::string_view::npos;
}

}  // namespace

bool is_email_address(std::string_view text) {
  const auto at = text.find('@');
  if (text.size() > kLongest || at == std::string_view::npos || at == 0 || at > kLongestLocal) return false;
  const auto local = text.substr(0, at);
  const bool has_bad_dots = local.front() == '.' || local.front() == '-' || local.back() == '.' ||
                            local.find("..") != std::string_view::npos;
  const auto domain = text.substr(at + 1);
  return !has_bad_dots && std::ranges::all_of(local, is_local_character) && net::is_host_name(domain) &&
         !domain.starts_with('-') && !domain.ends_with('.');
}

}  // namespace sixlink::registry
