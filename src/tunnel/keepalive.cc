// SPDX-License-Identifier: BSD-3-Clause
// Proves that a tunnel carries packets.
#include "src/tunnel/keepalive.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

namespace sixlink::tunnel {
namespace {

constexpr std::chrono::milliseconds kSecondEcho{3000};

}  // namespace

Keepalive::Output Keepalive::tick(TimePoint now) {
  Output output;
  if (now < due_) return output;
  if (is_waiting_) {
    ++lost_;
    if (lost_ >= settings_.most_lost) {
      output.is_dead = true;
      due_ = TimePoint::max();
      return output;
    }
  }
  ++sequence_;
  is_waiting_ = true;
  sent_ = now;
  due_ = now + settings_.timeout;
  std::array<std::uint8_t, sizeof settings_.cookie> payload{};
  std::memcpy(payload.data(), &settings_.cookie, payload.size());
  output.echo = net::make_echo_request(settings_.source, settings_.destination, settings_.identifier,
                                       sequence_, payload);
  return output;
}

bool Keepalive::input(const net::Ipv6Header& header, std::span<const std::uint8_t> packet, TimePoint now) {
  if (header.source != settings_.destination || header.destination != settings_.source) return false;
  const auto reply = net::parse_echo_reply(header, packet);
  if (!reply || reply->identifier != settings_.identifier) return false;
  if (reply->payload.size() != sizeof settings_.cookie ||
      std::memcmp(reply->payload.data(), &settings_.cookie, sizeof settings_.cookie) != 0) {
    return false;
  }
  // An answer to an earlier echo proves the tunnel too, but not this round-trip time.
  if (is_waiting_ && reply->sequence == sequence_)
    rtt_ = std::chrono::duration_cast<std::chrono::microseconds>(now - sent_);
  last_reply_ = now;
  lost_ = 0;
  if (is_waiting_)
    due_ = now + (std::exchange(was_answered_, true) ? settings_.interval
                                                     : std::min(settings_.interval, kSecondEcho));
  is_waiting_ = false;
  return true;
}

void Keepalive::probe_soon(TimePoint now) {
  if (!is_waiting_) due_ = std::min(due_, now);
}

}  // namespace sixlink::tunnel
