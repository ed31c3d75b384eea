// SPDX-License-Identifier: BSD-3-Clause
// A node's links as they are in the system.
#include "src/client/mesh_links.h"

#include <net/if.h>
#include <unistd.h>

#include <stdexcept>

#include "platform/network.h"
#include "platform/overlay.h"
#include "platform/platform.h"
#include "platform/route_table.h"
#include "src/client/mesh_kernel_link.h"
#include "src/datapath/wireguard_tunnel.h"
#include "src/wireguard/initiator.h"

namespace sixlink::client {
namespace {

constexpr unsigned kMostNames = 9999;
constexpr unsigned kMostInitiations = 200;  // a second
// While a handshake of the kernel's is awaited, which nobody tells of.
constexpr std::chrono::milliseconds kHandshakeInterval{50};
// For Babel, of a link that is being left: more than any way around, which costs hundreds for each link.
constexpr std::uint16_t kLeftCost = 8192;
// To the neighbour it is told that often, as a datagram may be lost.
constexpr unsigned kCostTimes = 4;
constexpr std::chrono::milliseconds kCostInterval{200};

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
  std::unique_ptr<datapath::WireguardTunnel> tunnel;  // or
  std::unique_ptr<MeshKernelLink> kernel;
  bool is_left = false;
  std::optional<boost::asio::steady_timer> cost_timer;
};

MeshLinks::MeshLinks(const boost::asio::any_io_executor& executor, Settings settings,
                     const pki::WireguardKeyPair& key, spdlog::logger& log, Events events)
    : executor_(executor),
      settings_(std::move(settings)),
      key_(key),
      log_(log),
      events_(std::move(events)),
      reader_(std::make_unique<wireguard::InitiatorReader>(private_key_of(key))),
      initiations_(kMostInitiations, std::chrono::seconds(1)),
      handshake_timer_(executor) {}

MeshLinks::~MeshLinks() {
  close_all();
}

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
  events.on_packet = [this, id](std::span<const std::uint8_t> packet) { on_packet(id, packet); };
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
  if (!is_tcp)
    events.open_socket = [this, port = wanted.own_port](const mesh::Endpoint& to) {
      return events_.connect(to, port);
    };
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

// The peer of a link of the kernel's finds nothing of our own on it but this address.
std::string MeshLinks::open_in_kernel(const mesh::OpenLink& wanted) {
  auto link = std::make_unique<Link>();
  link->wanted = wanted;
  link->key = wanted.key.bytes;
  link->interface = free_name();
  if (auto problem = events_.record(link->interface); !problem.empty()) return problem;
  auto address = control_source().to_bytes();
  const auto random = platform::random_number();
  for (std::size_t i = 0; i < sizeof random; ++i)
    address[8 + i] = static_cast<std::uint8_t>(random >> (8 * i));
  const auto secret = key_.private_bytes();
  const auto id = wanted.link;
  auto error = platform::make_kernel_wireguard(
      {link->interface,
       std::span<const std::uint8_t, 32>(reinterpret_cast<const std::uint8_t*>(secret.data()), 32), link->key,
       wanted.endpoint, wanted.own_port, settings_.kernel->group_of(settings_.filter.takes_foreign, false),
       wanted.mtu, wanted.is_initiator, net::AddressV6(address)});
  if (!error) {
    auto opened = MeshKernelLink::open(
        executor_, link->interface,
        [this, id](std::span<const std::uint8_t> message) { events_.on_control(id, message); });
    if (opened) {
      link->kernel = *std::move(opened);
    } else {
      error = opened.error();
    }
  }
  if (error) {
    events_.remove(link->interface);
    return "cannot make the WireGuard interface " + link->interface + " with port " +
           std::to_string(wanted.own_port) + ": " + error.message();
  }
  links_[id] = std::move(link);
  watch_handshakes();
  return {};
}

void MeshLinks::on_packet(mesh::LinkId id, std::span<const std::uint8_t> packet) {
  const auto message = datapath::mesh_control_payload(packet);
  if (!message.empty()) return events_.on_control(id, message);
  const auto* const link = find(id);
  if (!link || !link->tunnel || !link->is_left) return;
  // Whatever the neighbour's babeld says, ours hears what the link costs. Soon it misses hellos, and gives it
  // up.
  if (const auto neighbour = datapath::babel_sender(packet))
    link->tunnel->receive(datapath::make_babel_cost(*neighbour, kLeftCost));
}

// babeld has a new cost only after it lost the link for a moment, and then routes are gone for seconds. But
// it takes what the neighbour says of the link: so it is told in the neighbour's name. That moves what has
// another way for sure. Where Babel cannot tell another way from a loop, it asks the destination (RFC 8966
// section 3.8.2), but only once it hears of such a way, and that is what the others are asked for. For what
// is left the kernel keeps the routes until the link is closed.
// What comes by the kernel's WireGuard goes to babeld unseen, and nothing can be put beside it. So the
// neighbour, which leaves the link as well, is told by this end, and hears nothing else of its babeld.
bool MeshLinks::leave(mesh::LinkId id) {
  auto* const link = find(id);
  if (!link) return true;
  const auto neighbours = platform::keep_routes(link->interface, platform::kRouteProtocolBabel);
  if (!neighbours) {
    log_.debug("routes into {} cannot be kept: {}", link->interface, neighbours.error().message());
    return false;
  }
  link->is_left = true;
  if (link->kernel) {
    if (const auto error = set_group(*link)) {
      log_.debug("{} cannot be put into another group: {}", link->interface, error.message());
      link->is_left = false;
      return false;
    }
  } else {
    link->tunnel->set_filter(filter_of(*link));
    // Nothing goes that way where there is none: then the neighbour's next hello is early enough.
    for (const auto& neighbour : *neighbours)
      link->tunnel->receive(datapath::make_babel_cost(neighbour, kLeftCost));
  }
  tell_cost(id, kCostTimes);
  for (const auto& own : platform::interface_addresses()) {
    if (!own.address.is_v6() || !own.address.to_v6().is_link_local()) continue;
    auto* const other = find(link_of(own.interface));
    if (other && !other->is_left) send_babel(*other, datapath::make_babel_request(own.address.to_v6()));
  }
  return true;
}

void MeshLinks::send_babel(Link& link, std::span<const std::uint8_t> packet) {
  if (link.tunnel) return link.tunnel->send(packet);
  if (const auto error = platform::send_out_of(link.interface, packet))
    log_.debug("{}: no Babel of ours goes out: {}", link.interface, error.message());
}

void MeshLinks::tell_cost(mesh::LinkId id, unsigned times) {
  auto* const link = find(id);
  if (!link || !link->is_left || times == 0) return;
  for (const auto& own : platform::interface_addresses()) {
    if (own.interface != link->interface || !own.address.is_v6() || !own.address.to_v6().is_link_local())
      continue;
    send_babel(*link, datapath::make_babel_cost(own.address.to_v6(), kLeftCost));
  }
  link->cost_timer.emplace(executor_, kCostInterval);
  link->cost_timer->async_wait([this, id, times](const boost::system::error_code& error) {
    if (!error) tell_cost(id, times - 1);
  });
}

void MeshLinks::close(mesh::LinkId id) {
  const auto found = links_.find(id);
  if (found == links_.end()) return;
  const auto link = std::move(found->second);
  links_.erase(found);
  if (!link->kernel) return;
  link->kernel.reset();
  events_.remove(link->interface);
}

void MeshLinks::close_all() {
  while (!links_.empty()) close(links_.begin()->first);
}

// A handler may close no links; what it decides is carried out later.
void MeshLinks::poll(mesh::LinkId id) {
  auto* const link = find(id);
  if (!link || !link->kernel) return;
  const auto news = link->kernel->poll(reader_of_kernel_);
  if (!news) {
    events_.on_failed(id, "the interface " + link->interface + " is gone: " + news.error().message());
  } else if (news->is_handshake) {
    events_.on_handshake(id);
  }
}

void MeshLinks::watch_handshakes() {
  if (std::exchange(is_watching_, true)) return;
  handshake_timer_.expires_after(kHandshakeInterval);
  handshake_timer_.async_wait([this](const boost::system::error_code& error) {
    if (error) return;
    is_watching_ = false;
    bool is_awaited = false;
    for (const auto& [id, link] : links_) {
      if (!link->kernel || link->kernel->counters().had_handshake()) continue;
      poll(id);
      is_awaited = true;
    }
    if (is_awaited) watch_handshakes();
  });
}

MeshLinks::Link* MeshLinks::find(mesh::LinkId link) const {
  const auto found = links_.find(link);
  return found == links_.end() || (!found->second->tunnel && !found->second->kernel) ? nullptr
                                                                                     : found->second.get();
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
  if (link->kernel) return link->kernel->send_control(message);
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
    // The kernel finds its own way.
    if (!link->tunnel || link->wanted.transport != mesh::Transport::kUdp) continue;
    const auto endpoint = link->tunnel->endpoint();
    const auto source = platform::source_towards(endpoint.address());
    // Without a way there it is as good as any: there may be one again.
    if (!source || *source == link->tunnel->local_address()) continue;
    const int socket = events_.connect(endpoint, link->wanted.own_port);
    if (socket < 0) continue;
    link->tunnel->replace_socket(socket);
    ++count;
  }
  return count;
}

