// SPDX-License-Identifier: BSD-3-Clause
// The configuration of babeld.
#include "src/client/babel_settings.h"

#include <algorithm>
#include <charconv>
#include <string_view>

namespace sixlink::client {
namespace {

// Babel's, RFC 8966 section 3.5.2: unreachable. One less is what a filter may add and still have the route
// told to us: unlike one that is denied it is seen, and unlike others it is never used or passed on.
constexpr int kSeenNotUsed = 65534;
// A cable's (RFC 8966 appendix A); each link costs that much besides its round trip.
constexpr std::uint32_t kLinkCost = 96;
constexpr std::uint32_t kMostCost = 65534;
// The cost of a round trip grows from 10 ms to 500 ms by 5,000, about a hop's for every 9 ms: the nearer way
// wins even if it has more links, and a way over half the world is not taken for one link less.
constexpr const char* kRoundTrip =
    "enable-timestamps true rtt-decay 125 rtt-min 10 rtt-max 500 max-rtt-penalty 5000";
// What a default route of a gateway costs more for every rank that it has in preferred_gateways, and once
// more if it has none: more than any way across the network.
constexpr unsigned kGatewayStep = 12000;
constexpr std::size_t kMostRanks = 4;

std::string seconds_text(std::chrono::milliseconds time) {
  auto text = std::to_string(time.count() / 1000);
  const auto rest = std::to_string(1000 + time.count() % 1000);
  return time.count() % 1000 == 0 ? text : text + '.' + rest.substr(1);
}

void add_default_in(std::string& text, const BabelSettings& settings, const std::string& destination) {
  const auto line = "in ip " + destination + " eq 0";
  if (settings.is_gateway || !settings.accepts_default) {
    text += line + " deny\n";
    return;
  }
  unsigned metric = 0;
  std::size_t rank = 0;
  for (const auto& gateway : settings.preferred_gateways) {
    if (rank++ == kMostRanks) break;
    text += line + " id " + to_string(router_id_of(gateway)) +
            (metric == 0 ? " allow" : " metric " + std::to_string(metric)) + "\n";
    metric += kGatewayStep;
  }
  text += line + (metric == 0 ? " allow" : " metric " + std::to_string(metric)) + "\n";
}

// What others announce. The first line that fits decides.
void add_in(std::string& text, const BabelSettings& settings, const std::vector<RefusedRoute>& refused) {
  const auto seen = " metric " + std::to_string(kSeenNotUsed) + "\n";
  // Routes for some sources only: nobody announces these here.
  text += "in src-ip ::/0 src-ge 1 deny\n";
  for (const auto& route : refused) {
    const int length = std::visit([](const auto& prefix) { return prefix.length; }, route.destination);
    text += "in ip " + mesh::to_string(route.destination) + " eq " + std::to_string(length) + " id " +
            to_string(route.origin) + " deny\n";
  }
  // A part of this node's own prefix would take traffic from it. Of the whole babeld has its own route, and
  // follows no other.
  text += "in ip " + settings.prefix.to_string() + seen;
  if (settings.prefix_v4) text += "in ip " + settings.prefix_v4->to_string() + seen;
  add_default_in(text, settings, "::/0");
  text += "in ip " + settings.network.to_string() + " ge " + std::to_string(settings.network.length + 1) +
          " le 64 allow\n";
  if (settings.network_v4) {
    add_default_in(text, settings, "0.0.0.0/0");
    text += "in ip " + settings.network_v4->to_string() + " ge " +
            std::to_string(settings.network_v4->length + 1) + " allow\n";
  }
  text += "in" + seen;
}

// What goes into the kernel's tables, and with what source address. The first line that fits decides. What is
// only to be seen would stand there as unreachable, and take traffic from where it belongs.
void add_install(std::string& text, const BabelSettings& settings) {
  const auto add = [&](const std::string& destination, const std::string& lengths, const std::string& table,
                       const auto& source) {
    text += "install ip " + destination + lengths + table;
    if (source) text += " pref-src " + source->to_string();
    text += " allow\n";
  };
  const auto table =
      settings.default_table ? " table " + std::to_string(*settings.default_table) : std::string();
  const auto longer = [](int length) { return " ge " + std::to_string(length + 1); };
  text += "install ip " + settings.prefix.to_string() + " deny\n";
  add("::/0", " eq 0", table, settings.source);
  add(settings.network.to_string(), longer(settings.network.length) + " le 64", "", settings.source);
  if (settings.network_v4) {
    if (settings.prefix_v4) text += "install ip " + settings.prefix_v4->to_string() + " deny\n";
    add("0.0.0.0/0", " eq 0", table, settings.source_v4);
    add(settings.network_v4->to_string(), longer(settings.network_v4->length), "", settings.source_v4);
  }
  text += "install deny\n";
}

// What of the kernel's this node announces: of the table that is for it, and of that only what is this
// node's.
void add_redistribute(std::string& text, const BabelSettings& settings) {
  const auto allow = [&](const std::string& destination, int length) {
    text += "redistribute ip " + destination + " eq " + std::to_string(length) + " proto 4 allow\n";
  };
  allow(settings.prefix.to_string(), settings.prefix.length);
  if (settings.prefix_v4) allow(settings.prefix_v4->to_string(), settings.prefix_v4->length);
  if (settings.is_gateway) {
    allow("::/0", 0);
    if (settings.network_v4) allow("0.0.0.0/0", 0);
  }
  text += "redistribute local deny\nredistribute deny\n";
}

}  // namespace

std::string babel_configuration(const BabelSettings& settings, std::uint32_t route_metric,
                                const std::vector<RefusedRoute>& refused) {
  std::string text = "# Written by sixlink each time that babeld is started.\n";
  text += "protocol-port " + std::to_string(settings.port) + "\n";
  text += "router-id " + to_string(router_id_of(settings.prefix)) + "\n";
  // Forwarding and the like are the node's business, which knows what else the machine is for.
  text += "skip-kernel-setup true\n";
  text += "link-detect true\n";
  // babeld smooths metrics from infinity on: with its half-life of 4 s a new link is passed over for half a
  // minute (29 s measured). Round trips are smoothed by themselves, and below 10 ms cost nothing.
  text += "smoothing-half-life 0\n";
  text += "kernel-priority " + std::to_string(route_metric) + "\n";
  text += "export-table " + std::to_string(settings.table) + "\n";
  text += "import-table " + std::to_string(settings.announce_table) + "\n";
  add_in(text, settings, refused);
  add_install(text, settings);
  add_redistribute(text, settings);
  // babeld does not start without an interface. This one never exists.
  text += "interface sixlink-none\n";
  return text;
}

// `link-quality`: a link can be used after one hello of the other side's, at a cost that falls with each that
// follows. Without it babeld waits for two: 4 to 9 s after a link is there instead of 1.2 (measured with
// 1.12.1, hellos every 4 s).
std::string babel_interface(const BabelSettings& settings, const std::string& name, std::uint32_t cost) {
  const auto rxcost = std::min(kLinkCost + std::min(cost, kMostCost), kMostCost);
  return "interface " + name + " type tunnel link-quality true split-horizon true rxcost " +
         std::to_string(rxcost) + " hello-interval " + seconds_text(settings.hello_interval) + " " +
         kRoundTrip;
}

bool is_babel_interface_name(const std::string& name) {
  return !name.empty() && name.size() < 16 && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  });
}

std::optional<std::uint16_t> sequence_of_state(const std::string& text, const RouterId& id) {
  const auto prefix = to_string(id) + " ";
  if (!text.starts_with(prefix)) return std::nullopt;
  std::uint16_t sequence = 0;
  const char* begin = text.data() + prefix.size();
  const char* limit = text.data() + text.size();
  const auto [end, error] = std::from_chars(begin, limit, sequence);
  if (error != std::errc() || end == limit || (*end != ' ' && *end != '\n')) return std::nullopt;
  return sequence;
}

std::string state_with_sequence(std::uint16_t sequence, const RouterId& id) {
  return to_string(id) + " " + std::to_string(sequence) + " 0\n";
}

}  // namespace sixlink::client
