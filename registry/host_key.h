// SPDX-License-Identifier: BSD-3-Clause
// The file of the registry's host key for PASSDSS-3DES-1. Clients keep the key and refuse another one, so it
// is made once and never replaced.
#pragma once

#include <memory>
#include <string>

#include "src/tsp/passdss_host_key.h"

namespace sixlink::registry {

struct LoadedHostKey {
  std::unique_ptr<tsp::DsaHostKey> key;
  bool is_new = false;
  std::string problem;  // when there is no key: what failed, and what to do
};

// Reads the key; makes one (0600) where there is no file.
LoadedHostKey load_or_make_host_key(const std::string& path);

}  // namespace sixlink::registry
