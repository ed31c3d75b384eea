// SPDX-License-Identifier: BSD-3-Clause
// UPnP by libminiupnpc, and the running of it.
#include "src/client/igd_helper.h"

#include <grp.h>
#include <miniupnpc/miniupnpc.h>
#include <miniupnpc/upnpcommands.h>
#include <miniupnpc/upnperrors.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <charconv>
#include <cstdio>
#include <optional>
#include <random>
#include <utility>

#include "src/net/prefix.h"
#include "src/tunnel/child_process.h"

namespace sixlink::client {
namespace {

namespace asio = boost::asio;
using mesh::PortMapped;
using mesh::Transport;

// ---- In the helper ----

constexpr int kDiscovery = 2000;  // milliseconds
constexpr unsigned kLongestRun = 18;
constexpr uid_t kNobody = 65534;
// UPnP's errors (WANIPConnection:2, section 2.5.16).
constexpr int kConflict = 718;
constexpr int kOnlyPermanent = 725;
constexpr int kOtherPorts = 4;  // that are tried when somebody else has the wanted one
constexpr int kAnyDevice = 3;   // UPNP_GetValidIGD: a device, but no gateway

void drop_privileges() {
  if (::geteuid() != 0) return;
  // In a namespace without that user all of it fails, and there is nothing to drop.
  if (::setgroups(0, nullptr) != 0 || ::setgid(kNobody) != 0 || ::setuid(kNobody) != 0)
    std::fputs("helper keeps its user\n", stderr);
}

// The host of "http://192.0.2.1:5000/rootDesc.xml".
std::string_view host_of(std::string_view url) {
  constexpr std::string_view kScheme = "http://";
  if (!url.starts_with(kScheme)) return {};
  url.remove_prefix(kScheme.size());
  return url.substr(0, url.find_first_of(":/"));
}

struct FreeDevices {
  void operator()(UPNPDev* list) const { ::freeUPNPDevlist(list); }
};

// The gateway's, found on the segment; only what is at the address of the default route counts.
class Gateway {
 public:
  Gateway(const std::string& own, const std::string& address) {
    int error = 0;
    const std::unique_ptr<UPNPDev, FreeDevices> list(
        ::upnpDiscover(kDiscovery, own.c_str(), nullptr, UPNP_LOCAL_PORT_ANY, 0, 2, &error));
    std::vector<UPNPDev> devices;  // copies in a list of their own
    for (const auto* one = list.get(); one; one = one->pNext) {
      if (host_of(one->descURL) == address) devices.push_back(*one);
    }
    for (std::size_t i = 0; i < devices.size(); ++i)
      devices[i].pNext = i + 1 < devices.size() ? &devices[i + 1] : nullptr;
    if (devices.empty()) {
      problem_ = "no UPnP gateway answers at " + address;
      return;
    }
    std::array<char, 64> lan{};
#if MINIUPNPC_API_VERSION >= 18
    std::array<char, 64> wan{};
    const int kind =
        ::UPNP_GetValidIGD(devices.data(), &urls_, &data_, lan.data(), lan.size(), wan.data(), wan.size());
    constexpr int kNoGateway = kAnyDevice + 1;
#else
    const int kind = ::UPNP_GetValidIGD(devices.data(), &urls_, &data_, lan.data(), lan.size());
    constexpr int kNoGateway = kAnyDevice;
#endif
    has_urls_ = kind > 0;
    if (kind <= 0 || kind >= kNoGateway || !urls_.controlURL || host_of(urls_.controlURL) != address) {
      problem_ = "the UPnP device at " + address + " is no Internet gateway";
    }
  }
  Gateway(const Gateway&) = delete;
  Gateway& operator=(const Gateway&) = delete;
  ~Gateway() {
    if (has_urls_) ::FreeUPNPUrls(&urls_);
  }

  const std::string& problem() const {
    return problem_;
  }

