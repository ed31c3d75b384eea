// SPDX-License-Identifier: BSD-3-Clause
// `sixlink-registry peer export|list|delete`.
#include "registry/peers.h"

#include <algorithm>
#include <boost/json.hpp>
#include <ctime>
#include <iomanip>
#include <optional>
#include <ostream>
#include <string>
#include <variant>

#include "platform/platform.h"
#include "registry/config.h"
#include "registry/status.h"
#include "registry/users.h"
#include "registry/wireguard_control.h"
#include "registry/wireguard_export.h"
#include "src/config/directory.h"
#include "src/control/control_socket.h"

namespace sixlink::registry {
namespace {

bool is_nobody_there(const boost::system::error_code& error) {
  return error == boost::system::errc::no_such_file_or_directory ||
         error == boost::system::errc::connection_refused;
}

std::string date(std::chrono::system_clock::time_point when) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(when);
  std::tm parts{};
  char text[32];
  if (::gmtime_r(&seconds, &parts) == nullptr) return "-";
  return std::string(text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts));
}

class PeerCommand {
 public:
  PeerCommand(const Options& options, const Config& config, Store& store, std::ostream& out,
              std::ostream& err)
      : options_(options), config_(config), store_(store), out_(out), err_(err) {}

  int run() {
    if (!config_.wireguard.is_served) return complain("this registry has wireguard=no in " + config_.path);
    if (options_.command == Command::kPeerList) return list();
    const auto user = is_user_name(options_.user_name)
                          ? store_.find_user(options_.user_name)
                          : boost::system::result<std::optional<User>>(std::nullopt);
    if (!user) return store_failed(user.error());
    if (!*user) {
      return complain("there is no user " + options_.user_name +
                      "; to add one: sixlink-registry user add NAME");
    }
    return options_.command == Command::kPeerExport ? export_peer() : remove();
  }

 private:
  int complain(const std::string& text) {
    err_ << "sixlink-registry: " << text << "\n";
    return kExitFailure;
  }
  int store_failed(const boost::system::error_code& error) {
    return complain(config_.database_path() + ": " + error.message());
  }

  // Empty: the registry did it. nullopt: none runs, and none starts while this command has the lock.
  std::optional<std::string> ask_registry(const PeerRequest& request,
                                          std::optional<platform::PidFile>& lock) {
    const auto answer = control::ask_daemon(config_.control_path(), to_string(request));
    if (answer) return error_in(*answer);
    if (!is_nobody_there(answer.error())) {
      return "no answer of the registry on " + config_.control_path() + ": " + answer.error().message() +
             "; are you root?";
    }
    const auto pid_path = config_.run_dir + "/" + config_.instance_name() + ".pid";
    if (const auto error = config::make_private_directory(config_.run_dir))
      return config::explain_directory_error("run_dir", config_.run_dir, error);
    long holder = 0;
    auto file = platform::PidFile::acquire(pid_path, holder);
    if (!file) {
      return holder > 0 ? "a registry runs (process " + std::to_string(holder) + ") and does not answer on " +
                              config_.control_path() + "; is it just starting?"
                        : "cannot lock " + pid_path + ": " + file.error().message();
    }
    lock.emplace(*std::move(file));
    return std::nullopt;
  }

  std::optional<Lease> stored_lease() {
    const auto loaded = store_.load_leases();
    if (!loaded) return std::nullopt;
    for (const Lease& lease : loaded->leases) {
      if (lease.user == options_.user_name && lease.mode == LeaseMode::kWireguard) return lease;
    }
    return std::nullopt;
  }

  // Without a registry that runs. Empty: done.
  template <typename Change>
  std::string change_book(const Change& change) {
    auto book = LeaseBook::load(store_, config_.leases);
    if (!book) return config_.database_path() + ": " + book.error().message();
    if (const auto error = change(*book)) return error.message();
    if (const auto error = book->commit()) return config_.database_path() + ": " + error.message();
    return {};
  }

  int export_peer() {
    std::string problem;
    ExportedPeer peer;
    peer.routes_all_v4 = options_.all_v4;
    peer.endpoint = export_endpoint(config_, problem);
    if (peer.endpoint.empty()) return complain(problem);
    const auto own = pki::load_or_make_wireguard_key(config_.wireguard_key_path());
    if (!own.pair) return complain(own.problem);
    peer.server_key = own.pair->public_key();
    const auto made = pki::WireguardKeyPair::generate();
    if (!made) return complain("cannot make a WireGuard key: OpenSSL has no X25519");
    std::optional<platform::PidFile> lock;
    const auto refusal =
        ask_registry({PeerRequest::Kind::kPut, options_.user_name, made->public_key()}, lock);
    if (refusal && !refusal->empty()) return complain(*refusal);
    if (!refusal) {
      problem = change_book([&](LeaseBook& book) {
        LeaseRequest request;
        request.user = options_.user_name;
        request.mode = LeaseMode::kWireguard;
        request.wireguard_key = made->public_key();
        const auto lease = book.acquire(request, std::time(nullptr));
        return lease ? boost::system::error_code() : lease.error();
      });
      if (!problem.empty()) return complain(problem);
    }
    const auto lease = stored_lease();
    if (!lease || lease->wireguard_key != made->public_key())
      return complain("the tunnel of " + options_.user_name + " was given another key meanwhile; try again");
    peer.lease = *lease;
    return print(wg_quick_text(config_, peer, *made));
  }

