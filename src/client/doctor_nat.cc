// SPDX-License-Identifier: BSD-3-Clause
// What NAT this machine is behind, as `sixlink doctor` finds out without a node: several nodes and the
// registry are asked where they see one and the same socket. Nodes tell whoever asks for a link and cannot
// have it.
#include <poll.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/udp.hpp>
#include <chrono>
#include <utility>

#include "platform/platform.h"
#include "src/client/doctor_checks.h"
#include "src/client/own_endpoints.h"
#include "src/mesh/control_message.h"
#include "src/mesh/control_parts.h"
#include "src/mesh/own_endpoints.h"
#include "src/mesh/seen_endpoint.h"
#include "src/tsp/rudp.h"

namespace sixlink::client {
namespace {

namespace asio = boost::asio;
using Result = Finding::Result;
using Clock = std::chrono::steady_clock;
using Endpoint = asio::ip::udp::endpoint;

constexpr std::size_t kMostAsked = 8;
constexpr std::size_t kEnough = 3;
constexpr std::chrono::milliseconds kPatience{2500};
constexpr std::chrono::milliseconds kRepeat{600};
constexpr std::uint32_t kEchoSequence = 0xF0000001;
constexpr std::uint32_t kRequestSequence = 0xF0000002;
constexpr int kMtu = 1280;

class Survey {
 public:
  Survey(const KnownEndpoints& endpoints, const net::Prefix& own) : nonce_(platform::random_number()) {
    for (const auto& one : endpoints.registry) add(one, true);
    for (const auto& one : endpoints.udp) add({one.address, one.port}, false);
    // For this node itself, which whoever is asked is not: it says so, and where the question came from.
    mesh::ControlMessage request;
    request.nonce = nonce_;
    request.to = own;
    request.mtu = kMtu;
    request.contacts = {{0}};
    request_ = to_text(request);
  }

  NatSurvey run() {
    boost::system::error_code error;
    if (!asked_.empty()) socket_.open(asio::ip::udp::v4(), error);
    if (!error && socket_.is_open()) socket_.non_blocking(true, error);
    if (!error && socket_.is_open()) {
      const auto until = Clock::now() + kPatience;
      auto next = Clock::now();
      while (Clock::now() < until && !is_done()) {
        if (Clock::now() >= next) {
          next += kRepeat;
          for (auto& one : asked_) ask(one);
        }
        pollfd readable{socket_.native_handle(), POLLIN, 0};
        ::poll(&readable, 1, 50);
        receive();
      }
    }
    NatSurvey survey;
    survey.asked = asked_.size();
    for (const auto& one : asked_) {
      if (one.seen) survey.seen.push_back({one.is_registry, one.endpoint.address(), *one.seen});
    }
    return survey;
  }

 private:
  struct Asked {
    Endpoint endpoint;
    bool is_registry = false;
    std::uint64_t cookie = 0;  // 0: it has not given any yet
    std::optional<Endpoint> seen;
  };

  // NATs may tell destinations apart by their addresses: two ports of one host are one opinion.
  void add(const Endpoint& endpoint, bool is_registry) {
    const auto is_known = [&](const Asked& asked) { return asked.endpoint.address() == endpoint.address(); };
    if (endpoint.address().is_v4() && asked_.size() < kMostAsked && std::ranges::none_of(asked_, is_known))
      asked_.push_back({endpoint, is_registry, 0, std::nullopt});
  }

  bool is_done() const {
    const auto answers = std::ranges::count_if(asked_, [](const Asked& one) { return one.seen.has_value(); });
    return std::cmp_greater_equal(answers, std::min(kEnough, asked_.size()));
  }

  void send(std::span<const std::uint8_t> datagram, const Endpoint& to) {
    boost::system::error_code ignored;
    socket_.send_to(asio::buffer(datagram.data(), datagram.size()), to, 0, ignored);
  }

  void ask(const Asked& one) {
    if (one.seen) return;
    if (one.is_registry) return send(mesh::make_endpoint_request(nonce_), one.endpoint);
    if (one.cookie == 0)
      return send(tsp::make_rudp({kEchoSequence, 0}, mesh::outer_echo({false, nonce_, 0, 0})), one.endpoint);
    for (const auto& part : mesh::make_parts(kRequestSequence, 0, one.cookie, request_))
      send(part, one.endpoint);
  }

  void receive() {
    std::array<std::uint8_t, 2048> buffer{};
    for (int left = 64; left > 0; --left) {
      Endpoint from;
      boost::system::error_code error;
      const auto size = socket_.receive_from(asio::buffer(buffer), from, 0, error);
      if (error == asio::error::would_block || error == asio::error::try_again) return;
      const auto asked = std::ranges::find(asked_, from, &Asked::endpoint);
      if (!error && asked != asked_.end()) take({buffer.data(), size}, *asked);
    }
  }

