// SPDX-License-Identifier: BSD-3-Clause
// The running registry.
#include "registry/server.h"

#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstring>
#include <set>

#include "src/net/outer_address.h"
#include "src/tsp/status.h"

namespace sixlink::registry {
namespace {

namespace asio = boost::asio;
using asio::experimental::awaitable_operators::operator||;
using asio::ip::tcp;
using asio::ip::udp;
using Clock = std::chrono::steady_clock;
using datapath::Drop;
constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

// How often expired leases and deleted users are looked for, and activity is written to disk.
constexpr std::chrono::seconds kMaintenanceInterval{30};
constexpr std::size_t kMostExpired = 1000;
// A budget of requests that was not used lasts so long: a house full of clients comes back together.
constexpr double kRequestBurstSeconds = 20;

WallSeconds wall_now() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

tsp::ServerPolicy policy_of(const Config& config) {
  tsp::ServerPolicy policy;
  policy.realm = config.realm;
  auto& offered = policy.capabilities;
  if (config.mode_v6v4) offered.tunnels.emplace_back("V6V4");
  if (config.mode_v6udpv4) offered.tunnels.emplace_back("V6UDPV4");
  if (config.mode_v4v6) offered.tunnels.emplace_back("V4V6");
  if (config.anonymous) offered.auths.emplace_back("ANONYMOUS");
  if (config.auth_plain) offered.auths.emplace_back("PLAIN");
  if (config.auth_digest_md5) offered.auths.emplace_back("DIGEST-MD5");
  return policy;
}

TunnelServer::Settings tunnel_settings(const Config& config, const LeaseBook& book) {
  const auto mtu = [&](LeaseMode mode) { return static_cast<std::size_t>(config.mode_mtu(mode)); };
  return {config.leases.prefix,     book.broker_address(),     static_cast<std::size_t>(config.mtu),
          mtu(LeaseMode::kV6UdpV4), mtu(LeaseMode::kV6V4),     mtu(LeaseMode::kV4V6),
          book.broker_address_v4(), mtu(LeaseMode::kWireguard)};
}

datapath::LaneOptions lane_options(const Config& config) {
  return {static_cast<std::size_t>(config.threads),
          config.offload ? platform::Offloads{} : platform::Offloads::none()};
}

std::string make_nonce() {
  std::array<std::uint8_t, 16> bytes;
  platform::random_bytes(bytes);
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const auto byte : bytes) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

std::string endpoint_text(const ListenAddress& address) {
  return net::endpoint_text(address.address, address.port);
}

}  // namespace

class Server::StoreCredentials final : public tsp::Credentials {
 public:
  // A connection of its own, so that nobody's login waits for the disk.
  StoreCredentials(const std::string& path, Store& shared, spdlog::logger& log, const std::string& realm)
      : own_(Store::open(path)), store_(own_ ? *own_ : shared), log_(log), realm_(realm) {}

  std::optional<tsp::Md5> find(std::string_view name) override {
    const auto user = store_.find_user(std::string(name));
    if (!user) {
      log_.error("cannot read users from the database: {}", user.error().message());
      return std::nullopt;
    }
    if (!*user || (*user)->ha1.size() != tsp::Md5{}.size()) return std::nullopt;
    if ((*user)->realm != realm_) {
      log_.warn(
          "user {} has a password for realm \"{}\", not \"{}\": set it again with sixlink-registry user "
          "passwd",
          (*user)->name, (*user)->realm, realm_);
      return std::nullopt;
    }
    tsp::Md5 ha1;
    std::memcpy(ha1.data(), (*user)->ha1.data(), ha1.size());
    return ha1;
  }

