// SPDX-License-Identifier: BSD-3-Clause
// A node of the mesh as it runs.
#include "src/client/mesh_daemon.h"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "platform/kernel_wireguard.h"
#include "platform/overlay.h"
#include "platform/platform.h"
#include "platform/posix/descriptor.h"
#include "src/client/clock_watch.h"
#include "src/client/exit_code.h"
#include "src/client/inner_v4.h"
#include "src/client/lan_beacons.h"
#include "src/client/mesh_cache.h"
#include "src/client/mesh_edge.h"
#include "src/client/mesh_hooks.h"
#include "src/client/mesh_identity.h"
#include "src/client/mesh_path.h"
#include "src/client/mesh_servers.h"
#include "src/client/mesh_setup.h"
#include "src/client/mesh_status.h"
#include "src/client/reachability.h"
#include "src/client/registry_echo.h"
#include "src/client/registry_sync.h"
#include "src/client/remote_gateways.h"
#include "src/config/build_info.h"
#include "src/config/directory.h"
#include "src/config/small_file.h"

namespace sixlink::client {
namespace {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;

// The routing table of default routes that gateways of the mesh export
// (platform::add_last_table()).
constexpr std::uint32_t kDefaultTable = 136;
constexpr std::chrono::seconds kCacheInterval{60};
// After the first peers: a node that is killed soon finds them again.
constexpr std::chrono::seconds kFirstCache{1};
// Each is a signature to check, of 0.2 ms: others have their turn in between.
constexpr std::size_t kCacheChunk = 16;
constexpr std::chrono::milliseconds kGoodbye{1500};
// Where the system does not tell that its clock was set, and for certificates that begin to be valid.
constexpr std::chrono::seconds kClockInterval{10};
constexpr std::chrono::milliseconds kSettled{500};  // a network that changes does so several times

}  // namespace

//  run(): identity -> set-up -> running --stop()--> goodbye -> everything taken
//  away -> the end
class MeshDaemon::Machine {
 public:
  Machine(asio::io_context& io, const Config& config, spdlog::logger& log, Settings settings)
      : io_(io),
        config_(config),
        mesh_(config.mesh),
        log_(log),
        settings_(std::move(settings)),
        setup_(config.run_dir + "/" + config.instance_name() + ".mesh", log),
        stop_signal_(io),
        cache_timer_(io),
        clock_timer_(io),
        change_timer_(io),
        v4_timer_(io),
        changes_(io) {
    stop_signal_.expires_at(Clock::time_point::max());
  }
  ~Machine() {
    *life_ = false;
    if (changes_.is_open()) changes_.release();
  }
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  asio::awaitable<int> run();
  void stop() {
    is_stopping_ = true;
    stop_signal_.cancel();
  }
  std::optional<std::string> answer(std::string_view request);
  bool answer_later(std::string_view request, std::function<void(std::string)> reply);

 private:
  std::string load_identity();
  asio::awaitable<void> find_servers();
  std::string claim();
  std::string start();
  MeshEdge::Settings edge_settings() const;
  MeshEdge::Events edge_events();
  std::string use_kernel(MeshEdge::Settings& settings);
  void start_helpers();
  void read_cache();
  void read_some();
  void watch_clock();
  void look_at_clock();
  void keep_cache(std::chrono::seconds after);
  void save_cache();
  void save_parameters();
  void take_identity(MeshIdentity identity);
  void use_v4();
  void tell_endpoints();
  void start_echo();
  bool is_translated() const;
  MeshProtocols used_protocols() const;
  void watch_network();
  asio::awaitable<void> say_goodbye();
  MeshView view() const;

  asio::io_context& io_;
  const Config& config_;
  const MeshConfig& mesh_;
  spdlog::logger& log_;
  Settings settings_;
  std::shared_ptr<bool> life_ = std::make_shared<bool>(true);

