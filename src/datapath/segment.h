// SPDX-License-Identifier: BSD-3-Clause
// Cuts frames into packets, as a network card with TSO and USO does: a header of its own for each (lengths,
// IPv4's identification, TCP's sequence number and flags, finished checksums), the data where they are.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "src/datapath/checksum.h"
#include "src/datapath/frame.h"

namespace sixlink::datapath {

// A packet in two pieces. `header` is empty if all of it is in `data`.
struct Segment {
  std::span<const std::uint8_t> header;
  std::span<const std::uint8_t> data;
  std::size_t size() const { return header.size() + data.size(); }
};

// Used again for every frame; no allocation. Belongs to one thread.
//
//   if (!segmenter.start(header, frame)) { count as malformed; }
//   else while (auto packet = segmenter.next(storage of header_size() bytes, another one for each)) ...
class Segmenter {
 public:
  // Frames with longer headers (IPv6 extension headers) are refused.
  static constexpr std::size_t kMaximumHeader = 512;

  // `frame` must stay until its last packet is no longer used. Its bytes are hostile as those of any packet,
  // and so is the header: every field is checked. Without segmentation the checksum is finished in place
  // here, and the frame is the only packet. False: malformed, next() has nothing.
  bool start(const FrameHeader& header, std::span<std::uint8_t> frame);

  // Of the frame started.
  std::size_t count() const { return count_; }              // packets in all
  std::size_t header_size() const { return header_size_; }  // storage that each next() needs; may be 0
  std::size_t largest() const { return header_size_ + segment_size_; }  // bytes in the largest packet

  // The next packet: its headers are written to `storage`, whose first header_size() bytes must stay as long
  // as the packet is used. nullopt: that was all.
  std::optional<Segment> next(std::span<std::uint8_t> storage);
  // The next packet, whole, copied to `buffer` (largest() bytes at least): for encryption in place. Its size;
  // 0: that was all.
  std::size_t next_into(std::span<std::uint8_t> buffer);

 private:
  bool examine(const FrameHeader& header);
  bool finish_checksum(const FrameHeader& header);
  // Headers of packet `index_` at `to`, for `size` bytes of data with the sum `data_sum`.
  void write_header(std::uint8_t* to, std::size_t size, PartialSum data_sum) const;

  std::span<std::uint8_t> frame_;
  std::size_t count_ = 0;
  std::size_t index_ = 0;
  std::size_t header_size_ = 0;
  std::size_t segment_size_ = 0;
  std::size_t transport_ = 0;
  Segmentation segmentation_ = Segmentation::kNone;
  bool is_v4_ = false;
  bool has_fixed_id_ = false;
  std::uint8_t flags_ = 0;  // TCP's
  std::uint16_t identification_ = 0;
  std::uint32_t sequence_ = 0;
  PartialSum ip_sum_ = 0;         // IPv4 header without what changes
  PartialSum transport_sum_ = 0;  // pseudo-header and transport header without what changes
};

}  // namespace sixlink::datapath
