// SPDX-License-Identifier: BSD-3-Clause
// What `sixlink-registry status` tells.
#include "registry/status.h"

#include <spdlog/fmt/chrono.h>
#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <charconv>

#include "src/config/build_info.h"
#include "src/tsp/status.h"

namespace sixlink::registry {
namespace {

namespace json = boost::json;
using std::chrono::seconds;

constexpr seconds kLongestDuration{7 * 86400};
constexpr std::string_view kStop = "drain stop";

std::optional<json::object> parse_object(std::string_view text) {
  boost::system::error_code error;
  auto value = json::parse(text, error);
  if (error || !value.is_object()) return std::nullopt;
  return std::move(value.as_object());
}

std::string text_of(const json::object& object, std::string_view name) {
  const auto* value = object.if_contains(name);
  return value && value->is_string() ? tsp::printable(std::string_view(value->as_string()), 2000) : "";
}

double number_of(const json::object& object, std::string_view name, double missing = 0) {
  const auto* value = object.if_contains(name);
  return value && value->is_number() ? value->to_number<double>() : missing;
}

bool flag_of(const json::object& object, std::string_view name) {
  const auto* value = object.if_contains(name);
  return value && value->is_bool() && value->as_bool();
}

double milliseconds(std::chrono::microseconds time) {
  return std::chrono::duration<double, std::milli>(time).count();
}

std::optional<seconds> whole_seconds(std::string_view digits, seconds unit) {
  long value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc{} || end != digits.data() + digits.size() || value < 1) return std::nullopt;
  if (value > kLongestDuration / unit) return std::nullopt;
  return value * unit;
}

}  // namespace

std::string to_json(const RegistryStatus& s) {
  const auto now = std::chrono::system_clock::now();
  const json::object object{
      {"version", config::version()},
      {"pid", ::getpid()},
      {"since",
       fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::chrono::system_clock::to_time_t(s.since)))},
      {"since_s", std::chrono::duration_cast<seconds>(now - s.since).count()},
      {"leases", s.leases},
      {"tunnels_in_use", s.tunnels_in_use},
      {"sessions", s.sessions},
      {"wireguard",
       {{"datapath", s.wireguard},
        {"peers", s.wireguard_peers},
        {"connected", s.wireguard_connected},
        {"latest_handshake", s.wireguard_latest_handshake
                                 ? json::value(fmt::format("{:%Y-%m-%dT%H:%M:%SZ}",
                                                           fmt::gmtime(std::chrono::system_clock::to_time_t(
                                                               *s.wireguard_latest_handshake))))
                                 : json::value(nullptr)},
        {"received", s.wireguard_received},
        {"sent", s.wireguard_sent}}},
      {"load_percent", s.load_percent},
      {"threads", s.threads},
      {"offloads", s.offloads},
      {"writes", s.writes},
      {"leases_written", s.leases_written},
      {"write_ms", milliseconds(s.time_writing) / std::max<double>(1, static_cast<double>(s.writes))},
      {"longest_write_ms", milliseconds(s.longest_write)},
      {"redirects", s.redirect},
      {"redirect", s.redirect_brokers.empty() ? json::value(nullptr) : json::value(s.redirect_brokers)},
      {"draining", s.is_draining},
      {"stops_when_drained", s.stops_when_drained},
      {"stops_in_s", s.stops_in ? json::value(s.stops_in->count()) : json::value(nullptr)},
      {"serves_tunnels", s.serves_tunnels},
      {"mesh", s.mesh ? json::value{{"network", s.mesh->network},
                                    {"parameters", s.mesh->parameters},
                                    {"nodes", s.mesh->nodes},
                                    {"live", s.mesh->live},
                                    {"connections", s.mesh->connections},
                                    {"waiting", s.mesh->waiting}}
                      : json::value(nullptr)},
  };
  return json::serialize(object);
}

