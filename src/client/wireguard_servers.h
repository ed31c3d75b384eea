// SPDX-License-Identifier: BSD-3-Clause
// The WireGuard keys that brokers have shown us, so that another one is noticed: a file of `SERVER KEY`
// lines, where SERVER is the broker as the configuration names it.
#pragma once

#include <string>
#include <string_view>

#include "src/pki/wireguard_key.h"

namespace sixlink::client {

inline constexpr std::string_view kWireguardServersFile = "wireguard-servers";

class WireguardServers {
 public:
  // `path` of the file; its directory is made when a key is kept.
  explicit WireguardServers(std::string path) : path_(std::move(path)) {}

  struct Verdict {
    bool is_trusted = false;
    std::string note;  // why not, and what to do; or, of a new one, that it was kept
  };
  // The first key of a broker is kept. Reads the file anew, so that an edit takes effect at the next attempt.
  Verdict check(std::string_view server, const pki::WireguardKey& key) const;

 private:
  std::string path_;
};

}  // namespace sixlink::client
