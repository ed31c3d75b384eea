// SPDX-License-Identifier: BSD-3-Clause
// How much memory a lane may take for packets that are under way.
#pragma once

#include <cstdint>

namespace sixlink::datapath {

enum class LaneRoom : std::uint8_t {
  kFull,   // 5 MiB each way at most: one tunnel has the machine
  kSmall,  // half a MiB: one of dozens
};

}  // namespace sixlink::datapath