  std::string outer_address() {
    std::array<char, 64> text{};
    const int error = ::UPNP_GetExternalIPAddress(urls_.controlURL, data_.first.servicetype, text.data());
    text.back() = '\0';
    return error == UPNPCOMMAND_SUCCESS ? text.data() : "";
  }
  int add(const std::string& own, const PortMapped& mapping, std::uint16_t external,
          const std::string& lifetime) {
    return ::UPNP_AddPortMapping(urls_.controlURL, data_.first.servicetype, std::to_string(external).c_str(),
                                 std::to_string(mapping.internal_port).c_str(), own.c_str(), "sixlink",
                                 protocol(mapping), nullptr, lifetime.c_str());
  }
  void remove(const PortMapped& mapping) {
    ::UPNP_DeletePortMapping(urls_.controlURL, data_.first.servicetype,
                             std::to_string(mapping.external_port).c_str(), protocol(mapping), nullptr);
  }

 private:
  static const char* protocol(const PortMapped& mapping) {
    return mapping.transport == Transport::kUdp ? "UDP" : "TCP";
  }

  UPNPUrls urls_{};
  IGDdatas data_{};
  bool has_urls_ = false;
  std::string problem_;
};

void add_all(Gateway& gateway, const std::string& own, const std::string& lifetime,
             const std::vector<PortMapped>& mappings) {
  const auto outer = gateway.outer_address();
  if (!net::parse_v4(outer) || outer == "0.0.0.0") {
    std::puts("problem the UPnP gateway has no outer address");
    return;
  }
  std::mt19937 random(std::random_device{}());
  for (const auto& mapping : mappings) {
    auto external = mapping.external_port;
    auto life = lifetime;
    int error = gateway.add(own, mapping, external, life);
    if (error == kOnlyPermanent) error = gateway.add(own, mapping, external, life = "0");
    for (int i = 0; i < kOtherPorts && error == kConflict; ++i) {
      external = static_cast<std::uint16_t>(std::uniform_int_distribution(1024, 65535)(random));
      error = gateway.add(own, mapping, external, life);
    }
    if (error == UPNPCOMMAND_SUCCESS) {
      std::printf("mapped %s %u %s %u\n", mesh::to_string(mapping.transport), mapping.internal_port,
                  outer.c_str(), external);
    } else {
      const char* text = ::strupnperror(error);
      std::printf("problem the UPnP gateway refuses: %s (%d)\n", text ? text : "unknown error", error);
    }
  }
}

// ---- Texts between the two ----

template <typename T>
std::optional<T> number(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const auto at = text.find(separator);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

std::optional<Transport> transport_of(std::string_view text) {
  if (text == "udp") return Transport::kUdp;
  if (text == "tcp") return Transport::kTcp;
  return std::nullopt;
}

// "udp:3653:3653"
std::optional<PortMapped> parse_mapping(std::string_view text) {
  const auto parts = split(text, ':');
  if (parts.size() != 3) return std::nullopt;
  const auto transport = transport_of(parts[0]);
  const auto internal = number<std::uint16_t>(parts[1]);
  const auto external = number<std::uint16_t>(parts[2]);
  if (!transport || !internal || !external) return std::nullopt;
  return PortMapped{*transport, *internal, {}, *external};
}

constexpr std::size_t kLongestProblem = 200;
constexpr std::size_t kLargestOutput = 16384;

}  // namespace

int run_igd_helper(const std::vector<std::string>& arguments) {
  std::vector<PortMapped> mappings;
  for (std::size_t i = 4; i < arguments.size(); ++i) {
    const auto mapping = parse_mapping(arguments[i]);
    if (!mapping) return 2;
    mappings.push_back(*mapping);
  }
  if (mappings.empty() || !net::parse_v4(arguments[1]) || !net::parse_v4(arguments[2])) return 2;
  drop_privileges();
  ::alarm(kLongestRun);
  Gateway gateway(arguments[1], arguments[2]);
  if (!gateway.problem().empty()) {
    std::printf("problem %s\n", gateway.problem().c_str());
  } else if (arguments[0] == "remove") {
    for (const auto& mapping : mappings) gateway.remove(mapping);
  } else {
    add_all(gateway, arguments[1], arguments[3], mappings);
  }
  return 0;
}

std::vector<std::string> igd_arguments(const mesh::IgdJob& job, const mesh::PortMapping::Network& network) {
  std::vector<std::string> arguments{kIgdHelperCommand, job.is_removal ? "remove" : "add",
                                     network.own.to_string(), network.gateway.to_string(),
                                     std::to_string(job.lifetime.count())};
  for (const auto& one : job.mappings) {
    arguments.push_back(std::string(mesh::to_string(one.transport)) + ":" +
                        std::to_string(one.internal_port) + ":" + std::to_string(one.external_port));
  }
  return arguments;
}

mesh::IgdResult parse_igd_output(std::string_view output, std::uint64_t job) {
  mesh::IgdResult result;
  result.id = job;
  for (const auto line : split(output.substr(0, kLargestOutput), '\n')) {
    constexpr std::string_view kProblem = "problem ";
    if (line.starts_with(kProblem)) {
      result.problem = line.substr(kProblem.size(), kLongestProblem);
      // Of the router's making, perhaps.
      std::ranges::replace_if(
          result.problem, [](char c) { return c < ' ' || c > '~'; }, '?');
      continue;
    }
    const auto words = split(line, ' ');
    if (words.size() != 5 || words[0] != "mapped") continue;
    const auto transport = transport_of(words[1]);
    const auto internal = number<std::uint16_t>(words[2]);
    const auto address = net::parse_v4(words[3]);
    const auto external = number<std::uint16_t>(words[4]);
    if (transport && internal && address && external && *external != 0)
      result.mapped.push_back({*transport, *internal, *address, *external});
  }
  if (result.mapped.empty() && result.problem.empty()) result.problem = "no UPnP gateway answers";
  return result;
}

// ---- Running it ----

struct IgdRunner::Run {
  Run(asio::io_context& io, tunnel::ChildProcess child_process, std::uint64_t job_id,
      std::function<void(const mesh::IgdResult&)> on_done)
      : child(std::move(child_process)),
        channel(io, child.release_channel()),
        timer(io),
        job(job_id),
        done(std::move(on_done)) {}

