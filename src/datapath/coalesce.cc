// SPDX-License-Identifier: BSD-3-Clause
// Joins packets into frames. What may be joined is what Linux's GRO joins (net/ipv4/tcp_offload.c,
// udp_offload.c, af_inet.c say which) and what segment() cuts into the same packets again.
#include "src/datapath/coalesce.h"

#include <algorithm>
#include <cstring>

#include "src/datapath/checksum.h"
#include "src/datapath/transport_header.h"

namespace sixlink::datapath {
namespace {

constexpr std::uint16_t kNone = 0xffff;
// The table of flows: sets of a few, so that two flows seldom forget each other.
constexpr std::size_t kSlots = 256;
constexpr std::size_t kWays = 4;
// Pieces that a write takes are 1,024 (UIO_MAXIOV): the headers and some room.
constexpr std::size_t kTcpPackets = 1000;
constexpr std::size_t kMaximumHeader = kIpv6Header + 60;

// What of a flow's packets may change the order of things when it is not understood.
enum class Kind : std::uint8_t {
  kTcp,
  kUdp,
  kOther,   // no TCP or UDP: belongs to none of our flows
  kUnclear  // may belong to any of them: a fragment, or headers that we do not look behind
};

struct Parsed {
  const std::uint8_t* data = nullptr;
  std::uint32_t size = 0;
  Kind kind = Kind::kUnclear;
  bool is_v4 = false;
  bool is_joinable = false;  // looks like a part of a frame; its checksum has not been looked at
  std::uint16_t transport = 0;
  std::uint16_t header = 0;  // where the data begin
  std::uint32_t hash = 0;    // of the flow

