// SPDX-License-Identifier: BSD-3-Clause
#include "src/control/control_socket.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <atomic>
#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <fstream>
#include <thread>

#include "tests/unit/net/run_coroutine.h"
#include "tests/unit/temporary_directory.h"

using namespace sixlink::control;
using namespace std::chrono_literals;
using Protocol = boost::asio::local::stream_protocol;
using sixlink::test::run_until;
using sixlink::test::TemporaryDirectory;

namespace {

// A command in a process of its own, as it were: ask_daemon() blocks.
class Asking {
 public:
  Asking(const std::string& path, std::string request)
      : thread_([this, path, request] {
          answer_ = ask_daemon(path, request);
          is_done_ = true;
        }) {}
  Asking(const Asking&) = delete;
  Asking& operator=(const Asking&) = delete;
  ~Asking() { thread_.join(); }
  bool is_done() const { return is_done_; }
  const boost::system::result<std::string>& answer() const { return answer_; }

 private:
  std::atomic<bool> is_done_{false};
  boost::system::result<std::string> answer_ = boost::system::error_code();
  std::thread thread_;
};

struct Fixture {
  TemporaryDirectory directory;
  std::string path = directory.file("x.sock");
  boost::asio::io_context io;
  int stops = 0;
  std::string status = "{\"state\":\"up\"}";
  std::unique_ptr<ControlServer> server;