  tunnel::ChildProcess child;
  asio::posix::stream_descriptor channel;
  asio::steady_timer timer;
  std::uint64_t job;
  std::function<void(const mesh::IgdResult&)> done;
  std::string output;

  static void wait(const std::shared_ptr<Run>& run) {
    run->channel.async_wait(
        asio::posix::stream_descriptor::wait_read, [run](const boost::system::error_code& error) {
          if (error || !run->done) return;
          const bool goes_on = tunnel::read_available(run->channel.native_handle(), run->output);
          if (goes_on && run->output.size() < kLargestOutput) return wait(run);
          finish(*run);
        });
  }
  static void finish(Run& run) {
    const auto on_done = std::exchange(run.done, {});
    run.stop();
    if (on_done) on_done(parse_igd_output(run.output, run.job));
  }
  void stop() {
    done = {};
    boost::system::error_code ignored;
    channel.close(ignored);
    timer.cancel();
    child.kill();
  }
};

IgdRunner::IgdRunner(asio::io_context& io, std::string command) : io_(io), command_(std::move(command)) {}

IgdRunner::~IgdRunner() {
  if (run_) run_->stop();
}

void IgdRunner::start(const mesh::IgdJob& job, const mesh::PortMapping::Network& network,
                      std::function<void(const mesh::IgdResult&)> done) {
  if (run_) run_->stop();
  auto command = igd_arguments(job, network);
  command.insert(command.begin(), command_);
  auto child = tunnel::ChildProcess::start(std::move(command), {}, false);
  if (!child) {
    mesh::IgdResult failed;
    failed.id = job.id;
    failed.problem = "cannot start " + command_ + " to speak UPnP: " + child.error().message();
    const auto timer = std::make_shared<asio::steady_timer>(io_, std::chrono::milliseconds(0));
    timer->async_wait(
        [timer, done = std::move(done), failed](const boost::system::error_code&) { done(failed); });
    return;
  }
  run_ = std::make_shared<Run>(io_, std::move(*child), job.id, std::move(done));
  Run::wait(run_);
  run_->timer.expires_after(kLimit);
  run_->timer.async_wait([run = run_](const boost::system::error_code& error) {
    if (!error && run->done) Run::finish(*run);
  });
}

}  // namespace sixlink::client
