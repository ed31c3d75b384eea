// SPDX-License-Identifier: BSD-3-Clause
// What `sixlink doctor` tries on the network.
#include <poll.h>
#include <spdlog/fmt/fmt.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/udp.hpp>
#include <chrono>
#include <memory>

#include "platform/platform.h"
#include "src/client/doctor_checks.h"
#include "src/client/registry_echo.h"
#include "src/mesh/control_message.h"
#include "src/mesh/signed_contact.h"
#include "src/net/resolve.h"
#include "src/tsp/rudp.h"

namespace sixlink::client {
namespace {

namespace asio = boost::asio;
using Result = Finding::Result;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kMostEndpoints = 16;
constexpr std::chrono::milliseconds kPatience{2500};
constexpr std::chrono::milliseconds kRepeat{800};

std::string text_of(const mesh::ContactEndpoint& endpoint) {
  const auto address = endpoint.address.to_string();
  return fmt::format("{}:{}", endpoint.address.is_v6() ? "[" + address + "]" : address, endpoint.port);
}

// A node's answer to our echo: whoever else answers, it is no mesh.
bool is_answer(std::span<const std::uint8_t> datagram, std::uint64_t nonce) {
  const auto message = tsp::parse_rudp(datagram);
  const auto echo = message ? mesh::parse_outer_echo(message->text) : std::nullopt;
  return echo && echo->is_response && echo->nonce == nonce;
}

class UdpProbe {
 public:
  UdpProbe(asio::io_context& io, bool is_v4) : socket_(io) {
    boost::system::error_code error;
    socket_.open(is_v4 ? asio::ip::udp::v4() : asio::ip::udp::v6(), error);
    if (!error) socket_.non_blocking(true, error);
    if (error) socket_.close(error);
  }
  bool is_open() const { return socket_.is_open(); }
  int fd() { return socket_.native_handle(); }
  void send(const mesh::ContactEndpoint& endpoint, std::span<const std::uint8_t> datagram) {
    boost::system::error_code ignored;
    socket_.send_to(asio::buffer(datagram.data(), datagram.size()), {endpoint.address, endpoint.port}, 0,
                    ignored);
  }
  // From whom an answer came; nullopt: none is there.
  std::optional<asio::ip::udp::endpoint> receive(std::uint64_t nonce) {
    std::array<std::uint8_t, 2048> buffer{};
    for (int left = 64; left > 0; --left) {
      asio::ip::udp::endpoint from;
      boost::system::error_code error;
      const auto size = socket_.receive_from(asio::buffer(buffer), from, 0, error);
      if (error == asio::error::would_block || error == asio::error::try_again) return std::nullopt;
      if (!error && is_answer({buffer.data(), size}, nonce)) return from;
    }
    return std::nullopt;
  }

