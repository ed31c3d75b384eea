// SPDX-License-Identifier: BSD-3-Clause
// Proves that a tunnel carries packets.
#include "src/tunnel/keepalive.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace sixlink::tunnel {
namespace {

constexpr std::chrono::milliseconds kSecondEcho{3000};

}  // namespace

Keepalive::Output Keepalive::tick(TimePoint now) {
  Output output;
  if (now < due_) return output;
  if (is_waiting_ && now >= asked_ + timeout()) {
    ++lost_;
    is_waiting_ = false;
    if (lost_ >= settings_.most_lost) {
      if (!settings_.may_be_mute || was_answered_) {
        output.is_dead = true;
        due_ = TimePoint::max();
        return output;
      }
      lost_ = 0;
      due_ = now + settings_.interval;
      return output;
    }
  }
  if (!is_waiting_) asked_ = now;
  is_waiting_ = true;
  ++sequence_;
  sent_ = now;
  due_ = next_echo();
  output.echo = EchoMessage{settings_.identifier, sequence_, settings_.cookie, 0};
  return output;
}

bool Keepalive::input(const net::EchoReply& reply, TimePoint now) {
  if (reply.identifier != settings_.identifier || reply.payload.size() != sizeof settings_.cookie ||
      std::memcmp(reply.payload.data(), &settings_.cookie, sizeof settings_.cookie) != 0) {
    return false;
  }
  // An answer to an earlier echo proves the tunnel too, but not this round-trip time.
  if (is_waiting_ && reply.sequence == sequence_)
    rtt_ = std::chrono::duration_cast<std::chrono::microseconds>(now - sent_);
  last_reply_ = now;
  lost_ = 0;
  if (is_waiting_)
    due_ = now + (std::exchange(was_answered_, true) ? settings_.interval
                                                     : std::min(settings_.interval, kSecondEcho));
  is_waiting_ = false;
  is_impatient_ = false;
  unanswered_since_.reset();
  return true;
}

void Keepalive::observe(std::uint64_t packets_in, std::uint64_t packets_out, TimePoint now) {
  const bool has_received = packets_in != std::exchange(packets_in_, packets_in);
  const bool has_sent = packets_out != std::exchange(packets_out_, packets_out);
  if (has_received) {
    unanswered_since_.reset();
  } else if (has_sent && !unanswered_since_) {
    unanswered_since_ = now;
  }
  if (!unanswered_since_ || now - *unanswered_since_ < settings_.suspicion || is_impatient_) return;
  if (settings_.may_be_mute && !was_answered_) return;
  is_impatient_ = true;
  due_ = is_waiting_ ? next_echo() : std::min(due_, now);
}

void Keepalive::probe_soon(TimePoint now) {
  is_impatient_ = !settings_.may_be_mute || was_answered_;
  due_ = is_waiting_ ? next_echo() : std::min(due_, now);
}

}  // namespace sixlink::tunnel
