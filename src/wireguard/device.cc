// SPDX-License-Identifier: BSD-3-Clause
#include "src/wireguard/device.h"

#include <openssl/rand.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "src/wireguard/keys.h"
#include "src/wireguard/little_endian.h"
#include "src/wireguard/machine.h"

namespace sixlink::wireguard {
namespace {

void system_random(std::span<std::uint8_t> bytes) {
  if (RAND_priv_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1)
    throw std::runtime_error("OpenSSL has no randomness");
}

Settings completed(Settings settings) {
  if (!settings.random) settings.random = system_random;
  if (!settings.wall_clock) settings.wall_clock = std::chrono::system_clock::now;
  return settings;
}

std::uint64_t random_number(const RandomSource& random) {
  std::array<std::uint8_t, 8> bytes{};
  random(bytes);
  return load_le<std::uint64_t>(bytes.data());
}

SecretKey random_key(const RandomSource& random) {
  SecretKey key;
  random(key.writable());
  return key;
}

Identity identity_of(Crypto& crypto, SecretKey private_key) {
  Identity own{std::move(private_key), {}};
  own.public_key = crypto.public_key(own.private_key);
  return own;
}

}  // namespace

const char* explain(Error error) {
  switch (error) {
    case Error::kOwnKey:
      return "the peer's public key is this device's own";
    case Error::kUselessKey:
      return "the peer's public key is no usable one (a point of low order)";
    case Error::kPeerExists:
      return "there is a peer with this public key already";
    case Error::kTooManyPeers:
      return "there are as many peers as are allowed";
  }
  return "unknown error";
}

void throw_exception_from_error(const Error& error, const boost::source_location& /*where*/) {
  throw std::invalid_argument(explain(error));
}

const char* to_string(Outcome outcome) {
  switch (outcome) {
    case Outcome::kHandshakeAnswered:
      return "handshake answered";
    case Outcome::kSessionMade:
      return "session made";
    case Outcome::kCookieAnswered:
      return "answered with a cookie";
    case Outcome::kCookieTaken:
      return "cookie taken";
    case Outcome::kData:
      return "data";
    case Outcome::kKeepalive:
      return "keepalive";
    case Outcome::kMalformed:
      return "malformed";
    case Outcome::kForged:
      return "forged";
    case Outcome::kUnknownPeer:
      return "unknown peer";
    case Outcome::kUnknownIndex:
      return "unknown index";
    case Outcome::kReplayed:
      return "replayed";
    case Outcome::kFlooding:
      return "flooding";
    case Outcome::kExpired:
      return "expired";
    case Outcome::kForeignSource:
      return "foreign source";
    case Outcome::kNotIp:
      return "no IP packet";
    case Outcome::kSent:
      return "sent";
    case Outcome::kStaged:
      return "staged";
    case Outcome::kNoRoute:
      return "no route";
    case Outcome::kNoEndpoint:
      return "no endpoint";
    case Outcome::kTooLong:
      return "too long";
    case Outcome::kCount:
      break;
  }
  return "unknown";
}

void Actions::clear() {
  changes.clear();
  datagrams.clear();
  packets.clear();
}

Actions::Change& change_of(Actions& actions, PeerId peer) {
  // What happens to one peer happens in a row; looking further back would take long when many are due at
  // once.
  if (!actions.changes.empty() && actions.changes.back().peer == peer) return actions.changes.back();
  return actions.changes.emplace_back(Actions::Change{.peer = peer});
}

// Clients of a broker choose their keys: none is to be able to make them collide.
std::size_t Device::Machine::KeyHasher::operator()(const PublicKey& key) const {
  std::uint64_t sum = seed;
  for (std::size_t i = 0; i < key.size(); i += 8) {
    sum = (sum ^ load_le<std::uint64_t>(key.data() + i)) * 0x9E3779B97F4A7C15ULL;
    sum ^= sum >> 32 ^ seed;
  }
  return sum;
}

Device::Machine::Machine(SecretKey private_key, Settings wanted)
    : settings(completed(std::move(wanted))),
      own(identity_of(crypto, std::move(private_key))),
      cookies(crypto, own.public_key),
      load(settings.busy_handshakes_per_second),
      limiter(random_key(settings.random)),
      by_key(0, KeyHasher{random_number(settings.random)}),
      jitter_state_(random_number(settings.random)) {}

Peer* Device::Machine::find(PeerId id) const {
  if (id.slot >= slots.size() || generations[id.slot] != id.generation) return nullptr;
  return slots[id.slot].get();
}

Outcome Device::Machine::count(Outcome outcome) {
  ++counters.outcomes[static_cast<std::size_t>(outcome)];
  return outcome;
}

boost::system::result<PeerId, Error> Device::Machine::add_peer(PeerConfig config, TimePoint now,
                                                               Actions& actions) {
  if (config.public_key == own.public_key) return Error::kOwnKey;
  if (by_key.contains(config.public_key)) return Error::kPeerExists;
  if (by_key.size() >= settings.most_peers) return Error::kTooManyPeers;
  if (is_low_order(config.public_key)) return Error::kUselessKey;

  if (free_slots.empty()) {
    free_slots.push_back(static_cast<std::uint32_t>(slots.size()));
    slots.emplace_back();
    generations.push_back(0);
  }
  const auto slot = free_slots.back();
  free_slots.pop_back();
  slots[slot] = std::make_unique<Peer>();
  auto& peer = *slots[slot];
  peer.id = {slot, ++generations[slot]};
  peer.public_key = config.public_key;
  if (config.preshared_key) peer.preshared_key = std::move(*config.preshared_key);
  if (config.endpoint) peer.endpoint.remote = *config.endpoint;
  peer.persistent_keepalive = config.persistent_keepalive;
  peer.jitter = jitter();
  by_key.emplace(peer.public_key, slot);
  for (const auto& prefix : config.allowed_ips) add_allowed_ip(peer, prefix);
  if (peer.persistent_keepalive.count() > 0 && peer.endpoint.is_known()) send_keepalive(peer, now, actions);
  schedule(peer);
  return peer.id;
}

void Device::Machine::remove_peer(Peer& peer, Actions& actions) {
  const auto id = peer.id;
  drop_handshake(peer);
  for (auto* const keypair : {&peer.keypairs.previous, &peer.keypairs.current, &peer.keypairs.next})
    drop_keypair(*keypair);
  for (const auto& prefix : peer.allowed_ips) allowed_ips.remove(prefix, id.slot);
  by_key.erase(peer.public_key);
  deadlines.set(id.slot, TimePoint::max());
  slots[id.slot].reset();
  ++generations[id.slot];
  free_slots.push_back(id.slot);
  sealer.forget();
  opener.forget();
  auto& change = change_of(actions, id);
  change.keys = true;
  change.endpoint = true;
}

void Device::Machine::add_allowed_ip(Peer& peer, const net::Prefix& prefix) {
  const auto before = allowed_ips.insert(prefix, peer.id.slot);
  if (before == peer.id.slot) return;
  if (before) std::erase(slots[*before]->allowed_ips, prefix);
  peer.allowed_ips.push_back(prefix);
}

void Device::Machine::set_endpoint(Peer& peer, const Endpoint& endpoint, Actions& actions) {
  if (peer.endpoint == endpoint) return;
  peer.endpoint = endpoint;
  change_of(actions, peer.id).endpoint = true;
}

// ---- the public face ----

Device::Device(SecretKey private_key, Settings settings)
    : machine_(std::make_unique<Machine>(std::move(private_key), std::move(settings))) {}
Device::~Device() = default;

const PublicKey& Device::public_key() const {
  return machine_->own.public_key;
}

boost::system::result<PeerId, Error> Device::add_peer(PeerConfig config, TimePoint now, Actions& actions) {
  return machine_->add_peer(std::move(config), now, actions);
}

void Device::remove_peer(PeerId peer, Actions& actions) {
  if (auto* const found = machine_->find(peer)) machine_->remove_peer(*found, actions);
}

std::optional<PeerId> Device::find_peer(const PublicKey& public_key) const {
  const auto found = machine_->by_key.find(public_key);
  if (found == machine_->by_key.end()) return std::nullopt;
  return machine_->slots[found->second]->id;
}

std::optional<PeerId> Device::peer_in_slot(std::uint32_t slot) const {
  if (slot >= machine_->slots.size() || !machine_->slots[slot]) return std::nullopt;
  return machine_->slots[slot]->id;
}

std::size_t Device::peer_count() const {
  return machine_->by_key.size();
}

std::vector<PeerId> Device::peers() const {
  std::vector<PeerId> result;
  result.reserve(peer_count());
  for (const auto& peer : machine_->slots) {
    if (peer) result.push_back(peer->id);
  }
  return result;
}

void Device::set_endpoint(PeerId peer, const boost::asio::ip::udp::endpoint& endpoint, Actions& actions) {
  auto* const found = machine_->find(peer);
  if (!found) return;
  machine_->set_endpoint(*found, {endpoint, {}}, actions);
  machine_->schedule(*found);
}

void Device::set_persistent_keepalive(PeerId peer, std::chrono::seconds interval, TimePoint now,
                                      Actions& actions) {
  auto* const found = machine_->find(peer);
  if (!found) return;
  const bool is_new = found->persistent_keepalive.count() == 0 && interval.count() > 0;
  found->persistent_keepalive = interval;
  if (is_new && found->endpoint.is_known()) machine_->send_keepalive(*found, now, actions);
  machine_->schedule(*found);
}

void Device::add_allowed_ip(PeerId peer, const net::Prefix& prefix) {
  if (auto* const found = machine_->find(peer)) machine_->add_allowed_ip(*found, prefix);
}

void Device::remove_allowed_ip(PeerId peer, const net::Prefix& prefix) {
  auto* const found = machine_->find(peer);
  if (found && machine_->allowed_ips.remove(prefix, peer.slot)) std::erase(found->allowed_ips, prefix);
}

void Device::connect(PeerId peer, TimePoint now, Actions& actions) {
  auto* const found = machine_->find(peer);
  if (!found) return;
  machine_->initiate(*found, false, now, actions);
  machine_->schedule(*found);
}

Outcome Device::input(std::span<std::uint8_t> datagram, const Endpoint& from, TimePoint now,
                      Actions& actions) {
  return machine_->count(machine_->input(datagram, from, now, actions));
}

Outcome Device::send(Bytes packet, TimePoint now, Actions& actions) {
  const auto slot = machine_->allowed_ips.find_destination(packet);
  if (!slot) return machine_->count(Outcome::kNoRoute);
  return machine_->count(machine_->send_to(*machine_->slots[*slot], packet, now, actions));
}

Outcome Device::send_to(PeerId peer, Bytes packet, TimePoint now, Actions& actions) {
  auto* const found = machine_->find(peer);
  return machine_->count(found ? machine_->send_to(*found, packet, now, actions) : Outcome::kNoRoute);
}

void Device::tick(TimePoint now, Actions& actions) {
  // Each peer's next deadline is later than now, so this ends.
  while (machine_->deadlines.next() <= now)
    machine_->serve(*machine_->slots[machine_->deadlines.slot()], now, actions);
}

TimePoint Device::deadline() const {
  return machine_->deadlines.next();
}

void Device::wake(PeerId peer, TimePoint now, Actions& actions) {
  if (auto* const found = machine_->find(peer)) machine_->serve(*found, now, actions);
}

void Device::roamed(PeerId peer, const Endpoint& from, Actions& actions) {
  auto* const found = machine_->find(peer);
  if (!found) return;
  machine_->set_endpoint(*found, from, actions);
  machine_->schedule(*found);
}

Keypairs Device::keypairs(PeerId peer) const {
  const auto* const found = machine_->find(peer);
  return found ? found->keypairs : Keypairs{};
}

std::shared_ptr<Activity> Device::activity(PeerId peer) const {
  const auto* const found = machine_->find(peer);
  return found ? found->activity : nullptr;
}

std::optional<Endpoint> Device::endpoint(PeerId peer) const {
  const auto* const found = machine_->find(peer);
  return found && found->endpoint.is_known() ? std::optional(found->endpoint) : std::nullopt;
}

const AllowedIps& Device::allowed_ips() const {
  return machine_->allowed_ips;
}

std::optional<PeerStatus> Device::status(PeerId peer, TimePoint now) const {
  const auto* const found = machine_->find(peer);
  if (!found) return std::nullopt;
  PeerStatus status;
  status.public_key = found->public_key;
  status.has_preshared_key = !found->preshared_key.is_zero();
  status.endpoint = endpoint(peer);
  status.allowed_ips = found->allowed_ips;
  status.persistent_keepalive = found->persistent_keepalive;
  status.latest_handshake = found->latest_handshake;
  status.bytes_received = found->activity->bytes_received();
  status.bytes_sent = found->activity->bytes_sent();
  status.has_session = found->may_send(now);
  return status;
}

const Counters& Device::counters() const {
  return machine_->counters;
}

}  // namespace sixlink::wireguard
