// SPDX-License-Identifier: BSD-3-Clause
// What `sixlink status` tells.
#include "src/client/status.h"

#include <spdlog/fmt/chrono.h>
#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>

#include "src/config/build_info.h"
#include "src/tsp/status.h"

namespace sixlink::client {
namespace {

namespace json = boost::json;

double milliseconds(std::chrono::microseconds time) {
  return static_cast<double>(time.count()) / 1000.0;
}

std::string utc(std::chrono::system_clock::time_point time) {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::chrono::system_clock::to_time_t(time)));
}

// The longest value is an error that quotes a template's output.
constexpr std::size_t kLongestValue = 2000;

// A name from the system may be no UTF-8, which JSON must be.
json::value or_null(const std::string& text) {
  return text.empty() ? json::value(nullptr) : json::value(tsp::printable(text, kLongestValue));
}

std::string duration_text(double given) {
  // Beyond any age, and before a conversion that would not be defined.
  const auto seconds = static_cast<std::int64_t>(std::clamp(given, 0.0, 1e12));
  if (seconds < 60) return fmt::format("{} s", seconds);
  if (seconds < 3600) return fmt::format("{} min {} s", seconds / 60, seconds % 60);
  if (seconds < 86400) return fmt::format("{} h {} min", seconds / 3600, seconds % 3600 / 60);
  return fmt::format("{} d {} h", seconds / 86400, seconds % 86400 / 3600);
}

std::string bytes_text(double bytes) {
  constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  std::size_t unit = 0;
  for (; bytes >= 1024 && unit + 1 < std::size(kUnits); ++unit) bytes /= 1024;
  return unit == 0 ? fmt::format("{:.0f} B", bytes) : fmt::format("{:.1f} {}", bytes, kUnits[unit]);
}

// Reads fields of a JSON object that may come from another version of the daemon: absent is empty.
class Fields {
 public:
  explicit Fields(const json::object& object) : object_(object) {}
  std::string text(std::string_view name) const {
    const auto* value = object_.if_contains(name);
    return value && value->is_string() ? std::string(value->as_string()) : std::string();
  }
  double number(std::string_view name, double missing = 0) const {
    const auto* value = object_.if_contains(name);
    return value && value->is_number() ? value->to_number<double>() : missing;
  }
  Fields object(std::string_view name) const {
    static const json::object kEmpty;
    const auto* value = object_.if_contains(name);
    return Fields(value && value->is_object() ? value->as_object() : kEmpty);
  }
  const json::object& all() const { return object_; }

 private:
  const json::object& object_;
};

std::optional<json::object> parse_object(std::string_view text) {
  boost::system::error_code error;
  auto value = json::parse(text, error);
  if (error || !value.is_object()) return std::nullopt;
  return std::move(value.as_object());
}

std::optional<json::object> parse_status(std::string_view text) {
  auto object = parse_object(text);
  if (object && !object->contains("state")) object.reset();
  return object;
}

// Some of the texts came from the network: none of them may drive the terminal or look like a line of ours.
void line(std::string& out, std::string_view label, const std::string& value) {
  if (!value.empty()) out += fmt::format("{:<16}{}\n", label, tsp::printable(value, kLongestValue));
}

}  // namespace

std::string_view to_string(State state) {
  switch (state) {
    case State::kStarting:
      return "starting";
    case State::kResolving:
      return "resolving";
    case State::kNegotiating:
      return "negotiating";
    case State::kConfiguring:
      return "configuring";
    case State::kUp:
      return "up";
    case State::kTearingDown:
      return "tearing-down";
    case State::kWaiting:
      return "waiting";
    case State::kStopping:
      return "stopping";
  }
  return "";
}

std::string to_json(const Status& s) {
  json::object drops;
  for (std::size_t i = 0; i < datapath::kDropReasons; ++i)
    drops[datapath::to_string(static_cast<datapath::Drop>(i))] = s.counters.drops[i];
  json::object keepalive{{"interval_s", nullptr}, {"rtt_ms", nullptr}, {"last_reply_s", nullptr}};
  if (s.keepalive_interval) keepalive["interval_s"] = s.keepalive_interval->count();
  if (s.rtt) keepalive["rtt_ms"] = milliseconds(*s.rtt);
  if (s.last_reply_age) keepalive["last_reply_s"] = s.last_reply_age->count();
  json::object timings{{"resolve_ms", milliseconds(s.timings.resolve)},
                       {"negotiation_ms", milliseconds(s.timings.negotiation)},
                       {"round_trips", s.timings.round_trips},
                       {"template_ms", milliseconds(s.timings.template_run)},
                       {"up_ms", milliseconds(s.timings.up)},
                       {"first_reply_ms", nullptr}};
  if (s.timings.first_reply) timings["first_reply_ms"] = milliseconds(*s.timings.first_reply);
  const auto now = std::chrono::system_clock::now();
  const json::object object{
      {"version", config::version()},
      {"pid", ::getpid()},
      {"state", to_string(s.state)},
      {"since", utc(s.since)},
      {"since_s", std::chrono::duration_cast<std::chrono::seconds>(now - s.since).count()},
      {"broker",
       {{"name", or_null(s.broker_name)},
        {"address", or_null(s.broker_address)},
        {"port", s.broker_port},
        {"found", or_null(s.broker_found)}}},
      {"transport", or_null(s.transport)},
      {"authentication", or_null(s.authentication)},
      {"mode", or_null(s.mode)},
      {"interface", or_null(s.interface)},
      {"datapath", or_null(s.datapath)},
      {"datapath_reason", or_null(s.datapath_reason)},
      {"threads", s.lanes},
      {"offloads", or_null(s.offloads)},
      {"local_outer", or_null(s.local_outer)},
      {"remote_outer", or_null(s.remote_outer)},
      {"public_outer", or_null(s.public_outer)},
      {"local_inner", or_null(s.local_inner)},
      {"remote_inner", or_null(s.remote_inner)},
      {"prefix", or_null(s.prefix)},
      {"mtu", s.mtu},
      {"keepalive", std::move(keepalive)},
      {"counters",
       {{"packets_in", s.counters.packets_in},
        {"packets_out", s.counters.packets_out},
        {"bytes_in", s.counters.bytes_in},
        {"bytes_out", s.counters.bytes_out},
        {"drops", std::move(drops)}}},
      {"reconnections", s.reconnections},
      {"last_error", or_null(s.last_error)},
      {"retry_in_s", s.retry_in ? json::value(s.retry_in->count()) : json::value(nullptr)},
      {"timings", std::move(timings)},
  };
  return json::serialize(object);
}