  void take(std::span<const std::uint8_t> datagram, Asked& from) {
    if (from.is_registry) {
      const auto answer = mesh::parse_endpoint_response(datagram);
      if (answer && answer->nonce == nonce_ && answer->endpoint.address().is_v4())
        from.seen = answer->endpoint;
      return;
    }
    const auto message = tsp::parse_rudp(datagram);
    if (!message) return;
    if (const auto echo = mesh::parse_outer_echo(message->text)) {
      if (!echo->is_response || echo->nonce != nonce_ || echo->cookie == 0) return;
      from.cookie = echo->cookie;
      return ask(from);
    }
    const auto part = mesh::parse_part(message->text);
    if (!part) return;
    const auto whole =
        reassembler_.add({mesh::Way::kOuter, from.endpoint}, message->header.sequence, *part, Clock::now());
    const auto answer = whole ? mesh::parse_control(*whole) : std::nullopt;
    if (answer && answer->kind == mesh::ControlKind::kAnswer && answer->nonce == nonce_ && answer->observed &&
        answer->observed->address().is_v4())
      from.seen = answer->observed;
  }

  asio::io_context io_{1};
  asio::ip::udp::socket socket_{io_};
  std::uint64_t nonce_;
  std::string request_;
  std::vector<Asked> asked_;
  mesh::Reassembler reassembler_;
};

std::string name_of(const NatSurvey::SeenBy& one) {
  return one.is_registry ? "the registry" : one.observer.to_string();
}

std::string text_of(const Endpoint& endpoint) {
  return fmt::format("{}:{}", endpoint.address().to_string(), endpoint.port());
}

Finding independent(const std::string& found) {
  return {Result::kOk,
          "nat",
          "there is one, of the kind that hole punching passes (its mapping is the same for all)" + found,
          {}};
}

Finding dependent(const std::string& found) {
  return {
      Result::kWarning, "nat",
      "there is one with another mapping for each destination (\"symmetric\")" + found,
      "links can be made from here only: forward UDP port 3653 to this machine and say so with endpoint=, "
      "or allow PCP, NAT-PMP or UPnP in the router"};
}

// By the same rule as a running node. nullopt: those who answered do not say enough.
std::optional<Finding> judge(const NatSurvey& survey) {
  mesh::OwnEndpoints own;
  std::vector<mesh::ContactEndpoint> given;
  for (const auto& one : survey.seen) {
    const auto source = platform::source_towards(one.observer);
    if (!source || *source != one.seen.address()) continue;
    const auto kind = is_private(*source) ? mesh::EndpointKind::kLocal : mesh::EndpointKind::kPublic;
    given.push_back({*source, one.seen.port(), mesh::Transport::kUdp, kind});
  }
  own.set_given(std::move(given));
  for (const auto& one : survey.seen) own.observe(one.observer, one.seen);
  const auto& first = survey.seen.front();
  const auto other = std::ranges::find_if(survey.seen, [&](const NatSurvey::SeenBy& one) {
    return one.seen.address() == first.seen.address() && one.seen.port() != first.seen.port();
  });
  const auto& last = other == survey.seen.end() ? survey.seen.back() : *other;
  switch (own.nat()) {
    case mesh::NatKind::kNone:
      return Finding{
          Result::kOk, "nat", fmt::format("none: {} sees this machine's own address", name_of(first)), {}};
    case mesh::NatKind::kIndependent:
      return independent(fmt::format(": {} others see {}", survey.seen.size(), text_of(first.seen)));
    case mesh::NatKind::kDependent:
      return dependent(fmt::format(": {} sees {}, and {} sees {}", name_of(first), text_of(first.seen),
                                   name_of(last), text_of(last.seen)));
    case mesh::NatKind::kUnknown:
      break;
  }
  return std::nullopt;
}

// Why it stays unknown.
std::string missing(const NatSurvey& survey) {
  if (survey.asked == 0) return "no other node with an IPv4 address is known that could be asked";
  if (survey.seen.empty()) return fmt::format("none of the {} that were asked answers", survey.asked);
  return fmt::format("only {} tells where it sees this machine: it takes two", name_of(survey.seen.front()));
}

}  // namespace

NatSurvey ask_where_seen(const KnownEndpoints& endpoints, const net::Prefix& own) {
  return Survey(endpoints, own).run();
}

Finding check_nat(const ApiResult<SeenAddress>& address, mesh::NatKind told, const NatSurvey& survey) {
  if (told == mesh::NatKind::kNone)
    return {Result::kOk, "nat", "none: peers see this node's own address", {}};
  if (told == mesh::NatKind::kIndependent) return independent({});
  if (told == mesh::NatKind::kDependent) return dependent({});
  if (!survey.seen.empty()) {
    if (auto found = judge(survey)) return *std::move(found);
  }
  const auto* const advice =
      "run this again when more nodes of the mesh are up, and see what is said of udp: a node finds out by "
      "itself";
  if (!address && survey.seen.empty())
    return {Result::kSkipped, "nat", "nobody tells where this machine is seen: " + missing(survey), advice};
  const auto seen = survey.seen.empty() ? address.value->address : survey.seen.front().seen.address();
  const std::string who = survey.seen.empty() ? "the registry" : name_of(survey.seen.front());
  const auto own = platform::source_towards(address ? seen : survey.seen.front().observer);
  if (own && *own == seen)
    return {Result::kOk,
            "nat",
            fmt::format("none: {} sees {}, which is this machine's", who, seen.to_string()),
            {}};
  return {Result::kWarning, "nat",
          fmt::format("there is one: {} sees {}. Of which kind it is cannot be told: {}", who,
                      seen.to_string(), missing(survey)),
          advice};
}

}  // namespace sixlink::client
