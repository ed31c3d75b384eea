// SPDX-License-Identifier: BSD-3-Clause
// The control socket: how `sixlink status` and `sixlink stop` talk to the running daemon. A Unix stream
// socket, 0600; the client writes one line ("status" or "stop"), the daemon answers with one JSON line and
// closes. "stop" is answered when all is taken down.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/system/result.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace sixlink::client {

class ControlServer {
 public:
  struct Handlers {
    std::function<std::string()> status;  // one line of JSON
    std::function<void()> stop;
  };

  // A peer that asks and does not read, or does not ask, is held no longer than this.
  static constexpr std::chrono::milliseconds kPeerLimit{10000};

  // Replaces a socket that a dead daemon left (the caller holds the PID file's lock).
  static boost::system::result<std::unique_ptr<ControlServer>> listen(
      boost::asio::io_context& io, const std::string& path, Handlers handlers,
      std::chrono::milliseconds peer_limit = kPeerLimit);
  ControlServer(const ControlServer&) = delete;
  ControlServer& operator=(const ControlServer&) = delete;
  // Closes; then answers those that wait for the stop.
  ~ControlServer();
  // Takes no more requests and removes the socket's file: to be called before the PID file's lock goes.
  void close();

 private:
  struct Peer;
  ControlServer(boost::asio::io_context& io, std::string path, Handlers handlers,
                std::chrono::milliseconds peer_limit);
  void accept();
  void serve(const std::shared_ptr<Peer>& peer);

  boost::asio::local::stream_protocol::acceptor acceptor_;
  boost::asio::steady_timer pause_;
  std::string path_;
  Handlers handlers_;
  std::chrono::milliseconds peer_limit_;
  std::vector<std::shared_ptr<Peer>> waiting_for_stop_;
};

// The command's side. Errors: no_such_file_or_directory and connection_refused mean that no daemon runs.
boost::system::result<std::string> ask_daemon(const std::string& path, std::string_view request);

}  // namespace sixlink::client
