// SPDX-License-Identifier: BSD-3-Clause
// TSP's reliable UDP.
#include "src/tsp/rudp.h"

#include <openssl/crypto.h>

#include <algorithm>

namespace sixlink::tsp {
namespace {

using std::chrono::duration_cast;
using std::chrono::milliseconds;

// Ours: one second (RFC 6298 section 2.1) at first and at least, so that a lost datagram costs less than with
// the deployed clients' 2 s; servers answer each copy.
constexpr milliseconds kMinRto{1000};
constexpr milliseconds kMaxRto{30000};
// As deployed clients: a server that never answered is given up after 6 s, one that did after 8 sends or 66
// s.
constexpr milliseconds kSilentServer{6000};
constexpr milliseconds kAnsweringServer{66000};
constexpr unsigned kMaxSends = 8;

std::uint32_t get32(Bytes bytes, std::size_t at) {
  return static_cast<std::uint32_t>(bytes[at]) << 24 | static_cast<std::uint32_t>(bytes[at + 1]) << 16 |
         static_cast<std::uint32_t>(bytes[at + 2]) << 8 | static_cast<std::uint32_t>(bytes[at + 3]);
}

void put32(std::vector<std::uint8_t>& bytes, std::size_t at, std::uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) bytes[at++] = static_cast<std::uint8_t>(value >> shift);
}

}  // namespace

std::optional<RudpMessage> parse_rudp(Bytes datagram) {
  if (!is_rudp(datagram)) return std::nullopt;
  const auto payload = datagram.subspan(RudpHeader::kSize);
  return RudpMessage{{get32(datagram, 0), get32(datagram, 4)},
                     std::string_view(reinterpret_cast<const char*>(payload.data()), payload.size())};
}

std::vector<std::uint8_t> make_rudp(const RudpHeader& header, std::string_view text) {
  std::vector<std::uint8_t> datagram(RudpHeader::kSize + text.size());
  put32(datagram, 0, header.sequence);
  put32(datagram, 4, header.timestamp);
  std::ranges::copy(text, datagram.begin() + RudpHeader::kSize);
  return datagram;
}

std::vector<std::uint8_t> RudpClient::transmit(TimePoint now) {
  ++sends_;
  const auto timestamp = duration_cast<milliseconds>(now - start_).count();
  const auto limit = first_sent_ + (was_answered_ ? kAnsweringServer : kSilentServer);
  deadline_ = std::min(now + rto_, limit);
  return make_rudp({sequence_, static_cast<std::uint32_t>(timestamp)}, text_);
}

std::vector<std::uint8_t> RudpClient::send(std::string_view text, TimePoint now) {
  sequence_ = next_sequence_;
  // The high nibble marks control and must survive any number of messages.
  next_sequence_ = 0xF0000000 | ((next_sequence_ + 1) & 0x0FFFFFFF);
  text_ = text;
  is_waiting_ = true;
  sends_ = 0;
  ++messages_;
  first_sent_ = now;
  rto_ = was_answered_ ? std::clamp(srtt_ + 4 * rttvar_, kMinRto, kMaxRto) : kMinRto;
  return transmit(now);
}

RudpClient::Event RudpClient::input(Bytes datagram, TimePoint now) {
  const auto message = parse_rudp(datagram);
  if (!message || !is_waiting_ || message->header.sequence != sequence_) return {};
  // The echoed timestamp tells which copy was answered, so a retransmitted message gives a sample too (unlike
  // Karn's rule).
  const auto elapsed = duration_cast<milliseconds>(now - start_).count();
  const auto sample = milliseconds(static_cast<std::uint32_t>(elapsed) - message->header.timestamp);
  if (sample >= milliseconds(0) && sample <= kAnsweringServer) {
    if (!was_answered_) {
      srtt_ = sample;
      rttvar_ = sample / 2;
    } else {
      const auto error = sample > srtt_ ? sample - srtt_ : srtt_ - sample;
      rttvar_ = (3 * rttvar_ + error) / 4;
      srtt_ = (7 * srtt_ + sample) / 8;
    }
  }
  was_answered_ = true;
  is_waiting_ = false;
  // It may have been a password.
  OPENSSL_cleanse(text_.data(), text_.size());
  deadline_ = TimePoint::max();
  return {Event::Kind::kReply, message->text, {}};
}

RudpClient::Event RudpClient::tick(TimePoint now) {
  if (!is_waiting_ || now < deadline_) return {};
  const auto limit = first_sent_ + (was_answered_ ? kAnsweringServer : kSilentServer);
  if (now >= limit || sends_ >= kMaxSends) {
    is_waiting_ = false;
    deadline_ = TimePoint::max();
    return {Event::Kind::kTimeout, {}, {}};
  }
  rto_ = std::min(2 * rto_, kMaxRto);
  return {Event::Kind::kRetransmit, {}, transmit(now)};
}

RudpServerPeer::Disposition RudpServerPeer::classify(std::uint32_t sequence) const {
  if (!has_message_) return Disposition::kNew;
  if (sequence == sequence_) return is_pending_ ? Disposition::kPending : Disposition::kRepeated;
  // 28-bit serial arithmetic behind the marking nibble.
  const auto ahead = (sequence - sequence_) & 0x0FFFFFFF;
  return ahead < 0x08000000 ? Disposition::kNew : Disposition::kStale;
}

void RudpServerPeer::begin(std::uint32_t sequence) {
  has_message_ = true;
  is_pending_ = true;
  sequence_ = sequence;
}

void RudpServerPeer::answered(std::string reply) {
  is_pending_ = false;
  // A short one that is moved would leave the long one's memory with the session.
  reply_.swap(reply);
}

}  // namespace sixlink::tsp
