// SPDX-License-Identifier: BSD-3-Clause
#include "src/client/registry_echo.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <exception>
#include <string_view>
#include <utility>

#include "platform/platform.h"
#include "src/mesh/seen_endpoint.h"
#include "src/net/outer_address.h"
#include "src/net/resolve.h"

namespace sixlink::client {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr seconds kLookUp{10};
constexpr int kTries = 3;
// Between what makes this ask at once.
constexpr seconds kPause{5};

constexpr std::string_view kScheme = "https://";
constexpr std::uint16_t kHttps = 443;

}  // namespace

net::ServerAddress echo_address(const std::string& url) {
  std::string_view text(url);
  if (text.starts_with(kScheme)) text.remove_prefix(kScheme.size());
  auto address = net::ServerAddress::parse(text).value_or(net::ServerAddress{});
  // Without a port, parse() has TSP's.
  const auto colon = text.rfind(':');
  const bool has_port = colon != std::string_view::npos && text.find(']', colon) == std::string_view::npos;
  if (!has_port) address.port = kHttps;
  return address;
}

RegistryEcho::RegistryEcho(boost::asio::io_context& io, net::ServerAddress registry, spdlog::logger& log,
                           Events events, Pace pace)
    : io_(io),
      registry_(std::move(registry)),
      log_(log),
      events_(std::move(events)),
      pace_(pace),
      timer_(io) {
  begin();
}

RegistryEcho::~RegistryEcho() {
  *life_ = false;
}

void RegistryEcho::ask() {
  if (is_looking_up_ || Clock::now() - begun_ < kPause) return;
  begin();
}

void RegistryEcho::wait(milliseconds pause, void (RegistryEcho::*what)()) {
  timer_.expires_after(pause);
  timer_.async_wait([this, what, life = life_](const boost::system::error_code& error) {
    if (!error && *life) (this->*what)();
  });
}

void RegistryEcho::wait_for_next(milliseconds if_needed) {
  wait(events_.is_needed() ? if_needed : pace_.rarely, &RegistryEcho::begin);
}

void RegistryEcho::begin() {
  begun_ = Clock::now();
  is_looking_up_ = true;
  timer_.cancel();
  boost::asio::co_spawn(
      io_, net::resolve(registry_.host, kLookUp),
      [this, life = life_](const std::exception_ptr& error,
                           const boost::system::result<std::vector<boost::asio::ip::address>>& found) {
        if (!*life) return;
        is_looking_up_ = false;
        questions_.clear();
        tries_ = 0;
        if (!error && found) {
          for (const auto& address : *found) {
            // IPv6 needs no NAT: the addresses that the node has are those that others see.
            if (address.is_v4() && questions_.size() < kMostAddresses)
              questions_.push_back({Endpoint(address, registry_.port), platform::random_number(), false});
          }
        }
        if (!questions_.empty()) return try_once();
        fail("its name has no IPv4 address now");
      });
}

void RegistryEcho::try_once() {
  const bool is_done = std::ranges::all_of(questions_, &Question::is_answered);
  if (is_done) return wait_for_next(pace_.often);
  if (tries_++ == kTries) {
    if (std::ranges::any_of(questions_, &Question::is_answered)) return wait_for_next(pace_.often);
    return fail("no answer from " +
                net::endpoint_text(questions_.front().to.address(), questions_.front().to.port()) +
                "; let UDP to that port through, here and at the registry");
  }
  for (const auto& question : questions_) {
    // What is not sent is asked again.
    if (!question.is_answered)
      static_cast<void>(events_.send(mesh::make_endpoint_request(question.nonce), question.to));
  }
  wait(pace_.again, &RegistryEcho::try_once);
}

void RegistryEcho::fail(const std::string& why) {
  seen_.reset();
  auto problem = "the registry does not tell by UDP where it sees this node: " + why;
  if (problem != problem_) log_.info("{}", problem);
  problem_ = std::move(problem);
  wait_for_next(pace_.after_failure);
}

bool RegistryEcho::input(std::span<const std::uint8_t> datagram, const Endpoint& from) {
  if (datagram.size() != mesh::kSeenEndpointSize) return false;
  const auto answer = mesh::parse_endpoint_response(datagram);
  if (!answer) return false;
  const auto question = std::ranges::find_if(questions_, [&](const Question& one) {
    return !one.is_answered && one.to == from && one.nonce == answer->nonce;
  });
  // A copy, or a forgery: no business of the node's either.
  if (question == questions_.end()) return true;
  question->is_answered = true;
  if (seen_ != answer->endpoint)
    log_.info("the registry sees this node at {}",
              net::endpoint_text(answer->endpoint.address(), answer->endpoint.port()));
  seen_ = answer->endpoint;
  problem_.clear();
  events_.on_seen(from.address(), answer->endpoint);
  return true;
}

}  // namespace sixlink::client
