// SPDX-License-Identifier: BSD-3-Clause
// One TLS connection with datagrams in it, and the local UDP socket that its user has the other end of. On
// the relay's thread, which it shares with the others; in all less than 200 KiB while it is busy.
#pragma once

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "platform/packet_io.h"
#include "src/net/datagram_stream.h"
#include "src/pki/tls_session.h"

namespace sixlink::client {

// Read by the event loop's thread.
struct RelayCounters {
  std::atomic<std::uint64_t> accepted{0};
  std::atomic<std::uint64_t> refused{0};
  std::atomic<std::uint64_t> failed{0};
  std::atomic<std::uint64_t> datagrams_in{0};
  std::atomic<std::uint64_t> datagrams_out{0};
  std::atomic<std::uint64_t> dropped{0};
  std::atomic<std::size_t> open{0};
};

// What all connections of the thread use.
struct RelayShared {
  pki::TlsContext context;
  platform::ReceiveBatch received{1, 65536};
  platform::SendBatch to_send{64};
  std::chrono::milliseconds handshake_limit{};
  std::chrono::milliseconds idle_limit{};
  RelayCounters counters;
};

//  connecting --> handshake --> [silent, if accepted] --first datagram--> open --> closed
//      +--------------+-------------+------------- too late, failed --------------->+
class TlsConnection : public std::enable_shared_from_this<TlsConnection> {
 public:
  struct Hooks {
    // Once, unless it is closed before: the user's end of the local socket, which is the receiver's.
    std::function<void(int socket)> on_open;
    // Once, and last, but for close().
    std::function<void(const boost::system::error_code& why)> on_closed;
  };

  // `shared` outlives it.
  TlsConnection(RelayShared& shared, boost::asio::io_context& io, Hooks hooks);
  TlsConnection(const TlsConnection&) = delete;
  TlsConnection& operator=(const TlsConnection&) = delete;
  ~TlsConnection();

  void connect(const boost::asio::ip::tcp::endpoint& peer);
  void accept(boost::asio::ip::tcp::socket socket);
  // Silently.
  void close();

 private:
  using Status = pki::TlsSession::Status;
  enum class Phase : std::uint8_t { kConnecting, kHandshake, kSilent, kOpen, kClosed };

  void begin(bool is_client);
  void pump();
  bool shake_hands();
  bool receive();
  bool transmit();
  bool fill();
  void deliver();
  void send_delivered();
  bool open_local();
  // False: it cannot go on now.
  bool go_on(Status status);
  void arm();
  void watch_time();
  void end(const boost::system::error_code& why);

  RelayShared& shared_;
  boost::asio::ip::tcp::socket tcp_;
  boost::asio::posix::stream_descriptor local_;
  boost::asio::steady_timer timer_;
  Hooks hooks_;
  Phase phase_ = Phase::kConnecting;
  bool is_client_ = false;
  std::optional<pki::TlsSession> session_;
  std::optional<platform::DatagramSocket> socket_;
  net::DatagramStream in_;
  std::vector<std::uint8_t> out_;  // frames, the first sent_ bytes of which are written
  std::size_t sent_ = 0;
  bool wants_write_ = false;
  bool waits_to_read_ = false;
  bool waits_to_write_ = false;
  bool waits_for_local_ = false;
  std::chrono::steady_clock::time_point deadline_{};
};

}  // namespace sixlink::client
