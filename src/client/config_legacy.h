// SPDX-License-Identifier: BSD-3-Clause
// Keys that gogoc.conf, gw6c.conf and tspc.conf files hold and that sixlink.conf does not have.
#pragma once

#include <string_view>
#include <vector>

namespace sixlink::client {

struct LegacyKey {
  std::string_view name;
  std::string_view current_name;  // the key of sixlink.conf with the same meaning; empty: there is none
  std::string_view notice;        // the warning; empty: none
  std::string_view silent_value;  // no warning for this value: what the client of then took anyway
};

const std::vector<LegacyKey>& legacy_keys();
// nullptr: not such a key. `name` in lower case.
const LegacyKey* find_legacy_key(std::string_view name);

}  // namespace sixlink::client
