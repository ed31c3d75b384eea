// SPDX-License-Identifier: BSD-3-Clause
// Collects datagrams into super datagrams.
#include "platform/posix/send_batch.h"

#include <algorithm>
#include <cstring>

namespace sixlink::platform {
namespace {

constexpr std::size_t kFewestDatagrams = 16;

bool is_same_endpoint(const boost::asio::ip::udp::endpoint& a, const boost::asio::ip::udp::endpoint& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size()) == 0;
}

bool is_same_route(const Route& a, const Route& b) {
  return a.traffic_class == b.traffic_class && is_same_endpoint(a.peer, b.peer) && a.local == b.local;
}

}  // namespace

SendBatch::SendBatch(std::size_t datagrams) : scratch_(std::make_unique<Scratch>()) {
  datagrams = std::max(datagrams, kFewestDatagrams);
  scratch_->messages.resize(datagrams);
  scratch_->pieces.resize(datagrams * 2);
}
SendBatch::SendBatch(SendBatch&&) noexcept = default;
SendBatch& SendBatch::operator=(SendBatch&&) noexcept = default;
SendBatch::~SendBatch() = default;

bool SendBatch::add(const Route& to, std::span<const std::uint8_t> datagram) {
  const iovec piece{const_cast<std::uint8_t*>(datagram.data()), datagram.size()};
  return add(to, {&piece, 1});
}

bool SendBatch::add(const Route& to, std::span<const iovec> pieces) {
  Scratch& scratch = *scratch_;
  if (pieces.size() > kMaximumPieces || piece_count_ + pieces.size() > scratch.pieces.size()) return false;
  std::size_t size = 0;
  for (const iovec& piece : pieces) size += piece.iov_len;

  Message* message = message_count_ > 0 ? &scratch.messages[message_count_ - 1] : nullptr;
  const bool follows =
      message != nullptr && !message->is_closed && size != 0 && size <= message->segment_size &&
      message->datagrams < kMaximumSegments && message->size + size <= kMaximumSuperDatagram &&
      message->pieces + pieces.size() <= Scratch::kMostPieces && is_same_route(message->route, to);
  if (follows) {
    message->is_closed = size < message->segment_size;
  } else {
    if (message_count_ == scratch.messages.size()) return false;
    message = &scratch.messages[message_count_++];
    message->route = to;
    message->first_piece = static_cast<std::uint32_t>(piece_count_);
    message->pieces = 0;
    message->size = 0;
    message->segment_size = static_cast<std::uint32_t>(size);
    message->datagrams = 0;
    message->is_closed = false;
  }
  for (const iovec& piece : pieces) {
    if (message->pieces > 0) {
      iovec& last = scratch.pieces[piece_count_ - 1];
      if (static_cast<std::uint8_t*>(last.iov_base) + last.iov_len == piece.iov_base) {
        last.iov_len += piece.iov_len;
        continue;
      }
    }
    scratch.pieces[piece_count_++] = piece;
    ++message->pieces;
  }
  message->size += static_cast<std::uint32_t>(size);
  ++message->datagrams;
  ++datagrams_;
  return true;
}

void SendBatch::clear() {
  message_count_ = 0;
  piece_count_ = 0;
  datagrams_ = 0;
}

SendBatch::Scratch::Refusal& SendBatch::Scratch::refusal_of(const boost::asio::ip::udp::endpoint& peer) {
  std::uint32_t hash = 2166136261;  // FNV-1a
  const auto* bytes = reinterpret_cast<const unsigned char*>(peer.data());
  for (std::size_t i = 0; i < peer.size(); ++i) hash = (hash ^ bytes[i]) * 16777619;
  return refusals[(hash ^ hash >> 16) % kRefusals];
}

bool SendBatch::Scratch::may_segment(const Message& message) {
  Refusal& refusal = refusal_of(message.route.peer);
  if (refusal.uses_left == 0 || message.segment_size < refusal.segment_size ||
      !is_same_endpoint(refusal.peer, message.route.peer)) {
    return true;
  }
  --refusal.uses_left;
  return false;
}

void SendBatch::Scratch::remember_refusal(const Message& message, std::size_t from_segment_size) {
  refusal_of(message.route.peer) = {message.route.peer, static_cast<std::uint32_t>(from_segment_size),
                                    kRefusalUses};
}

}  // namespace sixlink::platform
