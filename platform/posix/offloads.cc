// SPDX-License-Identifier: BSD-3-Clause
// Names of the offloads.
#include <array>
#include <utility>

#include "platform/packet_io.h"

namespace sixlink::platform {

std::string to_string(const Offloads& offloads) {
  const std::array<std::pair<bool, const char*>, 5> all{{{offloads.tun_checksum, "tun-checksum"},
                                                         {offloads.tun_tcp, "tun-tcp"},
                                                         {offloads.tun_udp, "tun-udp"},
                                                         {offloads.udp_segment, "udp-segment"},
                                                         {offloads.udp_gro, "udp-gro"}}};
  std::string text;
  for (const auto& [is_set, name] : all) {
    if (!is_set) continue;
    if (!text.empty()) text += ' ';
    text += name;
  }
  return text.empty() ? "none" : text;
}

}  // namespace sixlink::platform
