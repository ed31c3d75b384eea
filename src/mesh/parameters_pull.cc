// SPDX-License-Identifier: BSD-3-Clause
#include "src/mesh/parameters_pull.h"

#include <algorithm>

namespace sixlink::mesh {
namespace {

constexpr std::size_t kPiece = ControlMessage::kLargestPiece;

}  // namespace

std::optional<ControlMessage> ParametersPull::ask(TimePoint now) {
  if (tries_ == kTries) return std::nullopt;
  ++tries_;
  due_ = now + kWait;
  asked_from_ = first_missing();
  ControlMessage question;
  question.kind = ControlKind::kAskParameters;
  question.version = version_;
  question.offset = asked_from_ * kPiece;
  return question;
}

bool ParametersPull::take(const ControlMessage& piece, TimePoint now) {
  if (piece.version != version_ || piece.size == 0 || piece.offset % kPiece != 0) return false;
  if (piece.bytes.size() != std::min(kPiece, piece.size - piece.offset)) return false;
  if (have_.empty()) {
    bytes_.resize(piece.size);
    have_.resize((piece.size + kPiece - 1) / kPiece);
  }
  const auto number = piece.offset / kPiece;
  if (piece.size != bytes_.size() || have_[number]) return false;
  have_[number] = true;
  std::ranges::copy(piece.bytes, bytes_.begin() + static_cast<std::ptrdiff_t>(piece.offset));
  tries_ = 0;
  const auto missing = first_missing();
  if (missing == have_.size()) return true;
  // The last of those that one question brings: on with the next.
  due_ = missing >= asked_from_ + kPiecesAtOnce ? now : now + kWait;
  return false;
}

std::size_t ParametersPull::first_missing() const {
  return static_cast<std::size_t>(std::ranges::find(have_, false) - have_.begin());
}

std::vector<ControlMessage> parameters_pieces(std::uint64_t version, std::span<const std::uint8_t> document,
                                              std::size_t offset) {
  std::vector<ControlMessage> pieces;
  if (offset % kPiece != 0) return pieces;
  while (offset < document.size() && pieces.size() < ParametersPull::kPiecesAtOnce) {
    const auto bytes = document.subspan(offset, std::min(kPiece, document.size() - offset));
    ControlMessage piece;
    piece.kind = ControlKind::kParameters;
    piece.version = version;
    piece.size = document.size();
    piece.offset = offset;
    piece.bytes.assign(bytes.begin(), bytes.end());
    pieces.push_back(std::move(piece));
    offset += bytes.size();
  }
  return pieces;
}

}  // namespace sixlink::mesh
