// SPDX-License-Identifier: BSD-3-Clause
// The WireGuard keys that brokers have shown us.
#include "src/client/wireguard_servers.h"

#include <algorithm>
#include <sstream>

#include "src/config/directory.h"
#include "src/config/small_file.h"

namespace sixlink::client {
namespace {

// Some thousand brokers. Above it the file is not what it should be.
constexpr std::size_t kLargestFile = 256 * 1024;

// Host names are the same in any case.
std::string lower(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return result;
}

// As text it must be one word, or the line would say something else.
bool is_word(std::string_view text) {
  return !text.empty() && text.front() != '#' &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

std::string directory_of(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, std::max<std::size_t>(slash, 1));
}

}  // namespace

WireguardServers::Verdict WireguardServers::check(std::string_view server,
                                                  const pki::WireguardKey& key) const {
  auto text = config::read_small_file(path_, kLargestFile);
  if (!text && text.error() != boost::system::errc::no_such_file_or_directory)
    return {false, "cannot read the brokers' WireGuard keys " + path_ + ": " + text.error().message()};
  std::string known = text ? *std::move(text) : std::string();
  const auto given = key.to_string();
  std::istringstream lines(known);
  unsigned number = 0;
  unsigned other = 0;
  std::string other_key;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    std::istringstream words(line);
    std::string name;
    std::string its_key;
    words >> name >> its_key;
    if (name.empty() || name.front() == '#' || lower(name) != lower(server)) continue;
    // Several lines: the broker is about to change its key, and its operator told.
    if (its_key == given) return {true, {}};
    other = number;
    other_key = its_key;
  }
  if (other != 0) {
    return {false,
            "the WireGuard key of broker " + std::string(server) + " has CHANGED: it was " + other_key +
                " and is now " + given +
                ". Somebody may be between this machine and the broker to read the tunnel, or the broker "
                "was given a new key. Ask the broker's operator; if the new one is right, remove line " +
                std::to_string(other) + " of " + path_};
  }
  if (!is_word(server)) return {false, "the broker's name cannot be kept beside its WireGuard key"};
  if (const auto error = config::make_private_directory(directory_of(path_)))
    return {false, config::explain_directory_error("state_dir", directory_of(path_), error)};
  if (!known.empty() && known.back() != '\n') known += '\n';
  known += std::string(server) + " " + given + "\n";
  if (const auto error = config::write_small_file(path_, known, config::Existing::kReplace))
    return {false, "cannot keep the broker's WireGuard key in " + path_ + ": " + error.message()};
  return {true, "broker " + std::string(server) + " has the WireGuard key " + given + ", kept in " + path_};
}

}  // namespace sixlink::client
