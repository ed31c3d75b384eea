// SPDX-License-Identifier: BSD-3-Clause
// Joins the packets of one batch into frames, as a kernel's GRO does: TCP segments that follow each other and
// UDP datagrams of one size, whose checksums are right. The packets stay where they are.
#pragma once

#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "src/datapath/frame.h"

namespace sixlink::datapath {

// What may be made.
struct CoalesceOptions {
  bool tcp = true;  // Offloads::tun_tcp was granted
  bool udp = true;  // Offloads::tun_udp was granted
};

// No allocation after construction. Belongs to one thread.
//
// A packet that is joined with none comes out as it is. segment() of a frame gives exactly the packets that
// it is made of. Packets of one flow come out in the order in which they were added; those of different flows
// may change places.
class Coalescer {
 public:
  static constexpr std::size_t kPackets = 1024;  // that one batch may have
  // UDP_MAX_SEGMENTS: older kernels accept no more in a USO frame.
  static constexpr std::size_t kUdpPackets = 64;

  struct Frame {
    FrameHeader header;
    std::span<const iovec> pieces;  // the frame, headers first
    std::size_t size = 0;
    std::size_t packets = 0;
  };

  explicit Coalescer(const CoalesceOptions& options = {});
  Coalescer(Coalescer&&) noexcept;
  Coalescer& operator=(Coalescer&&) noexcept;
  ~Coalescer();

  // The packet must stay in place, unchanged, until clear(). Whatever it is, it is taken. False: full; write
  // the frames and clear() first.
  [[nodiscard]] bool add(std::span<const std::uint8_t> packet);

  std::size_t frames() const;
  // Frame `i` of those collected, to be written in this order. Valid until the next call.
  Frame frame(std::size_t i);
  void clear();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sixlink::datapath