  void listen(std::chrono::milliseconds limit = ControlServer::kPeerLimit) {
    ControlServer::Handlers handlers;
    handlers.answer = [this](std::string_view request) {
      return request == "status" ? std::optional(status) : std::nullopt;
    };
    handlers.end = [this](std::string_view request) {
      stops += request == "stop";
      return request == "stop";
    };
    auto result = ControlServer::listen(io, path, std::move(handlers), limit);
    REQUIRE_MESSAGE(result.has_value(), result.error().message());
    server = *std::move(result);
  }
  std::string ask(const std::string& request) {
    const Asking asking(path, request);
    REQUIRE(run_until(io, [&] { return asking.is_done(); }));
    REQUIRE_MESSAGE(asking.answer().has_value(), asking.answer().error().message());
    return *asking.answer();
  }
  Protocol::socket connect() {
    Protocol::socket socket(io);
    socket.connect(Protocol::endpoint(path));
    socket.non_blocking(true);
    return socket;
  }
  static bool is_closed(Protocol::socket& socket) {
    char byte = 0;
    boost::system::error_code error;
    socket.read_some(boost::asio::buffer(&byte, 1), error);
    return error && error != boost::asio::error::would_block;
  }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "control: status is asked and answered, again and again") {
  listen();
  CHECK(ask("status") == status);
  status = "{\"state\":\"waiting\",\"text\":\"" + std::string(100000, 'x') + "\"}";
  CHECK(ask("status") == status);
  CHECK(ask("nonsense") == "{\"error\":\"unknown request\"}");
  CHECK(ask("status") == status);
}

TEST_CASE_FIXTURE(Fixture, "control: the socket is for its owner alone and goes with the server") {
  listen();
  struct stat info {};
  REQUIRE(::stat(path.c_str(), &info) == 0);
  CHECK(S_ISSOCK(info.st_mode));
  CHECK((info.st_mode & 0777) == 0600);
  server.reset();
  CHECK_FALSE(std::filesystem::exists(path));
  CHECK(ask_daemon(path, "status").error() == boost::system::errc::no_such_file_or_directory);
}

TEST_CASE_FIXTURE(Fixture, "control: stop is answered when all is taken down") {
  listen();
  const Asking first(path, "stop");
  const Asking second(path, "stop");
  REQUIRE(run_until(io, [&] { return stops == 2; }));
  std::this_thread::sleep_for(50ms);
  CHECK_FALSE(first.is_done());
  server->close();
  CHECK_FALSE(std::filesystem::exists(path));
  std::this_thread::sleep_for(50ms);
  CHECK_FALSE(first.is_done());
  server.reset();
  REQUIRE(run_until(io, [&] { return first.is_done() && second.is_done(); }));
  CHECK(first.answer().has_value());
  CHECK(second.answer().has_value());
}

TEST_CASE_FIXTURE(Fixture, "control: a socket that a dead daemon left is replaced") {
  { Protocol::acceptor dead(io, Protocol::endpoint(path)); }
  REQUIRE(std::filesystem::exists(path));
  CHECK(ask_daemon(path, "status").error() == boost::asio::error::connection_refused);
  listen();
  CHECK(ask("status") == status);
}

TEST_CASE_FIXTURE(Fixture, "control: someone's file at the path stays") {
  const auto refuses = [&] {
    auto result = ControlServer::listen(io, path, {});
    return !result.has_value() && result.error() == boost::system::errc::file_exists;
  };
  std::ofstream(path) << "precious";
  CHECK(refuses());
  CHECK(std::filesystem::file_size(path) == 8);
  std::filesystem::remove(path);
  std::filesystem::create_directory(path);
  CHECK(refuses());
  std::filesystem::remove(path);
  std::filesystem::create_symlink(directory.file("elsewhere"), path);
  CHECK(refuses());
}

TEST_CASE_FIXTURE(Fixture, "control: paths that cannot be") {
  CHECK(ControlServer::listen(io, directory.file(std::string(200, 'x')), {}).error() ==
        boost::system::errc::filename_too_long);
  CHECK(ask_daemon(directory.file(std::string(200, 'x')), "status").error() ==
        boost::system::errc::filename_too_long);
  CHECK(ControlServer::listen(io, directory.file("missing/x.sock"), {}).error() ==
        boost::system::errc::no_such_file_or_directory);
}

TEST_CASE_FIXTURE(Fixture,
                  "control: silent peers do not keep others from being served, and are closed in time") {
  listen(300ms);
  std::vector<Protocol::socket> silent;
  for (int i = 0; i < 50; ++i) silent.push_back(connect());
  CHECK(ask("status") == status);
  const auto all_closed = [&] {
    return std::all_of(silent.begin(), silent.end(), [](auto& socket) { return is_closed(socket); });
  };
  CHECK(run_until(io, all_closed, 5s));
  CHECK(ask("status") == status);
}

TEST_CASE_FIXTURE(Fixture, "control: a peer that does not read its answer is closed in time") {
  listen(300ms);
  status = "\"" + std::string(8 << 20, 'x') + "\"";
  auto socket = connect();
  boost::asio::write(socket, boost::asio::buffer("status\n", 7));
  io.restart();
  io.run_for(600ms);
  std::size_t received = 0;
  std::vector<char> buffer(1 << 20);
  boost::system::error_code error;
  while (!error) received += socket.read_some(boost::asio::buffer(buffer), error);
  CHECK(error == boost::asio::error::eof);
  CHECK(received < status.size());
}

TEST_CASE_FIXTURE(Fixture, "control: an oversized request ends the connection, one byte at a time is fine") {
  listen();
  auto huge = connect();
  boost::asio::write(huge, boost::asio::buffer(std::string(1000, 'x')));
  CHECK(run_until(io, [&] { return is_closed(huge); }));

  auto slow = connect();
  for (const char c : std::string("status\n")) {
    boost::asio::write(slow, boost::asio::buffer(&c, 1));
    io.restart();
    io.run_for(5ms);
  }
  std::string answer(status.size() + 1, '\0');
  boost::system::error_code error;
  boost::asio::read(slow, boost::asio::buffer(answer), error);
  CHECK(answer == status + "\n");

  auto gone = connect();
  boost::asio::write(gone, boost::asio::buffer("sta", 3));
  gone.close();
  auto hasty = connect();
  boost::asio::write(hasty, boost::asio::buffer("status\n", 7));
  hasty.close();
  CHECK(ask("status") == status);
}

TEST_CASE_FIXTURE(Fixture, "control: many peers at once") {
  listen();
  std::vector<std::unique_ptr<Asking>> peers;
  for (int i = 0; i < 60; ++i) peers.push_back(std::make_unique<Asking>(path, "status"));
  CHECK(run_until(io, [&] {
    return std::all_of(peers.begin(), peers.end(), [](const auto& peer) { return peer->is_done(); });
  }));
  for (const auto& peer : peers) CHECK(peer->answer().value() == status);
}

TEST_CASE_FIXTURE(Fixture, "control: a daemon that answers nonsense does not end the command") {
  Protocol::acceptor acceptor(io, Protocol::endpoint(path));
  const auto answer_with = [&](const std::string& text) {
    const Asking asking(path, "status");
    {
      auto socket = acceptor.accept();
      char request[7];
      boost::asio::read(socket, boost::asio::buffer(request));
      boost::system::error_code ignored;
      boost::asio::write(socket, boost::asio::buffer(text), ignored);
    }
    REQUIRE(run_until(io, [&] { return asking.is_done(); }));
    return asking.answer();
  };
  CHECK_FALSE(answer_with("").has_value());
  CHECK_FALSE(answer_with("no line end").has_value());
  CHECK(answer_with("x\ny\n").value() == "x");
  CHECK(answer_with(std::string(kLargestAnswer + 1, 'x')).error() == boost::system::errc::message_size);
}

TEST_CASE_FIXTURE(Fixture, "control: who waits for the end hears what came of it") {
  listen();
  const Asking asking(path, "stop");
  REQUIRE(run_until(io, [&] { return stops == 1; }));
  server->set_end_answer("{\"stopped\":true,\"released\":true}");
  server.reset();
  REQUIRE(run_until(io, [&] { return asking.is_done(); }));
  REQUIRE(asking.answer().has_value());
  CHECK(*asking.answer() == "{\"stopped\":true,\"released\":true}");
}
