// SPDX-License-Identifier: BSD-3-Clause
// From a TSP create to a durable lease.
#include "registry/broker/granter.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <memory>

#include "registry/dns/record_plan.h"
#include "src/tsp/status.h"

namespace sixlink::registry {
namespace {

// A tunnel with a packet this recently is in use; keepalives come every 30 s.
constexpr WallSeconds kAlive = 60;
// Without a packet this long, an anonymous client is taken for gone when others of its address need the
// place.
constexpr WallSeconds kSilent = 300;

int status_of(const boost::system::error_code& error) {
  if (error.category() != lease_category()) return tsp::kServerError;
  switch (static_cast<LeaseError>(error.value())) {
    case LeaseError::kNoAddressLeft:
      return tsp::kNoTunnelsLeft;
    case LeaseError::kNoPrefixLeft:
      return tsp::kPrefixLengthNotAvailable;
    case LeaseError::kPrefixLength:
      return tsp::kPrefixLengthNotSupported;
    case LeaseError::kPrefixNotForAnonymous:
      return tsp::kPrefixNotForAnonymous;
    case LeaseError::kTooManyForAddress:
      return tsp::kServerBusy;
    case LeaseError::kKeyInUse:
      return tsp::kInvalidRequest;
  }
  return tsp::kServerError;
}

}  // namespace

ModeDecision decide_mode(const Config& config, const RawTunnels& raw, const tsp::CreateRequest& request,
                         const Requester& requester, bool has_wireguard) {
  const auto refuse = [](int status) { return ModeDecision{status, LeaseMode::kV6UdpV4, {}, 0}; };
  const bool is_over_v4 = requester.peer.is_v4();
  // The client is told our end of the same family as its own.
  const bool v6v4 = config.mode_v6v4 && raw.v6v4 && request.client_address.is_v4() &&
                    (config.advertised_v4 || requester.local.is_v4());
  const bool v4v6 = config.mode_v4v6 && raw.v4v6 && request.client_address.is_v6() && requester.local.is_v6();
  const bool v6udpv4 =
      config.mode_v6udpv4 && requester.transport == tsp::Transport::kRudp && is_over_v4 && !request.is_proxy;
  const ModeDecision by_udp{tsp::kSuccess, LeaseMode::kV6UdpV4, requester.peer, requester.port};
  const ModeDecision by_v6v4{tsp::kSuccess, LeaseMode::kV6V4, request.client_address, 0};
  const ModeDecision by_v4v6{tsp::kSuccess, LeaseMode::kV4V6, request.client_address, 0};
  if (request.is_proxy && !config.proxy)
    return refuse(request.client_address.is_v4() ? tsp::kInvalidIpv4 : tsp::kInvalidIpv6);
  // A tunnel to an address that the client does not hold would throw packets at a stranger.
  const bool is_own_address = request.is_proxy || request.client_address == requester.peer;
  switch (request.mode) {
    case tsp::Mode::kV6UdpV4:
      return v6udpv4 ? by_udp : refuse(tsp::kModeNotSupported);
    case tsp::Mode::kV6V4:
      if (!v6v4) return refuse(tsp::kModeNotSupported);
      return is_own_address ? by_v6v4 : refuse(tsp::kInvalidIpv4);
    case tsp::Mode::kV4V6:
      if (!v4v6) return refuse(tsp::kModeNotSupported);
      return is_own_address ? by_v4v6 : refuse(tsp::kInvalidIpv6);
    case tsp::Mode::kV6AnyV4:
      // Behind a NAT only UDP passes. Where both do, UDP also passes NATs and firewalls that come later.
      if (v6v4 && is_own_address && (config.prefers_v6v4 || !v6udpv4)) return by_v6v4;
      return v6udpv4 ? by_udp : refuse(tsp::kModeNotSupported);
    case tsp::Mode::kWireguard:
      // The other machine's key could be known, but not who answers for it.
      if (!has_wireguard || request.is_proxy || !request.wireguard_key) return refuse(tsp::kModeNotSupported);
      // Where its WireGuard is will show; quotas go by where it asks from.
      return {tsp::kSuccess, LeaseMode::kWireguard, requester.peer, 0};
  }
  return refuse(tsp::kModeNotSupported);
}

void Granter::request(const tsp::CreateRequest& request, const Requester& requester, WallSeconds now,
                      Done done) {
  Pending pending;
  pending.done = std::move(done);
  const auto decision = decide_mode(config_, raw_, request, requester, wireguard_.has_value());
  if (decision.status != tsp::kSuccess) {
    pending.answer = decision.status;
  } else {
    acquire(request, requester, decision, now, pending);
  }
  pending_.push_back(std::move(pending));
  post_flush();
}

void Granter::post_flush() {
  if (!std::exchange(is_flush_posted_, true)) boost::asio::post(executor_, [this] { flush(); });
}

std::optional<std::int64_t> Granter::lease_to_release(const tsp::DeleteRequest& request,
                                                      const Requester& requester) const {
  if (!requester.user.empty()) {
    const auto mode = request.mode == tsp::Mode::kV4V6 ? LeaseMode::kV4V6 : LeaseMode::kV6UdpV4;
    const auto* lease = book_.find_user(requester.user, mode);
    return lease ? std::optional(lease->id) : std::nullopt;
  }
  const auto& inner = request.client_inner;
  const auto* tunnel = tunnels_.find(
      inner.is_v4() ? boost::asio::ip::make_address_v6(boost::asio::ip::v4_mapped, inner.to_v4())
                    : inner.to_v6());
  const auto* lease = tunnel ? book_.find(tunnel->lease) : nullptr;
  if (!lease || !lease->user.empty()) return std::nullopt;
  const bool is_wireguard = lease->mode == LeaseMode::kWireguard;
  if ((is_wireguard ? lease->outer_address : tunnel->outer.address) != requester.peer) return std::nullopt;
  // A forged datagram would have to hit the tunnel's own port and inner address. A tunnel without ports has
  // only its address, which others may know: there the client is to come over TCP, which cannot be forged.
  const bool is_there =
      tunnel->outer.mode == LeaseMode::kV6UdpV4
          ? requester.transport == tsp::Transport::kRudp && tunnel->outer.port == requester.port
          : requester.transport == tsp::Transport::kTcp;
  return is_there ? std::optional(lease->id) : std::nullopt;
}

bool Granter::release(const tsp::DeleteRequest& request, const Requester& requester, Released done) {
  Pending pending;
  pending.is_release = true;
  pending.answer = static_cast<int>(tsp::kSuccess);
  pending.done = [done = std::move(done)](const Answer& answer) { done(std::get<int>(answer)); };
  const auto id = lease_to_release(request, requester);
  if (id) release(*id, pending);
  pending_.push_back(std::move(pending));
  post_flush();
  return id.has_value();
}

void Granter::release(std::int64_t id, Pending& pending) {
  if (book_.release(id)) pending.replaced.push_back(id);
}

void Granter::acquire(const tsp::CreateRequest& request, const Requester& requester,
                      const ModeDecision& decision, WallSeconds now, Pending& pending) {
  // What our end is told to be, if the client's packets can come to it.
  const bool is_same_family = requester.local.is_v6() == decision.outer.is_v6();
  if (is_same_family) pending.local = requester.local;
  LeaseRequest wanted;
  wanted.user = requester.user;
  wanted.mode = decision.mode;
  wanted.outer_address = decision.outer;
  wanted.outer_port = decision.port;
  // Deployed clients leave the choice to the broker with 0, RFC 5572 by leaving the length out.
  if (request.is_router)
    wanted.prefix_length =
        request.prefix_length.value_or(0) == 0 ? LeaseRequest::kAnyLength : *request.prefix_length;
  if (request.is_router && config_.dns.publishes()) {
    auto servers = dns::accept_name_servers(config_.dns, request.dns_servers, requester.user);
    if (!servers || (!servers->empty() && is_v4_inside(decision.mode))) {
      pending.answer = static_cast<int>(tsp::kDnsDelegationError);
      return;
    }
    wanted.name_servers = *std::move(servers);
  }
  if (decision.mode == LeaseMode::kWireguard) {
    wanted.wireguard_key = request.wireguard_key;
    if (const auto refusal = free_key(*request.wireguard_key, requester, now, pending)) {
      pending.answer = *refusal;
      return;
    }
  }
  // The source of a datagram can be forged: an anonymous request must not take a living tunnel's place.
  const auto* before = decision.mode == LeaseMode::kWireguard
                           ? nullptr
                           : tunnels_.find_outer({decision.mode, decision.outer, decision.port});
  const auto* held = before ? book_.find(before->lease) : nullptr;
  if (held && requester.user.empty()) {
    const bool is_alive = now - std::max(before->last_seen.load(), held->last_seen) < kAlive;
    if (is_alive && !held->user.empty()) {
      pending.answer = static_cast<int>(tsp::kRequestInProgress);
      return;
    }
    if (is_alive) {
      // The same client again, its reply lost or the program started anew.
      pending.answer = info_for(*held, request, requester);
      pending.lease = *held;
      return;
    }
    if (held->user.empty()) release(held->id, pending);
  }
  auto lease = book_.acquire(wanted, now);
  if (lease.has_error() && lease.error() == make_error_code(LeaseError::kTooManyForAddress)) {
    // Clients that came back from another port leave their old leases to the quota.
    if (const auto stale = book_.stalest_anonymous(decision.outer, now - kSilent)) {
      release(*stale, pending);
      lease = book_.acquire(wanted, now);
    }
  }
  if (!lease) {
    pending.answer = status_of(lease.error());
    return;
  }
  pending.answer = info_for(*lease, request, requester);
  pending.lease = *std::move(lease);
}

std::optional<int> Granter::free_key(const pki::WireguardKey& key, const Requester& requester,
                                     WallSeconds now, Pending& pending) {
  const auto* held = book_.find_key(key);
  if (!held || held->user == requester.user) return std::nullopt;
  // A public key is no secret: whoever saw it must not get at the tunnel of a user, nor of an anonymous
  // client in the middle of it.
  if (!held->user.empty()) return tsp::kInvalidRequest;
  const auto* tunnel = tunnels_.find(held->address);
  const auto last_seen = std::max(held->last_seen, tunnel ? tunnel->last_seen.load() : 0);
  if (held->outer_address != requester.peer && now - last_seen < kAlive) return tsp::kRequestInProgress;
  release(held->id, pending);
  return std::nullopt;
}

void Granter::flush() {
  is_flush_posted_ = false;
  auto batch = std::make_shared<std::vector<Pending>>(std::exchange(pending_, {}));
  commit_([this, batch](const boost::system::error_code& error) { answer(*batch, error); });
}

void Granter::answer(std::vector<Pending>& batch, const boost::system::error_code& error) {
  if (error) store_problem_ = error.message();
  for (auto& pending : batch) {
    // The batch may have been taken back by a failure of another one: only what the book says counts.
    for (const auto id : pending.replaced) {
      if (!book_.find(id)) {
        tunnels_.remove(id);
        changes_.remove(id);
      } else if (pending.is_release) {
        pending.answer = static_cast<int>(tsp::kServerError);
      }
    }
    if (pending.lease) {
      const auto* booked = book_.find(pending.lease->id);
      if (booked && booked->address == pending.lease->address &&
          booked->outer_address == pending.lease->outer_address) {
        // The tunnel works before the client hears of it: it may send at once.
        tunnels_.put(*booked, pending.local);
        changes_.put(*booked);
      } else if (book_.lacked_user(pending.lease->id)) {
        tunnels_.remove(pending.lease->id);
        changes_.remove(pending.lease->id);
        pending.answer = static_cast<int>(tsp::kAuthenticationFailed);
      } else {
        pending.answer = static_cast<int>(tsp::kServerError);
      }
    }
    pending.done(std::move(pending.answer));
  }
}

void Granter::fill_in_wireguard(const Lease& lease, const tsp::CreateRequest& request,
                                tsp::TunnelInfo& info) const {
  info.mode = tsp::Mode::kWireguard;
  info.server_v6 = book_.broker_address();
  info.client_v6 = lease.address;
  info.keepalive_address = book_.broker_address();
  info.wireguard = wireguard_;
  info.wireguard->allowed = {{net::AddressV6(), 0}};
  if (lease.address_v4) {
    info.server_v4 = book_.broker_address_v4();
    info.client_v4 = *lease.address_v4;
    info.wireguard->allowed.push_back(net::v4_mapped({boost::asio::ip::address_v4(), 0}));
  }
  if (request.is_router) info.prefix = lease.prefix;
}

tsp::TunnelInfo Granter::info_for(const Lease& lease, const tsp::CreateRequest& request,
                                  const Requester& requester) const {
  tsp::TunnelInfo info;
  info.lifetime = lease.user.empty()
                      ? std::min(config_.lifetime, std::chrono::seconds(config_.leases.anonymous_lifetime))
                      : config_.lifetime;
  if (config_.mtu != 1280) info.mtu = config_.mode_mtu(lease.mode);
  if (lease.mode == LeaseMode::kWireguard) {
    fill_in_wireguard(lease, request, info);
  } else if (is_v4_inside(lease.mode)) {
    info.mode = tsp::Mode::kV4V6;
    info.server_v4 = book_.broker_address_v4();
    info.client_v4 = boost::asio::ip::make_address_v4(boost::asio::ip::v4_mapped, lease.address);
    if (requester.local.is_v6()) info.server_v6 = requester.local.to_v6();
    if (lease.outer_address.is_v6()) info.client_v6 = lease.outer_address.to_v6();
    if (request.is_router && lease.prefix) info.prefix_v4 = net::unmapped(*lease.prefix);
    info.keepalive_address = book_.broker_address_v4();
  } else {
    info.mode = lease.mode == LeaseMode::kV6V4 ? tsp::Mode::kV6V4 : tsp::Mode::kV6UdpV4;
    info.server_v6 = book_.broker_address();
    info.client_v6 = lease.address;
    if (config_.advertised_v4) {
      info.server_v4 = *config_.advertised_v4;
    } else if (requester.local.is_v4()) {
      info.server_v4 = requester.local.to_v4();
    }
    if (lease.outer_address.is_v4()) info.client_v4 = lease.outer_address.to_v4();
    if (request.is_router) info.prefix = lease.prefix;
    info.keepalive_address = book_.broker_address();
  }
  info.client_name = dns::user_name(config_.dns, lease.user);
  // Deployed clients crash without one.
  info.dns_servers = {config_.dns_server.value_or(book_.broker_address())};
  // The machine that asks for another one cannot answer for it.
  if (request.keepalive_interval && !request.is_proxy)
    info.keepalive_interval = std::max(*request.keepalive_interval, config_.keepalive_interval_min);
  return info;
}

}  // namespace sixlink::registry
