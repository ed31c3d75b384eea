// SPDX-License-Identifier: BSD-3-Clause
// arc4random_buf(3): from the kernel, and never fails.
#include <stdlib.h>

#include "platform/platform.h"

namespace sixlink::platform {

void random_bytes(std::span<std::uint8_t> out) {
  ::arc4random_buf(out.data(), out.size());
}

}  // namespace sixlink::platform
