// SPDX-License-Identifier: BSD-3-Clause
// The file of the registry's host key.
#include "registry/host_key.h"

#include "src/config/small_file.h"

namespace sixlink::registry {
namespace {

constexpr std::size_t kLargestFile = 16384;

LoadedHostKey read_key(const std::string& path, std::string text) {
  LoadedHostKey loaded;
  loaded.key = tsp::DsaHostKey::from_pem(text);
  pki::wipe(text);
  if (!loaded.key) {
    loaded.problem =
        path +
        " holds no DSA private key in PEM; put the right file back (clients know its key), or remove it: "
        "a new key is made, which clients refuse until their line of the old one is removed";
  }
  return loaded;
}

}  // namespace

LoadedHostKey load_or_make_host_key(const std::string& path) {
  LoadedHostKey loaded;
  auto text = config::read_small_file(path, kLargestFile);
  if (text) return read_key(path, *std::move(text));
  if (text.error() != boost::system::errc::no_such_file_or_directory) {
    loaded.problem = "cannot read the host key " + path + ": " + text.error().message();
    return loaded;
  }
  auto key = tsp::DsaHostKey::generate();
  const auto pem = key ? key->to_pem() : pki::Secret();
  if (pem.empty()) {
    loaded.problem = "OpenSSL cannot make a DSA key";
    return loaded;
  }
  if (const auto error = config::write_small_file(path, pem.reveal(), config::Existing::kKeep)) {
    if (error == boost::system::errc::file_exists) {
      // Another process of ours was quicker: its key counts.
      auto again = config::read_small_file(path, kLargestFile);
      if (again) return read_key(path, *std::move(again));
    }
    loaded.problem = "cannot write the host key " + path + ": " + error.message();
    return loaded;
  }
  loaded.key = std::move(key);
  loaded.is_new = true;
  return loaded;
}

}  // namespace sixlink::registry
