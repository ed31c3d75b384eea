// SPDX-License-Identifier: BSD-3-Clause
// Datagrams between a TLS connection and a local socket. Nothing waits here but what one system call brought:
// while TCP has no room the local socket is not read, and what does not fit in its buffer is lost, as on any
// link that is too narrow. A queue that grows would only make TCP under TCP worse.
#include "src/client/tls_connection.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <stdexcept>
#include <utility>

#include "platform/network.h"
#include "platform/overlay.h"

namespace sixlink::client {
namespace {

namespace asio = boost::asio;
namespace errc = boost::system::errc;
using Clock = std::chrono::steady_clock;

// Others want their turn too: at most so many records each way.
constexpr int kRounds = 8;
// What waits for TCP. Twice that counts, with the kernel's own overhead.
constexpr int kLocalRoom = 262144;

}  // namespace

TlsConnection::TlsConnection(RelayShared& shared, asio::io_context& io, Hooks hooks)
    : shared_(shared), tcp_(io), local_(io), timer_(io), hooks_(std::move(hooks)) {}

TlsConnection::~TlsConnection() {
  close();
}

void TlsConnection::close() {
  hooks_ = {};
  end(asio::error::operation_aborted);
}

void TlsConnection::end(const boost::system::error_code& why) {
  if (std::exchange(phase_, Phase::kClosed) == Phase::kClosed) return;
  boost::system::error_code ignored;
  if (session_) session_->close();
  session_.reset();
  socket_.reset();
  tcp_.close(ignored);
  local_.close(ignored);
  timer_.cancel();
  if (const auto on_closed = std::exchange(hooks_, {}).on_closed) on_closed(why);
}

// ---- Beginning ----

void TlsConnection::connect(const asio::ip::tcp::endpoint& peer) {
  deadline_ = Clock::now() + shared_.handshake_limit;
  watch_time();
  boost::system::error_code ignored;
  tcp_.open(peer.protocol(), ignored);
  // What carries links is not to be sent into the overlay.
  if (!ignored) (void)platform::mark_outer(tcp_.native_handle());
  tcp_.async_connect(peer, [self = shared_from_this()](const boost::system::error_code& error) {
    if (self->phase_ == Phase::kClosed) return;
    if (error) return self->end(error);
    self->begin(true);
  });
}

void TlsConnection::accept(asio::ip::tcp::socket socket) {
  deadline_ = Clock::now() + shared_.handshake_limit;
  watch_time();
  tcp_ = std::move(socket);
  begin(false);
}

void TlsConnection::begin(bool is_client) {
  is_client_ = is_client;
  phase_ = Phase::kHandshake;
  boost::system::error_code error;
  tcp_.non_blocking(true, error);
  if (error) return end(error);
  platform::prepare_datagram_stream(tcp_.native_handle());
  try {
    session_.emplace(shared_.context, tcp_.native_handle(), is_client);
  } catch (const std::runtime_error&) {
    return end(errc::make_error_code(errc::not_enough_memory));
  }
  pump();
}

void TlsConnection::watch_time() {
  timer_.expires_at(deadline_);
  timer_.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
    if (error || self->phase_ == Phase::kClosed) return;
    if (Clock::now() < self->deadline_) return self->watch_time();
    self->end(errc::make_error_code(errc::timed_out));
  });
}

// The user gets the other end now.
bool TlsConnection::open_local() {
  const auto pair = platform::open_loopback_pair();
  if (!pair) {
    end(pair.error());
    return false;
  }
  const auto [ours, theirs] = *pair;
  ::setsockopt(ours, SOL_SOCKET, SO_RCVBUF, &kLocalRoom, sizeof kLocalRoom);
  local_.assign(ours);
  socket_.emplace(ours, platform::DatagramSocket::Kind::kUdp, true, platform::Offloads());
  phase_ = Phase::kOpen;
  deadline_ = Clock::now() + shared_.idle_limit;
  if (hooks_.on_open) {
    hooks_.on_open(theirs);
  } else {
    ::close(theirs);
  }
  return phase_ == Phase::kOpen;
}

// ---- Moving ----

