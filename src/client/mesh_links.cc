// SPDX-License-Identifier: BSD-3-Clause
// A node's links as they are in the system.
#include "src/client/mesh_links.h"

#include <net/if.h>
#include <unistd.h>

#include <stdexcept>

#include "platform/overlay.h"
#include "platform/platform.h"
#include "src/datapath/wireguard_tunnel.h"
#include "src/wireguard/initiator.h"

namespace sixlink::client {
namespace {

constexpr unsigned kMostNames = 9999;
constexpr unsigned kMostInitiations = 200;  // a second

wireguard::SecretKey private_key_of(const pki::WireguardKeyPair& key) {
  const auto bytes = key.private_bytes();
  return wireguard::SecretKey(std::span<const std::uint8_t, wireguard::kKeySize>(
      reinterpret_cast<const std::uint8_t*>(bytes.data()), wireguard::kKeySize));
}

// What our control messages come from. Nobody answers to it: the other end knows by the link who speaks.
net::AddressV6 control_source() {
  net::AddressV6::bytes_type bytes{};
  bytes[0] = 0xfe;
  bytes[1] = 0x80;
  bytes[15] = 1;
  return net::AddressV6(bytes);
}

std::vector<net::Prefix> everything() {
  return {*net::Prefix::parse("::/0"), net::v4_mapped({boost::asio::ip::address_v4(), 0})};
}

class Socket {
 public:
  explicit Socket(int fd) : fd_(fd) {}
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  ~Socket() {
    if (fd_ >= 0) ::close(fd_);
  }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

}  // namespace

struct MeshLinks::Link {
  mesh::OpenLink wanted;
  wireguard::PublicKey key{};
  std::string interface;
  std::unique_ptr<datapath::WireguardTunnel> tunnel;
};

MeshLinks::MeshLinks(const boost::asio::any_io_executor& executor, Settings settings,
                     const pki::WireguardKeyPair& key, spdlog::logger& log, Events events)
    : executor_(executor),
      settings_(std::move(settings)),
      key_(key),
      log_(log),
      events_(std::move(events)),
      reader_(std::make_unique<wireguard::InitiatorReader>(private_key_of(key))),
      initiations_(kMostInitiations, std::chrono::seconds(1)) {}

MeshLinks::~MeshLinks() = default;

// Each name once, as long as there are any: the router is told of a new link before it has forgotten the old
// one of the same name.
std::string MeshLinks::free_name() {
  for (unsigned tries = 0; tries < kMostNames; ++tries) {
    const auto name = settings_.name_prefix + std::to_string(next_name_);
    next_name_ = next_name_ % kMostNames + 1;
    if (::if_nametoindex(name.c_str()) == 0) return name;
  }
  return settings_.name_prefix + std::to_string(next_name_);
}

std::string MeshLinks::open(const mesh::OpenLink& wanted, int given) {
  Socket socket(given);
  auto link = std::make_unique<Link>();
  link->wanted = wanted;
  link->key = wanted.key.bytes;
  link->interface = free_name();
  auto queues = platform::open_tun_queues(link->interface, 1, settings_.offloads);
  if (!queues) return platform::explain_tun_error(link->interface, queues.error());
  if (const auto error = platform::set_interface_mtu(link->interface, wanted.mtu))
    return "cannot set the MTU of " + link->interface + ": " + error.message();
  if (const auto error = platform::bring_up(link->interface))
    return "cannot bring up " + link->interface + ": " + error.message();

  datapath::WireguardTunnel::Settings settings{
      private_key_of(key_), link->key, wanted.endpoint,    everything(),        settings_.filter,
      wanted.mtu,           {},        settings_.offloads, wanted.is_initiator, datapath::LaneRoom::kSmall};
  const auto id = wanted.link;
  const auto is_tcp = wanted.transport == mesh::Transport::kTcp;
  datapath::WireguardTunnel::Events events;
  events.on_packet = [this, id](std::span<const std::uint8_t> packet) {
    const auto message = datapath::mesh_control_payload(packet);
    if (!message.empty()) events_.on_control(id, message);
  };
  // A port that is closed, a network that is down: whether the link is dead is found out by its silence.
  events.on_socket_error = [this, id](const boost::system::error_code& error) {
    if (const auto* one = find(id)) log_.trace("{}: {}", one->interface, error.message());
  };
  events.on_interface_error = [this, id](const boost::system::error_code& error) {
    if (const auto* one = find(id))
      events_.on_failed(id, "the interface " + one->interface + " is gone or down: " + error.message());
  };
  events.on_handshake = [this, id] { events_.on_handshake(id); };
  events.on_unreachable = [this, id] { events_.on_failed(id, "no answer to 90 seconds of handshakes"); };
  events.on_stray = [this, id, is_tcp](std::span<std::uint8_t> datagram, const mesh::Endpoint& from) {
    const auto* one = find(id);
    if (datagram.empty() || !one) return;
    // What comes out of a TLS connection has the relay's address.
    const auto& sender = is_tcp ? one->wanted.endpoint : from;
    if (datagram[0] >> 4 == 0xF) {
      events_.on_outer(datagram, sender, one->wanted.transport);
    } else if (!is_tcp) {
      offer(datagram, sender);
    }
  };
  if (!is_tcp) events.open_socket = events_.connect;
  const auto interface = link->interface;
  auto& place = links_[id];
  place = std::move(link);
  try {
    place->tunnel = std::make_unique<datapath::WireguardTunnel>(
        executor_, std::move(*queues), socket.release(), std::move(settings), std::move(events));
  } catch (const std::exception& error) {
    links_.erase(id);
    return "cannot make the link on " + interface + ": " + error.what();
  }
  return {};
}

void MeshLinks::close(mesh::LinkId link) {
  links_.erase(link);
}

void MeshLinks::close_all() {
  links_.clear();
}

MeshLinks::Link* MeshLinks::find(mesh::LinkId link) const {
  const auto found = links_.find(link);
  return found == links_.end() || !found->second->tunnel ? nullptr : found->second.get();
}

bool MeshLinks::offer(std::span<std::uint8_t> datagram, const mesh::Endpoint& from) {
  const auto type = wireguard::classify(datagram);
  if (!type) return false;
  std::optional<wireguard::PublicKey> initiator;
  if (*type == wireguard::MessageType::kInitiation) {
    if (!initiations_.allow(std::chrono::steady_clock::now())) return false;
    initiator = reader_->read(datagram);
    if (!initiator) return false;
  }
  for (const auto& [id, link] : links_) {
    if (!link->tunnel || link->wanted.transport != mesh::Transport::kUdp) continue;
    if (initiator && link->key != *initiator) continue;
    if (link->tunnel->input(datagram, from)) return true;
  }
  return false;
}

void MeshLinks::send_control(mesh::LinkId id, std::span<const std::uint8_t> message) {
  static const auto source = control_source();
  auto* const link = find(id);
  if (!link) return;
  const auto packet = datapath::make_mesh_control(source, message);
  if (!packet.empty()) link->tunnel->send(packet);
}

bool MeshLinks::send_outer(const mesh::Endpoint& to, mesh::Transport transport,
                           std::span<const std::uint8_t> message) {
  for (const auto& [id, link] : links_) {
    if (!link->tunnel || link->wanted.transport != transport || link->wanted.endpoint != to) continue;
    link->tunnel->send_beside(message);
    return true;
  }
  return false;
}

std::size_t MeshLinks::reconnect() {
  std::size_t count = 0;
  for (const auto& [id, link] : links_) {
    if (link->wanted.transport != mesh::Transport::kUdp) continue;
    const auto endpoint = link->tunnel->endpoint();
    const auto source = platform::source_towards(endpoint.address());
    // Without a way there it is as good as any: there may be one again.
    if (!source || *source == link->tunnel->local_address()) continue;
    const int socket = events_.connect(endpoint);
    if (socket < 0) continue;
    link->tunnel->replace_socket(socket);
    ++count;
  }
  return count;
}

void MeshLinks::set_takes_foreign(bool takes_foreign) {
  if (settings_.filter.takes_foreign == takes_foreign) return;
  settings_.filter.takes_foreign = takes_foreign;
  for (const auto& [id, link] : links_) link->tunnel->set_filter(settings_.filter);
}

std::vector<mesh::Traffic> MeshLinks::traffic() const {
  std::vector<mesh::Traffic> all;
  all.reserve(links_.size());
  for (const auto& [id, link] : links_) {
    const auto one = link->tunnel->traffic();
    all.push_back({id, one.received, one.sent, one.bytes_in + one.bytes_out});
  }
  return all;
}

std::vector<MeshLinks::Status> MeshLinks::status() const {
  std::vector<Status> all;
  for (const auto& [id, link] : links_) {
    const auto one = link->tunnel->traffic();
    all.push_back({id, link->interface, link->tunnel->endpoint(), link->tunnel->counters(), one.bytes_in,
                   one.bytes_out});
  }
  return all;
}

std::string MeshLinks::interface_of(mesh::LinkId id) const {
  const auto* const link = find(id);
  return link ? link->interface : std::string();
}

mesh::LinkId MeshLinks::link_of(std::string_view interface) const {
  for (const auto& [id, link] : links_) {
    if (link->interface == interface) return id;
  }
  return 0;
}

}  // namespace sixlink::client
