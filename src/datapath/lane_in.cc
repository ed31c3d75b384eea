// SPDX-License-Identifier: BSD-3-Clause
// From the outer sockets to the interface.
#include "src/datapath/lane_in.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "src/datapath/joined_packets.h"
#include "src/datapath/mss.h"
#include "src/net/ecn.h"

namespace sixlink::datapath {
namespace {

// Super datagrams that one call receives: their data should still be in the cache when they are written, and
// the first of them does not wait long for the last.
constexpr std::size_t kBatch = 8;
constexpr std::size_t kSmallBatch = 2;
constexpr std::size_t kBufferSize = 65536;

// The kernel has checked the header of what a raw socket receives; its total length is in the host's order on
// some systems.
std::size_t ipv4_header_length(std::span<const std::uint8_t> datagram) {
  return datagram.empty() ? 0 : static_cast<std::size_t>(datagram[0] & 0xf) * 4;
}

CoalesceOptions options_of(const platform::Offloads& granted) {
  return {granted.tun_tcp, granted.tun_udp};
}

// Of a packet's addresses, and ports where they are at hand: enough to keep a flow on one queue.
std::size_t flow_of(const iovec& head) {
  const auto* bytes = static_cast<const std::uint8_t*>(head.iov_base);
  const bool is_v6 = head.iov_len > 0 && bytes[0] >> 4 == 6;
  const std::size_t from = is_v6 ? 8 : 12;
  const std::size_t end = std::min<std::size_t>(head.iov_len, is_v6 ? 44 : 24);
  std::size_t hash = 2166136261U;  // FNV-1a
  for (std::size_t at = from; at < end; ++at) hash = (hash ^ bytes[at]) * 16777619U;
  return hash ^ hash >> 16;
}

}  // namespace

InLane::InLane(std::vector<Source> sources, std::vector<platform::TunQueue*> queues, LanePolicy& policy,
               LaneMailbox& mailbox, std::size_t mtu, LaneRoom room)
    : sources_(std::move(sources)),
      queues_(std::move(queues)),
      policy_(policy),
      mailbox_(mailbox),
      mtu_(mtu),
      cuts_tcp_(queues_.front()->granted().tun_tcp),
      batch_(room == LaneRoom::kSmall ? kSmallBatch : kBatch, kBufferSize),
      coalescer_(options_of(queues_.front()->granted())) {
  if (policy.sessions()) opener_.emplace(mailbox);
}

std::vector<int> InLane::descriptors() const {
  std::vector<int> descriptors;
  for (const auto& source : sources_) descriptors.push_back(source.socket->fd());
  return descriptors;
}

LaneThread::Turn InLane::turn(std::size_t i) {
  if (has_failed_) return LaneThread::Turn::kEnded;
  const auto& source = sources_[i];
  const auto error = source.socket->receive(batch_);
  if (error) {
    mailbox_.post_receive_error(error.value());
    return LaneThread::Turn::kEmpty;
  }
  {
    Lock lock(mutex_);
    memory_.forget();
    if (opener_) opener_->set_time(wireguard::Clock::now());
    for (auto& entry : batch_.entries()) take(source, entry, lock);
    if (opener_) opener_->settle();
  }
  write_frames();
  if (has_failed_) return LaneThread::Turn::kEnded;
  return batch_.size() == batch_.capacity() ? LaneThread::Turn::kMore : LaneThread::Turn::kEmpty;
}

void InLane::input(const platform::Route& route, std::span<std::uint8_t> packet) {
  if (has_failed_) return;
  {
    Lock lock(mutex_);
    memory_.forget();
    const auto& source = sources_.front();
    if (pass(source, policy_.find_sender(source.number, route), route, packet)) add(packet, lock);
  }
  write_frames();
}

void InLane::take(const Source& source, platform::ReceiveBatch::Entry& entry, Lock& lock) {
  const std::span<std::uint8_t> all(entry.data, entry.size);
  if (entry.is_truncated) {
    // Larger than any packet, and perhaps cut within one.
    if (source.encapsulation == Encapsulation::kUdp && policy_.is_control(all)) {
      take_control(source, entry.route, {}, true);
    } else {
      counters_.drop(Drop::kTooBig);
    }
    return;
  }
  if (source.encapsulation != Encapsulation::kUdp) {
    take_raw(source, entry.route, all, lock);
    return;
  }
  LanePeer* sender = nullptr;
  bool is_looked_up = false;
  std::size_t at = 0;
  do {
    const auto datagram =
        all.subspan(at, entry.segment_size == 0 ? all.size() : std::min(entry.segment_size, all.size() - at));
    at += std::max<std::size_t>(datagram.size(), 1);
    if (opener_ && LaneOpener::is_data(datagram)) {
      take_sealed(source, entry.route, datagram, lock);
      continue;
    }
    if (policy_.is_control(datagram)) {
      take_control(source, entry.route, datagram, false);
      continue;
    }
    if (!std::exchange(is_looked_up, true)) sender = policy_.find_sender(source.number, entry.route);
    if (pass(source, sender, entry.route, datagram)) add(datagram, lock);
  } while (at < all.size());
}

void InLane::take_raw(const Source& source, const platform::Route& route, std::span<std::uint8_t> packet,
                      Lock& lock) {
  if (source.encapsulation == Encapsulation::kIpv6InIpv4)
    packet = packet.subspan(std::min(ipv4_header_length(packet), packet.size()));
  auto* sender = policy_.find_sender(source.number, route);
  JoinedPackets packets(packet, mtu_);
  // Pieces are made one over the other, so each has to be written before the next.
  const auto write_alone = [&](const FrameHeader& header, std::span<std::uint8_t> bytes) {
    lock.unlock();
    write_frames();
    const iovec piece{bytes.data(), bytes.size()};
    write(header, {&piece, 1}, 1);
    lock.lock();
    memory_.forget();
  };
  if (cuts_tcp_) {
    if (const auto header = packets.frame()) {
      if (pass(source, sender, route, packet)) write_alone(*header, packet);
      return;
    }
  }
  const bool is_joined = packets.is_joined();
  while (const auto one = packets.next()) {
    if (!pass(source, sender, route, *one)) continue;
    if (is_joined) {
      write_alone({}, *one);
    } else {
      add(*one, lock);
    }
  }
}

void InLane::take_sealed(const Source& source, const platform::Route& route, std::span<std::uint8_t> datagram,
                         Lock& lock) {
  const auto opened = opener_->open(*policy_.sessions(), route, datagram);
  if (opened.drop) {
    counters_.drop(*opened.drop);
  } else if (!opened.packet.empty() && pass(source, opened.sender, route, opened.packet)) {
    add(opened.packet, lock);
  }
}

void InLane::take_control(const Source& source, const platform::Route& route,
                          std::span<std::uint8_t> datagram, bool is_truncated) {
  LaneMessage message;
  message.kind = LaneMessage::Kind::kDatagram;
  message.is_truncated = is_truncated;
  message.socket = static_cast<std::uint16_t>(source.number);
  message.route = route;
  if (!mailbox_.post(message, datagram)) counters_.drop(Drop::kControl);
}

bool InLane::pass(const Source& source, LanePeer* sender, const platform::Route& route,
                  std::span<std::uint8_t> packet) {
  if (!sender) {
    counters_.drop(Drop::kUnknownPeer);
    return false;
  }
  const bool is_known = sender == last_sender_ && memory_.is_like(packet);
  if (!is_known && !ask(source, *sender, route, packet)) return false;
  if (!net::decapsulate_ecn(packet, route.traffic_class)) {
    counters_.drop(Drop::kCongestion);
    return false;
  }
  ++passed_packets_;
  passed_bytes_ += packet.size();
  clamp_mss(packet, last_mtu_);
  return true;
}

bool InLane::ask(const Source& source, LanePeer& sender, const platform::Route& route,
                 std::span<const std::uint8_t> packet) {
  memory_.forget();
  const auto arrival = policy_.arrive(sender, packet);
  LaneMessage message;
  message.socket = static_cast<std::uint16_t>(source.number);
  message.route = route;
  if (arrival.drop) {
    counters_.drop(*arrival.drop);
    message.kind = LaneMessage::Kind::kError;
    if (arrival.error) mailbox_.post(message, arrival.error->bytes());
    return false;
  }
  last_sender_ = &sender;
  last_mtu_ = arrival.mtu;
  if (arrival.is_watched || arrival.is_taken) {
    message.kind = LaneMessage::Kind::kPacket;
    if (!mailbox_.post(message, packet) && arrival.is_taken) counters_.drop(Drop::kControl);
  } else if (!arrival.is_alone) {
    memory_.remember(packet);
  }
  return !arrival.is_taken;
}

void InLane::add(std::span<std::uint8_t> packet, Lock& lock) {
  if (coalescer_.add(packet)) return;
  if (opener_) opener_->settle();
  lock.unlock();
  write_frames();
  lock.lock();
  memory_.forget();
  if (!coalescer_.add(packet)) counters_.drop(Drop::kSendFailed);
}

void InLane::write_frames() {
  const auto count = coalescer_.frames();
  for (std::size_t i = 0; i < count; ++i) {
    const auto frame = coalescer_.frame(i);
    write(frame.header, frame.pieces, frame.packets);
  }
  coalescer_.clear();
  // Whoever reads the counters finds what is counted at the interface.
  counters_.add_in(std::exchange(passed_packets_, 0), std::exchange(passed_bytes_, 0));
}

void InLane::write(const FrameHeader& header, std::span<const iovec> pieces, std::size_t packets) {
  auto& queue = *queues_[queues_.size() == 1 ? 0 : flow_of(pieces[0]) % queues_.size()];
  const int result = queue.write(header, pieces);
  if (result == 0) return;
  counters_.drop(Drop::kSendFailed, packets);
  // EIO: the interface is down, EBADFD: it was deleted.
  if (result == -EINVAL || result == -ENOBUFS || std::exchange(has_failed_, true)) return;
  mailbox_.post_interface_error(-result);
}

}  // namespace sixlink::datapath
