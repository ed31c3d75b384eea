// SPDX-License-Identifier: BSD-3-Clause
// Seeds of the fuzzers of frames: segment_fuzz.cc and coalesce_fuzz.cc.
#pragma once

#include <random>
#include <set>
#include <string>

#include "tests/unit/datapath/frame_oracle.h"

namespace sixlink::fuzz {

// See Records.
inline std::string packet_record(const test::Bytes& packet) {
  std::string text{static_cast<char>(packet.size() >> 8), static_cast<char>(packet.size())};
  return text.append(packet.begin(), packet.end());
}

// The first byte says what is to be made right before (coalesce_fuzz.cc).
inline std::set<std::string> coalesce_seeds() {
  std::mt19937 random(80);
  std::set<std::string> found;
  for (int i = 0; i < 12; ++i) {
    test::Shape shape;
    shape.is_v4 = i % 2 != 0;
    shape.is_tcp = i % 3 != 0;
    shape.tcp_options = i % 4 * 4U;
    shape.data = test::random_bytes(random, 40 + random() % 200);
    std::string seed(1, static_cast<char>(i % 4 == 0 ? 0 : 1));
    const auto packets = test::cut_slowly(shape, 50);
    shape.source_port = 9;
    const auto others = test::cut_slowly(shape, 33);
    for (std::size_t n = 0; n < packets.size(); ++n) {
      seed += packet_record(packets[n]);
      if (n < others.size()) seed += packet_record(others[n]);
    }
    found.insert(seed);
  }
  return found;
}

// Eight bytes of what the header says (segment_fuzz.cc), and the frame.
inline std::set<std::string> segment_seeds() {
  std::mt19937 random(81);
  std::set<std::string> found;
  for (int i = 0; i < 16; ++i) {
    test::Shape shape = test::random_shape(random);
    shape.data = test::random_bytes(random, 1 + random() % 400);
    const auto header = test::frame_header(shape, 1 + random() % 120);
    const auto frame = test::make_packet(shape, false);
    std::string seed{static_cast<char>(i % 5 == 0 ? 0 : shape.is_tcp ? 1 : 2), static_cast<char>(1)};
    for (const auto number : {header.segment_size, header.checksum_start, header.checksum_offset}) {
      seed += static_cast<char>(number >> 8);
      seed += static_cast<char>(number);
    }
    found.insert(seed.append(frame.begin(), frame.end()));
  }
  return found;
}

}  // namespace sixlink::fuzz
