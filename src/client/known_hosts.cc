// SPDX-License-Identifier: BSD-3-Clause
// The host keys of brokers that PASSDSS-3DES-1 has shown us.
#include "src/client/known_hosts.h"

#include <algorithm>

#include "src/config/directory.h"
#include "src/config/small_file.h"
#include "src/tsp/digest_md5.h"
#include "src/tsp/status.h"

namespace sixlink::client {
namespace {

// Some hundred keys. Above it the file is not what it should be.
constexpr std::size_t kLargestFile = 256 * 1024;

// The next word of a line, words being separated by blanks.
std::string_view take_word(std::string_view& line) {
  constexpr std::string_view kBlanks = " \t\r";
  line.remove_prefix(std::min(line.find_first_not_of(kBlanks), line.size()));
  const auto word = line.substr(0, line.find_first_of(kBlanks));
  line.remove_prefix(word.size());
  return word;
}

// Host names are the same in any case.
std::string lower(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return result;
}

std::string directory_of(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, std::max<std::size_t>(slash, 1));
}

}  // namespace

KnownHostLines parse_known_hosts(std::string_view text) {
  KnownHostLines lines;
  for (unsigned number = 1; !text.empty(); ++number) {
    const auto end = text.find('\n');
    auto line = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    const auto server = take_word(line);
    if (server.empty() || server.front() == '#') continue;
    const auto type = take_word(line);
    const auto key = tsp::base64_decode(take_word(line));
    // A word behind the key may be someone's remark.
    if (type == tsp::kHostKeyType && key && tsp::is_host_key(*key)) {
      lines.entries.push_back({number, std::string(server), *key});
    } else {
      lines.malformed.push_back(number);
    }
  }
  return lines;
}

tsp::HostKeyVerdict KnownHosts::refuse_changed(std::string_view server, std::string_view key,
                                               const KnownHostLines::Entry& known) const {
  return {false,
          "the host key of broker " + std::string(server) + " has CHANGED: it was " +
              tsp::host_key_fingerprint(known.key) + " and is now " + tsp::host_key_fingerprint(key) +
              ". Somebody may be between this machine and the broker to learn the password, or the "
              "broker was given a new key. "
              "The password was not sent. Ask the broker's operator for the fingerprint; if the new one is "
              "right, remove line " +
              std::to_string(known.line) + " of " + path_ + " and start once with -y"};
}

tsp::HostKeyVerdict KnownHosts::refuse_unknown(std::string_view server, std::string_view key) const {
  return {false, "the host key of broker " + std::string(server) + " is not known: its fingerprint is " +
                     tsp::host_key_fingerprint(key) +
                     ". The password was not sent. Compare it with what the broker's operator says, then "
                     "start once with -y, "
                     "which keeps the key in " +
                     path_ + ", or add the line \"" + std::string(server) + " " +
                     std::string(tsp::kHostKeyType) + " KEY\" there; auth_method=digest-md5 needs no key"};
}

KnownHosts::Result KnownHosts::check(std::string_view server, std::string_view key, UnknownKey policy) const {
  Result result;
  const auto refuse = [&](const std::string& what, const boost::system::error_code& error) {
    result.verdict = {false, what + " " + path_ + ": " + error.message() +
                                 "; without it the broker's host key cannot be trusted"};
    return result;
  };
  std::string text;
  auto content = config::read_small_file(path_, kLargestFile);
  if (content) {
    text = *std::move(content);
  } else if (content.error() != boost::system::errc::no_such_file_or_directory) {
    return refuse("cannot read the file of known host keys", content.error());
  }
  const auto lines = parse_known_hosts(text);
  for (const auto number : lines.malformed) {
    result.notes.push_back(path_ + ":" + std::to_string(number) +
                           ": no \"SERVER ssh-dss KEY\" line, ignored");
  }
  const KnownHostLines::Entry* other = nullptr;
  for (const auto& entry : lines.entries) {
    if (lower(entry.server) != lower(server)) continue;
    // Several lines: the broker is about to change its key, and its operator told.
    if (entry.key == key) {
      result.verdict.is_trusted = true;
      return result;
    }
    if (!other) other = &entry;
  }
  if (other) {
    result.verdict = refuse_changed(server, key, *other);
    return result;
  }
  // As text it must be one word, or the line would say something else.
  const bool is_word = !server.empty() && server.front() != '#' &&
                       std::all_of(server.begin(), server.end(), [](char c) { return c > ' ' && c < 0x7f; });
  if (policy == UnknownKey::kRefuse || !is_word) {
    result.verdict = refuse_unknown(server, key);
    return result;
  }
  if (const auto error = config::make_private_directory(directory_of(path_))) {
    result.verdict = {false, config::explain_directory_error("state_dir", directory_of(path_), error)};
    return result;
  }
  // Behind all that is there, malformed lines too: they are someone's.
  if (!text.empty() && text.back() != '\n') text += '\n';
  text += std::string(server) + " " + std::string(tsp::kHostKeyType) + " " + tsp::base64_encode(key) + "\n";
  if (const auto error = config::write_small_file(path_, text, config::Existing::kReplace))
    return refuse("cannot keep the broker's host key in", error);
  result.verdict.is_trusted = true;
  result.notes.push_back("accepted the host key of broker " + std::string(server) + ", " +
                         tsp::host_key_fingerprint(key) + ", and kept it in " + path_);
  return result;
}

}  // namespace sixlink::client
