// SPDX-License-Identifier: BSD-3-Clause
// The host keys of brokers that PASSDSS-3DES-1 has shown us: the file of deployed clients, `server ssh-dss
// base64` a line, where `server` is the broker as the configuration names it. A key is kept when it is first
// accepted and never replaced: a broker that shows another one is refused until a person has removed the
// line.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "src/tsp/client_session.h"

namespace sixlink::client {

// The name that deployed clients use.
inline constexpr std::string_view kKnownHostsFile = "gogockeys.pub";

enum class UnknownKey { kRefuse, kAccept };

// Lines of the file that are used, and the numbers of those that are not. Comments (#) and empty lines are
// neither.
struct KnownHostLines {
  struct Entry {
    unsigned line = 0;  // from 1
    std::string server;
    std::string key;  // as src/tsp/passdss_host_key.h has it
  };
  std::vector<Entry> entries;
  std::vector<unsigned> malformed;
};
KnownHostLines parse_known_hosts(std::string_view text);

class KnownHosts {
 public:
  // `path` of the file; its directory is made when a key is kept.
  explicit KnownHosts(std::string path) : path_(std::move(path)) {}

  struct Result {
    tsp::HostKeyVerdict verdict;
    std::vector<std::string> notes;  // for the log: what was kept, which lines are malformed
  };
  // Reads the file anew, so that an edit takes effect at the next attempt. A file that cannot be read, or a
  // key that cannot be kept, is a refusal: trust without memory would be trust in everybody.
  Result check(std::string_view server, std::string_view key, UnknownKey policy) const;

 private:
  tsp::HostKeyVerdict refuse_changed(std::string_view server, std::string_view key,
                                     const KnownHostLines::Entry& known) const;
  tsp::HostKeyVerdict refuse_unknown(std::string_view server, std::string_view key) const;

  std::string path_;
};

}  // namespace sixlink::client
