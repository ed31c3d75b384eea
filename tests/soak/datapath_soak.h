// SPDX-License-Identifier: BSD-3-Clause
// A long time of traffic, compressed: frames of every kind are read from an interface in memory, cut, put on
// a wire in memory, joined and written to the interface again, as many packets as are asked for. All must
// arrive, and the process must not grow.
#pragma once

#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "platform/packet_io.h"
#include "src/datapath/checksum.h"
#include "src/datapath/coalesce.h"
#include "src/datapath/segment.h"
#include "tests/unit/datapath/frame_oracle.h"

namespace sixlink::test {

// What of the traffic is the same before and after, in whatever order and frames.
struct Tally {
  std::uint64_t packets = 0;
  std::uint64_t bytes = 0;
  datapath::PartialSum data = 0;  // of all behind the headers
  bool operator==(const Tally& other) const {
    return packets == other.packets && bytes == other.bytes &&
           datapath::fold_sum(data) == datapath::fold_sum(other.data);
  }
};

// A TUN whose kernel is this process: gives the frames of a list, counts what is written.
class MemoryTun final : public platform::TunQueue {
 public:
  struct Frame {
    datapath::FrameHeader header;
    Bytes bytes;
  };

  const std::string& name() const override { return name_; }
  int fd() const override { return -1; }
  platform::Offloads granted() const override { return {}; }

  void load(const std::vector<Frame>& frames) {
    frames_ = &frames;
    next_ = 0;
  }
  std::ptrdiff_t read(datapath::FrameHeader& header, std::span<std::uint8_t> buffer) override {
    if (next_ == frames_->size()) return 0;
    const auto& frame = (*frames_)[next_++];
    header = frame.header;
    std::copy(frame.bytes.begin(), frame.bytes.end(), buffer.begin());
    return static_cast<std::ptrdiff_t>(frame.bytes.size());
  }

  int write(const datapath::FrameHeader& header, std::span<const iovec> pieces) override {
    written.bytes += frame_size(pieces);
    if (header.segmentation == datapath::Segmentation::kNone) {
      ++written.packets;
      const auto* bytes = static_cast<const std::uint8_t*>(pieces[0].iov_base);
      const std::size_t skipped = std::min(headers_of(bytes, pieces[0].iov_len), pieces[0].iov_len);
      written.data = datapath::sum_bytes(bytes + skipped, pieces[0].iov_len - skipped, written.data);
    } else {
      // Each packet has the headers that the frame has once.
      written.packets += pieces.size() - 1;
      written.bytes += (pieces.size() - 2) * pieces[0].iov_len;
      for (const auto& piece : pieces.subspan(1))
        written.data = datapath::sum_bytes(static_cast<const std::uint8_t*>(piece.iov_base), piece.iov_len,
                                           written.data);
    }
    if (keeps) {
      Frame frame{header, {}};
      for (const auto& piece : pieces) {
        const auto* from = static_cast<const std::uint8_t*>(piece.iov_base);
        frame.bytes.insert(frame.bytes.end(), from, from + piece.iov_len);
      }
      kept.push_back(std::move(frame));
    }
    return 0;
  }

  // Of TCP and UDP without anything in between; 0: of all else.
  static std::size_t headers_of(const std::uint8_t* bytes, std::size_t size) {
    const std::size_t at = bytes[0] == 0x45 ? 20 : 40;
    if (size < at) return 0;
    const std::uint8_t protocol = bytes[0] == 0x45 ? bytes[9] : bytes[6];
    if ((protocol != 6 && protocol != 17) || size < at + (protocol == 6 ? 20U : 8U)) return 0;
    if (bytes[0] == 0x45 && ((bytes[6] & 0x3f) != 0 || bytes[7] != 0)) return 0;
    return at + (protocol == 6 ? (bytes[at + 12] >> 4) * 4U : 8U);
  }

  Tally written;
  bool keeps = false;  // what is written, in `kept`
  std::vector<Frame> kept;

 private:
  static std::size_t frame_size(std::span<const iovec> pieces) {
    std::size_t size = 0;
    for (const auto& piece : pieces) size += piece.iov_len;
    return size;
  }

  std::string name_ = "memory0";
  const std::vector<Frame>* frames_ = nullptr;
  std::size_t next_ = 0;
};

class DatapathSoak {
 public:
  explicit DatapathSoak(std::uint32_t seed) : random_(seed), batches_(kBatches) {
    for (auto& batch : batches_) fill(batch);
  }

  struct Result {
    std::uint64_t packets = 0;
    std::uint64_t frames_in = 0;
    std::uint64_t frames_out = 0;
    long memory_before = 0;  // KiB at most so far, when a hundredth was done, ...
    long memory_after = 0;   // ... and at the end
    std::chrono::duration<double> time{};
  };

  // Throws when a packet is lost, changed or made up.
  Result run(std::uint64_t packets) {
    const auto start = std::chrono::steady_clock::now();
    Result result;
    for (std::uint64_t round = 0; result.packets < packets; ++round) {
      const auto& batch = batches_[round % kBatches];
      const bool is_compared = round < kBatches || round % kCompared == 0;
      pump(batch, result, is_compared);
      if (is_compared) compare(batch);
      if (result.memory_before == 0 && round >= 2 * kBatches && result.packets >= packets / 100)
        result.memory_before = peak_memory();
    }
    result.memory_after = peak_memory();
    result.time = std::chrono::steady_clock::now() - start;
    return result;
  }

