// SPDX-License-Identifier: BSD-3-Clause
// The control socket.
#include "src/control/control_socket.h"

#include <poll.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/asio/read_until.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>

namespace sixlink::control {
namespace {

namespace asio = boost::asio;
using Protocol = asio::local::stream_protocol;
using boost::system::error_code;

constexpr std::size_t kLongestRequest = 256;
// The end waits for the teardown.
constexpr int kAnswerLimitMilliseconds = 120'000;

}  // namespace

struct ControlServer::Peer {
  explicit Peer(Protocol::socket s) : socket(std::move(s)), timer(socket.get_executor()) {}
  Protocol::socket socket;
  asio::steady_timer timer;
  std::string request;
  std::string answer;
};

ControlServer::ControlServer(asio::io_context& io, std::string path, Handlers handlers,
                             std::chrono::milliseconds peer_limit)
    : acceptor_(io),
      pause_(io),
      path_(std::move(path)),
      handlers_(std::move(handlers)),
      peer_limit_(peer_limit) {}

boost::system::result<std::unique_ptr<ControlServer>> ControlServer::listen(
    asio::io_context& io, const std::string& path, Handlers handlers, std::chrono::milliseconds peer_limit) {
  if (path.size() >= sizeof(sockaddr_un{}.sun_path))
    return boost::system::errc::make_error_code(boost::system::errc::filename_too_long);
  auto server = std::unique_ptr<ControlServer>(new ControlServer(io, path, std::move(handlers), peer_limit));
  struct stat info {};
  if (::lstat(path.c_str(), &info) == 0) {
    // Only a socket is one that an earlier daemon left; anything else is someone's file.
    if (!S_ISSOCK(info.st_mode))
      return boost::system::errc::make_error_code(boost::system::errc::file_exists);
    ::unlink(path.c_str());
  }
  error_code error;
  server->acceptor_.open(Protocol(), error);
  const auto old_mask = ::umask(0177);
  if (!error) server->acceptor_.bind(Protocol::endpoint(path), error);
  ::umask(old_mask);
  if (!error) server->acceptor_.listen(asio::socket_base::max_listen_connections, error);
  if (error) return error;
  server->accept();
  return server;
}

void ControlServer::close() {
  if (!acceptor_.is_open()) return;
  error_code ignored;
  acceptor_.close(ignored);
  ::unlink(path_.c_str());
}

ControlServer::~ControlServer() {
  close();
  for (const auto& peer : waiting_for_end_) {
    error_code ignored;
    asio::write(peer->socket, asio::buffer(end_answer_ + "\n"), ignored);
  }
}

void ControlServer::accept() {
  acceptor_.async_accept([this](const error_code& error, Protocol::socket socket) {
    if (error == asio::error::operation_aborted) return;
    if (!error) {
      const auto peer = std::make_shared<Peer>(std::move(socket));
      peer->timer.expires_after(peer_limit_);
      peer->timer.async_wait([weak = std::weak_ptr(peer)](const error_code& timer_error) {
        const auto p = weak.lock();
        if (timer_error || !p) return;
        error_code ignored;
        p->socket.close(ignored);
      });
      serve(peer);
      accept();
      return;
    }
    // Out of descriptors: a moment's pause, or the loop would spin.
    pause_.expires_after(std::chrono::milliseconds(200));
    pause_.async_wait([this](const error_code& stopped) {
      if (!stopped) accept();
    });
  });
}

void ControlServer::serve(const std::shared_ptr<Peer>& peer) {
  asio::async_read_until(
      peer->socket, asio::dynamic_buffer(peer->request, kLongestRequest), '\n',
      [this, peer](const error_code& error, std::size_t size) {
        if (error) return;
        const auto request = peer->request.substr(0, size - 1);
        if (handlers_.end(request)) {
          // Answered by the destructor, when everything is taken down.
          peer->timer.cancel();
          waiting_for_end_.push_back(peer);
          return;
        }
        const auto later = [peer](const std::string& answer) { write_answer(peer, answer); };
        if (handlers_.answer_later(request, later)) return;
        write_answer(peer, handlers_.answer(request).value_or("{\"error\":\"unknown request\"}"));
      });
}

void ControlServer::write_answer(const std::shared_ptr<Peer>& peer, const std::string& answer) {
  peer->answer = answer + "\n";
  asio::async_write(peer->socket, asio::buffer(peer->answer),
                    [peer](const error_code&, std::size_t) { peer->timer.cancel(); });
}

boost::system::result<std::string> ask_daemon(const std::string& path, std::string_view request) {
  asio::io_context io;
  Protocol::socket socket(io);
  error_code error;
  if (path.size() >= sizeof(sockaddr_un{}.sun_path))
    return boost::system::errc::make_error_code(boost::system::errc::filename_too_long);
  socket.connect(Protocol::endpoint(path), error);
  if (error) return error;
  asio::write(socket, asio::buffer(std::string(request) + "\n"), error);
  std::string answer;
  char buffer[65536];
  while (!error && !answer.ends_with('\n') && answer.size() < kLargestAnswer) {
    pollfd readable{socket.native_handle(), POLLIN, 0};
    const int ready = ::poll(&readable, 1, kAnswerLimitMilliseconds);
    if (ready == 0) return boost::system::errc::make_error_code(boost::system::errc::timed_out);
    if (ready > 0) answer.append(buffer, socket.read_some(asio::buffer(buffer), error));
  }
  if (error) return error;
  const auto end = answer.find('\n');
  if (end == std::string::npos)
    return boost::system::errc::make_error_code(boost::system::errc::message_size);
  answer.resize(end);
  return answer;
}

}  // namespace sixlink::control