void MeshLinks::set_takes_foreign(bool takes_foreign) {
  if (settings_.filter.takes_foreign == takes_foreign) return;
  settings_.filter.takes_foreign = takes_foreign;
  for (const auto& [id, link] : links_) {
    if (link->tunnel) {
      link->tunnel->set_filter(filter_of(*link));
    } else if (const auto error = set_group(*link)) {
      log_.warn("cannot put {} into another group of interfaces: {}; what passes it is filtered as before",
                link->interface, error.message());
    }
  }
}

boost::system::error_code MeshLinks::set_group(const Link& link) {
  return platform::set_interface_group(
      link.interface, settings_.kernel->group_of(settings_.filter.takes_foreign, link.is_left));
}

void MeshLinks::set_v4(const std::optional<net::PrefixV4>& network, const std::optional<net::PrefixV4>& own) {
  settings_.filter.network_v4 = network;
  settings_.filter.own_v4 = own;
  for (const auto& [id, link] : links_) {
    if (link->tunnel) link->tunnel->set_filter(filter_of(*link));
  }
}

datapath::MeshFilter MeshLinks::filter_of(const Link& link) const {
  auto filter = settings_.filter;
  filter.takes_babel = link.is_left;
  return filter;
}

std::vector<mesh::Traffic> MeshLinks::traffic() {
  std::vector<mesh::Traffic> all;
  all.reserve(links_.size());
  for (const auto& [id, link] : links_) {
    if (link->kernel) {
      poll(id);
      const auto& counters = link->kernel->counters();
      all.push_back({id, counters.received(), counters.sent(), counters.bytes_in() + counters.bytes_out(),
                     link->kernel->endpoint()});
      continue;
    }
    const auto one = link->tunnel->traffic();
    const bool is_udp = link->wanted.transport == mesh::Transport::kUdp;
    all.push_back({id, one.received, one.sent, one.bytes_in + one.bytes_out,
                   is_udp ? link->tunnel->endpoint() : mesh::Endpoint()});
  }
  return all;
}

std::vector<MeshLinks::Status> MeshLinks::status() const {
  std::vector<Status> all;
  for (const auto& [id, link] : links_) {
    if (link->kernel) {
      const auto& counters = link->kernel->counters();
      datapath::Counters packets;
      if (const auto found = platform::interface_counters(link->interface)) {
        packets.packets_in = found->packets_in;
        packets.packets_out = found->packets_out;
      }
      all.push_back({id, link->interface, link->kernel->endpoint(), packets, counters.bytes_in(),
                     counters.bytes_out(), true});
      continue;
    }
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
