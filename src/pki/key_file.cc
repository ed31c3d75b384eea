// SPDX-License-Identifier: BSD-3-Clause
// Files of secret keys.
#include "src/pki/key_file.h"

#include <utility>

#include "src/config/directory.h"
#include "src/config/small_file.h"

namespace sixlink::pki {
namespace {

constexpr std::size_t kLargestFile = 16384;

std::string cannot(const char* what, const std::string& path, const KeyFile& kind,
                   const boost::system::error_code& error) {
  return "cannot " + std::string(what) + " " + kind.name + " " + path + ": " + error.message();
}

KeyFileLoaded take(const std::string& path, const KeyFile& kind, std::string text) {
  KeyFileLoaded loaded;
  if (!kind.take(text)) loaded.problem = path + " " + kind.no_key;
  wipe(text);
  return loaded;
}

}  // namespace

KeyFileLoaded load_key_file(const std::string& path, const KeyFile& kind) {
  auto text = config::read_small_file(path, kLargestFile);
  if (text) return take(path, kind, *std::move(text));
  return {cannot("read", path, kind, text.error())};
}

KeyFileLoaded load_or_make_key_file(const std::string& path, const KeyFile& kind) {
  auto text = config::read_small_file(path, kLargestFile);
  if (text) return take(path, kind, *std::move(text));
  if (text.error() != boost::system::errc::no_such_file_or_directory)
    return {cannot("read", path, kind, text.error())};
  const auto slash = path.rfind('/');
  if (kind.makes_directory && slash != std::string::npos && slash > 0) {
    if (const auto error = config::make_private_directory(path.substr(0, slash)))
      return {cannot("write", path, kind, error)};
  }
  const auto secret = kind.make();
  if (secret.empty()) return {kind.not_made};
  const auto error = config::write_small_file(path, secret.reveal(), config::Existing::kKeep);
  if (error == boost::system::errc::file_exists) return load_key_file(path, kind);
  if (error) return {cannot("write", path, kind, error)};
  return {{}, true};
}

}  // namespace sixlink::pki
