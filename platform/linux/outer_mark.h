// SPDX-License-Identifier: BSD-3-Clause
// The mark (SO_MARK) of what carries the overlay.
#pragma once

#include <cstdint>

namespace sixlink::platform {

// "6lnk"
inline constexpr std::uint32_t kOuterMark = 0x366c6e6b;

}  // namespace sixlink::platform
