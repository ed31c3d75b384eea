// SPDX-License-Identifier: BSD-3-Clause
// One tunnel from its grant to its teardown: what mode wireguard does in its own way.
#include <unistd.h>

#include <stdexcept>

#include "platform/system_defaults.h"
#include "src/client/tunnel_holder.h"
#include "src/config/small_file.h"
#include "src/tunnel/kernel_link.h"
#include "src/tunnel/wireguard_conf.h"
#include "src/tunnel/wireguard_link.h"

namespace sixlink::client {
namespace {

namespace asio = boost::asio;

// The file is there as long as the template runs, however that ends.
class SecretFile {
 public:
  SecretFile(std::string path, const pki::Secret& text)
      : path_(std::move(path)),
        error_(config::write_small_file(path_, text.reveal(), config::Existing::kReplace,
                                        config::Durability::kNone)) {}
  SecretFile(const SecretFile&) = delete;
  SecretFile& operator=(const SecretFile&) = delete;
  ~SecretFile() { ::unlink(path_.c_str()); }
  const boost::system::error_code& error() const { return error_; }

 private:
  std::string path_;
  boost::system::error_code error_;
};

}  // namespace

void TunnelHolder::remove_secrets() {
  const auto path = config_.wireguard_conf_path();
  for (const auto& file : {path, path + ".new"}) {
    if (::unlink(file.c_str()) == 0) log_.info("removed {}, which an earlier run left", file);
  }
}

asio::awaitable<std::optional<Failed>> TunnelHolder::create_wireguard_in_kernel(bool& is_unsupported) {
  parameters_.kind = tunnel::InterfaceKind::kKernel;
  choose_mtu();
  parameters_.wireguard_conf = config_.wireguard_conf_path();
  std::optional<Failed> failed;
  {
    const SecretFile file(parameters_.wireguard_conf, tunnel::wireguard_conf(*key_, parameters_));
    if (file.error()) {
      co_return Failed{kExitInterface,
                       "cannot write " + parameters_.wireguard_conf + ": " + file.error().message()};
    }
    failed = co_await run_template(is_unsupported);
  }
  if (failed) co_return failed;
  // The kernel has a port of its own.
  socket_.reset();
  const bool wants_echo = config_.keepalive && parameters_.keepalive_interval;
  const auto target = wants_echo ? parameters_.keepalive_address : asio::ip::address();
  auto link = tunnel::KernelLink::open(io_.get_executor(), parameters_, target, link_events());
  if (!link) {
    co_return Failed{kExitInterface,
                     "cannot watch the interface " + parameters_.interface + ": " + link.error().message()};
  }
  link_ = *std::move(link);
  datapath_reason_ = "kernel";
  start_keepalive();
  start_probe();
  co_return std::nullopt;
}

std::optional<asio::ip::udp::socket> TunnelHolder::connect_to_server() {
  const asio::ip::udp::endpoint server(parameters_.server_outer, parameters_.server_port);
  boost::system::error_code error;
  asio::ip::udp::socket socket(io_);
  socket.open(server.protocol(), error);
  const bool is_pinned = (server.address().is_v4() ? config_.client_v4 : config_.client_v6) != "auto";
  if (!error && is_pinned) socket.bind({parameters_.local_outer, 0}, error);
  if (!error) socket.connect(server, error);
  if (!error) return socket;
  log_.warn("cannot send to {} port {}: {}", server.address().to_string(), server.port(), error.message());
  return std::nullopt;
}

asio::awaitable<std::optional<Failed>> TunnelHolder::create_wireguard_in_userspace() {
  parameters_.kind = tunnel::InterfaceKind::kTun;
  choose_mtu();
  // The negotiation's own socket where the broker has one port for both: its way through a NAT is there.
  const asio::ip::udp::endpoint server(parameters_.server_outer, parameters_.server_port);
  if (socket_ && remote_endpoint_ != server) socket_.reset();
  if (!socket_) socket_ = connect_to_server();
  if (!socket_) co_return Failed{kExitSocket, "there is no way to the broker's WireGuard endpoint"};
  if (!platform::can_be_tun(parameters_.interface)) {
    log_.info("{} is no name for this system's TUN interfaces: taking the first free one",
              parameters_.interface);
    parameters_.interface = "tun";
  }
  const auto options = lane_options();
  auto queues =
      platform::open_tun_queues(parameters_.interface, datapath::lane_count(options), options.offloads);
  if (!queues)
    co_return Failed{kExitInterface, platform::explain_tun_error(parameters_.interface, queues.error())};
  tun_ = *std::move(queues);
  parameters_.interface = tun_.front()->name();
  bool is_unsupported = false;
  if (auto failed = co_await run_template(is_unsupported)) co_return failed;
  const auto target =
      parameters_.keepalive_interval ? parameters_.keepalive_address : parameters_.server_inner;
  parameters_.local_outer = socket_->local_endpoint().address();
  try {
    link_ =
        std::make_unique<tunnel::WireguardLink>(io_.get_executor(), std::move(tun_), socket_->release(),
                                                *key_, parameters_, target, options.offloads, link_events());
    tun_.clear();
  } catch (const std::runtime_error& error) {
    co_return Failed{kExitBadParameters, error.what()};
  }
  socket_.reset();
  start_keepalive();
  start_probe();
  co_return std::nullopt;
}

// The broker finds us by the next authentic message, wherever it comes from: nothing is negotiated anew.
void TunnelHolder::move_wireguard(const asio::ip::address& from) {
  log_.info("this machine's address towards the broker changed from {} to {}; the tunnel goes on",
            parameters_.local_outer.to_string(), from.to_string());
  parameters_.local_outer = from;
  if (auto* ours = dynamic_cast<tunnel::WireguardLink*>(link_.get())) {
    if (auto socket = connect_to_server()) ours->replace_socket(socket->release());
  }
  if (keepalive_) keepalive_->probe_soon(std::chrono::steady_clock::now());
}

bool TunnelHolder::is_way_lost() const {
  if (parameters_.mode != tsp::Mode::kWireguard || !is_created_) return false;
  const auto source = platform::source_towards(parameters_.server_outer);
  if (!source) return false;
  if (source->is_v4()) return parameters_.client_inner_v4 && source->to_v4() == *parameters_.client_inner_v4;
  return *source == parameters_.client_inner ||
         (parameters_.prefix && parameters_.prefix->contains(source->to_v6()));
}

}  // namespace sixlink::client
