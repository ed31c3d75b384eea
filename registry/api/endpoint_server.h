// SPDX-License-Identifier: BSD-3-Clause
// Tells nodes by UDP where they are seen, beside HTTPS on the same addresses and ports: so nodes behind NATs
// learn the port that theirs gave them where they have no other node to ask (src/mesh/seen_endpoint.h). Keeps
// nothing of who asks but how often he did, answers with as much as was sent, and each address only so often.
#pragma once

#include <spdlog/logger.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/udp.hpp>
#include <memory>
#include <string>

namespace sixlink::registry {

class EndpointServer {
 public:
  // Several nodes are behind one address; each asks three times within seconds at most, then every 25 s.
  static constexpr double kEachPerSecond = 10;
  static constexpr double kEachBurst = 100;
  static constexpr double kAllPerSecond = 20000;

  // Both outlive it.
  EndpointServer(boost::asio::io_context& io, spdlog::logger& log);
  ~EndpointServer();
  EndpointServer(const EndpointServer&) = delete;
  EndpointServer& operator=(const EndpointServer&) = delete;

  // May be called for several. Empty: it answers there (or the machine does not have that family). Else why
  // not, and what to do.
  std::string listen(const boost::asio::ip::udp::endpoint& local);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sixlink::registry
