// SPDX-License-Identifier: BSD-3-Clause
// The WireGuard part of an out lane.
#include "src/datapath/lane_sealer.h"

#include <array>

namespace sixlink::datapath {

bool LaneSealer::begin(const WireguardPeer& peer, std::size_t packets) {
  if (peer_ != &peer || keypair_ != peer.keypairs.current) {
    tell();
    peer_ = &peer;
    tag_ = peer.tag;
    keypair_ = peer.keypairs.current;
    activity_ = peer.activity;
  }
  if (!keypair_ || !activity_ || !keypair_->may_send(now_)) return false;
  const auto first = keypair_->reserve(packets);
  if (!first) return false;
  counter_ = *first;
  return true;
}

std::size_t LaneSealer::seal(const Segment& packet, std::size_t mtu, std::uint8_t* to) {
  const std::array<wireguard::Bytes, 2> pieces{packet.header, packet.data};
  const auto size =
      sealer_.seal(*keypair_, counter_++, pieces, wireguard::padded_size(packet.size(), mtu), to);
  if (size == 0) return 0;
  ++packets_;
  bytes_ += size;
  return size;
}

void LaneSealer::tell() {
  if (packets_ == 0) return;
  bool is_wanted = activity_->sent(now_, packets_, bytes_);
  if (keypair_->wants_rekey(now_) && activity_->ask_for_handshake()) is_wanted = true;
  packets_ = 0;
  bytes_ = 0;
  if (!is_wanted) return;
  LaneMessage message;
  message.kind = LaneMessage::Kind::kWake;
  message.tag = tag_;
  if (!mailbox_.post(message, {})) activity_->wake_failed();
}

void LaneSealer::settle() {
  tell();
  peer_ = nullptr;
  keypair_.reset();
  activity_.reset();
}

}  // namespace sixlink::datapath