  std::optional<MeshIdentity> identity_;
  platform::posix::Descriptor claim_;
  net::Prefix network_;
  std::optional<InnerV4> v4_;
  std::optional<net::PrefixV4> network_v4_;  // of the parameters
  Clock::time_point v4_change_{};            // not before
  MeshPlan plan_;
  MeshSetup setup_;
  RemoteGateways gateways_{mesh_.remote_gateways, setup_};
  std::vector<mesh::Endpoint> client_only_;
  std::unique_ptr<MeshServers> servers_;
  std::unique_ptr<MeshEdge> edge_;
  std::unique_ptr<RegistrySync> registry_;
  std::unique_ptr<RegistryEcho> echo_;  // none: client_only=, or no UDP over IPv4
  std::unique_ptr<Reachability> reachability_;
  std::unique_ptr<LanBeacons> beacons_;
  std::unique_ptr<MeshHooks> hooks_;
  std::unique_ptr<MeshPaths> paths_;

  asio::steady_timer stop_signal_;
  asio::steady_timer cache_timer_;
  asio::steady_timer clock_timer_;
  asio::steady_timer change_timer_;
  asio::steady_timer v4_timer_;  // until a range of IPv4 that is new is to be used
  std::optional<platform::ChangeMonitor> monitor_;
  asio::posix::stream_descriptor changes_;  // watches the monitor's descriptor, does not own it
  std::string network_state_;
  ClockWatch clock_{Clock::now(), std::chrono::system_clock::now()};
  std::vector<std::vector<std::uint8_t>> cached_;  // being read
  std::size_t read_ = 0;                           // of these
  std::vector<mesh::ContactEndpoint> endpoints_;   // as this machine finds them
  std::optional<asio::ip::address> observed_;      // by the registry
  bool is_stopping_ = false;
  std::string last_error_;
  WallTime since_ = std::chrono::system_clock::now();
};

std::string MeshDaemon::Machine::load_identity() {
  auto loaded = load_mesh_identity(mesh_);
  if (!loaded.identity) return loaded.problem;
  identity_.emplace(std::move(*loaded.identity));
  network_ = identity_->joined_with.front().prefix();
  const auto warning = certificate_warning(identity_->certificate, std::chrono::system_clock::now());
  if (!warning.empty()) log_.warn("{}", warning);
  return {};
}

asio::awaitable<int> MeshDaemon::Machine::run() {
  auto problem = load_identity();
  if (!problem.empty()) {
    log_.critical("{}", problem);
    co_return kExitBadConfiguration;
  }
  co_await find_servers();
  if (is_stopping_) co_return kExitOk;
  problem = start();
  if (!problem.empty()) {
    log_.critical("{}", problem);
    servers_.reset();
    edge_.reset();
    setup_.undo();
    co_return kExitFailed;
  }
  log_.info("node {} of network {} runs, with the address {} on {}",
            identity_->certificate.prefix().to_string(), network_.to_string(),
            node_address(identity_->certificate.prefix()).to_string(), mesh_.main_interface);
  settings_.on_first_up();
  if (!is_stopping_) co_await stop_signal_.async_wait(asio::as_tuple(asio::use_awaitable));
  is_stopping_ = true;
  co_await say_goodbye();
  co_return kExitOk;
}

// Where client_only= is, first: without that there is nothing to begin with.
asio::awaitable<void> MeshDaemon::Machine::find_servers() {
  if (!mesh_.client_only) co_return;
  client_only_.clear();
  MeshServers::Events events;
  events.on_found = [this](std::vector<mesh::Endpoint> servers) {
    if (edge_) return edge_->on_servers(std::move(servers));
    client_only_ = std::move(servers);
    last_error_.clear();
    stop_signal_.cancel();
  };
  events.on_problem = [this](const std::string& problem) { last_error_ = problem; };
  events.has_link = [this] { return edge_ && edge_->links_up() > 0; };
  servers_ = std::make_unique<MeshServers>(io_, *mesh_.client_only, used_protocols(), network_, log_,
                                           std::move(events));
  while (!is_stopping_ && client_only_.empty())
    co_await stop_signal_.async_wait(asio::as_tuple(asio::use_awaitable));
}

MeshEdge::Settings MeshDaemon::Machine::edge_settings() const {
  const auto& prefix = identity_->certificate.prefix();
  const auto address = node_address(prefix);
  MeshEdge::Settings settings;
  auto& node = settings.node;
  node.prefix = prefix;
  node.neighbours = mesh_.neighbours;
  node.client_only = client_only_;
  node.transports.clear();
  for (const auto transport : mesh_.transports) {
    if (mesh_.protocols.has(transport)) node.transports.push_back(transport);
  }
  node.client_count = mesh_.client_count;
  node.tunnel_refresh = mesh_.tunnel_refresh;
  node.most_served = mesh_.most_served;
  node.mtu = mesh_.mtu;
  node.software = "sixlink " + std::string(config::version());

  const auto protocols = used_protocols();
  settings.sockets = {mesh_.port, protocols.udp4, protocols.udp6, network_, address};
  settings.filter.network = network_;
  settings.filter.own = prefix;
  settings.filter.takes_foreign = mesh_.is_gateway;
  if (!config_.offload) settings.offloads = platform::Offloads::none();
  settings.protocols = protocols;
  settings.is_gateway = mesh_.is_gateway;
  if (std::find(node.transports.begin(), node.transports.end(), mesh::Transport::kTcp) !=
      node.transports.end()) {
    TlsSettings tls;
    tls.ports = mesh_.client_only ? std::vector<std::uint16_t>() : mesh_.tcp_ports;
    settings.tls = tls;
  }
  auto& router = settings.router;
  router.program = mesh_.babeld;
  router.run_directory = config_.run_dir + "/" + config_.instance_name() + ".babeld";
  router.state_directory = mesh_.directory + "/babeld";
  router.network = network_;
  router.prefix = prefix;
  router.is_gateway = mesh_.is_gateway;
  router.accepts_default = !mesh_.is_gateway;
  router.preferred_gateways = mesh_.preferred_gateways;
  router.default_table = kDefaultTable;
  router.source = address;
  if (v4_) {
    router.network_v4 = v4_->network;
    router.prefix_v4 = v4_->prefix;
    router.source_v4 = v4_->address();
    settings.filter.network_v4 = router.network_v4;
    settings.filter.own_v4 = router.prefix_v4;
  }
  return settings;
}

MeshEdge::Events MeshDaemon::Machine::edge_events() {
  MeshEdge::Events events;
  events.on_link_up = [this] {
    if (hooks_) hooks_->start();
    keep_cache(kFirstCache);
  };
  events.on_publish = [this](const mesh::SignedContact& contact) {
    const auto life = contact.contact.expires - std::chrono::system_clock::now();
    if (registry_) registry_->publish(contact.der, std::chrono::duration_cast<std::chrono::seconds>(life));
    if (beacons_) beacons_->set_own(contact.der);
  };
  events.on_parameters = [this] {
    save_parameters();
    if (registry_) registry_->use_parameters(edge_->node().parameters());
    use_v4();
  };
  events.on_open = [this](mesh::LinkId link, const asio::ip::address& peer) {
    const auto problem = gateways_.open(link, peer);
    if (!problem.empty()) log_.warn("{}; the default route is used", problem);
  };
  events.on_close = [this](mesh::LinkId link) { gateways_.close(link); };
  events.record = [this](const std::string& interface) { return setup_.add(MadeLink{interface}); };
  events.remove = [this](const std::string& interface) { setup_.remove(MadeLink{interface}); };
  events.ask_contacts = [this](unsigned count) {
    if (registry_) registry_->ask_contacts(count);
  };
  events.ask_contact = [this](const net::Prefix& node) {
    if (registry_) registry_->ask_contact(node);
  };
  events.on_control = [this](std::span<const std::uint8_t> datagram, const mesh::Endpoint& from) {
    return echo_ && echo_->input(datagram, from);
  };
  return events;
}

// A second node would take away the routes of the first, and share its port.
std::string MeshDaemon::Machine::claim() {
  if (claim_) return {};
  pid_t holder = 0;
  const auto claimed = platform::claim_overlay(holder);
  if (claimed) {
    claim_.reset(*claimed);
  } else if (claimed.error() == boost::system::errc::address_in_use) {
    return "a node of a mesh runs on this machine already (process " + std::to_string(holder) +
           "), and there can be one only: stop that one first, or give this one a network namespace of its "
           "own";
  } else if (claimed.error() != boost::system::errc::operation_not_supported) {
    log_.warn("whether another node runs on this machine cannot be found out: {}", claimed.error().message());
  }
  return {};
}

std::string MeshDaemon::Machine::start() {
  const auto& prefix = identity_->certificate.prefix();
  const auto address = node_address(prefix);
  for (const auto& directory : {mesh_.directory}) {
    if (const auto error = config::make_private_directory(directory, 0700))
      return config::explain_directory_error("state_dir", directory, error);
  }
  auto problem = claim();
  if (!problem.empty()) return problem;
  setup_.undo_leftovers();
  // IPv4 inside: a node has it that was given a prefix, in a network that has it.
  const auto parameters =
      mesh::open_parameters(identity_->parameters, identity_->anchor, std::chrono::system_clock::now());
  if (parameters.parameters) network_v4_ = parameters.parameters->network_v4;
  v4_ = next_inner_v4(std::nullopt, network_v4_, identity_->prefix_v4);
  auto settings = edge_settings();
  // The kernel's own routes and those of an earlier babeld first: what is
  // learned comes after the address.
  plan_.main_interface = mesh_.main_interface;
  plan_.address = address;
  plan_.own = prefix;
  plan_.network = network_;
  plan_.address_v4 = settings.router.source_v4;
  plan_.network_v4 = settings.router.network_v4;
  if (!mesh_.is_gateway) plan_.default_table = kDefaultTable;
  problem = setup_.apply(plan_);
  if (!problem.empty()) return problem;
  problem = use_kernel(settings);
  if (!problem.empty()) return problem;
  edge_ = std::make_unique<MeshEdge>(io_, std::move(settings), *identity_, log_, edge_events());
  problem = edge_->start();
  if (!problem.empty()) return problem;
  start_helpers();
  return {};
}

// Empty: as datapath= wants it, or auto and our datapath carries all links.
std::string MeshDaemon::Machine::use_kernel(MeshEdge::Settings& settings) {
  const auto choice = config_.datapath;
  const bool has_udp = settings.sockets.has_v4 || settings.sockets.has_v6;
  if (choice == DatapathChoice::kUserspace || !has_udp || mesh_.client_only) return {};
  std::string problem;
  const auto filter = kernel_filter_of(config_.instance_name());
  if (!platform::has_kernel_wireguard()) {
    problem = "the kernel has no WireGuard: load its module wireguard";
  } else if (problem = setup_.add(MadeFilter{filter.table}); problem.empty()) {
    problem = make_kernel_filter(filter, settings.filter);
    if (!problem.empty()) setup_.remove(MadeFilter{filter.table});
  }
  if (problem.empty()) {
    settings.kernel = filter;
    settings.node.own_ports =
        choice == DatapathChoice::kKernel ? mesh::OwnPorts::kDirectly : mesh::OwnPorts::kInTheOpen;
    log_.info("links are the kernel's where their peers can be reached at a port of the link's own");
    return {};
  }
  if (choice == DatapathChoice::kKernel) return "datapath=kernel: " + problem + "; or set datapath=auto";
  log_.info("our datapath carries all links: {}", problem);
  return {};
}

// Those of link_transport= that disable_proto= leaves.
MeshProtocols MeshDaemon::Machine::used_protocols() const {
  auto protocols = mesh_.protocols;
  const auto is_used = [&](mesh::Transport transport) {
    return std::find(mesh_.transports.begin(), mesh_.transports.end(), transport) != mesh_.transports.end();
  };
  if (!is_used(mesh::Transport::kUdp)) protocols.udp4 = protocols.udp6 = false;
  if (!is_used(mesh::Transport::kTcp)) protocols.tcp4 = protocols.tcp6 = false;
  return protocols;
}

void MeshDaemon::Machine::start_helpers() {
  const auto& prefix = identity_->certificate.prefix();
  const auto address = node_address(prefix);
  paths_ = std::make_unique<MeshPaths>(io_, address);
  hooks_ = std::make_unique<MeshHooks>(
      io_,
      MeshHooks::Settings{
          mesh_.up,
          mesh_.daemon,
          {"sixlink_ip=" + address.to_string(), "sixlink_iface=" + mesh_.main_interface,
           "sixlink_subnet=" + prefix.to_string(), "sixlink_network=" + network_.to_string()}},
      log_);

  RegistrySyncEvents registry;
  registry.on_identity = [this](MeshIdentity identity) { take_identity(std::move(identity)); };
  registry.on_parameters = [this](std::span<const std::uint8_t> der) { edge_->on_parameters(der); };
  registry.on_contact = [this](std::span<const std::uint8_t> der) { edge_->on_contact(der); };
  registry.on_introduction = [this](std::span<const std::uint8_t> der) { edge_->on_contact(der); };
  registry.neighbours = [this] {
    std::vector<ApiNeighbour> neighbours;
    for (const auto& link : edge_->node().links()) {
      if (link.state == mesh::LinkState::kUp || link.state == mesh::LinkState::kSuspect)
        neighbours.push_back({link.peer, link.rtt, link.transport});
    }
    return neighbours;
  };
  registry.on_observed = [this](const asio::ip::address& seen) {
    // It answers: perhaps by UDP as well now.
    if (echo_ && !echo_->problem().empty()) echo_->ask();
    if (observed_ == seen) return;
    observed_ = seen;
    tell_endpoints();
  };
  registry_ = std::make_unique<RegistrySync>(io_, mesh_, *identity_, log_, std::move(registry));

  if (!mesh_.lan_interfaces.empty() && !mesh_.client_only) {
    beacons_ = std::make_unique<LanBeacons>(
        io_, LanBeaconSettings{mesh_.lan_interfaces, mesh_.port, platform::random_number()}, log_,
        [this](std::span<const std::uint8_t> der, const asio::ip::udp::endpoint& endpoint) {
          edge_->on_local_contact(der, endpoint);
        });
  }
  if (!identity_->parameters.empty()) edge_->on_parameters(identity_->parameters);
  read_cache();
  registry_->start(edge_->node().parameters().version);
  if (mesh_.client_only) {
    edge_->on_endpoints({});
  } else {
    ReachabilitySettings reach;
    reach.configured = mesh_.endpoints;
    reach.link_port = mesh_.port;
    reach.tcp_ports = edge_->tls_ports();
    reach.protocols = used_protocols();
    reach.maps_ports = mesh_.port_mapping;
    reach.ignored = {network_};
    reach.seed = platform::random_number();
    reachability_ = std::make_unique<Reachability>(io_, std::move(reach), log_,
                                                   [this](std::vector<mesh::ContactEndpoint> endpoints) {
                                                     endpoints_ = std::move(endpoints);
                                                     tell_endpoints();
                                                   });
  }
  start_echo();
  watch_network();
  watch_clock();
}

void MeshDaemon::Machine::start_echo() {
  if (mesh_.client_only || !used_protocols().udp4 || !mesh_.is_node()) return;
  RegistryEcho::Events events;
  events.send = [this](std::span<const std::uint8_t> datagram, const mesh::Endpoint& to) {
    return edge_->send_outer(datagram, to);
  };
  events.on_seen = [this](const asio::ip::address& observer, const mesh::Endpoint& seen) {
    edge_->on_observed(observer, seen);
  };
  events.is_needed = [this] { return edge_->links_up() == 0 && is_translated(); };
  echo_ = std::make_unique<RegistryEcho>(io_, echo_address(mesh_.registry), log_, std::move(events),
                                         RegistryEcho::Pace());
}

// Also when nobody has told yet.
bool MeshDaemon::Machine::is_translated() const {
  std::optional<asio::ip::address> seen = observed_ && observed_->is_v4() ? observed_ : std::nullopt;
  if (echo_ && echo_->seen()) seen = echo_->seen()->address();
  return !seen || std::none_of(endpoints_.begin(), endpoints_.end(),
                               [&](const auto& endpoint) { return endpoint.address == *seen; });
}

// ---- contacts, parameters, certificate ----

void MeshDaemon::Machine::read_cache() {
  auto cache = load_mesh_cache(mesh_.contacts_path());
  if (!cache.problem.empty()) log_.warn("{}", cache.problem);
  const bool is_reading = !cached_.empty();
  cached_ = std::move(cache.contacts);
  read_ = 0;
  if (!is_reading) read_some();
}

void MeshDaemon::Machine::read_some() {
  const auto end = std::min(read_ + kCacheChunk, cached_.size());
  for (; read_ < end; ++read_) edge_->on_contact(cached_[read_]);
  if (end == cached_.size()) {
    cached_ = {};
    return;
  }
  asio::post(io_, [this, life = life_] {
    if (!*life) return;
    if (is_stopping_) {
      cached_ = {};
    } else {
      read_some();
    }
  });
}

void MeshDaemon::Machine::keep_cache(std::chrono::seconds after) {
  const auto at = Clock::now() + after;
  if (cache_timer_.expiry() > Clock::now() && cache_timer_.expiry() <= at) return;
  cache_timer_.expires_at(at);
  cache_timer_.async_wait([this, life = life_](const boost::system::error_code& error) {
    if (error || !*life) return;
    save_cache();
    keep_cache(kCacheInterval);
  });
}

void MeshDaemon::Machine::save_cache() {
  const auto contacts = edge_->node().contacts_to_cache();
  if (contacts.empty()) return;  // what is there may be of use at the next start
  const auto error = save_mesh_cache(mesh_.contacts_path(), contacts);
  if (!error) return;
  last_error_ = "cannot write " + mesh_.contacts_path() + ": " + error.message();
  log_.warn("{}", last_error_);
}

void MeshDaemon::Machine::save_parameters() {
  const auto& document = edge_->node().parameters_document();
  if (document.empty()) return;
  identity_->parameters = document;
  const std::string_view bytes(reinterpret_cast<const char*>(document.data()), document.size());
  const auto error = config::write_small_file(mesh_.parameters_path(), bytes, config::Existing::kReplace);
  if (!error) return;
  last_error_ = "cannot write " + mesh_.parameters_path() + ": " + error.message();
  log_.warn("{}; after a restart this node has the older ones until a peer tells it", last_error_);
}

void MeshDaemon::Machine::take_identity(MeshIdentity identity) {
  identity_->prefix_v4 = identity.prefix_v4;
  use_v4();
  if (identity.certificate == identity_->certificate) return;
  identity_->certificate = identity.certificate;
  identity_->key = std::move(identity.key);
  identity_->joined_with = std::move(identity.joined_with);
  log_.info("the certificate was renewed: it is good until {}", utc_date(identity_->certificate.not_after()));
  edge_->renewed();
}

// Links stay, and so do routes of IPv6 (kV4Change).
void MeshDaemon::Machine::use_v4() {
  if (!edge_ || is_stopping_) return;
  const auto& network = edge_->node().parameters().network_v4;
  if (network != network_v4_) {
    network_v4_ = network;
    v4_change_ = network ? Clock::now() + kV4Change : Clock::time_point();
    v4_timer_.expires_at(v4_change_);
    v4_timer_.async_wait([this, life = life_](const boost::system::error_code& error) {
      if (!error && *life) use_v4();
    });
  }
  const auto wanted = next_inner_v4(v4_, network, identity_->prefix_v4);
  if (wanted != v4_ && Clock::now() >= v4_change_) {
    log_.info(
        "IPv4 inside the mesh: {}",
        wanted ? wanted->address().to_string() + " of " + wanted->network.to_string() : "none any more");
    v4_ = wanted;
    const auto problem = setup_.change_v4(plan_, v4_);
    if (!problem.empty()) {
      last_error_ = problem;
      log_.error("{}", problem);
    }
  }
  edge_->use_v4(v4_, network);
}

void MeshDaemon::Machine::tell_endpoints() {
  auto endpoints = endpoints_;
  const auto knows = [&](const asio::ip::address& address) {
    return std::any_of(endpoints.begin(), endpoints.end(),
                       [&](const auto& endpoint) { return endpoint.address == address; });
  };
  // Whoever is seen from somewhere else stands behind a NAT: the addresses it has itself are of use there
  // alone.
  if (observed_ && observed_->is_v4() && mesh_.endpoints.empty() && !knows(*observed_)) {
    for (auto& endpoint : endpoints) {
      if (endpoint.address.is_v4() && endpoint.kind == mesh::EndpointKind::kPublic)
        endpoint.kind = mesh::EndpointKind::kLocal;
    }
    std::stable_partition(endpoints.begin(), endpoints.end(),
                          [](const auto& one) { return one.kind != mesh::EndpointKind::kLocal; });
  }
  // The port is a guess that many NATs make true; peers tell the real one.
  if (observed_ && mesh_.endpoints.empty() && !knows(*observed_) &&
      mesh_.protocols.has(mesh::Transport::kUdp, observed_->is_v4()) &&
      !(observed_->is_v6() && network_.contains(observed_->to_v6()))) {
    endpoints.push_back({*observed_, mesh_.port, mesh::Transport::kUdp, mesh::EndpointKind::kObserved});
  }
  edge_->on_endpoints(std::move(endpoints));
}

void MeshDaemon::Machine::watch_network() {
  if (!monitor_) {
    auto opened = platform::ChangeMonitor::open();
    if (!opened) {
      log_.warn("changes of the network are not noticed at once: {}", opened.error().message());
      return;
    }
    monitor_.emplace(*std::move(opened));
    changes_.assign(monitor_->fd());
    network_state_ = platform::network_state({});
  }
  changes_.async_wait(asio::posix::stream_descriptor::wait_read,
                      [this, life = life_](const boost::system::error_code& error) {
                        if (error || !*life || is_stopping_) return;
                        // Links and routes of our own change all the time: a moment's rest.
                        change_timer_.expires_after(kSettled);
                        change_timer_.async_wait([this, life](const boost::system::error_code& stopped) {
                          if (stopped || !*life || is_stopping_) return;
                          const auto changes = monitor_->drain();
                          auto state = platform::network_state({});
                          if (changes.clock) look_at_clock();
                          if (changes.clock || state != network_state_) {
                            network_state_ = std::move(state);
                            edge_->on_network_change();
                            if (servers_) servers_->look();
                            if (beacons_) beacons_->on_network_change();
                            if (echo_) echo_->ask();
                            if (registry_) registry_->retry_soon();
                          }
                          watch_network();
                        });
                      });
}

void MeshDaemon::Machine::watch_clock() {
  clock_timer_.expires_after(kClockInterval);
  clock_timer_.async_wait([this, life = life_](const boost::system::error_code& error) {
    if (error || !*life || is_stopping_) return;
    look_at_clock();
    watch_clock();
  });
}

// Without a right clock nobody could be believed: what is stored is looked at again.
void MeshDaemon::Machine::look_at_clock() {
  const auto now = std::chrono::system_clock::now();
  if (is_stopping_ || !clock_.look(Clock::now(), now, identity_->certificate.not_before())) return;
  log_.info("the clock was set to {}: cached parameters and contacts are looked at again", utc_time(now));
  const auto warning = certificate_warning(identity_->certificate, now);
  if (!warning.empty()) log_.warn("{}", warning);
  edge_->on_clock_change();
  // TLS believes no certificate before its time.
  if (registry_) registry_->retry_soon();
  if (!identity_->parameters.empty()) edge_->on_parameters(identity_->parameters);
  // IPv4 inside is news to this node alone: there is nobody to wait for.
  if (!network_v4_) {
    network_v4_ = edge_->node().parameters().network_v4;
    use_v4();
  }
  read_cache();
}

// ---- the end ----

asio::awaitable<void> MeshDaemon::Machine::say_goodbye() {
  log_.info("leaving the mesh");
  save_cache();
  cache_timer_.cancel();
  clock_timer_.cancel();
  change_timer_.cancel();
  v4_timer_.cancel();
  if (changes_.is_open()) changes_.cancel();
  // All at once; each has a limit of its own.
  const auto left = std::make_shared<int>(1);
  asio::steady_timer all_done(io_, Clock::time_point::max());
  const auto done = [left, &all_done] {
    if (--*left == 0) all_done.cancel();
  };
  ++*left;
  hooks_->stop(done);
  ++*left;
  registry_->withdraw(kGoodbye, done);
  if (reachability_) {
    ++*left;
    reachability_->leave(done);
  }
  ++*left;
  edge_->stop(done);
  done();
  if (*left > 0) co_await all_done.async_wait(asio::as_tuple(asio::use_awaitable));
  servers_.reset();
  registry_->stop();
  registry_.reset();
  echo_.reset();
  beacons_.reset();
  reachability_.reset();
  paths_.reset();
  hooks_.reset();
  edge_.reset();
  setup_.undo();
}

// ---- status ----

MeshView MeshDaemon::Machine::view() const {
  MeshView view;
  view.state = is_stopping_ ? "stopping" : edge_->links_up() > 0 ? "up" : "alone";
  view.since = since_;
  view.now = std::chrono::system_clock::now();
  view.steady_now = Clock::now();
  view.network = network_;
  view.prefix = identity_->certificate.prefix();
  view.address = node_address(view.prefix);
  if (v4_) view.address_v4 = v4_->address();
  view.main_interface = mesh_.main_interface;
  view.is_gateway = mesh_.is_gateway;
  view.node = &edge_->node();
  view.certificate = &identity_->certificate;
  view.links = edge_->links().status();
  view.routes = &edge_->routes();
  view.router = edge_->router_status();
  view.foreign_announcements = edge_->foreign_announcements();
  if (registry_) view.registry = registry_->state();
  if (reachability_) view.reachability = reachability_->status();
  view.tls = edge_->tls();
  view.last_error = edge_->problem().empty() ? last_error_ : edge_->problem();
  // Alone behind a NAT: nobody else tells the port that others are to send to.
  if (view.last_error.empty() && echo_ && edge_->links_up() == 0 && observed_ && is_translated())
    view.last_error = echo_->problem();
  return view;
}

std::optional<std::string> MeshDaemon::Machine::answer(std::string_view request) {
  if (request != "status" && request != "peers" && request != "routes" && request != "topology")
    return std::nullopt;
  if (!edge_) return mesh_starting_json(last_error_);
  if (request == "peers") return mesh_peers_json(view());
  if (request == "routes") return mesh_routes_json(view());
  if (request == "topology") return mesh_topology_json(view());
  return mesh_status_json(view());
}

bool MeshDaemon::Machine::answer_later(std::string_view request, std::function<void(std::string)> reply) {
  constexpr std::string_view kPath = "path ";
  if (!request.starts_with(kPath)) return false;
  const auto text = request.substr(kPath.size());
  const auto target = parse_node(text);
  std::string problem;
  if (!edge_ || !paths_) {
    problem = "the node is starting";
  } else if (!target) {
    problem = "\"" + std::string(text) + "\" is no node: give its address or its prefix";
  } else if (!network_.contains(*target)) {
    problem = std::string(text) + " is not in the network " + network_.to_string();
  }
  if (!problem.empty()) {
    asio::post(io_, [reply = std::move(reply), problem] { reply(mesh_error_json(problem)); });
    return true;
  }
  paths_->find(*target, [this, target = *target, reply = std::move(reply)](const MeshPathResult& result) {
    reply(mesh_path_json(target, result, edge_->routes(), identity_->certificate.prefix()));
  });
  return true;
}

MeshDaemon::MeshDaemon(asio::io_context& io, const Config& config, spdlog::logger& log, Settings settings)
    : machine_(std::make_unique<Machine>(io, config, log, std::move(settings))) {}
MeshDaemon::~MeshDaemon() = default;

asio::awaitable<int> MeshDaemon::run() {
  return machine_->run();
}
void MeshDaemon::stop() {
  machine_->stop();
}
std::optional<std::string> MeshDaemon::answer(std::string_view request) {
  return machine_->answer(request);
}
bool MeshDaemon::answer_later(std::string_view request, std::function<void(std::string)> reply) {
  return machine_->answer_later(request, std::move(reply));
}

}  // namespace sixlink::client
