// SPDX-License-Identifier: BSD-3-Clause
// A frame: one IP packet of up to 64 KiB and how it is to be cut into the packets that go over a network.
// What a TUN with virtio-net headers hands over and takes (virtio 1.2 section 5.1.6).
#pragma once

#include <cstddef>
#include <cstdint>

namespace sixlink::datapath {

enum class Segmentation : std::uint8_t {
  kNone,  // the frame is one packet
  kTcp,   // TSO: TCP data of `segment_size` bytes a packet, the last may have less
  kUdp,   // USO: the same with UDP, a header for each
};

struct FrameHeader {
  Segmentation segmentation = Segmentation::kNone;
  // The checksum field at checksum_start + checksum_offset holds the sum of the pseudo-header, and is to be
  // finished over everything from checksum_start on. Always set where segmentation is not kNone.
  bool needs_checksum = false;
  // TCP that says CWR, which only the first packet may (TSO_ECN).
  bool has_cwr = false;
  // IPv4: all packets have the frame's identification; otherwise it grows by one with each. The kernel is not
  // told and does not tell it.
  bool has_fixed_id = false;
  std::uint16_t segment_size = 0;   // bytes of data a packet; 0 without segmentation
  std::uint16_t header_length = 0;  // where the data begin; a kernel's value is a hint that nobody trusts
  std::uint16_t checksum_start = 0;
  std::uint16_t checksum_offset = 0;

  bool is_plain() const { return segmentation == Segmentation::kNone && !needs_checksum; }
};

// No frame that we make is larger. Buffers for what a kernel may hand over have kFrameBuffer bytes: IPv6
// counts its payload alone, and a frame that is cut off must be seen as such.
inline constexpr std::size_t kMaximumFrame = 65535;
inline constexpr std::size_t kFrameBuffer = 65536 + 128;

}  // namespace sixlink::datapath