std::optional<std::string> render_status(std::string_view text) {
  const auto object = parse_object(text);
  if (!object || !object->contains("tunnels_in_use")) return std::nullopt;
  std::string out;
  const auto line = [&](std::string_view label, const std::string& value) {
    out += fmt::format("{:<16}{}\n", label, value);
  };
  const auto count = [&](std::string_view name) { return fmt::format("{:.0f}", number_of(*object, name)); };
  const auto redirects = text_of(*object, "redirects");
  const auto brokers = text_of(*object, "redirect");
  line("serving since", text_of(*object, "since"));
  if (const auto* mesh = object->if_contains("mesh"); mesh && mesh->is_object()) {
    const auto& m = mesh->get_object();
    line("mesh",
         fmt::format("{}: {:.0f} nodes, {:.0f} of them live; parameters {:.0f}; {:.0f} connections, "
                     "{:.0f} wait for news",
                     text_of(m, "network"), number_of(m, "nodes"), number_of(m, "live"),
                     number_of(m, "parameters"), number_of(m, "connections"), number_of(m, "waiting")));
  }
  if (object->contains("serves_tunnels") && !flag_of(*object, "serves_tunnels")) return out;
  line("leases", count("leases"));
  line("tunnels in use", count("tunnels_in_use"));
  line("sessions", count("sessions"));
  if (const auto* wireguard = object->if_contains("wireguard"); wireguard && wireguard->is_object()) {
    const auto& w = wireguard->get_object();
    const auto carrier = text_of(w, "datapath");
    const auto handshake = text_of(w, "latest_handshake");
    line("WireGuard",
         carrier == "no"
             ? "no"
             : fmt::format("{:.0f} peers, {:.0f} of them connected, latest handshake {}, {:.0f} bytes "
                           "received, {:.0f} sent ({})",
                           number_of(w, "peers"), number_of(w, "connected"),
                           handshake.empty() ? "never" : handshake, number_of(w, "received"),
                           number_of(w, "sent"), carrier));
  }
  line("load", fmt::format("{:.1f} % of a core", number_of(*object, "load_percent")));
  line("offloads", fmt::format("{} ({} threads each way)", text_of(*object, "offloads"), count("threads")));
  line("disk", fmt::format("{} writes of {:.1f} leases, {:.1f} ms each, {:.1f} ms at most", count("writes"),
                           number_of(*object, "leases_written") / std::max(1.0, number_of(*object, "writes")),
                           number_of(*object, "write_ms"), number_of(*object, "longest_write_ms")));
  std::string draining = flag_of(*object, "draining") ? "yes" : "no";
  if (flag_of(*object, "stops_when_drained")) draining += ", stops when no tunnel is in use";
  if (number_of(*object, "stops_in_s", -1) >= 0)
    draining += ", in " + count("stops_in_s") + " s at the latest";
  line("draining", draining);
  line("newcomers", redirects == "no" ? "are served"
                    : brokers.empty() ? "are refused as busy"
                                      : "are redirected to " + brokers + " (" + redirects + ")");
  return out;
}

std::string error_in(std::string_view text) {
  const auto object = parse_object(text);
  return object ? text_of(*object, "error") : "not an answer of a registry";
}

std::string to_string(const DrainRequest& request) {
  if (!request.begins) return "undrain";
  if (!request.stops) return "drain";
  return std::string(kStop) + (request.deadline ? " " + std::to_string(request.deadline->count()) : "");
}

std::optional<DrainRequest> parse_drain_request(std::string_view text) {
  if (text == "drain") return DrainRequest{};
  if (text == "undrain") return DrainRequest{false, false, {}};
  if (!text.starts_with(kStop)) return std::nullopt;
  text.remove_prefix(kStop.size());
  DrainRequest request{true, true, {}};
  if (text.empty()) return request;
  if (text.front() != ' ') return std::nullopt;
  request.deadline = whole_seconds(text.substr(1), seconds(1));
  if (!request.deadline) return std::nullopt;
  return request;
}

std::optional<seconds> parse_duration(std::string_view text) {
  if (text.empty()) return std::nullopt;
  const char last = text.back();
  const auto digits = last >= '0' && last <= '9' ? text : text.substr(0, text.size() - 1);
  if (last == 'm') return whole_seconds(digits, seconds(60));
  if (last == 'h') return whole_seconds(digits, seconds(3600));
  if (last != 's' && digits.size() != text.size()) return std::nullopt;
  return whole_seconds(digits, seconds(1));
}

}  // namespace sixlink::registry
