// SPDX-License-Identifier: BSD-3-Clause
#include "src/wireguard/peer.h"

#include <algorithm>

namespace sixlink::wireguard {

TimePoint Peer::reply_overdue_at() const {
  const auto since = activity->reply_awaited_since();
  return since == Activity::kNever ? kNever
                                   : Activity::time_of(since) + kKeepaliveTimeout + kRekeyTimeout + jitter;
}

TimePoint Peer::keepalive_at() const {
  const auto since = activity->keepalive_owed_since();
  return since == Activity::kNever ? kNever : Activity::time_of(since) + kKeepaliveTimeout;
}

TimePoint Peer::persistent_keepalive_at() const {
  if (persistent_keepalive.count() == 0 || !endpoint.is_known()) return kNever;
  const auto last = Activity::time_of(std::max(activity->last_sent(), activity->last_received()));
  return std::max(last, last_persistent_keepalive) + persistent_keepalive;
}

TimePoint Peer::deadline() const {
  return std::min(
      {retransmit_at, zero_keys_at, reply_overdue_at(), keepalive_at(), persistent_keepalive_at()});
}

void Peer::stage(Bytes packet) {
  if (staged.size() >= kMostStagedPackets) staged.erase(staged.begin());
  staged.emplace_back(packet.begin(), packet.end());
}

}  // namespace sixlink::wireguard
