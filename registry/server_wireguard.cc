// SPDX-License-Identifier: BSD-3-Clause
// The running registry: what the peer commands ask of it.
#include <boost/json.hpp>

#include "registry/server.h"
#include "registry/wireguard_control.h"
#include "src/tsp/status.h"

namespace sixlink::registry {
namespace {

WallSeconds wall_now() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

std::string error_json(const std::string& text) {
  return boost::json::serialize(boost::json::object{{"error", text}});
}

}  // namespace

WireguardPeers Server::wireguard_peers() const {
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
