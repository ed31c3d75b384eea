// SPDX-License-Identifier: BSD-3-Clause
// The contacts that a node remembers over a restart: <state_dir>/mesh/contacts, so that it finds its peers
// again while the registry is down. What stands there is checked like what comes from the network: by its
// signature.
#pragma once

#include <boost/system/error_code.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sixlink::client {

using SignedBytes = std::vector<std::uint8_t>;

// The file's bytes: a line that says what it is, then each contact behind its length (two bytes, big end
// first). At most kMostCached, none longer than kLongestCached: more are left out.
inline constexpr std::size_t kMostCached = 1024;
inline constexpr std::size_t kLongestCached = 8192;
std::string to_cache_text(const std::vector<SignedBytes>& contacts);
// nullopt: damaged, or something else.
std::optional<std::vector<SignedBytes>> parse_cache_text(std::string_view text);

struct LoadedCache {
  std::vector<SignedBytes> contacts;
  std::string problem;  // not empty: the file is of no use, and why. No file is no problem.
};
LoadedCache load_mesh_cache(const std::string& path);
// Not synced: a cache that a power cut costs is filled again.
[[nodiscard]] boost::system::error_code save_mesh_cache(const std::string& path,
                                                        const std::vector<SignedBytes>& contacts);

}  // namespace sixlink::client
