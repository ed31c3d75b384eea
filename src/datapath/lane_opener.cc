// SPDX-License-Identifier: BSD-3-Clause
// The WireGuard part of an in lane.
#include "src/datapath/lane_opener.h"

namespace sixlink::datapath {

LaneOpener::Opened LaneOpener::open(const WireguardSessions& sessions, const platform::Route& from,
                                    std::span<std::uint8_t> message) {
  Opened opened;
  const auto refuse = [&](Drop reason) {
    opened.drop = reason;
    return opened;
  };
  const auto header = wireguard::DataHeader::parse(message);
  if (!header) return refuse(Drop::kMalformed);
  if (!session_.peer || header->receiver != index_) {
    settle();
    index_ = header->receiver;
    session_ = sessions.find(index_);
    if (session_.peer) window_.emplace(*session_.keypair);
  }
  if (!session_.peer || !session_.keypair->may_receive(now_)) return refuse(Drop::kUnknownPeer);
  if (window_->is_refused(header->counter)) return refuse(Drop::kReplayed);
  const auto padded = opener_.open(*session_.keypair, message);
  if (!padded) return refuse(Drop::kForged);
  if (!window_->accept(header->counter)) return refuse(Drop::kReplayed);
  from_ = from;
  bytes_ += message.size();
  opened.sender = session_.peer->owner;
  if (padded->empty()) return opened;
  const auto packet = wireguard::without_padding(*padded);
  if (!packet) return refuse(Drop::kMalformed);
  ++packets_;
  opened.packet = *packet;
  return opened;
}

void LaneOpener::settle() {
  window_.reset();
  if (session_.peer && bytes_ > 0) {
    auto& peer = *session_.peer;
    auto& keypair = *session_.keypair;
    LaneMessage message;
    message.tag = peer.tag;
    message.route = from_;
    if (peer.endpoint.remote != from_.peer || peer.endpoint.local != from_.local) {
      message.kind = LaneMessage::Kind::kRoamed;
      mailbox_.post(message, {});  // in vain: the next batch says it again
    }
    message.kind = LaneMessage::Kind::kWake;
    bool is_wanted = peer.activity->received(now_, packets_, bytes_);
    if (keypair.wants_rekey_on_receipt(now_) && peer.activity->ask_for_handshake()) is_wanted = true;
    const bool is_confirmed = keypair.confirm();
    if ((is_wanted || is_confirmed) && !mailbox_.post(message, {})) {
      peer.activity->wake_failed();
      if (is_confirmed) keypair.confirm_failed();
    }
  }
  session_ = {};
  packets_ = 0;
  bytes_ = 0;
}

}  // namespace sixlink::datapath