 private:
  static constexpr std::size_t kBatches = 24;
  static constexpr std::uint64_t kCompared = 499;
  static constexpr std::size_t kWire = 512 * 1024;

  struct Batch {
    std::vector<MemoryTun::Frame> frames;
    std::vector<Bytes> packets;  // that come of them, sorted
    Tally expected;
    std::size_t malformed = 0;
  };

  static long peak_memory() {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
  }

  [[noreturn]] static void fail(const std::string& what) { throw std::runtime_error("soak: " + what); }

  void fill(Batch& batch) {
    for (int i = 0; i < 12; ++i) {
      Shape shape = random_shape(random_);
      if (random_() % 3 != 0) {
        shape.ip_options = 0;
        shape.extensions.clear();
        shape.final_destination.clear();
      }
      shape.source_port = static_cast<std::uint16_t>(random_());
      const std::size_t segment = 20 + random_() % 1400;
      const std::size_t most = std::min<std::size_t>(20000, segment * 40);
      shape.data = random_bytes(random_, 1 + random_() % most);
      add(batch, frame_header(shape, segment), make_packet(shape, false), cut_slowly(shape, segment));
    }
    for (int i = 0; i < 8; ++i) {
      Shape shape = random_shape(random_);
      shape.data = random_bytes(random_, random_() % 1300);
      auto packet = make_packet(shape);
      if (i % 3 == 0) packet[random_() % packet.size()] ^= 1;
      if (packet[0] >> 4 != 4) packet[0] = 0x60;
      add(batch, {}, packet, {packet});
    }
    // Nothing comes of what is malformed.
    add(batch, frame_header(Shape{}, 0), make_packet(Shape{}), {});
    add(batch, frame_header(Shape{}, 100), Bytes(30, 0x60), {});
    batch.malformed = 2;
    std::sort(batch.packets.begin(), batch.packets.end());
  }

  void add(Batch& batch, const datapath::FrameHeader& header, Bytes frame,
           const std::vector<Bytes>& packets) {
    batch.frames.push_back({header, std::move(frame)});
    for (const auto& packet : packets) {
      ++batch.expected.packets;
      batch.expected.bytes += packet.size();
      const auto skipped = std::min(MemoryTun::headers_of(packet.data(), packet.size()), packet.size());
      batch.expected.data =
          datapath::add_sums(batch.expected.data, datapath::sum_bytes(std::span(packet).subspan(skipped)));
      batch.packets.push_back(packet);
    }
  }

  void pump(const Batch& batch, Result& result, bool is_compared) {
    tun_.load(batch.frames);
    tun_.written = {};
    tun_.keeps = is_compared;
    tun_.kept.clear();
    std::size_t used = 0;
    std::size_t malformed = 0;
    for (;;) {
      datapath::FrameHeader header;
      const auto size = tun_.read(header, frame_);
      if (size == 0) break;
      ++result.frames_in;
      if (!segmenter_.start(header, std::span(frame_).first(static_cast<std::size_t>(size)))) {
        ++malformed;
        continue;
      }
      // Both ways in turn.
      for (std::size_t i = 0;; ++i) {
        if (wire_.size() - used < segmenter_.largest()) fail("the wire is too short");
        const auto room = std::span(wire_).subspan(used);
        std::size_t length = 0;
        if (i % 2 == 0) {
          length = segmenter_.next_into(room);
        } else if (const auto segment = segmenter_.next(room)) {
          std::copy(segment->data.begin(), segment->data.end(),
                    room.begin() + static_cast<std::ptrdiff_t>(segment->header.size()));
          length = segment->size();
        }
        if (length == 0) break;
        if (!coalescer_.add(room.first(length))) fail("there is no room in the coalescer");
        used += length;
        ++result.packets;
      }
    }
    for (std::size_t i = 0; i < coalescer_.frames(); ++i) {
      const auto frame = coalescer_.frame(i);
      tun_.write(frame.header, frame.pieces);
      ++result.frames_out;
    }
    coalescer_.clear();
    if (malformed != batch.malformed) fail("a malformed frame was taken, or another one refused");
    if (!(tun_.written == batch.expected)) fail("not everything that was sent arrived, or more");
  }

  // Byte for byte.
  void compare(const Batch& batch) {
    std::vector<Bytes> packets;
    Bytes buffer;
    for (auto& frame : tun_.kept) {
      if (!segmenter_.start(frame.header, frame.bytes)) fail("a frame that we made is malformed");
      buffer.resize(segmenter_.largest());
      while (const auto size = segmenter_.next_into(buffer)) packets.push_back(slice(buffer, 0, size));
    }
    std::sort(packets.begin(), packets.end());
    if (packets != batch.packets) fail("a packet was changed");
  }

  std::mt19937 random_;
  std::vector<Batch> batches_;
  MemoryTun tun_;
  datapath::Segmenter segmenter_;
  datapath::Coalescer coalescer_;
  Bytes frame_ = Bytes(datapath::kFrameBuffer);
  Bytes wire_ = Bytes(kWire);
};

}  // namespace sixlink::test
