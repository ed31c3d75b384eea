// SPDX-License-Identifier: BSD-3-Clause
// What a running node does with its registry: renews its certificate, waits for newer parameters of the
// network, keeps its contact there, asks for others'. All of it is tried again for as long as it takes; a
// mesh works without.
#pragma once

#include <spdlog/logger.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "src/client/mesh_config.h"
#include "src/client/mesh_identity.h"
#include "src/client/registry_api.h"
#include "src/mesh/parameters.h"
#include "src/net/prefix.h"
#include "src/tunnel/retry.h"

namespace sixlink::client {

// Called from the loop. None of what they are given was checked, but the identity.
struct RegistrySyncEvents {
  // A new certificate, or another IPv4 prefix, is in its file, and good. Links stay.
  std::function<void(MeshIdentity identity)> on_identity = [](const MeshIdentity&) {};
  std::function<void(std::span<const std::uint8_t> der)> on_parameters = [](auto) {};
  std::function<void(std::span<const std::uint8_t> der)> on_contact = [](auto) {};
  // Of a node that wants a link to this one, and sends to its endpoints now.
  std::function<void(std::span<const std::uint8_t> der)> on_introduction = [](auto) {};
  // Asked when the contact is told: for the topology that operators see.
  std::function<std::vector<ApiNeighbour>()> neighbours = [] { return std::vector<ApiNeighbour>(); };
  // Where the registry sees this node.
  std::function<void(const boost::asio::ip::address& address)> on_observed = [](const auto&) {};
};

// For status.
struct RegistryState {
  std::string url;
  bool is_reachable = false;  // as far as the last answer tells
  std::optional<WallTime> last_answer;
  std::string last_error;  // of what was asked last; empty: all is well
  WallTime renewal{};      // when the certificate is to be renewed
  std::string warning;     // of the certificate: expired, about to, a clock is wrong
};

class RegistrySync {
 public:
  // `log`, `io` outlive it. `identity` is read, not kept.
  RegistrySync(boost::asio::io_context& io, const MeshConfig& config, const MeshIdentity& identity,
               spdlog::logger& log, RegistrySyncEvents events);
  ~RegistrySync();
  RegistrySync(const RegistrySync&) = delete;
  RegistrySync& operator=(const RegistrySync&) = delete;

  // `version`: of the parameters that the node has; newer ones are waited for.
  void start(std::uint64_t version);
  void stop();
  // The clock was set, or the network is another one: what failed may work now, and is tried within seconds.
  void retry_soon();

  // The node's contact, as signed, was made anew: to the registry now, and again every third of `lifetime`.
  void publish(std::vector<std::uint8_t> der, std::chrono::seconds lifetime);
  // The node goes. `done` is called when the registry knows, or cannot be told in `limit`.
  void withdraw(std::chrono::milliseconds limit, std::function<void()> done);
  void ask_contacts(unsigned count);
  // That node is told of this one, too, so that both can send to each other.
  void ask_contact(const net::Prefix& node);
  // The node has taken these, whoever they came from: their authorities are believed from now on, also of the
  // registry's TLS. Where the network has IPv4 and this node none of it, it is asked for after some seconds,
  // other for each node.
  void use_parameters(const mesh::NetworkParameters& parameters);

  RegistryState state() const;

 private:
  void after(std::chrono::milliseconds pause, boost::asio::steady_timer& timer, void (RegistrySync::*what)());
  void wait_for_parameters();
  void check_renewal();
  bool is_renewal_due() const;
  void renew();
  void renewal_failed(const std::string& why);
  void renewed();
  // Empty: it is this node's now.
  std::string take_certificate(const Enrolled& enrolled);
  void put_contact();
  // As long as the contact is good: puts it again when its time has come, or the neighbours are others.
  void keep_contact();
  // Of each answer; logs when it changes.
  void note(const ApiError& error, const char* what);
  void note_success();

  std::shared_ptr<bool> life_ = std::make_shared<bool>(true);
  MeshConfig config_;
  pki::Certificate certificate_;
  std::vector<pki::Certificate> joined_with_;
  std::optional<net::PrefixV4> prefix_v4_;
  spdlog::logger& log_;
  RegistrySyncEvents events_;
  std::unique_ptr<RegistryApi> api_;
  boost::asio::steady_timer parameters_timer_;
  boost::asio::steady_timer renewal_timer_;
  boost::asio::steady_timer contact_timer_;
  boost::asio::steady_timer goodbye_timer_;
  tunnel::RetrySchedule parameters_retry_;
  tunnel::RetrySchedule renewal_retry_;
  tunnel::RetrySchedule contact_retry_;
  mesh::NetworkParameters parameters_;
  std::vector<std::uint8_t> contact_;
  std::chrono::seconds contact_lifetime_{0};
  std::vector<net::Prefix> told_neighbours_;
  bool is_putting_ = false;
  bool has_newer_contact_ = false;
  bool is_renewing_ = false;
  std::optional<net::PrefixV4> asked_network_v4_;  // that a prefix was asked of
  bool lacks_v4_ = false;                          // to be asked for
  bool is_asking_contacts_ = false;
  std::chrono::steady_clock::time_point last_put_{};
  std::vector<net::Prefix> asked_;  // whose contact is being asked
  bool is_running_ = false;
  bool is_reachable_ = false;
  std::optional<WallTime> last_answer_;
  std::string last_error_;
  std::string renewal_error_;
};

}  // namespace sixlink::client