 private:
  asio::ip::udp::socket socket_;
};

std::optional<std::string> echo_any(const std::vector<mesh::ContactEndpoint>& endpoints) {
  asio::io_context io(1);
  UdpProbe v4(io, true);
  UdpProbe v6(io, false);
  const auto nonce = platform::random_number();
  const auto request = tsp::make_rudp({0xF0000001U, 0}, mesh::outer_echo({false, nonce, 0, 0}));
  const auto begun = Clock::now();
  auto next_send = begun;
  while (Clock::now() - begun < kPatience) {
    if (Clock::now() >= next_send) {
      for (const auto& endpoint : endpoints) {
        auto& probe = endpoint.address.is_v4() ? v4 : v6;
        if (probe.is_open()) probe.send(endpoint, request);
      }
      next_send += kRepeat;
    }
    std::array<pollfd, 2> readable{pollfd{v4.is_open() ? v4.fd() : -1, POLLIN, 0},
                                   pollfd{v6.is_open() ? v6.fd() : -1, POLLIN, 0}};
    ::poll(readable.data(), readable.size(), 50);
    for (auto* probe : {&v4, &v6}) {
      if (!probe->is_open()) continue;
      if (const auto from = probe->receive(nonce))
        return text_of({from->address(), from->port(), mesh::Transport::kUdp, mesh::EndpointKind::kPublic});
    }
  }
  return std::nullopt;
}

std::optional<std::string> connect_any(const std::vector<mesh::ContactEndpoint>& endpoints) {
  asio::io_context io(1);
  std::optional<std::string> reached;
  std::vector<std::unique_ptr<asio::ip::tcp::socket>> sockets;
  for (const auto& endpoint : endpoints) {
    sockets.push_back(std::make_unique<asio::ip::tcp::socket>(io));
    sockets.back()->async_connect({endpoint.address, endpoint.port},
                                  [&, endpoint](const boost::system::error_code& error) {
                                    if (!error && !reached) reached = text_of(endpoint);
                                  });
  }
  const auto until = Clock::now() + kPatience;
  while (!reached && io.run_one_until(until) > 0) {
  }
  for (auto& socket : sockets) {
    boost::system::error_code ignored;
    socket->close(ignored);
  }
  io.restart();
  io.poll();
  return reached;
}

boost::system::result<std::vector<asio::ip::address>> look_up(const std::string& host) {
  asio::io_context io(1);
  boost::system::result<std::vector<asio::ip::address>> found = std::vector<asio::ip::address>();
  asio::co_spawn(io, net::resolve(host, std::chrono::seconds(5)),
                 [&](const std::exception_ptr& exception, auto result) {
                   if (!exception) found = std::move(result);
                 });
  io.run();
  return found;
}

constexpr const char* kLetUdpOut = "let UDP out, to port 3653 at least";

// Where no node can be asked.
Finding check_udp_to_registry(const KnownEndpoints& endpoints, const NatSurvey& survey) {
  const std::string nobody = "no other node is known yet that could be asked";
  if (endpoints.registry.empty()) return {Result::kSkipped, "udp", nobody, {}};
  if (std::ranges::any_of(survey.seen, &NatSurvey::SeenBy::is_registry))
    return {Result::kOk, "udp", "the registry answers; " + nobody, {}};
  const auto& asked = endpoints.registry.front();
  return {Result::kWarning, "udp",
          fmt::format("the registry does not answer at {}:{}, and {}", asked.address().to_string(),
                      asked.port(), nobody),
          std::string(kLetUdpOut) + "; the registry is asked at the port of its HTTPS"};
}

}  // namespace

std::vector<asio::ip::udp::endpoint> registry_endpoints(const std::string& url) {
  const auto server = echo_address(url);
  std::vector<asio::ip::udp::endpoint> endpoints;
  const auto found = look_up(server.host);
  if (!found) return endpoints;
  for (const auto& address : *found) {
    if (address.is_v4() && endpoints.size() < RegistryEcho::kMostAddresses)
      endpoints.emplace_back(address, server.port);
  }
  return endpoints;
}

Finding check_dns(const std::string& url) {
  auto rest = std::string_view(url).substr(std::string_view("https://").size());
  const auto server = net::ServerAddress::parse(rest);
  if (!server || server->is_literal())
    return {Result::kSkipped, "dns", "the registry is named by its address", {}};
  const auto found = look_up(server->host);
  if (found && !found->empty())
    return {Result::kOk, "dns", fmt::format("{} is {}", server->host, found->front().to_string()), {}};
  return {Result::kFailed, "dns",
          fmt::format("{} cannot be resolved: {}", server->host,
                      found ? "it has no address" : found.error().message()),
          "check the name in registry=, and this machine's resolver (/etc/resolv.conf)"};
}

Finding check_registry(const ApiResult<SeenAddress>& address,
                       const std::optional<ApiResult<FetchedParameters>>& known) {
  if (!address) {
    // Without it a mesh goes on: for new nodes, renewals and revocations it is needed.
    const bool is_foreign = address.error.kind == ApiFailure::kNotTrusted;
    return {is_foreign ? Result::kFailed : Result::kWarning, "registry", address.error.text,
            is_foreign ? "" : "links that are up stay up without it, and it is tried again"};
  }
  if (known && !*known)
    return {known->error.kind == ApiFailure::kRefused ? Result::kFailed : Result::kWarning,
            "registry",
            known->error.text,
            {}};
  return {Result::kOk, "registry", "answers, and knows this node", {}};
}

KnownEndpoints known_endpoints(const std::vector<SignedBytes>& contacts, const MeshIdentity& identity,
                               WallTime now) {
  KnownEndpoints known;
  const mesh::CertifiedContacts verifier(identity.anchor);
  for (const auto& der : contacts) {
    const auto opened = verifier.open(der, now);
    if (!opened.contact || opened.contact->contact.prefix == identity.certificate.prefix()) continue;
    for (const auto& endpoint : opened.contact->contact.endpoints) {
      auto& list = endpoint.transport == mesh::Transport::kUdp ? known.udp : known.tcp;
      if (list.size() < kMostEndpoints && std::ranges::find(list, endpoint) == list.end())
        list.push_back(endpoint);
    }
  }
  return known;
}

Finding check_udp(const KnownEndpoints& endpoints, const NatSurvey& survey, bool is_tcp_allowed) {
  if (endpoints.udp.empty()) return check_udp_to_registry(endpoints, survey);
  if (const auto from = echo_any(endpoints.udp))
    return {Result::kOk, "udp", "the node at " + *from + " answers", {}};
  return {
      is_tcp_allowed ? Result::kWarning : Result::kFailed, "udp",
      fmt::format("none of {} endpoints answers, {} among them", endpoints.udp.size(),
                  text_of(endpoints.udp.front())),
      kLetUdpOut +
          std::string(is_tcp_allowed ? "; until then links are made of TLS over TCP, which is slower" : "")};
}

Finding check_tcp(const KnownEndpoints& endpoints) {
  if (endpoints.tcp.empty())
    return {Result::kSkipped, "tcp", "no other node is known yet that takes TLS over TCP", {}};
  if (const auto at = connect_any(endpoints.tcp))
    return {Result::kOk, "tcp", "the node at " + *at + " takes connections", {}};
  return {Result::kWarning, "tcp",
          fmt::format("none of {} endpoints takes a connection, {} among them", endpoints.tcp.size(),
                      text_of(endpoints.tcp.front())),
          "where UDP works this is no harm; else let TCP out, to port 443 or 3653"};
}

}  // namespace sixlink::client