 private:
  boost::system::result<Store> own_;
  Store& store_;
  spdlog::logger& log_;
  const std::string& realm_;
};

Server::Server(asio::io_context& io, const Config& config, spdlog::logger& log, Store& store, LeaseBook& book,
               Settings settings)
    : io_(io),
      config_(config),
      log_(log),
      store_(store),
      book_(book),
      settings_(std::move(settings)),
      template_({config.template_name, settings_.data_dir, settings_.data_dir, config.run_dir,
                 config.instance_name(), settings_.verbosity},
                log),
      failed_logins_(config.login_attempts_per_minute, config.login_attempts_per_minute / 60.0),
      requests_(config.requests_per_second * kRequestBurstSeconds, config.requests_per_second),
      policy_(policy_of(config)),
      credentials_(std::make_unique<StoreCredentials>(config.database_path(), store, log, config.realm)),
      tunnels_(tunnel_settings(config, book)),
      packets_(io.get_executor(), log, tunnels_, lane_options(config), packet_hooks()),
      commits_(io.get_executor(), disk_.get_executor(), book, store),
      granter_(io.get_executor(), config, book, tunnels_),
      newcomers_(config, log, policy_, book, tunnels_),
      rudp_(
          {static_cast<std::size_t>(config.max_sessions),
           static_cast<std::size_t>(config.sessions_per_address)},
          policy_, *credentials_,
          {[this](std::size_t socket, const udp::endpoint& peer, const asio::ip::address& local,
                  std::vector<std::uint8_t> datagram) {
             packets_.send(socket, {peer, local, 0}, datagram);
           },
           [this](const tsp::CreateRequest& request, const Requester& requester, Granter::Done done) {
             grant(request, requester, std::move(done));
           },
           [this](const asio::ip::address& peer, std::string_view why) { on_rejected(peer, why); },
           &make_nonce,
           [this](const asio::ip::address& peer) {
             return failed_logins_.has(net::unmapped(peer), Clock::now());
           },
           [this](const asio::ip::address& peer) { failed_logins_.take(net::unmapped(peer), Clock::now()); },
           [this](const asio::ip::address& peer) { return begin_costly_login(net::unmapped(peer)); },
           [this](const asio::ip::address& peer) {
             failed_logins_.give_back(net::unmapped(peer), Clock::now());
           },
           [this](const tsp::DeleteRequest& request, const Requester& requester, Granter::Released done) {
             release(request, requester, std::move(done));
           }}),
      tcp_({static_cast<std::size_t>(config.max_sessions),
            static_cast<std::size_t>(config.sessions_per_address)},
           policy_, *credentials_,
           {[this](const tsp::CreateRequest& request, const Requester& requester, Granter::Done done) {
              grant(request, requester, std::move(done));
            },
            [this](const asio::ip::address& peer, std::string_view why) { on_rejected(peer, why); },
            &make_nonce,
            [this](const asio::ip::address& peer) {
              return failed_logins_.has(net::unmapped(peer), Clock::now());
            },
            [this](const asio::ip::address& peer) { failed_logins_.take(net::unmapped(peer), Clock::now()); },
            [this](const asio::ip::address& peer) { return begin_costly_login(net::unmapped(peer)); },
            [this](const asio::ip::address& peer) {
              failed_logins_.give_back(net::unmapped(peer), Clock::now());
            },
            [this](const tsp::DeleteRequest& request, const Requester& requester, Granter::Released done) {
              release(request, requester, std::move(done));
            }}),
      dns_(io, config.dns, store, book, log),
      stop_signal_(io, Clock::time_point::max()),
      maintenance_(io) {
  granter_.commit_by([this](GroupCommit::Done done) { commits_.commit(std::move(done)); });
}

Server::~Server() = default;

TunnelIo::Hooks Server::packet_hooks() {
  TunnelIo::Hooks hooks;
  hooks.on_control = [this](std::size_t socket, const platform::Route& route,
                            std::span<std::uint8_t> datagram,
                            bool is_truncated) { on_control(socket, route, datagram, is_truncated); };
  hooks.on_wireguard_departure = [this](std::int64_t lease, std::span<std::uint8_t> packet) {
    on_wireguard_departure(lease, packet);
  };
  hooks.on_wireguard_wake = [this](std::int64_t lease) {
    if (wireguard_) wireguard_->wake(lease);
  };
  hooks.on_wireguard_roamed = [this](std::int64_t lease, const wireguard::Endpoint& from) {
    if (wireguard_) wireguard_->roamed(lease, from);
  };
  hooks.on_socket_error = [this](const boost::system::error_code& error) {
    on_rejected({}, "socket error: " + error.message());
  };
  hooks.on_interface_error = [this](const boost::system::error_code& error) { on_interface_error(error); };
  return hooks;
}

// What cannot be checked here is not offered: an OpenSSL in FIPS mode has no MD5, which the stored passwords
// are hashed with.
void Server::check_methods() {
  try {
    tsp::digest_ha1("", "", "");
  } catch (const std::exception& exception) {
    log_.error("users cannot log in: {}", exception.what());
    auto& auths = policy_.capabilities.auths;
    std::erase(auths, "PLAIN");
    std::erase(auths, "DIGEST-MD5");
    return;
  }
  if (config_.auth_passdss) load_host_key();
}

void Server::load_host_key() {
  auto loaded = load_or_make_host_key(config_.host_key_path());
  try {
    // OpenSSL may be configured to do without SHA-1 or DSA.
    if (loaded.key && !loaded.key->sign(tsp::Sha1{})) loaded.problem = "OpenSSL does not sign with DSA";
  } catch (const std::exception& exception) {
    loaded.problem = exception.what();
  }
  if (!loaded.problem.empty()) {
    log_.error("PASSDSS-3DES-1 is not offered: {}", loaded.problem);
    return;
  }
  host_key_ = std::move(loaded.key);
  policy_.host_key = host_key_.get();
  policy_.capabilities.auths.emplace_back(tsp::kPassDss);
  log_.info("host key {}{}", tsp::host_key_fingerprint(host_key_->blob()), loaded.is_new ? ", made now" : "");
}

void Server::on_control(std::size_t socket, const platform::Route& route, std::span<std::uint8_t> datagram,
                        bool is_truncated) {
  if (is_truncated) {
    on_rejected(route.peer.address(), "oversized message");
    return;
  }
  // One message must not end the server, whatever it runs into.
  try {
    if (tsp::is_rudp(datagram)) {
      rudp_.input(socket, route.peer, route.local, datagram, Clock::now());
    } else if (wireguard_) {
      wireguard_->input(datagram, {route.peer, route.local});
    }
  } catch (const std::exception& exception) {
    on_rejected(route.peer.address(), "internal error");
    log_.error("while answering {}: {}", route.peer.address().to_string(), exception.what());
  }
}

void Server::on_interface_error(const boost::system::error_code& error) {
  if (has_failed_) return;
  log_.critical("the interface {} cannot be used any more (was it deleted or set down?): {}",
                parameters_.interface, error.message());
  has_failed_ = true;
  stop();
}

bool Server::begin_costly_login(const asio::ip::address& peer) {
  const auto now = Clock::now();
  return failed_logins_.has(peer, now) && costly_logins_.take(asio::ip::address(), now) &&
         failed_logins_.take(peer, now);
}

void Server::stop() {
  is_stopping_ = true;
  dns_.stop();
  stop_signal_.expires_at(Clock::time_point::min());
  maintenance_.cancel();
}

void Server::maintain_now() {
  maintenance_.cancel();
  dns_.retry_now();
}

void Server::drain(const DrainRequest& request) {
  newcomers_.drain(request, Clock::now());
}

RegistryStatus Server::status() const {
  RegistryStatus status;
  status.since = since_;
  status.sessions = rudp_.size() + tcp_.size();
  status.threads = packets_.lanes();
  status.offloads = packets_.offloads();
  const auto& writes = commits_.counters();
  status.writes = writes.batches;
  status.leases_written = writes.changes;
  status.time_writing = writes.spent;
  status.longest_write = writes.longest;
  fill_in_wireguard(status);
  newcomers_.fill_in(status, Clock::now(), wall_now());
  return status;
}

asio::awaitable<int> Server::run() {
  co_await template_.remove_leftovers();
  int code = 1;
  check_methods();
  // It takes its port before we do.
  co_await begin_kernel_wireguard();
  bool is_ready = open_sockets();
  // On its own line: gcc 12 miscompiles co_await as an operand of &&.
  if (is_ready) is_ready = co_await create_interface();
  if (is_ready && !is_stopping_) {
    begin_wireguard();
    newcomers_.begin();
    rudp_.limit_redirections(
        [this](const asio::ip::address& peer) { return requests_.take(net::unmapped(peer), Clock::now()); });
    for (const auto& lease : book_.all()) {
      tunnels_.put(lease);
      if (wireguard_) wireguard_->put(lease);
    }
    packets_.start(static_cast<std::size_t>(config_.mtu));
    for (auto& acceptor : acceptors_) tcp_.listen(*acceptor);
    log_.info("serving {} on {}: {} leases, broker address {}", config_.leases.prefix.to_string(),
              parameters_.interface, tunnels_.size(), book_.broker_address().to_string());
    if (config_.mode_v4v6)
      log_.info("serving {} in v4v6 tunnels, broker address {}", config_.leases.prefix_v4->to_string(),
                book_.broker_address_v4().to_string());
    if (book_.skipped() > 0)
      log_.warn("{} leases in the database are outside prefix={} or overlap; they are not served",
                book_.skipped(), config_.leases.prefix.to_string());
    if (settings_.on_serving) settings_.on_serving();
    asio::co_spawn(io_, dns_.run(), [this](const std::exception_ptr& exception) {
      try {
        if (exception) std::rethrow_exception(exception);
      } catch (const std::exception& e) {
        log_.error("names in DNS are not updated any more: {}", e.what());
      }
    });
    while (!is_stopping_) co_await maintain();
    code = has_failed_ ? 1 : 0;
  } else if (is_stopping_) {
    code = 0;
  }
  touch_active();
  report_write_problem(commits_.finish());
  report_rejections();
  co_await tear_down();
  co_return code;
}

asio::awaitable<bool> Server::create_interface() {
  const auto interface = packets_.open_interface(config_.interface);
  if (!interface) {
    log_.critical("{}", platform::explain_tun_error(config_.interface, interface.error()));
    co_return false;
  }
  parameters_.mode = tsp::Mode::kV6UdpV4;
  parameters_.host_type = tunnel::HostType::kBroker;
  parameters_.interface = *interface;
  parameters_.server_inner = book_.broker_address();
  parameters_.prefix = config_.leases.prefix;
  if (config_.serves_v4()) {
    parameters_.prefix_v4 = config_.leases.prefix_v4;
    parameters_.server_inner_v4 = book_.broker_address_v4();
  }
  parameters_.mtu = config_.mtu;
  parameters_.default_route = tunnel::DefaultRoute::kNo;
  // On lines of their own: gcc 12 destroys temporaries of a co_await expression twice.
  std::function<bool()> is_hurried = [this] { return is_stopping_; };
  auto creating = template_.create(parameters_, std::move(is_hurried));
  const auto created = co_await std::move(creating);
  if (!created.problem.empty()) {
    log_.critical("{}", created.problem);
    co_return false;
  }
  co_return !config_.serves_v4() || packets_.open_icmp(book_.broker_address_v4());
}

asio::awaitable<void> Server::tear_down() {
  boost::system::error_code ignored;
  for (auto& acceptor : acceptors_) acceptor->close(ignored);
  if (kernel_wireguard_) co_await kernel_wireguard_->end();
  co_await template_.tear_down();
}

bool Server::open_sockets() {
  for (const auto& address : config_.listen) {
    if (!packets_.open_udp(address) || !open_tcp(address)) return false;
    if (config_.wireguard.is_served && config_.wireguard.port != 0 && !kernel_wireguard_ &&
        config_.wireguard.datapath != WireguardDatapath::kKernel &&
        !packets_.open_udp({address.address, config_.wireguard.port}))
      return false;
  }
  open_raw_tunnels();
  return true;
}

bool Server::open_tcp(const ListenAddress& address) {
  auto acceptor = std::make_unique<tcp::acceptor>(io_);
  boost::system::error_code error;
  const tcp::endpoint local(address.address, address.port);
  acceptor->open(local.protocol(), error);
  if (error == asio::error::address_family_not_supported) return true;
  if (!error) acceptor->set_option(tcp::acceptor::reuse_address(true), error);
  if (!error && address.address.is_v6()) acceptor->set_option(asio::ip::v6_only(true), error);
  if (!error) acceptor->bind(local, error);
  if (!error) acceptor->listen(asio::socket_base::max_listen_connections, error);
  if (error) {
    log_.critical("cannot listen on TCP {}: {}", endpoint_text(address), error.message());
    return false;
  }
  acceptors_.push_back(std::move(acceptor));
  return true;
}

void Server::open_raw_tunnels() {
  RawTunnels available;
  available.v6v4 = config_.mode_v6v4 && packets_.open_raw(platform::RawTunnel::kIpv6InIpv4, config_.listen);
  available.v4v6 = config_.mode_v4v6 && packets_.open_raw(platform::RawTunnel::kIpv4InIpv6, config_.listen);
  granter_.set_raw_tunnels(available);
  // What cannot be granted is not offered.
  auto& offered = policy_.capabilities.tunnels;
  if (!available.v6v4) std::erase(offered, "V6V4");
  if (!available.v4v6) std::erase(offered, "V4V6");
}

void Server::on_rejected(const asio::ip::address& peer, std::string_view why) {
  // A reason is one of a fixed set, so the map stays small.
  ++rejections_[std::string(why)];
  if (rejection_limit_.allow(Clock::now())) log_.info("refused {}: {}", peer.to_string(), why);
}

void Server::grant(const tsp::CreateRequest& request, const Requester& requester, Granter::Done done) {
  if (!requests_.take(requester.peer, Clock::now())) {
    on_rejected(requester.peer, "too many requests from one address");
    asio::post(io_, [done = std::move(done)] { done(static_cast<int>(tsp::kServerBusy)); });
    return;
  }
  if (const auto refusal = newcomers_.refusal(requester, wall_now())) {
    log_.debug("sent {} at {} away: {}", requester.user.empty() ? "anonymous" : requester.user,
               requester.peer.to_string(), tsp::wire_text(*refusal));
    asio::post(io_, [done = std::move(done), status = *refusal] { done(status); });
    return;
  }
  const bool is_new = !newcomers_.holds_tunnel(requester, wall_now());
  granter_.request(request, requester, wall_now(),
                   [this, requester, is_new, done = std::move(done)](Granter::Answer answer) {
                     if (const auto* tunnel = std::get_if<tsp::TunnelInfo>(&answer)) {
                       if (is_new) newcomers_.granted();
                       log_granted(*tunnel, requester);
                     } else {
                       on_rejected(requester.peer, tsp::wire_text(std::get<int>(answer)));
                       if (const auto problem = granter_.take_store_problem(); !problem.empty())
                         log_.error("cannot write leases to {}: {}", config_.database_path(), problem);
                     }
                     done(std::move(answer));
                   });
}

void Server::log_granted(const tsp::TunnelInfo& tunnel, const Requester& requester) {
  // Thousands a second: their texts are made for who reads them only.
  if (!log_.should_log(spdlog::level::debug)) return;
  const auto inner =
      tunnel.mode == tsp::Mode::kV4V6 ? tunnel.client_v4.to_string() : tunnel.client_v6.to_string();
  log_.debug("granted {} ({}) to {} at {}", inner, tsp::to_string(tunnel.mode),
             requester.user.empty() ? "anonymous" : requester.user, requester.peer.to_string());
}

void Server::release(const tsp::DeleteRequest& request, const Requester& requester, Granter::Released done) {
  if (!requests_.take(requester.peer, Clock::now())) {
    on_rejected(requester.peer, "too many requests from one address");
    asio::post(io_, [done = std::move(done)] { done(tsp::kServerBusy); });
    return;
  }
  const bool may_be_forged = requester.user.empty() && requester.transport == tsp::Transport::kRudp;
  if (may_be_forged && !missed_releases_.has(requester.peer, Clock::now())) {
    on_rejected(requester.peer, "too many deletes of nothing from one address");
    asio::post(io_, [done = std::move(done)] { done(tsp::kServerBusy); });
    return;
  }
  const bool is_found =
      granter_.release(request, requester, [this, requester, done = std::move(done)](int status) {
        log_.debug("{} at {} left: {}", requester.user.empty() ? "anonymous" : requester.user,
                   requester.peer.to_string(), status);
        if (const auto problem = granter_.take_store_problem(); !problem.empty())
          log_.error("cannot write leases to {}: {}", config_.database_path(), problem);
        done(status);
      });
  if (may_be_forged && !is_found) missed_releases_.take(requester.peer, Clock::now());
}

asio::awaitable<void> Server::maintain() {
  maintenance_.expires_after(std::chrono::seconds(1));
  const auto next_full = Clock::now() + kMaintenanceInterval;
  // Once a second: the budget of ICMPv6 errors and abandoned sessions.
  for (;;) {
    const auto [error] = co_await maintenance_.async_wait(kAwait);
    if (is_stopping_) co_return;
    tunnels_.refill_errors();
    if (newcomers_.tick(Clock::now(), wall_now())) {
      stop();
      co_return;
    }
    rudp_.expire(Clock::now());
    failed_logins_.expire(Clock::now());
    requests_.expire(Clock::now());
    missed_releases_.expire(Clock::now());
    if (error || Clock::now() >= next_full) break;  // cancelled: now
    maintenance_.expires_after(std::chrono::seconds(1));
  }
  touch_active();
  commits_.save_activity([this](const boost::system::error_code& error) { report_write_problem(error); });
  expire_leases(wall_now());
  report_rejections();
}

void Server::touch_active() {
  tunnels_.for_each_active(
      [this](Tunnel& tunnel) { book_.touch(tunnel.lease, tunnel.last_seen.exchange(0)); });
}

void Server::report_write_problem(const boost::system::error_code& error) {
  if (error) log_.error("cannot write to {}: {}", config_.database_path(), error.message());
}

void Server::expire_leases(WallSeconds now) {
  auto ended = book_.expired(now, kMostExpired);
  const auto orphaned = book_.orphaned();
  if (orphaned) {
    ended.insert(ended.end(), orphaned->begin(), orphaned->end());
  } else {
    log_.error("cannot read {}: {}", config_.database_path(), orphaned.error().message());
  }
  if (ended.empty()) return;
  for (const auto id : ended) book_.release(id);
  commits_.commit([this, ended = std::move(ended)](const boost::system::error_code& error) {
    report_write_problem(error);
    if (error) return;
    for (const auto id : ended) {
      if (book_.find(id)) continue;
      tunnels_.remove(id);
      if (wireguard_) wireguard_->remove(id);
      if (kernel_wireguard_) kernel_wireguard_->remove(id);
    }
    log_.info("{} leases ended (expired, or their user was deleted)", ended.size());
  });
}

void Server::report_rejections() {
  std::string text;
  for (const auto& [reason, count] : rejections_)
    text += (text.empty() ? "" : ", ") + reason + " " + std::to_string(count);
  rejections_.clear();
  const auto drops = packets_.counters().drops;
  for (std::size_t i = 0; i < drops.size(); ++i) {
    const auto reason = static_cast<Drop>(i);
    // Router solicitations and MLD reports of every client are nothing to tell.
    if (drops[i] == reported_drops_[i] || reason == Drop::kLocalScope) continue;
    text += (text.empty() ? "packets " : ", packets ") + std::string(datapath::to_string(reason)) + " " +
            std::to_string(drops[i] - reported_drops_[i]);
  }
  reported_drops_ = drops;
  if (!text.empty()) log_.info("refused since the last report: {}", text);
}

}  // namespace sixlink::registry
