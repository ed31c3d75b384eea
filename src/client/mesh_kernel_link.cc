// SPDX-License-Identifier: BSD-3-Clause
// A link of the mesh that is a WireGuard interface of the kernel's.
#include "src/client/mesh_kernel_link.h"

#include <net/if.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>

#include "src/datapath/mesh_filter.h"

namespace sixlink::client {
namespace {

// WireGuard (section 5.4 of its paper): data has a header of 16 bytes and a tag of 16, and is padded to
// multiples of 16.
constexpr std::uint64_t kInitiationSize = 148;
constexpr std::uint64_t kResponseSize = 92;
constexpr std::uint64_t kDataOverhead = 32;  // an empty message, which keeps alive, is this alone
constexpr std::uint64_t kPadding = 16;
constexpr std::uint64_t kInnerHeaders = 40 + 8;
constexpr unsigned kOldestOwn = 12;  // looks at the counters, 250 ms apart
// Of one wake-up: other work has its turn after so many.
constexpr int kBatch = 32;

// No inner packet, nor several, are as long: these have 64 bytes at least, and but for the longest a multiple
// of 16.
bool is_wireguards_own(std::uint64_t bytes) {
  return bytes < 2 * kDataOverhead || bytes == kInitiationSize || bytes == kResponseSize ||
         bytes == kInitiationSize + kDataOverhead || bytes == kResponseSize + kDataOverhead;
}

}  // namespace

void KernelLinkCounters::sent_own(std::size_t payload) {
  const auto inner = payload + kInnerHeaders;
  own_bytes_ += (inner + kPadding - 1) / kPadding * kPadding + kDataOverhead;
}

KernelLinkCounters::News KernelLinkCounters::update(const platform::KernelWireguardState& state) {
  News news;
  news.is_handshake = state.handshake != 0 && state.handshake != state_.handshake;
  if (state.bytes_in > state_.bytes_in) ++received_;
  const auto out = state.bytes_out > state_.bytes_out ? state.bytes_out - state_.bytes_out : 0;
  if (!is_wireguards_own(out)) {
    const auto own = std::min(own_bytes_, out);
    if (!is_wireguards_own(out - own)) ++sent_;
    own_bytes_ -= own;
  }
  // Those that wait for a handshake are counted later, and those that were lost never.
  own_age_ = own_bytes_ == 0 ? 0 : own_age_ + 1;
  if (own_age_ > kOldestOwn) own_bytes_ = 0;
  state_ = state;
  return news;
}

boost::system::result<std::unique_ptr<MeshKernelLink>> MeshKernelLink::open(
    const boost::asio::any_io_executor& executor, std::string interface, Control on_control) {
  const auto socket = platform::open_link_socket(interface, datapath::kMeshControlPort);
  if (!socket) return socket.error();
  return std::unique_ptr<MeshKernelLink>(
      new MeshKernelLink(executor, std::move(interface), *socket, std::move(on_control)));
}

MeshKernelLink::MeshKernelLink(const boost::asio::any_io_executor& executor, std::string interface,
                               int socket, Control on_control)
    : interface_(std::move(interface)), socket_(executor, socket), on_control_(std::move(on_control)) {
  boost::asio::ip::address_v6::bytes_type all_nodes{};
  all_nodes[0] = 0xff;
  all_nodes[1] = 0x02;
  all_nodes[15] = 1;
  everybody_ = {boost::asio::ip::address_v6(all_nodes, ::if_nametoindex(interface_.c_str())),
                datapath::kMeshControlPort};
  wait();
}

MeshKernelLink::~MeshKernelLink() {
  *life_ = false;
  boost::system::error_code ignored;
  socket_.close(ignored);
}

void MeshKernelLink::send_control(std::span<const std::uint8_t> message) {
  if (message.size() > datapath::kLongestMeshControl) return;
  // Lost where it cannot be sent now, as on any path.
  const auto sent = ::sendto(socket_.native_handle(), message.data(), message.size(), MSG_DONTWAIT,
                             everybody_.data(), static_cast<socklen_t>(everybody_.size()));
  if (sent >= 0) counters_.sent_own(message.size());
}

void MeshKernelLink::wait() {
  socket_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                     [this, life = life_](const boost::system::error_code& error) {
                       if (error || !*life) return;
                       read();
                       if (*life) wait();
                     });
}

// A handler may end this link.
void MeshKernelLink::read() {
  std::array<std::uint8_t, datapath::kLongestMeshControl> buffer;
  const auto life = life_;
  for (int i = 0; i < kBatch && *life; ++i) {
    boost::asio::ip::udp::endpoint from;
    auto length = static_cast<socklen_t>(from.capacity());
    const auto size = ::recvfrom(socket_.native_handle(), buffer.data(), buffer.size(),
                                 MSG_DONTWAIT | MSG_TRUNC, from.data(), &length);
    if (size < 0) return;
    from.resize(length);
    // Only the neighbour is on the link, and what is not link-local did not begin there.
    const bool is_good = size > 0 && static_cast<std::size_t>(size) <= buffer.size() &&
                         from.address().is_v6() && from.address().to_v6().is_link_local();
    if (is_good) on_control_({buffer.data(), static_cast<std::size_t>(size)});
  }
}

boost::system::result<KernelLinkCounters::News> MeshKernelLink::poll(
    platform::KernelWireguardReader& reader) {
  const auto state = reader.read(interface_);
  if (!state) return state.error();
  endpoint_ = state->endpoint;
  return counters_.update(*state);
}

}  // namespace sixlink::client
