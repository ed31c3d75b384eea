// SPDX-License-Identifier: BSD-3-Clause
// The packet filter of links that are the kernel's.
#include "src/client/kernel_filter.h"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <chrono>
#include <sstream>

#include "src/tunnel/child_process.h"

namespace sixlink::client {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::string_view kTablePrefix = "sixlink_mesh_";
constexpr std::size_t kHashDigits = 8;
// "6lnk" again, in the upper bits: a group that people are unlikely to have given.
constexpr std::uint32_t kFirstGroup = 0x36000000;
constexpr std::chrono::seconds kLimit{5};
constexpr std::size_t kLongestOutput = 4096;

// FNV-1a
std::uint32_t hash_of(std::string_view text) {
  std::uint32_t hash = 2166136261;
  for (const char c : text) hash = (hash ^ static_cast<std::uint8_t>(c)) * 16777619;
  return hash;
}

std::string find_nft() {
  std::istringstream places(tunnel::child_search_path());
  for (std::string place; std::getline(places, place, ':');) {
    if (!place.empty() && ::access((place + "/nft").c_str(), X_OK) == 0) return place + "/nft";
  }
  return {};
}

struct Ran {
  int status = -1;  // as of waitpid
  std::string output;
};

Ran run_nft(const std::string& program, const std::string& script) {
  Ran ran;
  auto child = tunnel::ChildProcess::start({program, script},
                                           {"PATH=" + tunnel::child_search_path(), "LC_ALL=C"}, false);
  if (!child) return {-1, child.error().message()};
  const int channel = child->release_channel();
  const auto limit = Clock::now() + kLimit;
  const auto left = [&] {
    return static_cast<int>(
        std::chrono::duration_cast<std::chrono::milliseconds>(limit - Clock::now()).count());
  };
  while (tunnel::read_available(channel, ran.output) && left() > 0 && ran.output.size() < kLongestOutput) {
    pollfd wait{channel, POLLIN, 0};
    (void)::poll(&wait, 1, left());
  }
  ::close(channel);
  // Its output has ended, and so will it.
  while (!child->has_ended(ran.status) && left() > 0) ::poll(nullptr, 0, 1);
  return ran;
}

std::string last_line(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text.substr(0, text.find('\n'));
}

}  // namespace

KernelFilter kernel_filter_of(std::string_view instance) {
  const auto hash = hash_of(instance);
  return {fmt::format("{}{:08x}", kTablePrefix, hash), kFirstGroup | ((hash & 0x3fffff) << 2)};
}

bool is_kernel_filter_name(std::string_view table) {
  return table.starts_with(kTablePrefix) && table.size() == kTablePrefix.size() + kHashDigits &&
         table.substr(kTablePrefix.size()).find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

// Before connection tracking, and behind all that changes addresses: what counts is what is on the link.
std::string kernel_filter_rules(const KernelFilter& filter, const datapath::MeshFilter& mesh) {
  const auto network = mesh.network.to_string();
  const auto own_v4 = mesh.own_v4 ? fmt::format("ip saddr {} drop\n", mesh.own_v4->to_string()) : "";
  const auto inside_v4 =
      mesh.network_v4 ? fmt::format("ip saddr {0} ip daddr {0} accept\n", mesh.network_v4->to_string()) : "";
  return fmt::format(
      R"(add table inet {table}
delete table inet {table}
table inet {table} {{
chain neighbours {{
ip6 saddr fe80::/10 ip6 daddr ff02::1 udp dport {control} accept
ip6 saddr fe80::/10 ip6 daddr {{ fe80::/10, ff00::/8 }} udp dport {babel} accept
ip6 saddr fe80::/10 ip6 daddr fe80::/10 icmpv6 type 0-129 accept
ip6 saddr {{ ::, fe80::/10 }} drop
ip6 daddr {{ fe80::/10, ff00::/8 }} drop
ip saddr {{ 0.0.0.0, 169.254.0.0/16 }} drop
ip daddr {{ 169.254.0.0/16, 224.0.0.0/4, 255.255.255.255 }} drop
}}
chain reach {{
ip6 saddr {network} ip6 daddr {network} accept
{inside_v4}drop
}}
chain incoming {{
type filter hook prerouting priority -310; policy accept;
iifgroup != {group}-{last} accept
iifgroup {{ {left}, {last} }} udp dport {babel} udp length != {cost} drop
jump neighbours
ip6 saddr {own} drop
{own_v4}iifgroup {{ {all}, {last} }} accept
jump reach
}}
chain outgoing {{
type filter hook postrouting priority 310; policy accept;
oifgroup != {group}-{last} accept
ip6 daddr ff02::1 udp dport {control} meta skuid != {user} drop
jump neighbours
oifgroup {{ {all}, {last} }} accept
jump reach
}}
}}
)",
      fmt::arg("table", filter.table), fmt::arg("control", datapath::kMeshControlPort),
      fmt::arg("babel", datapath::kBabelPort), fmt::arg("network", network), fmt::arg("inside_v4", inside_v4),
      fmt::arg("group", filter.group), fmt::arg("all", filter.group_of(true, false)),
      fmt::arg("cost", datapath::kBabelCostSize), fmt::arg("left", filter.group_of(false, true)),
      fmt::arg("last", filter.group_of(true, true)), fmt::arg("own", mesh.own.to_string()),
      fmt::arg("own_v4", own_v4), fmt::arg("user", ::geteuid()));
}

std::string make_kernel_filter(const KernelFilter& filter, const datapath::MeshFilter& mesh) {
  const auto program = find_nft();
  if (program.empty())
    return "the program nft, which filters what passes them, is not installed: install the package nftables";
  const auto ran = run_nft(program, kernel_filter_rules(filter, mesh));
  if (ran.status == 0) return {};
  return "nft cannot filter what passes them: " +
         (ran.output.empty() ? "it failed without a word" : last_line(ran.output)) +
         "; the kernel may lack nf_tables";
}

boost::system::error_code remove_kernel_filter(const std::string& table) {
  const auto program = find_nft();
  if (program.empty() || !is_kernel_filter_name(table))
    return boost::system::errc::make_error_code(boost::system::errc::no_such_file_or_directory);
  // First made: that it is gone already is no failure.
  const auto ran = run_nft(program, "add table inet " + table + "\ndelete table inet " + table);
  return ran.status == 0 ? boost::system::error_code()
                         : boost::system::errc::make_error_code(boost::system::errc::io_error);
}

}  // namespace sixlink::client
