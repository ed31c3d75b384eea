// SPDX-License-Identifier: BSD-3-Clause
// The control socket: how a command (`sixlink status`, `sixlink-registry drain`) talks to the running daemon.
// A Unix stream socket, 0600; the command writes one line, the daemon answers with one line of JSON and
// closes. A request that ends the daemon is answered when all is taken down.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/system/result.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sixlink::control {

class ControlServer {
 public:
  struct Handlers {
    // One line of JSON; nullopt: there is no such request.
    std::function<std::optional<std::string>(std::string_view request)> answer;
    // True: the request ends the daemon, which has begun to. Asked first.
    std::function<bool(std::string_view request)> end = [](std::string_view) { return false; };
    // As `answer`, for what takes a while: true when `reply` will be called, once, unless the daemon ends
    // before. Asked before `answer`.
    using Reply = std::function<void(std::string)>;
    std::function<bool(std::string_view request, Reply reply)> answer_later =
        [](std::string_view, const Reply&) { return false; };
  };

  // A peer that asks and does not read, or does not ask, is held no longer than this.
  static constexpr std::chrono::milliseconds kPeerLimit{10000};

  // Replaces a socket that a dead daemon left (the caller holds the PID file's lock).
  static boost::system::result<std::unique_ptr<ControlServer>> listen(
      boost::asio::io_context& io, const std::string& path, Handlers handlers,
      std::chrono::milliseconds peer_limit = kPeerLimit);
  ControlServer(const ControlServer&) = delete;
  ControlServer& operator=(const ControlServer&) = delete;
  // Closes; then answers those that wait for the end.
  ~ControlServer();
  // Takes no more requests and removes the socket's file: to be called before the PID file's lock goes.
  void close();
  // One line of JSON for those that wait for the end, in place of {"stopped":true}.
  void set_end_answer(std::string answer) { end_answer_ = std::move(answer); }

 private:
  struct Peer;
  ControlServer(boost::asio::io_context& io, std::string path, Handlers handlers,
                std::chrono::milliseconds peer_limit);
  void accept();
  void serve(const std::shared_ptr<Peer>& peer);
  static void write_answer(const std::shared_ptr<Peer>& peer, const std::string& answer);

  boost::asio::local::stream_protocol::acceptor acceptor_;
  boost::asio::steady_timer pause_;
  std::string path_;
  Handlers handlers_;
  std::chrono::milliseconds peer_limit_;
  std::vector<std::shared_ptr<Peer>> waiting_for_end_;
  std::string end_answer_ = "{\"stopped\":true}";
};

// Of what a daemon answers: the routes of ten thousand nodes are 2 MB.
inline constexpr std::size_t kLargestAnswer = 16 << 20;
// The command's side. message_size: a longer answer. Other errors: no_such_file_or_directory and
// connection_refused mean that no daemon runs.
boost::system::result<std::string> ask_daemon(const std::string& path, std::string_view request);

}  // namespace sixlink::control
