// SPDX-License-Identifier: BSD-3-Clause
// From the interface to the outer sockets.
#include "src/datapath/lane_out.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "src/datapath/mss.h"
#include "src/net/ecn.h"

namespace sixlink::datapath {
namespace {

constexpr std::size_t kFullRoom = 256 * 1024;
constexpr std::size_t kSmallRoom = 128 * 1024;  // the largest encrypted packet fits twice

std::span<const iovec> pieces_of(const Segment& segment, std::array<iovec, 2>& pieces) {
  const auto piece = [](std::span<const std::uint8_t> bytes) {
    return iovec{const_cast<std::uint8_t*>(bytes.data()), bytes.size()};
  };
  if (segment.header.empty()) {
    pieces[0] = piece(segment.data);
    return {pieces.data(), 1};
  }
  pieces = {piece(segment.header), piece(segment.data)};
  return pieces;
}

}  // namespace

OutLane::OutLane(platform::TunQueue& queue, const std::vector<platform::DatagramSocket*>& sockets,
                 LanePolicy& policy, LaneMailbox& mailbox, LaneRoom room)
    : queue_(queue),
      policy_(policy),
      mailbox_(mailbox),
      backlog_(room),
      room_size_(room == LaneRoom::kSmall ? kSmallRoom : kFullRoom),
      room_(new std::uint8_t[room_size_]) {
  const std::size_t datagrams = room == LaneRoom::kSmall ? 128 : 1024;
  if (policy.sessions()) sealer_.emplace(mailbox);
  for (auto* socket : sockets) outputs_.push_back({socket, platform::SendBatch(datagrams), 0});
}

LaneThread::Turn OutLane::turn() {
  const int error = backlog_.fill(queue_);
  const auto frames = backlog_.take();
  if (!frames.empty()) {
    {
      std::unique_lock lock(mutex_);
      memory_.forget();
      if (sealer_) sealer_->set_time(wireguard::Clock::now());
      for (const auto& frame : frames) forward(frame, lock);
      if (sealer_) sealer_->settle();
    }
    flush();
  }
  if (error != 0) {
    mailbox_.post_interface_error(error);
    return LaneThread::Turn::kEnded;
  }
  const bool has_more = !backlog_.is_empty() || !backlog_.is_drained();
  return has_more ? LaneThread::Turn::kMore : LaneThread::Turn::kEmpty;
}

void OutLane::forward(const Frame& frame, std::unique_lock<std::mutex>& lock) {
  if (!segmenter_.start(frame.header, frame.bytes)) {
    counters_.drop(Drop::kMalformed);
    return;
  }
  if (!memory_.is_like(frame.bytes) || segmenter_.largest() > last_largest_) {
    memory_.forget();
    departure_ = policy_.depart(frame.bytes, segmenter_.largest());
    if (departure_.drop) {
      refuse(departure_);
      return;
    }
    if (!departure_.is_alone) memory_.remember(frame.bytes);
    last_largest_ = segmenter_.largest();
  }
  auto& departure = departure_;
  // What is cut is no SYN.
  if (frame.header.segmentation == Segmentation::kNone) clamp_mss(frame.bytes, departure.mtu);
  departure.route.traffic_class = net::ecn_of(frame.bytes);
  if (!departure.wireguard) {
    cut(departure, lock);
  } else if (sealer_ && sealer_->begin(*departure.wireguard, segmenter_.count())) {
    seal(departure, lock);
  } else {
    hand_over(departure);
  }
}

void OutLane::send_first(std::unique_lock<std::mutex>& lock) {
  lock.unlock();
  flush();
  lock.lock();
  memory_.forget();
}

void OutLane::cut(const LanePolicy::Departure& departure, std::unique_lock<std::mutex>& lock) {
  auto& output = outputs_[departure.socket];
  const auto room_of_header = segmenter_.header_size();
  for (;;) {
    if (room_size_ - room_used_ < room_of_header) send_first(lock);
    const std::span<std::uint8_t> storage(room_.get() + room_used_, room_of_header);
    auto segment = segmenter_.next(storage);
    if (!segment) return;
    std::array<iovec, 2> pieces;
    if (!output.batch.add(departure.route, pieces_of(*segment, pieces))) {
      send_first(lock);
      // Its header is where none is any more.
      std::memmove(room_.get(), storage.data(), segment->header.size());
      segment->header = {room_.get(), segment->header.size()};
      if (!output.batch.add(departure.route, pieces_of(*segment, pieces))) {
        counters_.drop(Drop::kSendFailed);
        continue;
      }
    }
    room_used_ += segment->header.size();
    output.bytes += segment->size();
  }
}

void OutLane::seal(const LanePolicy::Departure& departure, std::unique_lock<std::mutex>& lock) {
  auto& output = outputs_[departure.socket];
  const auto largest = LaneSealer::message_size(segmenter_.largest(), departure.mtu);
  std::array<std::uint8_t, Segmenter::kMaximumHeader> header;
  while (const auto segment = segmenter_.next(header)) {
    if (room_size_ - room_used_ < largest) send_first(lock);
    std::uint8_t* message = room_.get() + room_used_;
    const auto size = sealer_->seal(*segment, departure.mtu, message);
    if (size == 0) {
      counters_.drop(Drop::kSendFailed);
      continue;
    }
    if (!output.batch.add(departure.route, {message, size})) {
      send_first(lock);
      // It is where none is any more.
      std::memmove(room_.get(), message, size);
      message = room_.get();
      if (!output.batch.add(departure.route, {message, size})) {
        counters_.drop(Drop::kSendFailed);
        continue;
      }
    }
    room_used_ += size;
    output.bytes += segment->size();
  }
}

void OutLane::hand_over(const LanePolicy::Departure& departure) {
  LaneMessage message;
  message.kind = LaneMessage::Kind::kDeparture;
  message.tag = departure.wireguard->tag;
  std::array<std::uint8_t, Segmenter::kMaximumHeader> header;
  while (const auto segment = segmenter_.next(header)) {
    if (!mailbox_.post(message, segment->header, segment->data)) counters_.drop(Drop::kSendFailed);
  }
}

void OutLane::refuse(const LanePolicy::Departure& departure) {
  counters_.drop(*departure.drop, segmenter_.count());
  if (!departure.error) return;
  LaneMessage message;
  message.kind = LaneMessage::Kind::kError;
  message.is_from_inside = true;
  mailbox_.post(message, departure.error->bytes());
}

void OutLane::flush() {
  for (auto& output : outputs_) {
    if (!output.batch.is_empty()) flush(output);
  }
  room_used_ = 0;
}

void OutLane::flush(Output& output) {
  const auto result = output.socket->send(output.batch);
  const auto all = output.batch.datagrams();
  counters_.add_out(result.sent, result.failed == 0 ? output.bytes : output.bytes * result.sent / all);
  if (result.failed > 0) counters_.drop(Drop::kSendFailed, result.failed);
  if (result.error && !result.is_queue_full) mailbox_.post_send_error(result.error.value());
  output.batch.clear();
  output.bytes = 0;
}

}  // namespace sixlink::datapath
