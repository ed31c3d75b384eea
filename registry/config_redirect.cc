// SPDX-License-Identifier: BSD-3-Clause
// The keys of sixlink-registry.conf about sending newcomers to other brokers, and the checks between them.
#include "registry/config_redirect.h"

#include <algorithm>

#include "src/config/setters.h"

namespace sixlink::registry {
namespace {

// Clients take 50; the answer goes to whoever asks, also with a forged source, and is to stay short.
constexpr std::size_t kMostRedirectBrokers = 16;
constexpr long kMostTunnels = 1000000;

bool set_redirect(Config& config, const std::string& value) {
  tsp::BrokerList brokers;
  for (const auto part : config::split_list(value)) {
    auto broker = net::ServerAddress::parse(part);
    if (!broker || part.find('%') != std::string_view::npos || brokers.size() == kMostRedirectBrokers)
      return false;
    brokers.push_back(*std::move(broker));
  }
  config.redirect.brokers = std::move(brokers);
  return true;
}

bool set_redirect_when(Config& config, const std::string& value) {
  const auto lower = config::lower_case(value);
  if (lower != "always" && lower != "load" && lower != "drain") return false;
  config.redirect.when = lower == "always" ? RedirectWhen::kAlways
                         : lower == "load" ? RedirectWhen::kLoad
                                           : RedirectWhen::kDrain;
  return true;
}

template <typename Value>
auto in_redirect(Value RedirectConfig::*member) {
  return [member](Config& config) -> Value& { return config.redirect.*member; };
}

bool is_listened_on(const Config& config, const net::ServerAddress& broker) {
  boost::system::error_code not_a_literal;
  const auto address = boost::asio::ip::make_address(broker.host, not_a_literal);
  if (not_a_literal) return false;
  const bool is_advertised = config.advertised_v4 && address == *config.advertised_v4;
  return std::any_of(config.listen.begin(), config.listen.end(), [&](const ListenAddress& listen) {
    return listen.port == broker.port && (is_advertised || listen.address == address);
  });
}

}  // namespace

void append_redirect_keys(std::vector<config::Key<Config>>& keys) {
  keys.push_back(
      {"redirect",
       "names or addresses of up to 16 brokers, each with an optional :port, separated by blanks or "
       "commas",
       "", set_redirect});
  keys.push_back({"redirect_when", "always, load or drain", "always", set_redirect_when});
  keys.push_back({"redirect_above_tunnels", "0 to 1000000", "0",
                  config::number(in_redirect(&RedirectConfig::above_tunnels), 0, kMostTunnels)});
  keys.push_back({"redirect_above_load", "0 to 100 (percent)", "0",
                  config::number(in_redirect(&RedirectConfig::above_load), 0, 100)});
}

void check_redirect(Config& config, config::KeyReport& report) {
  for (const char* key : {"redirect", "redirect_when", "redirect_above_tunnels", "redirect_above_load"}) {
    if (report.is_refused(key)) return;
  }
  auto& redirect = config.redirect;
  const char* limit = redirect.above_tunnels > 0 ? "redirect_above_tunnels"
                      : redirect.above_load > 0  ? "redirect_above_load"
                                                 : nullptr;
  if (redirect.brokers.empty()) {
    if (limit)
      report.problem(limit,
                     "there is no broker to redirect to; add a line such as redirect=broker.example.net");
    if (report.has_value("redirect_when"))
      report.warning("redirect_when", "without effect: redirect names no broker");
    return;
  }
  if (!report.has_value("redirect_when") && limit) redirect.when = RedirectWhen::kLoad;
  if (redirect.when == RedirectWhen::kLoad && !limit) {
    report.problem("redirect_when",
                   "load needs a limit; set redirect_above_tunnels or redirect_above_load, or take drain");
  }
  if (redirect.when != RedirectWhen::kLoad && limit)
    report.warning(limit, "without effect: redirect_when is not load");
  for (const auto& broker : redirect.brokers) {
    if (is_listened_on(config, broker)) {
      report.problem("redirect", broker.text +
                                     " is this registry itself, and its clients would come back at once; "
                                     "remove it");
    }
  }
}

}  // namespace sixlink::registry
