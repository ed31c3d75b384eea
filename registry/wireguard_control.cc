// SPDX-License-Identifier: BSD-3-Clause
// What the peer commands and the running registry say to each other.
#include "registry/wireguard_control.h"

#include <boost/json.hpp>
#include <sstream>

#include "registry/users.h"

namespace sixlink::registry {
namespace {

namespace json = boost::json;

constexpr std::int64_t kLatest = std::int64_t{1} << 40;

std::optional<WireguardPeer> parse_peer(const json::object& object) {
  const auto* endpoint = object.if_contains("endpoint");
  const auto* handshake = object.if_contains("latest_handshake");
  const auto* received = object.if_contains("received");
  const auto* sent = object.if_contains("sent");
  if (!endpoint || !handshake || !received || !sent) return std::nullopt;
  WireguardPeer peer;
  if (endpoint->is_string()) peer.endpoint = std::string(endpoint->get_string());
  if (handshake->is_int64()) {
    if (handshake->get_int64() < 0 || handshake->get_int64() > kLatest) return std::nullopt;
    peer.latest_handshake =
        std::chrono::system_clock::time_point(std::chrono::seconds(handshake->get_int64()));
  }
  boost::system::error_code error;
  peer.bytes_received = received->to_number<std::uint64_t>(error);
  if (!error) peer.bytes_sent = sent->to_number<std::uint64_t>(error);
  if (error) return std::nullopt;
  return peer;
}

}  // namespace

std::string to_string(const PeerRequest& request) {
  switch (request.kind) {
    case PeerRequest::Kind::kPut:
      return "peer put " + request.user + " " + (request.key ? request.key->to_string() : "");
    case PeerRequest::Kind::kDelete:
      return "peer delete " + request.user;
    case PeerRequest::Kind::kList:
      break;
  }
  return "peers";
}

std::optional<PeerRequest> parse_peer_request(std::string_view text) {
  std::istringstream words{std::string(text)};
  std::string first;
  std::string verb;
  PeerRequest request;
  std::string key;
  std::string rest;
  words >> first >> verb >> request.user >> key;
  if (text == "peers") return request;
  if (first != "peer" || !is_user_name(request.user) || words >> rest) return std::nullopt;
  if (verb == "delete" && key.empty()) {
    request.kind = PeerRequest::Kind::kDelete;
    return request;
  }
  request.kind = PeerRequest::Kind::kPut;
  request.key = pki::WireguardKey::parse(key);
  if (verb != "put" || !request.key) return std::nullopt;
  return request;
}

std::string peers_to_json(const WireguardPeers& peers) {
  json::object by_key;
  for (const auto& [key, peer] : peers) {
    const auto handshake = peer.latest_handshake
                               ? json::value(std::chrono::duration_cast<std::chrono::seconds>(
                                                 peer.latest_handshake->time_since_epoch())
                                                 .count())
                               : json::value(nullptr);
    by_key[key.to_string()] = {
        {"endpoint", peer.endpoint.empty() ? json::value(nullptr) : json::value(peer.endpoint)},
        {"latest_handshake", handshake},
        {"received", peer.bytes_received},
        {"sent", peer.bytes_sent}};
  }
  return json::serialize(json::object{{"peers", std::move(by_key)}});
}

std::optional<WireguardPeers> parse_peers(std::string_view text) {
  boost::system::error_code error;
  const auto value = json::parse(text, error);
  if (error || !value.is_object()) return std::nullopt;
  const auto* by_key = value.get_object().if_contains("peers");
  if (!by_key || !by_key->is_object()) return std::nullopt;
  WireguardPeers peers;
  for (const auto& [name, peer] : by_key->get_object()) {
    const auto key = pki::WireguardKey::parse(name);
    auto parsed = key && peer.is_object() ? parse_peer(peer.get_object()) : std::nullopt;
    if (!parsed) return std::nullopt;
    peers[*key] = *std::move(parsed);
  }
  return peers;
}

}  // namespace sixlink::registry
