// SPDX-License-Identifier: BSD-3-Clause
// Getting the network's parameters from a neighbour that has newer ones, piece by piece. He may promise what
// he does not have: every pull ends.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "src/mesh/control_message.h"
#include "src/mesh/node.h"

namespace sixlink::mesh {

class ParametersPull {
 public:
  static constexpr std::size_t kPiecesAtOnce = 8;  // that one question is answered with
  static constexpr unsigned kTries = 5;
  static constexpr std::chrono::milliseconds kWait{500};

  ParametersPull(LinkId link, std::uint64_t version, TimePoint now)
      : link_(link), version_(version), due_(now) {}

  LinkId link() const { return link_; }
  std::uint64_t version() const { return version_; }
  TimePoint due() const { return due_; }
  // No answer to the last question yet, and that for too long.
  bool is_stuck() const { return tries_ > 1; }
  // At due(): the next question; nullopt: it is in vain.
  std::optional<ControlMessage> ask(TimePoint now);
  // What came. True: it is complete, bytes() is the document. A piece that is not asked for does nothing.
  bool take(const ControlMessage& piece, TimePoint now);
  const std::vector<std::uint8_t>& bytes() const { return bytes_; }

 private:
  std::size_t first_missing() const;

  LinkId link_;
  std::uint64_t version_;
  TimePoint due_;
  unsigned tries_ = 0;
  std::size_t asked_from_ = 0;  // a piece's number
  std::vector<std::uint8_t> bytes_;
  std::vector<bool> have_;  // pieces
};

// The pieces that a neighbour gets who asks for those from `offset` on. Empty: we do not have that.
std::vector<ControlMessage> parameters_pieces(std::uint64_t version, std::span<const std::uint8_t> document,
                                              std::size_t offset);

}  // namespace sixlink::mesh
