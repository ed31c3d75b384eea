// SPDX-License-Identifier: BSD-3-Clause
// The file of the registry's host key.
#include "registry/host_key.h"

#include <utility>

#include "src/pki/key_file.h"

namespace sixlink::registry {

LoadedHostKey load_or_make_host_key(const std::string& path) {
  LoadedHostKey loaded;
  auto result = pki::load_or_make_key_file(
      path,
      {"the host key",
       "holds no DSA private key in PEM; put the right file back (clients know its key), or remove it: a "
       "new key is made, which clients refuse until their line of the old one is removed",
       "OpenSSL cannot make a DSA key",
       [&loaded](std::string_view text) {
         loaded.key = tsp::DsaHostKey::from_pem(text);
         return loaded.key != nullptr;
       },
       [&loaded] {
         loaded.key = tsp::DsaHostKey::generate();
         return loaded.key ? loaded.key->to_pem() : pki::Secret();
       },
       false});
  if (!result.problem.empty()) loaded.key.reset();
  loaded.problem = std::move(result.problem);
  loaded.is_new = result.is_new;
  return loaded;
}

}  // namespace sixlink::registry
