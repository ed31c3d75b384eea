// SPDX-License-Identifier: BSD-3-Clause
// Asks the registry by UDP where it sees this node, from the socket that links begin at. While the node is
// behind a NAT and has no link that is often enough to keep the NAT's mapping (RFC 4787 section 4.3: two
// minutes at least, 30 s in many); else its peers tell, and this is only to notice changes.
#pragma once

#include <spdlog/logger.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/system/error_code.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "src/net/server_address.h"

namespace sixlink::client {

class RegistryEcho {
 public:
  using Endpoint = boost::asio::ip::udp::endpoint;
  struct Pace {
    std::chrono::milliseconds often{25'000};  // while the mapping is to be kept
    std::chrono::milliseconds rarely{300'000};
    std::chrono::milliseconds again{1'000};  // where nothing came back
    // Of one that gave no answer, while the mapping is to be kept: others wait for what it would tell.
    std::chrono::milliseconds after_failure{10'000};
  };
  static constexpr std::size_t kMostAddresses = 2;  // of the registry: the second tells of the NAT's kind

  struct Events {
    // From the node's shared port.
    std::function<boost::system::error_code(std::span<const std::uint8_t>, const Endpoint& to)> send;
    std::function<void(const boost::asio::ip::address& observer, const Endpoint& seen)> on_seen;
    // Whether the mapping is to be kept.
    std::function<bool()> is_needed;
  };

  // `io` and `log` outlive it. Nothing is told after the destructor.
  RegistryEcho(boost::asio::io_context& io, net::ServerAddress registry, spdlog::logger& log, Events events,
               Pace pace);
  ~RegistryEcho();
  RegistryEcho(const RegistryEcho&) = delete;
  RegistryEcho& operator=(const RegistryEcho&) = delete;

  // Soon: the network is another one, or the registry is there again. Not more often than every few seconds.
  void ask();
  // A control datagram that came to that port. True: it was an answer.
  bool input(std::span<const std::uint8_t> datagram, const Endpoint& from);
  // What it said last; nullopt: nothing to what was asked last.
  std::optional<Endpoint> seen() const { return seen_; }
  // Empty: it answers, or was not asked yet. In words, with what to do.
  const std::string& problem() const { return problem_; }

 private:
  struct Question {
    Endpoint to;
    std::uint64_t nonce = 0;
    bool is_answered = false;
  };
  void begin();
  void try_once();
  void wait_for_next(std::chrono::milliseconds if_needed);
  void wait(std::chrono::milliseconds pause, void (RegistryEcho::*what)());
  void fail(const std::string& why);

  boost::asio::io_context& io_;
  net::ServerAddress registry_;
  spdlog::logger& log_;
  Events events_;
  Pace pace_;
  boost::asio::steady_timer timer_;
  std::shared_ptr<bool> life_ = std::make_shared<bool>(true);
  std::vector<Question> questions_;
  int tries_ = 0;
  bool is_looking_up_ = false;
  std::chrono::steady_clock::time_point begun_{};
  std::optional<Endpoint> seen_;
  std::string problem_;
};

// Where the registry of that URL (parse_registry_url()) answers: its HTTPS port, 443 unless it is named.
net::ServerAddress echo_address(const std::string& url);

}  // namespace sixlink::client