bool TlsConnection::go_on(Status status) {
  switch (status) {
    case Status::kDone:
      return true;
    case Status::kWantsRead:  // always waited for
      return false;
    case Status::kWantsWrite:
      wants_write_ = true;
      return false;
    case Status::kClosed:
      end(asio::error::eof);
      return false;
    case Status::kFailed:
      if (phase_ != Phase::kOpen) ++shared_.counters.failed;
      end(phase_ == Phase::kOpen ? errc::make_error_code(errc::connection_reset)
                                 : errc::make_error_code(errc::protocol_error));
      return false;
  }
  return false;
}

bool TlsConnection::shake_hands() {
  if (!go_on(session_->handshake())) return false;
  phase_ = Phase::kSilent;
  // The one who connected has something to say.
  return !is_client_ || open_local();
}

void TlsConnection::pump() {
  wants_write_ = false;
  if (phase_ == Phase::kHandshake && !shake_hands()) return arm();
  for (int round = 0; round < kRounds && phase_ != Phase::kClosed; ++round) {
    const bool has_received = receive();
    const bool has_sent = phase_ == Phase::kOpen && transmit();
    if (!has_received && !has_sent) return arm();
  }
  if (phase_ == Phase::kClosed) return;
  asio::post(timer_.get_executor(), [self = shared_from_this()] {
    if (self->phase_ != Phase::kClosed) self->pump();
  });
}

bool TlsConnection::receive() {
  std::size_t size = 0;
  if (!go_on(session_->read(in_.room(), size))) return false;
  in_.written(size);
  deliver();
  return phase_ != Phase::kClosed;
}

void TlsConnection::deliver() {
  while (const auto datagram = in_.next()) {
    if (phase_ == Phase::kSilent && !open_local()) return;
    deadline_ = Clock::now() + shared_.idle_limit;
    ++shared_.counters.datagrams_in;
    if (shared_.to_send.add({}, *datagram)) continue;
    send_delivered();
    if (phase_ == Phase::kClosed) return;
    if (!shared_.to_send.add({}, *datagram)) ++shared_.counters.dropped;
  }
  send_delivered();
  if (phase_ == Phase::kClosed || !in_.is_broken()) return;
  ++shared_.counters.failed;
  end(errc::make_error_code(errc::protocol_error));
}

void TlsConnection::send_delivered() {
  if (shared_.to_send.is_empty()) return;
  const auto result = socket_->send(shared_.to_send);
  shared_.to_send.clear();
  shared_.counters.dropped += result.failed;
  // The user has closed his end.
  if (result.error == asio::error::connection_refused) end(asio::error::eof);
}

// One system call's worth, as frames.
bool TlsConnection::fill() {
  const auto error = socket_->receive(shared_.received);
  if (error) {
    end(error == asio::error::connection_refused ? boost::system::error_code(asio::error::eof) : error);
    return false;
  }
  out_.clear();
  sent_ = 0;
  for (const auto& entry : shared_.received.entries()) {
    if (entry.is_truncated || entry.size == 0) continue;
    for (std::size_t at = 0; at < entry.size; at += entry.segment_size) {
      const auto size = std::min(entry.segment_size, entry.size - at);
      if (size > net::kLargestStreamDatagram) {
        ++shared_.counters.dropped;
        continue;
      }
      net::append_datagram(out_, {entry.data + at, size});
      ++shared_.counters.datagrams_out;
    }
  }
  return !out_.empty();
}

bool TlsConnection::transmit() {
  if (out_.empty() && !fill()) return false;
  std::size_t size = 0;
  if (!go_on(session_->write(std::span<const std::uint8_t>(out_).subspan(sent_), size))) return false;
  sent_ += size;
  if (sent_ < out_.size()) return true;
  out_.clear();
  sent_ = 0;
  return true;
}

void TlsConnection::arm() {
  if (phase_ == Phase::kClosed) return;
  const auto wait_for = [this](auto& socket, auto kind, bool& is_waiting) {
    if (std::exchange(is_waiting, true)) return;
    socket.async_wait(kind, [self = shared_from_this(), &is_waiting](const boost::system::error_code& error) {
      is_waiting = false;
      if (error || self->phase_ == Phase::kClosed) return;
      self->pump();
    });
  };
  wait_for(tcp_, asio::ip::tcp::socket::wait_read, waits_to_read_);
  if (wants_write_) wait_for(tcp_, asio::ip::tcp::socket::wait_write, waits_to_write_);
  if (phase_ == Phase::kOpen && out_.empty())
    wait_for(local_, asio::posix::stream_descriptor::wait_read, waits_for_local_);
}

}  // namespace sixlink::client
