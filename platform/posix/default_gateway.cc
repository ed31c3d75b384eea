// SPDX-License-Identifier: BSD-3-Clause
// Systems whose routing table is not read here: their routers are not asked to map ports.
#include "platform/network.h"

namespace sixlink::platform {

std::optional<DefaultGateway> default_gateway() {
  return std::nullopt;
}

}  // namespace sixlink::platform