  std::uint32_t payload() const { return size - header; }
  const std::uint8_t* upper() const { return data + transport; }
};

std::uint64_t load64(const std::uint8_t* at) {
  std::uint64_t value;
  std::memcpy(&value, at, sizeof value);
  return value;
}
// In the machine's byte order: to compare.
std::uint32_t raw32(const std::uint8_t* at) {
  std::uint32_t value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

// Packets of a hostile sender may collide as they like: then they are not joined.
std::uint32_t mix(std::uint64_t value) {
  value *= 0x9e3779b97f4a7c15;
  return static_cast<std::uint32_t>(value >> 40);
}

bool is_tcp_joinable(const Parsed& packet) {
  const std::uint8_t* const tcp = packet.upper();
  constexpr auto kUsual = static_cast<std::uint8_t>(kTcpAck | kTcpPsh | kTcpEce);
  return packet.header < packet.size && (tcp[kTcpFlags] & kTcpAck) != 0 && (tcp[kTcpFlags] & ~kUsual) == 0 &&
         (tcp[kTcpDataOffset] & 0xf) == 0;
}

bool is_udp_joinable(const Parsed& packet) {
  const std::uint8_t* const udp = packet.upper();
  return packet.header < packet.size && load16(udp + kUdpLength) == packet.size - packet.transport &&
         load16(udp + kUdpChecksum) != 0;
}

void parse_upper(Parsed& packet, std::uint8_t protocol) {
  const bool is_tcp = protocol == kProtocolTcp;
  const std::size_t least = is_tcp ? kTcpHeader : kUdpHeader;
  if (packet.transport + least > packet.size) return;
  const std::uint8_t* const upper = packet.upper();
  const std::size_t own = is_tcp ? (upper[kTcpDataOffset] >> 4) * 4U : kUdpHeader;
  if (own < least || packet.transport + own > packet.size) return;
  packet.header = static_cast<std::uint16_t>(packet.transport + own);
  packet.kind = is_tcp ? Kind::kTcp : Kind::kUdp;
  std::uint64_t flow = std::uint64_t{raw32(upper)} << 8 | protocol;
  if (packet.is_v4) {
    flow ^= load64(packet.data + kIpv4Addresses) * 0xff51afd7ed558ccd;
  } else {
    for (std::size_t i = 0; i < 4; ++i)
      flow = (flow ^ load64(packet.data + kIpv6Addresses + i * 8)) * 0xff51afd7ed558ccd;
  }
  packet.hash = mix(flow);
  packet.is_joinable = is_tcp ? is_tcp_joinable(packet) : is_udp_joinable(packet);
}

Parsed parse(std::span<const std::uint8_t> bytes) {
  Parsed packet{.data = bytes.data(), .size = static_cast<std::uint32_t>(bytes.size())};
  if (bytes.size() < kIpv4Header || bytes.size() > kMaximumFrame) return packet;
  const std::uint8_t* const data = packet.data;
  std::uint8_t protocol = 0;
  if (data[0] >> 4 == 4) {
    protocol = data[kIpv4Protocol];
    if (protocol != kProtocolTcp && protocol != kProtocolUdp) {
      packet.kind = Kind::kOther;
      return packet;
    }
    if (data[0] != 0x45 || load16(data + kIpv4TotalLength) != bytes.size() ||
        (load16(data + kIpv4Fragment) & ~kIpv4DontFragment) != 0) {
      return packet;
    }
    packet.is_v4 = true;
    packet.transport = kIpv4Header;
  } else if (data[0] >> 4 == 6 && bytes.size() >= kIpv6Header) {
    protocol = data[kIpv6NextHeader];
    if (protocol != kProtocolTcp && protocol != kProtocolUdp) {
      constexpr std::uint8_t kIcmpv6 = 58;
      if (protocol == kIcmpv6) packet.kind = Kind::kOther;
      return packet;
    }
    if (load16(data + kIpv6PayloadLength) + kIpv6Header != bytes.size()) return packet;
    packet.transport = kIpv6Header;
  } else {
    return packet;
  }
  parse_upper(packet, protocol);
  return packet;
}

bool is_same_flow(const Parsed& a, const Parsed& b) {
  if (a.kind != b.kind || a.is_v4 != b.is_v4 || raw32(a.upper()) != raw32(b.upper())) return false;
  return a.is_v4 ? load64(a.data + kIpv4Addresses) == load64(b.data + kIpv4Addresses)
                 : std::memcmp(a.data + kIpv6Addresses, b.data + kIpv6Addresses, 32) == 0;
}

// All of the IP header but lengths, identification and checksum.
bool has_same_ip_header(const Parsed& a, const Parsed& b) {
  if (a.is_v4) {
    return a.data[1] == b.data[1] && load16(a.data + kIpv4Fragment) == load16(b.data + kIpv4Fragment) &&
           a.data[kIpv4TimeToLive] == b.data[kIpv4TimeToLive];
  }
  return raw32(a.data) == raw32(b.data) && a.data[7] == b.data[7];
}

// All of the TCP header but sequence number, PSH and checksum.
bool has_same_tcp_header(const Parsed& a, const Parsed& b) {
  if (a.header != b.header) return false;
  const std::uint8_t* const x = a.upper();
  const std::uint8_t* const y = b.upper();
  return raw32(x + kTcpAcknowledgement) == raw32(y + kTcpAcknowledgement) &&
         ((x[kTcpFlags] ^ y[kTcpFlags]) & ~kTcpPsh) == 0 &&
         load16(x + kTcpWindow) == load16(y + kTcpWindow) &&
         load16(x + kTcpUrgent) == load16(y + kTcpUrgent) &&
         std::memcmp(x + kTcpHeader, y + kTcpHeader, a.header - a.transport - kTcpHeader) == 0;
}

// Of both headers: what we make of a wrong one would be right.
bool has_right_checksums(const Parsed& packet) {
  const bool is_tcp = packet.kind == Kind::kTcp;
  const std::uint8_t* const upper = packet.upper();
  const std::size_t length = packet.size - packet.transport;
  // The other zero is right too, but not the one that comes out when the frame is cut (of UDP it is).
  if (is_tcp && load16(upper + kTcpChecksum) == 0xffff) return false;
  if (packet.is_v4 &&
      (load16(packet.data + kIpv4Checksum) == 0xffff || !is_right_sum(sum_bytes(packet.data, kIpv4Header)))) {
    return false;
  }
  return is_right_sum(
      sum_bytes(upper, length, pseudo_header_sum(packet.data, is_tcp ? kProtocolTcp : kProtocolUdp, length)));
}

struct Node {
  const std::uint8_t* data;
  std::uint32_t size;
  std::uint16_t next;
};

enum class Identification : std::uint8_t { kUnknown, kGrowing, kFixed };

struct Collected {
  Parsed first;
  std::uint32_t size = 0;      // of the frame
  std::uint32_t sequence = 0;  // of the next TCP segment
  std::uint16_t packets = 0;
  std::uint16_t head = kNone;
  std::uint16_t tail = kNone;
  std::uint16_t next_identification = 0;
  Identification identification = Identification::kUnknown;
  bool is_open = false;      // another packet may follow
  bool is_verified = false;  // the first packet's checksum
  bool has_psh = false;      // the last packet
};

}  // namespace

struct Coalescer::State {
  CoalesceOptions options;
  std::size_t nodes = 0;
  std::size_t frames = 0;
  std::array<std::uint16_t, kSlots> slots;  // the last frame of a flow
  std::array<Node, kPackets> node;
  std::array<Collected, kPackets> frame;
  std::array<std::uint8_t, kMaximumHeader> header;
  std::array<iovec, kTcpPackets + 1> pieces;

