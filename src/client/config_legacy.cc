// SPDX-License-Identifier: BSD-3-Clause
// Keys of older TSP clients: accepted, so that an existing file works unchanged.
#include "src/client/config_legacy.h"

namespace sixlink::client {

const std::vector<LegacyKey>& legacy_keys() {
  // The two services were the vendor's: naming devices at home, and a web server for them.
  constexpr std::string_view kHomeAccess =
      "obsolete, ignored: the home access service of gogoCLIENT is not part of sixlink";
  static const std::vector<LegacyKey> keys = {
      {"gw6_dir", "gogoc_dir", {}, {}},
      {"tsp_dir", "gogoc_dir", {}, {}},
      {"haccess_proxy_enabled", {}, kHomeAccess, {}},
      {"haccess_web_enabled", {}, kHomeAccess, {}},
      {"haccess_document_root", {}, kHomeAccess, {}},
      {"hap6_proxy_enabled", {}, kHomeAccess, {}},
      {"hap6_web_enabled", {}, kHomeAccess, {}},
      {"hap6_document_root", {}, kHomeAccess, {}},
      {"syslog_level", {}, "obsolete, ignored: log_syslog=0 to 3 sets how much goes to syslog", {}},
  };
  return keys;
}

const LegacyKey* find_legacy_key(std::string_view name) {
  for (const LegacyKey& key : legacy_keys()) {
    if (key.name == name) return &key;
  }
  return nullptr;
}

}  // namespace sixlink::client
