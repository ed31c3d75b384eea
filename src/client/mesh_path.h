// SPDX-License-Identifier: BSD-3-Clause
// The way through the mesh to a node, hop by hop: echo requests with growing hop limits, all at once.
#pragma once

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "src/net/prefix.h"

namespace sixlink::client {

struct Hop {
  int number = 0;
  std::optional<net::AddressV6> address;  // nullopt: it did not answer
  std::optional<std::chrono::microseconds> rtt;
  bool is_unreachable = false;  // it says that there is no way on
};

struct MeshPathResult {
  std::vector<Hop> hops;  // up to the node, or the last that answered
  bool is_reached = false;
  std::string problem;  // the question could not be asked
};

// What an answer says, of a probe with this identifier: which hop limit it had, and what became of it.
struct HopReport {
  int number = 0;
  enum class Kind : std::uint8_t { kReached, kExceeded, kUnreachable } kind = Kind::kReached;
};
// Hostile bytes. nullopt: no answer to one of ours to `target`.
std::optional<HopReport> parse_hop_answer(std::span<const std::uint8_t> message, const net::AddressV6& from,
                                          const net::AddressV6& target, std::uint16_t identifier);

class MeshPaths {
 public:
  static constexpr int kMostHops = 24;
  static constexpr int kMostAtOnce = 8;
  static constexpr std::chrono::milliseconds kRepeatAfter{700};
  static constexpr std::chrono::milliseconds kLimit{2000};

  using Done = std::function<void(MeshPathResult)>;
  // From `source`, the node's address.
  MeshPaths(boost::asio::io_context& io, const net::AddressV6& source);
  ~MeshPaths();
  MeshPaths(const MeshPaths&) = delete;
  MeshPaths& operator=(const MeshPaths&) = delete;

  // `done` is called once, later, unless this object goes before.
  void find(const net::AddressV6& target, Done done);

 private:
  struct Search;
  void finish(const std::shared_ptr<Search>& search, std::string problem = {});
  void send(Search& search);
  void wait(const std::shared_ptr<Search>& search);
  void wait_for_time(const std::shared_ptr<Search>& search);

  boost::asio::io_context& io_;
  net::AddressV6 source_;
  std::vector<std::shared_ptr<Search>> searches_;
};

}  // namespace sixlink::client
