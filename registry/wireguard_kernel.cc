// SPDX-License-Identifier: BSD-3-Clause
// The registry's end of all WireGuard tunnels where the kernel carries them.
#include "registry/wireguard_kernel.h"

#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <charconv>
#include <sstream>

#include "src/config/small_file.h"
#include "src/tunnel/child_process.h"

namespace sixlink::registry {
namespace {

namespace asio = boost::asio;
using asio::experimental::awaitable_operators::operator||;
using Clock = std::chrono::steady_clock;
constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

// Clients come together: one run of the template is for all of them. The first of many waits no longer than
// it takes to send its handshake again (5 s).
constexpr std::chrono::milliseconds kGather{100};
// How often the kernel is asked how the peers fare: a fraction of the time after which a client counts as
// gone.
constexpr std::chrono::seconds kLookInterval{15};
constexpr std::chrono::seconds kCommandLimit{10};
// Of 100,000 peers, three times over.
constexpr std::size_t kLongestOutput = 32 << 20;

std::string allowed_text(const Lease& lease) {
  std::string text;
  for (const auto& prefix : allowed_of(lease)) {
    const auto v4 = net::unmapped(prefix);
    text += (text.empty() ? "" : ", ") + (v4 ? v4->to_string() : prefix.to_string());
  }
  return text;
}

// The file is there as long as the template runs, however that ends.
class TemporaryFile {
 public:
  TemporaryFile(std::string path, std::string_view text)
      : path_(std::move(path)),
        error_(config::write_small_file(path_, text, config::Existing::kReplace, config::Durability::kNone)) {
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile() { ::unlink(path_.c_str()); }
  const boost::system::error_code& error() const { return error_; }

 private:
  std::string path_;
  boost::system::error_code error_;
};

// What the program printed; empty when it failed.
asio::awaitable<std::string> output_of(asio::io_context& io, std::vector<std::string> command) {
  auto child = tunnel::ChildProcess::start(std::move(command),
                                           {"PATH=" + tunnel::child_search_path(), "LC_ALL=C"}, false);
  if (!child) co_return std::string();
  asio::posix::stream_descriptor channel(io, child->release_channel());
  asio::steady_timer limit(io, kCommandLimit);
  std::string output;
  while (tunnel::read_available(channel.native_handle(), output)) {
    if (output.size() > kLongestOutput) co_return std::string();
    const auto outcome = co_await (channel.async_wait(asio::posix::stream_descriptor::wait_read, kAwait) ||
                                   limit.async_wait(kAwait));
    if (outcome.index() == 1) co_return std::string();
  }
  co_return output;
}

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// Where wg is, for ChildProcess wants a path.
std::string find_wg() {
  std::istringstream places(tunnel::child_search_path());
  for (std::string place; std::getline(places, place, ':');) {
    if (!place.empty() && ::access((place + "/wg").c_str(), X_OK) == 0) return place + "/wg";
  }
  return {};
}

}  // namespace

pki::Secret wireguard_server_conf(const pki::WireguardKeyPair& key, std::uint16_t port,
                                  const std::map<std::int64_t, Lease>& leases) {
  const auto secret = key.private_text();
  // In one piece: a string that grows leaves its text behind.
  std::string text;
  text.reserve(256 + leases.size() * 512);
  text.append("[Interface]\nPrivateKey = ").append(secret.reveal());
  text.append("\nListenPort = ").append(std::to_string(port)).append("\n");
  for (const auto& [id, lease] : leases) {
    text.append("\n[Peer]\nPublicKey = ").append(lease.wireguard_key->to_string());
    text.append("\nAllowedIPs = ").append(allowed_text(lease)).append("\n");
  }
  pki::Secret result(text);
  pki::wipe(text);
  return result;
}

std::string wireguard_routes(const std::map<std::int64_t, Lease>& leases) {
  std::string text;
  for (const auto& [id, lease] : leases) {
    for (const auto& prefix : allowed_of(lease)) {
      const auto v4 = net::unmapped(prefix);
      text += (v4 ? v4->to_string() : prefix.to_string()) + "\n";
    }
  }
  return text;
}

void read_wg_show(std::string_view what, std::string_view text, WireguardPeers& peers) {
  std::istringstream lines{std::string(text)};
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string key_text;
    std::string first;
    std::string second;
    words >> key_text >> first >> second;
    const auto key = pki::WireguardKey::parse(key_text);
    if (!key) continue;
    auto& peer = peers[*key];
    const auto value = number(first);
    if (what == "endpoints" && first != "(none)") peer.endpoint = first;
    if (what == "latest-handshakes" && value && *value > 0)
      peer.latest_handshake = std::chrono::system_clock::time_point(
          std::chrono::seconds(static_cast<std::int64_t>(*value & 0xffffffffff)));
    if (what == "transfer" && value) {
      peer.bytes_received = *value;
      peer.bytes_sent = number(second).value_or(0);
    }
  }
}

WireguardKernel::WireguardKernel(asio::io_context& io, const Config& config,
                                 tunnel::TemplateRunner::Settings template_settings, spdlog::logger& log,
                                 pki::WireguardKeyPair key, std::function<void(std::int64_t)> on_heard)
    : io_(io),
      config_(config),
      log_(log),
      template_(std::move(template_settings), log),
      key_(std::move(key)),
      on_heard_(std::move(on_heard)),
      wake_(io),
      ended_(io, Clock::time_point::max()) {}

std::string WireguardKernel::path(const char* suffix) const {
  return config_.run_dir + "/" + config_.instance_name() + suffix;
}

void WireguardKernel::put(const Lease& lease) {
  if (lease.mode != LeaseMode::kWireguard || !lease.wireguard_key) return remove(lease.id);
  leases_[lease.id] = lease;
  touch();
}

void WireguardKernel::remove(std::int64_t lease) {
  if (leases_.erase(lease) > 0) touch();
}

void WireguardKernel::touch() {
  if (!std::exchange(is_dirty_, true)) wake_.cancel();
}

asio::awaitable<tunnel::TemplateRunner::Created> WireguardKernel::apply(std::function<bool()> is_hurried) {
  is_dirty_ = false;
  const TemporaryFile conf(path(".wireguard.conf"),
                           wireguard_server_conf(key_, config_.wireguard.port, leases_).reveal());
  const TemporaryFile routes(path(".wireguard.routes"), wireguard_routes(leases_));
  if (conf.error() || routes.error()) {
    co_return tunnel::TemplateRunner::Created{"cannot write to " + config_.run_dir + ": " +
                                                  (conf.error() ? conf.error() : routes.error()).message(),
                                              false};
  }
  tunnel::TunnelParameters parameters;
  parameters.mode = tsp::Mode::kWireguard;
  parameters.host_type = tunnel::HostType::kBroker;
  parameters.kind = tunnel::InterfaceKind::kKernel;
  parameters.interface = config_.wireguard.interface;
  parameters.mtu = config_.mode_mtu(LeaseMode::kWireguard);
  parameters.default_route = tunnel::DefaultRoute::kNo;
  parameters.wireguard_conf = path(".wireguard.conf");
  parameters.wireguard_routes = path(".wireguard.routes");
  auto creating = template_.create(std::move(parameters), std::move(is_hurried));
  auto created = co_await std::move(creating);
  co_return created;
}

asio::awaitable<WireguardKernel::Begun> WireguardKernel::begin(std::function<bool()> is_hurried) {
  // An earlier run's.
  ::unlink(path(".wireguard.conf").c_str());
  co_await template_.remove_leftovers();
  const auto created = co_await apply(std::move(is_hurried));
  if (!created.problem.empty()) co_await template_.tear_down();
  co_return Begun{created.problem, created.is_unsupported};
}

asio::awaitable<void> WireguardKernel::run() {
  is_running_ = true;
  auto next_look = Clock::now() + kLookInterval;
  while (!is_ending_) {
    wake_.expires_at(is_dirty_ ? Clock::now() + kGather : next_look);
    co_await wake_.async_wait(kAwait);
    if (is_ending_) break;
    if (Clock::now() >= next_look) {
      co_await look();
      next_look = Clock::now() + kLookInterval;
    }
    if (is_ending_ || !is_dirty_) continue;
    // A change that comes meanwhile is for the next round.
    wake_.expires_after(kGather);
    co_await wake_.async_wait(kAwait);
    std::function<bool()> is_hurried = [this] { return is_ending_; };
    const auto created = co_await apply(std::move(is_hurried));
    if (created.problem.empty() || is_ending_) continue;
    log_.error("the kernel's WireGuard is not up to date: {}", created.problem);
    // Its failure has taken the interface down: all of it anew.
    is_dirty_ = true;
    wake_.expires_after(kLookInterval);
    co_await wake_.async_wait(kAwait);
  }
  is_running_ = false;
  ended_.cancel();
}

asio::awaitable<void> WireguardKernel::end() {
  is_ending_ = true;
  wake_.cancel();
  while (is_running_) co_await ended_.async_wait(kAwait);
  co_await template_.tear_down();
}

asio::awaitable<void> WireguardKernel::look() {
  const auto wg = find_wg();
  if (wg.empty()) co_return;
  WireguardPeers found;
  for (const char* what : {"endpoints", "latest-handshakes", "transfer"}) {
    auto asking = output_of(io_, {wg, "show", config_.wireguard.interface, what});
    read_wg_show(what, co_await std::move(asking), found);
  }
  for (const auto& [id, lease] : leases_) {
    const auto now = found.find(*lease.wireguard_key);
    if (now == found.end() || !now->second.latest_handshake) continue;
    const auto before = peers_.find(*lease.wireguard_key);
    const bool is_heard = before == peers_.end() ||
                          before->second.latest_handshake != now->second.latest_handshake ||
                          before->second.bytes_received != now->second.bytes_received;
    if (is_heard) on_heard_(id);
  }
  peers_ = std::move(found);
}

}  // namespace sixlink::registry