  bool is_wanted(const Parsed& packet) const {
    return packet.is_joinable && (packet.kind == Kind::kTcp ? options.tcp : options.udp);
  }
  // The slot of the packet's flow, or one to take for it.
  std::uint16_t& slot_of(const Parsed& packet);
  void append(const Parsed& packet, bool is_open);
  // Whether the packet may become the next of the frame, its checksum aside.
  bool continues(const Collected& into, const Parsed& packet) const;
  bool continues_identification(const Collected& into, const Parsed& packet) const;
  bool try_join(Collected& into, const Parsed& packet);
};

std::uint16_t& Coalescer::State::slot_of(const Parsed& packet) {
  std::uint16_t* const set = &slots[packet.hash % (kSlots / kWays) * kWays];
  std::uint16_t* oldest = set;
  for (std::size_t i = 0; i < kWays; ++i) {
    if (set[i] == kNone) return set[i];
    if (is_same_flow(frame[set[i]].first, packet)) return set[i];
    if (set[i] < *oldest) oldest = &set[i];
  }
  *oldest = kNone;
  return *oldest;
}

void Coalescer::State::append(const Parsed& packet, bool is_open) {
  const auto node_index = static_cast<std::uint16_t>(nodes++);
  node[node_index] = {packet.data, packet.size, kNone};
  Collected& made = frame[frames++];
  made = Collected{};
  made.first = packet;
  made.size = packet.size;
  made.packets = 1;
  made.head = made.tail = node_index;
  made.is_open = is_open;
  if (!is_open) return;
  if (packet.kind == Kind::kTcp) {
    made.sequence = load32(packet.upper() + kTcpSequence) + packet.payload();
    // Pushed data is the last of a frame.
    if ((packet.upper()[kTcpFlags] & kTcpPsh) != 0) made.is_open = false;
  }
  if (packet.is_v4)
    made.next_identification = static_cast<std::uint16_t>(load16(packet.data + kIpv4Identification) + 1);
}

// Those that may be fragmented are numbered; of the others some senders leave the number alone (RFC 6864).
bool Coalescer::State::continues_identification(const Collected& into, const Parsed& packet) const {
  const auto found = load16(packet.data + kIpv4Identification);
  if (found == into.next_identification && into.identification != Identification::kFixed) return true;
  const bool is_atomic = (load16(packet.data + kIpv4Fragment) & kIpv4DontFragment) != 0;
  return is_atomic && into.identification != Identification::kGrowing &&
         found == load16(into.first.data + kIpv4Identification);
}

bool Coalescer::State::continues(const Collected& into, const Parsed& packet) const {
  const std::uint32_t payload = packet.payload();
  if (!into.is_open || payload > into.first.payload() || into.size + payload > kMaximumFrame ||
      !has_same_ip_header(into.first, packet)) {
    return false;
  }
  if (packet.is_v4 && !continues_identification(into, packet)) return false;
  if (packet.kind == Kind::kUdp) return into.packets < kUdpPackets;
  return into.packets < kTcpPackets && load32(packet.upper() + kTcpSequence) == into.sequence &&
         has_same_tcp_header(into.first, packet);
}

bool Coalescer::State::try_join(Collected& into, const Parsed& packet) {
  if (!continues(into, packet)) return false;
  // Looked at once a second packet comes: what stays alone is verified by its receiver.
  if (!into.is_verified && !has_right_checksums(into.first)) return false;
  into.is_verified = true;
  if (!has_right_checksums(packet)) return false;

  const auto node_index = static_cast<std::uint16_t>(nodes++);
  node[node_index] = {packet.data, packet.size, kNone};
  node[into.tail].next = node_index;
  into.tail = node_index;
  ++into.packets;
  into.size += packet.payload();
  if (packet.payload() < into.first.payload()) into.is_open = false;
  if (packet.kind == Kind::kTcp) {
    into.sequence += packet.payload();
    into.has_psh = (packet.upper()[kTcpFlags] & kTcpPsh) != 0;
    if (into.has_psh) into.is_open = false;
  }
  if (packet.is_v4) {
    const auto found = load16(packet.data + kIpv4Identification);
    into.identification =
        found == into.next_identification ? Identification::kGrowing : Identification::kFixed;
    into.next_identification = static_cast<std::uint16_t>(found + 1);
  }
  return true;
}

Coalescer::Coalescer(const CoalesceOptions& options) : state_(std::make_unique<State>()) {
  state_->options = options;
  clear();
}
Coalescer::Coalescer(Coalescer&&) noexcept = default;
Coalescer& Coalescer::operator=(Coalescer&&) noexcept = default;
Coalescer::~Coalescer() = default;

bool Coalescer::add(std::span<const std::uint8_t> bytes) {
  State& state = *state_;
  if (state.nodes == kPackets) return false;
  const Parsed packet = parse(bytes);
  if (packet.kind == Kind::kOther) {
    state.append(packet, false);
    return true;
  }
  if (packet.kind == Kind::kUnclear) {
    state.slots.fill(kNone);
    state.append(packet, false);
    return true;
  }
  // Only the last frame of a flow grows. One that is forgotten, as others take its set, does not.
  std::uint16_t& slot = state.slot_of(packet);
  const bool is_wanted = state.is_wanted(packet);
  if (is_wanted && slot != kNone && state.try_join(state.frame[slot], packet)) return true;
  slot = static_cast<std::uint16_t>(state.frames);
  state.append(packet, is_wanted);
  return true;
}

std::size_t Coalescer::frames() const {
  return state_->frames;
}

Coalescer::Frame Coalescer::frame(std::size_t i) {
  State& state = *state_;
  const Collected& made = state.frame[i];
  // The system call does not write through it.
  const auto piece = [](const std::uint8_t* data, std::size_t size) {
    return iovec{const_cast<std::uint8_t*>(data), size};
  };
  if (made.packets == 1) {
    state.pieces[0] = piece(made.first.data, made.size);
    return {{}, {state.pieces.data(), 1}, made.size, 1};
  }
  const Parsed& first = made.first;
  const bool is_tcp = first.kind == Kind::kTcp;
  std::uint8_t* const header = state.header.data();
  std::uint8_t* const upper = header + first.transport;
  std::memcpy(header, first.data, first.header);
  if (first.is_v4) {
    store16(header + kIpv4TotalLength, made.size);
    store16(header + kIpv4Checksum, 0);
    store_checksum(header + kIpv4Checksum, sum_bytes(header, kIpv4Header));
  } else {
    store16(header + kIpv6PayloadLength, made.size - kIpv6Header);
  }
  const std::size_t length = made.size - first.transport;
  if (is_tcp && made.has_psh) upper[kTcpFlags] |= kTcpPsh;
  if (!is_tcp) store16(upper + kUdpLength, length);
  const std::size_t checksum = is_tcp ? kTcpChecksum : kUdpChecksum;
  store_sum(upper + checksum,
            fold_sum(pseudo_header_sum(header, is_tcp ? kProtocolTcp : kProtocolUdp, length)));

  state.pieces[0] = {header, first.header};
  std::size_t count = 1;
  for (std::uint16_t at = made.head; at != kNone; at = state.node[at].next)
    state.pieces[count++] = piece(state.node[at].data + first.header, state.node[at].size - first.header);
  Frame frame;
  frame.header.segmentation = is_tcp ? Segmentation::kTcp : Segmentation::kUdp;
  frame.header.needs_checksum = true;
  frame.header.has_fixed_id = made.identification == Identification::kFixed;
  frame.header.segment_size = static_cast<std::uint16_t>(first.payload());
  frame.header.header_length = first.header;
  frame.header.checksum_start = first.transport;
  frame.header.checksum_offset = static_cast<std::uint16_t>(checksum);
  frame.pieces = {state.pieces.data(), count};
  frame.size = made.size;
  frame.packets = made.packets;
  return frame;
}

void Coalescer::clear() {
  state_->nodes = 0;
  state_->frames = 0;
  state_->slots.fill(kNone);
}

}  // namespace sixlink::datapath
