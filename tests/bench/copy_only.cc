// SPDX-License-Identifier: BSD-3-Clause
// The least that a tunnel in user space can do: it carries frames from a TUN to a UDP socket and back without
// looking at them. No addresses are checked, no checksum is made, nothing is cut or joined, so that the other
// end must be this program too. What is faster than it on the same machine moves packets in the kernel.
//
//   copy_only INTERFACE LOCAL REMOTE PORT
#include <poll.h>
#include <sys/uio.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/udp.hpp>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "platform/packet_io.h"
#include "platform/platform.h"
#include "src/datapath/frame.h"
#include "src/datapath/lanes.h"

namespace {

using namespace sixlink;
using boost::asio::ip::udp;

constexpr std::size_t kSegment = 1472;  // a UDP payload that fits 1500 bytes

void wait_for(int fd) {
  pollfd waiting{fd, POLLIN, 0};
  ::poll(&waiting, 1, -1);
}

[[noreturn]] void carry_out(platform::TunQueue& queue, platform::DatagramSocket& socket) {
  std::vector<std::uint8_t> room(sizeof(datapath::FrameHeader) + datapath::kFrameBuffer);
  platform::SendBatch batch;
  for (;;) {
    datapath::FrameHeader header;
    const auto size = queue.read(header, std::span(room).subspan(sizeof header));
    if (size < 0) std::exit(1);
    if (size == 0) {
      wait_for(queue.fd());
      continue;
    }
    std::memcpy(room.data(), &header, sizeof header);
    const auto whole = std::span(room).first(sizeof header + static_cast<std::size_t>(size));
    for (std::size_t at = 0; at < whole.size(); at += kSegment) {
      if (!batch.add({}, whole.subspan(at, std::min(kSegment, whole.size() - at)))) std::exit(1);
    }
    socket.send(batch);
    batch.clear();
  }
}

[[noreturn]] void carry_in(platform::TunQueue& queue, platform::DatagramSocket& socket) {
  platform::ReceiveBatch batch(8);
  for (;;) {
    socket.receive(batch);
    if (batch.size() == 0) wait_for(socket.fd());
    for (auto& entry : batch.entries()) {
      datapath::FrameHeader header;
      if (entry.size <= sizeof header) continue;
      std::memcpy(&header, entry.data, sizeof header);
      // A frame whose parts did not come together is lost.
      const iovec piece{entry.data + sizeof header, entry.size - sizeof header};
      queue.write(header, std::span(&piece, 1));
    }
  }
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 5) {
    std::fputs("usage: copy_only INTERFACE LOCAL REMOTE PORT\n", stderr);
    return 2;
  }
  const auto address = [](const char* text) { return boost::asio::ip::make_address(text); };
  const auto port = static_cast<std::uint16_t>(std::atoi(arguments[4]));
  boost::asio::io_context io;
  udp::socket socket(io, udp::endpoint(address(arguments[2]), port));
  socket.connect(udp::endpoint(address(arguments[3]), port));
  datapath::prepare_tunnel_socket(socket.native_handle());
  auto queues = platform::open_tun_queues(arguments[1], 1, {});
  if (!queues) {
    std::fprintf(stderr, "%s\n", platform::explain_tun_error(arguments[1], queues.error()).c_str());
    return 1;
  }
  auto& queue = *queues->front();
  platform::DatagramSocket datagrams(socket.native_handle(), platform::DatagramSocket::Kind::kUdp, true, {});
  std::thread out([&] { carry_out(queue, datagrams); });
  carry_in(queue, datagrams);
}
