// SPDX-License-Identifier: BSD-3-Clause
#include "registry/ca/refusal.h"

#include <array>

namespace sixlink::registry {
namespace {

struct Row {
  const char* name;
  unsigned status;
};
// In the order of the enumeration.
constexpr std::array<Row, 18> kRows{{{"bad_request", 400},
                                     {"bad_certificate_request", 400},
                                     {"token_unknown", 403},
                                     {"token_expired", 403},
                                     {"token_used", 409},
                                     {"not_allowed", 403},
                                     {"certificate_missing", 401},
                                     {"certificate_refused", 403},
                                     {"certificate_expired", 403},
                                     {"revoked", 403},
                                     {"key_in_use", 409},
                                     {"old_contact", 409},
                                     {"not_found", 404},
                                     {"no_prefix_left", 507},
                                     {"too_many_requests", 429},
                                     {"busy", 503},
                                     {"unsupported_method", 405},
                                     {"internal", 500}}};

}  // namespace

const char* to_string(RefusalCode code) {
  return kRows.at(static_cast<std::size_t>(code)).name;
}

unsigned http_status(RefusalCode code) {
  return kRows.at(static_cast<std::size_t>(code)).status;
}

}  // namespace sixlink::registry
