// SPDX-License-Identifier: BSD-3-Clause
// How control messages travel: in RUDP's framing, cut into parts where they are longer than a datagram may
// be. A part says which it is of how many, and shows the cookie that the receiver gave: what cannot answer at
// its address never gets as far as being put together.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/mesh/node.h"

namespace sixlink::mesh {

struct Part {
  static constexpr std::size_t kMost = 15;
  static constexpr std::size_t kLargest = 1100;  // of a message, in one part

  unsigned number = 1;  // from 1
  unsigned count = 1;
  std::uint64_t cookie = 0;
  std::string_view bytes;
};
// nullopt: the text is none.
std::optional<Part> parse_part(std::string_view text);
// Whole datagrams. Empty: the message is longer than kMost parts.
std::vector<std::vector<std::uint8_t>> make_parts(std::uint32_t sequence, std::uint32_t timestamp,
                                                  std::uint64_t cookie, std::string_view message);

// Puts messages together. Bounded in number and in time; whoever sends too many loses his own oldest first.
class Reassembler {
 public:
  static constexpr std::size_t kMostMessages = 32;
  static constexpr std::size_t kMostPerPath = 4;
  static constexpr std::chrono::seconds kLifetime{10};

  // The message, with its last part. A message that is sent again may be completed by either copy's parts.
  std::optional<std::string> add(const Path& from, std::uint32_t sequence, const Part& part, TimePoint now);
  std::size_t size() const { return messages_.size(); }

 private:
  struct Message {
    Path from;
    std::uint32_t sequence = 0;
    TimePoint begun;
    std::size_t missing = 0;
    std::vector<std::string> parts;
  };
  void make_room(const Path& from, TimePoint now);

  std::vector<Message> messages_;  // the oldest first
};

}  // namespace sixlink::mesh
