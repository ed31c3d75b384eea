// SPDX-License-Identifier: BSD-3-Clause
// The contacts that a node remembers over a restart.
#include "src/client/mesh_cache.h"

#include "src/config/small_file.h"

namespace sixlink::client {
namespace {

constexpr std::string_view kFirstLine = "sixlink contacts 1\n";
constexpr std::size_t kLongestFile = kFirstLine.size() + kMostCached * (kLongestCached + 2);

}  // namespace

std::string to_cache_text(const std::vector<SignedBytes>& contacts) {
  std::string text(kFirstLine);
  std::size_t count = 0;
  for (const auto& contact : contacts) {
    if (contact.empty() || contact.size() > kLongestCached) continue;
    if (++count > kMostCached) break;
    text += static_cast<char>(contact.size() >> 8);
    text += static_cast<char>(contact.size());
    text.append(contact.begin(), contact.end());
  }
  return text;
}

std::optional<std::vector<SignedBytes>> parse_cache_text(std::string_view text) {
  if (!text.starts_with(kFirstLine)) return std::nullopt;
  text.remove_prefix(kFirstLine.size());
  std::vector<SignedBytes> contacts;
  while (!text.empty()) {
    if (text.size() < 2 || contacts.size() == kMostCached) return std::nullopt;
    const std::size_t size =
        std::size_t{static_cast<unsigned char>(text[0])} << 8 | static_cast<unsigned char>(text[1]);
    text.remove_prefix(2);
    if (size == 0 || size > kLongestCached || size > text.size()) return std::nullopt;
    contacts.emplace_back(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(size));
    text.remove_prefix(size);
  }
  return contacts;
}

LoadedCache load_mesh_cache(const std::string& path) {
  LoadedCache loaded;
  const auto text = config::read_small_file(path, kLongestFile);
  if (!text) {
    if (text.error() != boost::system::errc::no_such_file_or_directory)
      loaded.problem = "cannot read " + path + ": " + text.error().message() +
                       "; peers are asked from the registry instead";
    return loaded;
  }
  auto contacts = parse_cache_text(*text);
  if (contacts) {
    loaded.contacts = std::move(*contacts);
  } else {
    loaded.problem =
        path + " is damaged; peers are asked from the registry instead, and the file is written anew";
  }
  return loaded;
}

boost::system::error_code save_mesh_cache(const std::string& path, const std::vector<SignedBytes>& contacts) {
  return config::write_small_file(path, to_cache_text(contacts), config::Existing::kReplace,
                                  config::Durability::kNone);
}

}  // namespace sixlink::client
