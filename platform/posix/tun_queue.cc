// SPDX-License-Identifier: BSD-3-Clause
// TUN queues of systems whose TUN knows packets alone: one queue, one packet a call.
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "platform/packet_io.h"
#include "platform/platform.h"

namespace sixlink::platform {
namespace {

class PlainTunQueue final : public TunQueue {
 public:
  explicit PlainTunQueue(std::unique_ptr<TunDevice> device) : device_(std::move(device)) {}

  const std::string& name() const override { return device_->name(); }
  int fd() const override { return device_->fd(); }
  Offloads granted() const override { return Offloads::none(); }

  std::ptrdiff_t read(datapath::FrameHeader& header, std::span<std::uint8_t> buffer) override {
    header = {};
    return device_->read(buffer);
  }

  int write(const datapath::FrameHeader& header, std::span<const iovec> pieces) override {
    if (pieces.empty() || !header.is_plain()) return -EINVAL;
    if (pieces.size() == 1)
      return device_->write({static_cast<const std::uint8_t*>(pieces[0].iov_base), pieces[0].iov_len});
    std::size_t size = 0;
    for (const iovec& piece : pieces) {
      if (piece.iov_len > packet_.size() - size) return -EINVAL;
      std::memcpy(packet_.data() + size, piece.iov_base, piece.iov_len);
      size += piece.iov_len;
    }
    return device_->write(std::span(packet_).first(size));
  }

 private:
  std::unique_ptr<TunDevice> device_;
  std::array<std::uint8_t, datapath::kMaximumFrame> packet_;  // of several pieces
};

}  // namespace

boost::system::result<std::vector<std::unique_ptr<TunQueue>>> open_tun_queues(const std::string& name,
                                                                              std::size_t, const Offloads&) {
  auto device = open_tun(name);
  if (!device) return device.error();
  std::vector<std::unique_ptr<TunQueue>> queues;
  queues.push_back(std::make_unique<PlainTunQueue>(std::move(*device)));
  return queues;
}

}  // namespace sixlink::platform