std::string release_to_json(bool is_released, const std::string& problem) {
  boost::json::object object{{"stopped", true}, {"released", is_released}};
  if (!is_released) object["problem"] = problem;
  return boost::json::serialize(object);
}

std::string release_problem(std::string_view text) {
  const auto object = parse_object(text);
  if (object) {
    const auto* is_released = object->if_contains("released");
    if (is_released && is_released->is_bool() && is_released->get_bool()) return {};
    const auto problem = Fields(*object).text("problem");
    if (!problem.empty()) return tsp::printable(problem, kLongestValue);
  }
  return "the running daemon did not say what became of it (is it older than this command?)";
}

bool is_up(std::string_view text) {
  const auto object = parse_status(text);
  return object && Fields(*object).text("state") == "up";
}

std::optional<std::string> render_status(std::string_view text) {
  const auto object = parse_status(text);
  if (!object) return std::nullopt;
  const Fields status(*object);
  std::string out;
  line(out, "state",
       fmt::format("{} since {} ({})", status.text("state"), status.text("since"),
                   duration_text(status.number("since_s"))));
  const auto broker = status.object("broker");
  if (const auto address = broker.text("address"); !address.empty()) {
    const auto endpoint =
        fmt::format("{}:{:.0f}", address.find(':') == std::string::npos ? address : "[" + address + "]",
                    broker.number("port"));
    const auto name = broker.text("name");
    const auto found = broker.text("found");
    line(out, "broker",
         fmt::format("{}{}{}", name == address ? endpoint : fmt::format("{} ({})", name, endpoint),
                     found.empty() || found == "server" ? "" : ", ",
                     found.empty() || found == "server" ? ""
                     : found.starts_with("redirected")  ? found
                                                        : "from " + found));
  }
  line(out, "transport", status.text("transport"));
  line(out, "authentication", status.text("authentication"));
  const auto datapath = status.text("datapath_reason");
  line(out, "mode",
       datapath.empty() ? status.text("mode") : fmt::format("{} ({})", status.text("mode"), datapath));
  if (const auto offloads = status.text("offloads"); !offloads.empty())
    line(out, "offloads", fmt::format("{} ({:.0f} threads each way)", offloads, status.number("threads")));
  line(out, "interface", status.text("interface"));
  const auto outer = status.text("local_outer");
  const auto seen = status.text("public_outer");
  line(out, "local outer",
       seen.empty() || seen == outer ? outer : fmt::format("{} (the broker sees {})", outer, seen));
  line(out, "remote outer", status.text("remote_outer"));
  line(out, "local inner", status.text("local_inner"));
  line(out, "remote inner", status.text("remote_inner"));
  line(out, "prefix", status.text("prefix"));
  if (status.number("mtu") > 0) line(out, "mtu", fmt::format("{:.0f}", status.number("mtu")));
  const auto keepalive = status.object("keepalive");
  if (keepalive.number("rtt_ms", -1) >= 0) {
    line(out, "alive",
         fmt::format("{} ago, RTT {:.2f} ms", duration_text(keepalive.number("last_reply_s")),
                     keepalive.number("rtt_ms")));
  } else if (status.text("state") == "up") {
    line(out, "alive", keepalive.number("interval_s") > 0 ? "not proven yet" : "not checked (no keepalive)");
  }
  const auto counters = status.object("counters");
  if (counters.number("packets_in") + counters.number("packets_out") > 0 || status.text("state") == "up") {
    line(out, "received",
         fmt::format("{:.0f} packets, {}", counters.number("packets_in"),
                     bytes_text(counters.number("bytes_in"))));
    line(out, "sent",
         fmt::format("{:.0f} packets, {}", counters.number("packets_out"),
                     bytes_text(counters.number("bytes_out"))));
  }
  std::string drops;
  const auto reasons = counters.object("drops");
  for (const auto& [reason, count] : reasons.all()) {
    if (count.is_number() && count.to_number<double>() > 0) {
      drops += fmt::format("{}{} {:.0f}", drops.empty() ? "" : ", ", std::string_view(reason),
                           count.to_number<double>());
    }
  }
  line(out, "dropped", drops.empty() ? "none" : drops);
  line(out, "reconnections", fmt::format("{:.0f}", status.number("reconnections")));
  line(out, "last error", status.text("last_error").empty() ? "none" : status.text("last_error"));
  if (status.number("retry_in_s", -1) >= 0)
    line(out, "next attempt", fmt::format("in {:.0f} s", status.number("retry_in_s")));
  return out;
}

}  // namespace sixlink::client
