// SPDX-License-Identifier: BSD-3-Clause
// What `sixlink doctor` looks at on this machine.
#include "src/client/doctor_checks.h"

#include <poll.h>
#include <spdlog/fmt/fmt.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <cerrno>
#include <cstring>

#include "platform/platform.h"
#include "src/tsp/status.h"
#include "src/tunnel/child_process.h"

namespace sixlink::client {
namespace {

namespace json = boost::json;
using Result = Finding::Result;

// A contact may be as old as a certificate's signature allows for; a quarter of a minute harms nothing.
constexpr std::chrono::seconds kSmallSkew{15};
constexpr std::chrono::seconds kLargeSkew{300};
// Outer IPv6 and UDP headers, WireGuard's header and tag, and what rounds a packet up to 16 bytes.
constexpr int kOverheadV6 = 40 + 8 + 32;
constexpr int kOverheadV4 = 20 + 8 + 32;

std::string text_field(const json::object& object, std::string_view name) {
  const auto* value = object.if_contains(name);
  return value && value->is_string() ? tsp::printable(std::string_view(value->as_string()), 500)
                                     : std::string();
}

std::optional<json::object> parse(std::string_view text) {
  boost::system::error_code error;
  auto value = json::parse(text, error);
  if (error || !value.is_object()) return std::nullopt;
  return std::move(value.as_object());
}

// The program's absolute path; empty: it is not there.
std::string find_program(const std::string& name) {
  if (name.find('/') != std::string::npos) return ::access(name.c_str(), X_OK) == 0 ? name : std::string();
  std::string path = tunnel::child_search_path();
  for (std::size_t at = 0; at <= path.size();) {
    const auto end = std::min(path.find(':', at), path.size());
    const auto candidate = path.substr(at, end - at) + "/" + name;
    if (end > at && ::access(candidate.c_str(), X_OK) == 0) return candidate;
    at = end + 1;
  }
  return {};
}

// Its output; empty: it cannot be started, or says nothing within two seconds.
std::string output_of(const std::string& program, const std::string& argument) {
  auto child = tunnel::ChildProcess::start({program, argument}, {}, false);
  if (!child) return {};
  const int channel = child->release_channel();
  std::string output;
  pollfd readable{channel, POLLIN, 0};
  for (int left = 20; left > 0; --left) {
    if (::poll(&readable, 1, 100) > 0 && !tunnel::read_available(channel, output)) break;
  }
  ::close(channel);
  return output;
}

}  // namespace

Finding check_certificate(const MeshIdentity& identity, WallTime now) {
  const auto& certificate = identity.certificate;
  if (now > certificate.not_after() || now < certificate.not_before())
    return {Result::kFailed, "certificate", certificate_warning(certificate, now), {}};
  if (!identity.parameters.empty()) {
    const auto opened = mesh::open_parameters(identity.parameters, identity.anchor, now);
    if (opened.parameters && opened.parameters->revoked.contains(certificate.serial()))
      return {Result::kFailed, "certificate",
              fmt::format("this node's certificate {} was revoked", certificate.serial()),
              "ask the registry's administrator why, and for a new token; then run sixlink join again"};
  }
  if (auto warning = certificate_warning(certificate, now); !warning.empty())
    return {Result::kWarning, "certificate", std::move(warning),
            "see what keeps the registry from renewing it, below"};
  return {Result::kOk,
          "certificate",
          fmt::format("good until {}, renews by itself on {}", utc_date(certificate.not_after()),
                      utc_date(renewal_time(certificate))),
          {}};
}

Finding check_clock(const ApiResult<SeenAddress>& answer, WallTime now) {
  if (!answer || !answer.value->date)
    return {Result::kSkipped,
            "clock",
            "there is no other clock to compare with: the registry does not answer",
            {}};
  const auto difference = std::chrono::duration_cast<std::chrono::seconds>(now - *answer.value->date);
  const auto apart = std::chrono::abs(difference);
  if (apart <= kSmallSkew) return {Result::kOk, "clock", "agrees with the registry's", {}};
  return {
      apart > kLargeSkew ? Result::kFailed : Result::kWarning, "clock",
      fmt::format("this machine's clock is {} s {} the registry's", apart.count(),
                  difference.count() > 0 ? "ahead of" : "behind"),
      "set it, and have it kept by NTP (chrony, systemd-timesyncd): contacts and certificates have times"};
}

Finding check_babeld(const std::string& program) {
  const auto path = find_program(program);
  if (path.empty())
    return {Result::kFailed, "babeld", fmt::format("there is no program {}", program),
            "install babeld (Debian, Ubuntu: apt install babeld), or say where it is with babeld="};
  const auto output = output_of(path, "-V");
  const auto version = tsp::printable(output.substr(0, output.find('\n')), 80);
  if (version.find("abeld") == std::string::npos)
    return {Result::kFailed, "babeld",
            fmt::format("{} does not say that it is babeld: \"{}\"", path, version),
            "set babeld= to the routing daemon"};
  return {Result::kOk, "babeld", fmt::format("{} ({})", version, path), {}};
}

std::vector<Finding> check_kernel(const std::string& main_interface) {
  std::vector<Finding> findings;
  const int socket = ::socket(AF_INET6, SOCK_DGRAM, 0);
  const bool has_v6 = socket >= 0;
  const auto why = std::string(std::strerror(errno));
  if (socket >= 0) ::close(socket);
  if (has_v6) findings.push_back({Result::kOk, "ipv6", "the kernel has it", {}});
  if (!has_v6)
    findings.push_back({Result::kFailed, "ipv6", "the kernel has no IPv6: " + why,
                        "load its module, or start it without ipv6.disable=1"});
  constexpr const char* kProbe = "sixdoctor";
  const auto tun = platform::open_tun(kProbe);
  if (tun) {
    findings.push_back({Result::kOk, "tun", "interfaces for links can be made", {}});
  } else {
    const bool is_root = ::geteuid() == 0;
    findings.push_back({is_root ? Result::kFailed : Result::kSkipped, "tun",
                        platform::explain_tun_error(kProbe, tun.error()),
                        is_root ? "" : "run sixlink doctor as root to check this"});
  }
  if (main_interface != "lo" && !platform::interface_mtu(main_interface))
    findings.push_back({Result::kFailed, "interface", "there is no interface " + main_interface,
                        "main_interface= names the one that is to have the node's address; lo always works"});
  return findings;
}

Finding check_mtu(const std::optional<boost::asio::ip::address>& source, int link_mtu) {
  const auto mtu = source ? platform::mtu_of_address(*source) : std::nullopt;
  if (!mtu) return {Result::kSkipped, "mtu", "the interface that leads out is not known", {}};
  const int overhead = source->is_v4() ? kOverheadV4 : kOverheadV6;
  if (*mtu >= link_mtu + overhead)
    return {Result::kOk, "mtu", fmt::format("{} outside carries links of {}", *mtu, link_mtu), {}};
  if (*mtu < 1280 + overhead)
    return {
        Result::kFailed, "mtu",
        fmt::format("{} outside does not carry links of 1280, which IPv6 wants at least", *mtu),
        fmt::format("raise the MTU of the interface with {} to {}", source->to_string(), 1280 + overhead)};
  return {Result::kWarning, "mtu",
          fmt::format("{} outside does not carry links of {} in one piece", *mtu, link_mtu),
          fmt::format("set link_mtu={}", *mtu - overhead)};
}

Finding check_node(std::string_view text, const std::string& problem) {
  const auto status = parse(text);
  if (!status)
    return {Result::kWarning, "node",
            "no node runs: " + (problem.empty() ? "its answer cannot be read" : problem),
            "start it: sixlink"};
  const auto state = text_field(*status, "state");
  const auto error = text_field(*status, "last_error");
  if (text_field(*status, "kind") != "node")
    return {Result::kWarning, "node", "the program that runs is a tunnel client", {}};
  if (state == "up") return {Result::kOk, "node", "runs, and has links", {}};
  return {Result::kFailed, "node", "runs, but is " + state + (error.empty() ? "" : ": " + error),
          "what failed above may be why; its log says more (log_file=1)"};
}

mesh::NatKind nat_of(std::string_view text) {
  const auto status = parse(text);
  const auto kind = status ? text_field(*status, "nat") : std::string();
  for (const auto one : {mesh::NatKind::kNone, mesh::NatKind::kIndependent, mesh::NatKind::kDependent}) {
    if (kind == mesh::to_string(one)) return one;
  }
  return mesh::NatKind::kUnknown;
}

}  // namespace sixlink::client
