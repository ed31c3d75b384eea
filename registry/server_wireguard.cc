// SPDX-License-Identifier: BSD-3-Clause
// The running registry: mode wireguard, and what the peer commands ask.
#include <boost/asio/co_spawn.hpp>
#include <boost/json.hpp>

#include "registry/server.h"
#include "registry/wireguard_control.h"
#include "src/datapath/mss.h"
#include "src/tsp/status.h"

namespace sixlink::registry {
namespace {

// A session ends so long after its handshake (REJECT_AFTER_TIME).
constexpr std::chrono::seconds kConnected{180};

WallSeconds wall_now() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

std::string error_json(const std::string& text) {
  return boost::json::serialize(boost::json::object{{"error", text}});
}

}  // namespace

boost::asio::awaitable<void> Server::begin_kernel_wireguard() {
  const auto& wanted = config_.wireguard;
  if (!wanted.is_served || wanted.port == 0 || wanted.datapath == WireguardDatapath::kUserspace) co_return;
  auto loaded = pki::load_or_make_wireguard_key(config_.wireguard_key_path());
  if (!loaded.pair) co_return;  // begin_wireguard() tells
  const tunnel::TemplateRunner::Settings settings{config_.template_name,
                                                  settings_.data_dir,
                                                  settings_.data_dir,
                                                  config_.run_dir,
                                                  config_.instance_name() + "-wireguard",
                                                  settings_.verbosity};
  kernel_wireguard_ =
      std::make_unique<WireguardKernel>(io_, config_, settings, log_, *std::move(loaded.pair),
                                        [this](std::int64_t lease) { book_.touch(lease, wall_now()); });
  for (const auto& lease : book_.all()) kernel_wireguard_->put(lease);
  // On lines of their own: gcc 12 destroys temporaries of a co_await expression twice.
  std::function<bool()> is_hurried = [this] { return is_stopping_; };
  auto beginning = kernel_wireguard_->begin(std::move(is_hurried));
  const auto begun = co_await std::move(beginning);
  if (begun.problem.empty()) co_return;
  kernel_wireguard_.reset();
  if (wanted.datapath == WireguardDatapath::kKernel) {
    log_.error("the kernel carries no WireGuard tunnels: {}", begun.problem);
  } else if (begun.is_unsupported) {
    log_.info("this system has no WireGuard of its own; sixlink-registry moves the packets itself");
  } else {
    log_.warn("the kernel's WireGuard cannot be set up, sixlink-registry moves the packets itself: {}",
              begun.problem);
  }
}

void Server::offer_wireguard(const pki::WireguardKey& key, Granter::Changes changes) {
  tsp::WireguardServer told;
  told.key = key;
  told.endpoint_port = config_.wireguard.port;
  granter_.set_wireguard(told);
  granter_.on_changes(std::move(changes));
  policy_.capabilities.tunnels.emplace_back("WIREGUARD");
}

void Server::begin_wireguard() {
  if (!config_.wireguard.is_served) return;
  const auto loaded = pki::load_or_make_wireguard_key(config_.wireguard_key_path());
  if (!loaded.pair) {
    log_.error("WireGuard tunnels are not served: {}", loaded.problem);
    return;
  }
  const auto& key = loaded.pair->public_key();
  Granter::Changes changes;
  if (kernel_wireguard_) {
    changes.put = [this](const Lease& lease) { kernel_wireguard_->put(lease); };
    changes.remove = [this](std::int64_t lease) { kernel_wireguard_->remove(lease); };
    boost::asio::co_spawn(io_, kernel_wireguard_->run(), [this](const std::exception_ptr& exception) {
      try {
        if (exception) std::rethrow_exception(exception);
      } catch (const std::exception& e) {
        log_.error("the kernel's WireGuard is not kept up to date any more: {}", e.what());
      }
    });
  } else {
    // Who wants the kernel alone is not served by us.
    if (config_.wireguard.datapath == WireguardDatapath::kKernel) return;
    try {
      wireguard_ = std::make_unique<WireguardService>(
          io_.get_executor(), *loaded.pair, static_cast<std::size_t>(config_.mode_mtu(LeaseMode::kWireguard)),
          WireguardService::Hooks{
              [this](const wireguard::Endpoint& to, std::span<const std::uint8_t> datagram) {
                send_wireguard(to, datagram);
              },
              [this](std::int64_t lease, std::span<std::uint8_t> packet) {
                on_wireguard_packet(lease, packet);
              },
              [this](std::int64_t lease, const wireguard::Device& device, wireguard::PeerId peer) {
                packets_.update_session(lease, device, peer);
              }});
    } catch (const std::exception& exception) {
      log_.error("WireGuard tunnels are not served: {}", exception.what());
      return;
    }
    packets_.take_wireguard(config_.wireguard.port);
    changes.put = [this](const Lease& lease) {
      if (const auto problem = wireguard_->put(lease); !problem.empty())
        log_.warn("no WireGuard tunnel for {}: {}", lease.address.to_string(), problem);
    };
    changes.remove = [this](std::int64_t lease) { wireguard_->remove(lease); };
  }
  offer_wireguard(key, std::move(changes));
  log_.info("WireGuard key {}{}, {}", key.to_string(), loaded.is_new ? ", made now" : "",
            kernel_wireguard_ ? "carried by the kernel on " + config_.wireguard.interface : "carried here");
}

void Server::send_wireguard(const wireguard::Endpoint& to, std::span<const std::uint8_t> datagram) {
  if (!packets_.send_from(config_.wireguard.port, {to.remote, to.local, 0}, datagram))
    packets_.own_counters().drop(datapath::Drop::kNotConnected);
}

void Server::on_wireguard_packet(std::int64_t lease, std::span<std::uint8_t> packet) {
  const auto verdict = tunnels_.from_peer(lease, packet, wall_now());
  if (!verdict.drop) {
    auto& counters = packets_.own_counters();
    ++counters.packets_in;
    counters.bytes_in += packet.size();
    datapath::clamp_mss(packet, tunnels_.mtu_of(*verdict.tunnel));
    packets_.write(packet);
    return;
  }
  packets_.own_counters().drop(*verdict.drop);
  if (verdict.error) wireguard_->send(lease, verdict.error->bytes());
}

void Server::on_wireguard_departure(std::int64_t lease, std::span<std::uint8_t> packet) {
  auto& counters = packets_.own_counters();
  if (!wireguard_ || !wireguard_->send(lease, packet)) {
    counters.drop(datapath::Drop::kNotConnected);
    return;
  }
  ++counters.packets_out;
  counters.bytes_out += packet.size();
}

void Server::fill_in_wireguard(RegistryStatus& status) const {
  if (!wireguard_ && !kernel_wireguard_) return;
  status.wireguard = kernel_wireguard_ ? "kernel" : "userspace";
  status.wireguard_peers = kernel_wireguard_ ? kernel_wireguard_->size() : wireguard_->size();
  const auto now = std::chrono::system_clock::now();
  for (const auto& [key, peer] : wireguard_peers()) {
    status.wireguard_received += peer.bytes_received;
    status.wireguard_sent += peer.bytes_sent;
    if (!peer.latest_handshake) continue;
    if (now - *peer.latest_handshake < kConnected) ++status.wireguard_connected;
    if (!status.wireguard_latest_handshake || *peer.latest_handshake > *status.wireguard_latest_handshake)
      status.wireguard_latest_handshake = peer.latest_handshake;
  }
}

WireguardPeers Server::wireguard_peers() const {
  if (kernel_wireguard_) return kernel_wireguard_->peers();
  return wireguard_ ? wireguard_->peers() : WireguardPeers();
}

void Server::on_peer_request(const PeerRequest& request, std::function<void(std::string)> reply) {
  if (request.kind == PeerRequest::Kind::kList) return reply(peers_to_json(wireguard_peers()));
  if (!policy_.capabilities.offers_tunnel("WIREGUARD"))
    return reply(error_json("the running registry does not serve WireGuard: its log says why"));
  // Who may do this may do everything here: no budget, and no redirection.
  Requester requester;
  requester.user = request.user;
  requester.transport = tsp::Transport::kTcp;
  if (request.kind == PeerRequest::Kind::kDelete) {
    tsp::DeleteRequest leave;
    leave.mode = tsp::Mode::kWireguard;
    granter_.release(leave, requester, [reply = std::move(reply)](int status) {
      reply(status == tsp::kSuccess ? "{\"deleted\":true}"
                                    : error_json("the database failed: the log says why"));
    });
    return;
  }
  tsp::CreateRequest create;
  create.mode = tsp::Mode::kWireguard;
  create.wireguard_key = request.key;
  granter_.request(create, requester, wall_now(), [reply = std::move(reply)](const Granter::Answer& answer) {
    const int* status = std::get_if<int>(&answer);
    reply(status ? error_json(tsp::explain_status(*status, {})) : "{\"granted\":true}");
  });
}

}  // namespace sixlink::registry
