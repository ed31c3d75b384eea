// SPDX-License-Identifier: BSD-3-Clause
#include "src/wireguard/keypair.h"

#include <utility>

namespace sixlink::wireguard {
namespace {

std::uint64_t next_serial() {
  static std::atomic<std::uint64_t> last{0};
  return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

}  // namespace

Keypair::Keypair(SecretKey send, SecretKey receive, std::uint32_t local_index, std::uint32_t remote_index,
                 Role role, TimePoint created)
    : send_(std::move(send)),
      receive_(std::move(receive)),
      created_(created),
      serial_(next_serial()),
      local_index_(local_index),
      remote_index_(remote_index),
      role_(role),
      is_confirmed_(role == Role::kInitiator) {}

std::optional<std::uint64_t> Keypair::reserve(std::uint64_t count) {
  // No fetch_add: near the end, refused reservations must not carry the counter over it.
  auto first = next_counter_.load(std::memory_order_relaxed);
  do {
    if (first >= kRejectAfterMessages || count > kRejectAfterMessages - first) return std::nullopt;
  } while (!next_counter_.compare_exchange_weak(first, first + count, std::memory_order_relaxed));
  return first;
}

}  // namespace sixlink::wireguard