  int print(const pki::Secret& text) {
    if (!options_.qr) {
      out_ << text.reveal() << std::flush;
      return out_ ? kExitOk : complain("cannot write the file");
    }
    const auto drawn = qr_text(text.reveal());
    if (!drawn) return complain("the file is too long for a QR code: export it without --qr");
    out_ << drawn->reveal() << std::flush;
    return out_ ? kExitOk : complain("cannot write the QR code");
  }

  int remove() {
    if (!stored_lease()) return complain("user " + options_.user_name + " has no WireGuard tunnel");
    std::optional<platform::PidFile> lock;
    auto refusal = ask_registry({PeerRequest::Kind::kDelete, options_.user_name, {}}, lock);
    if (!refusal) {
      refusal = change_book([&](LeaseBook& book) {
        if (const auto* lease = book.find_user(options_.user_name, LeaseMode::kWireguard))
          book.release(lease->id);
        return boost::system::error_code();
      });
    }
    if (!refusal->empty()) return complain(*refusal);
    out_ << "the WireGuard tunnel of " << options_.user_name << " has ended, its addresses are free\n";
    return kExitOk;
  }

  static std::string addresses(const Lease& lease) {
    return lease.address.to_string() + (lease.address_v4 ? ", " + lease.address_v4->to_string() : "") +
           (lease.prefix ? ", " + lease.prefix->to_string() : "");
  }

  int list() {
    const auto loaded = store_.load_leases();
    if (!loaded) return store_failed(loaded.error());
    const auto answer = control::ask_daemon(config_.control_path(), to_string(PeerRequest()));
    const auto live = answer ? parse_peers(*answer) : std::nullopt;
    boost::json::array all;
    int width = 9;
    for (const Lease& lease : loaded->leases) width = std::max(width, static_cast<int>(lease.user.size()));
    if (!options_.json) {
      out_ << std::left << std::setw(width) << "USER"
           << "  " << std::setw(44) << "PUBLIC KEY"
           << "  LATEST HANDSHAKE      RECEIVED      SENT          ENDPOINT, ADDRESSES\n";
    }
    for (const Lease& lease : loaded->leases) {
      if (!lease.wireguard_key) continue;
      WireguardPeer peer;
      if (live) {
        const auto found = live->find(*lease.wireguard_key);
        if (found != live->end()) peer = found->second;
      }
      const auto key = lease.wireguard_key->to_string();
      const auto handshake = peer.latest_handshake ? date(*peer.latest_handshake) : "-";
      if (options_.json) {
        all.push_back(
            {{"user", lease.user.empty() ? boost::json::value(nullptr) : boost::json::value(lease.user)},
             {"public_key", key},
             {"addresses", addresses(lease)},
             {"endpoint",
              peer.endpoint.empty() ? boost::json::value(nullptr) : boost::json::value(peer.endpoint)},
             {"latest_handshake",
              peer.latest_handshake ? boost::json::value(handshake) : boost::json::value(nullptr)},
             {"received", peer.bytes_received},
             {"sent", peer.bytes_sent}});
        continue;
      }
      out_ << std::setw(width) << (lease.user.empty() ? "anonymous" : lease.user) << "  " << key << "  "
           << std::setw(20) << handshake << "  " << std::setw(12) << peer.bytes_received << "  "
           << std::setw(12) << peer.bytes_sent << "  " << (peer.endpoint.empty() ? "-" : peer.endpoint)
           << ", " << addresses(lease) << "\n";
    }
    if (options_.json) out_ << boost::json::serialize(all) << "\n";
    if (!live && !options_.json)
      err_ << "no registry runs with this configuration: handshakes and transfer are not known\n";
    return kExitOk;
  }

  const Options& options_;
  const Config& config_;
  Store& store_;
  std::ostream& out_;
  std::ostream& err_;
};

}  // namespace

int run_peer_command(const Options& options, std::ostream& out, std::ostream& err) {
  const LoadedConfig loaded = load_config(options.config_file);
  for (const auto& problem : loaded.problems) err << config::to_string(options.config_file, problem) << "\n";
  if (!loaded.config) return kExitBadConfiguration;
  auto store = Store::open(loaded.config->database_path());
  if (!store) {
    err << "sixlink-registry: cannot open the database " << loaded.config->database_path() << ": "
        << store.error().message() << "\n";
    return kExitFailure;
  }
  return PeerCommand(options, *loaded.config, *store, out, err).run();
}

}  // namespace sixlink::registry
