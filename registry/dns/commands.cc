// SPDX-License-Identifier: BSD-3-Clause
// `sixlink-registry dns ...`
#include "registry/dns/commands.h"

#include <algorithm>
#include <ctime>
#include <map>
#include <ostream>
#include <set>
#include <string>

#include "registry/config.h"
#include "registry/dns/nsupdate.h"
#include "registry/dns/record_plan.h"
#include "registry/store/store.h"

namespace sixlink::registry::dns {
namespace {

std::string date(WallSeconds when) {
  const std::time_t seconds = static_cast<std::time_t>(when);
  std::tm parts{};
  char text[32];
  if (when == 0 || ::gmtime_r(&seconds, &parts) == nullptr) return "never";
  return std::string(text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts));
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const auto& word : words) text += (text.empty() ? "" : " ") + word;
  return text.empty() ? "none" : text;
}

class DnsCommand {
 public:
  DnsCommand(const Config& config, Store& store, std::ostream& out, std::ostream& err)
      : config_(config), store_(store), out_(out), err_(err) {}

  int resync() {
    if (!config_.dns.publishes()) {
      err_ << "sixlink-registry: dns_update_server is not set in " << config_.path
           << ": nothing is published in DNS\n";
      return kExitFailure;
    }
    const auto records = store_.dns_records();
    if (!records) return failed(records.error());
    if (const auto error = store_.unconfirm_dns_records()) return failed(error);
    out_ << records->size() << " records are sent again; a running server begins at once\n";
    return kExitOk;
  }

  int status() {
    const auto published = store_.dns_records();
    if (!published) return failed(published.error());
    const auto zones = store_.dns_zones();
    if (!zones) return failed(zones.error());
    const auto loaded = store_.load_leases();
    if (!loaded) return failed(loaded.error());
    const Settings& dns = config_.dns;
    if (!dns.publishes()) {
      out_ << "dns_update_server is not set: nothing is published in DNS\n";
      if (!published->empty())
        out_ << published->size() << " records that were published before stay there\n";
      return kExitOk;
    }
    out_ << "updates go to   " << dns.update_server << " port " << dns.update_port << "\n"
         << "signed by       " << dns.update_key << "\n"
         << "reverse zones   " << joined(dns.reverse_zones) << "\n"
         << "users' names    " << (dns.user_domain.empty() ? "none" : "USER." + dns.user_domain) << "\n";
    if (const auto problem = key_file_problem(dns.update_key); !problem.empty())
      out_ << "warning         " << problem << "\n";
    std::map<std::int64_t, Lease> leases;
    for (const auto& lease : loaded->leases) leases.emplace(lease.id, lease);
    const auto changes =
        plan_changes(wanted_records(dns, leases), *published, static_cast<int>(dns.ttl.count()));
    struct Count {
      std::size_t published = 0;
      std::size_t to_add = 0;
      std::size_t to_remove = 0;
    };
    std::map<std::string, Count> counts;
    for (const auto& zone : dns.reverse_zones) counts[zone];
    if (!dns.user_zone.empty()) counts[dns.user_zone];
    for (const auto& [zone, status] : *zones) counts[zone];
    for (const auto& [record, state] : *published)
      counts[record.zone].published += state.is_confirmed ? 1 : 0;
    for (const auto& change : changes)
      ++(change.is_addition ? counts[change.record.zone].to_add : counts[change.record.zone].to_remove);
    bool has_problem = false;
    for (const auto& [zone, count] : counts) {
      out_ << "\nzone " << zone << "\n  published     " << count.published << "\n  to add        "
           << count.to_add << "\n  to remove     " << count.to_remove << "\n";
      const auto known = zones->find(zone);
      if (known == zones->end()) continue;
      out_ << "  last success  " << date(known->second.last_success) << "\n";
      if (known->second.problem.empty()) continue;
      has_problem = true;
      out_ << "  last failure  " << date(known->second.last_failure) << "\n  problem       "
           << known->second.problem << "\n";
    }
    return has_problem ? kExitFailure : kExitOk;
  }

 private:
  int failed(const boost::system::error_code& error) {
    err_ << "sixlink-registry: " << config_.database_path() << ": " << error.message() << "\n";
    return kExitFailure;
  }

  const Config& config_;
  Store& store_;
  std::ostream& out_;
  std::ostream& err_;
};

}  // namespace

int run_dns_command(const Options& options, std::ostream& out, std::ostream& err) {
  const LoadedConfig loaded = load_config(options.config_file);
  for (const auto& problem : loaded.problems) err << config::to_string(options.config_file, problem) << "\n";
  if (!loaded.config) return kExitBadConfiguration;
  auto store = Store::open(loaded.config->database_path());
  if (!store) {
    err << "sixlink-registry: cannot open the database " << loaded.config->database_path() << ": "
        << store.error().message()
        << (store.error() == boost::system::errc::permission_denied ? "; run as root\n" : "\n");
    return kExitFailure;
  }
  DnsCommand command(*loaded.config, *store, out, err);
  return options.command == Command::kDnsResync ? command.resync() : command.status();
}

}  // namespace sixlink::registry::dns
