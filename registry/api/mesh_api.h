// SPDX-License-Identifier: BSD-3-Clause
// The mesh's HTTPS API (registry/api/openapi.yaml) without its server: requests in, answers out, some later.
#pragma once

#include <spdlog/logger.h>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "registry/api/failure_backoff.h"
#include "registry/api/https_server.h"
#include "registry/broker/address_budget.h"
#include "registry/ca/contact_directory.h"
#include "registry/ca/registrar.h"
#include "src/log/log.h"

namespace sixlink::registry {

struct MeshApiSettings {
  int requests_per_second = 50;  // of one address; 20 s' worth at once
  int joins_per_hour = 200;      // of one address
  bool sends_email = false;
  std::size_t most_held = 4096;  // requests for newer parameters
};

class MeshApi {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  struct Times {
    TimePoint now;
    WallTime wall;
  };
  struct Hooks {
    std::function<Times()> clock;
    // False: too many wait already.
    std::function<bool(const std::string& email, const std::string& join_line)> send_mail;
  };

  // All outlive it.
  MeshApi(Registrar& registrar, ContactDirectory& contacts, MeshApiSettings settings, spdlog::logger& log,
          Hooks hooks);
  ~MeshApi();

  // What can be asked: "GET /v1/contacts/*".
  static std::vector<std::string> requests();

  bool admits(const boost::asio::ip::address& peer);
  void handle(const std::shared_ptr<const HttpRequest>& request, HttpsServer::Reply reply);
  // registrar.parameters() are other ones: whoever waits is told.
  void on_parameters();
  // Once a second: answers whoever has waited long enough.
  void tick();
  std::size_t held() const { return held_.size(); }

 private:
  struct Call;
  struct Route;
  struct Held {
    std::uint64_t newer_than = 0;
    TimePoint until{};
    HttpsServer::Reply reply;
  };
  static const std::vector<Route>& routes();
  HttpResponse route(Call& call);
  std::optional<Refusal> authenticate(Call& call, int who);
  HttpResponse refuse(const Call& call, const Refusal& refusal);
  // Of a failure to join: it counts.
  HttpResponse refuse_join(const Call& call, const Refusal& refusal);
  std::optional<Refusal> may_join(const Call& call);

  HttpResponse get_ca(Call& call);
  HttpResponse get_address(Call& call);
  HttpResponse post_certificate(Call& call);
  HttpResponse renew(Call& call);
  HttpResponse post_email(Call& call);
  HttpResponse get_parameters(Call& call);
  HttpResponse put_contact(Call& call);
  HttpResponse delete_contact(Call& call);
  HttpResponse get_contacts(Call& call);
  HttpResponse get_contact(Call& call);
  HttpResponse introduce(Call& call);
  HttpResponse get_node(Call& call);
  HttpResponse admin_nodes(Call& call);
  HttpResponse admin_addresses(Call& call);
  HttpResponse admin_tokens(Call& call);
  HttpResponse admin_make_token(Call& call);
  HttpResponse admin_delete_token(Call& call);
  HttpResponse admin_revoke(Call& call);
  HttpResponse admin_versions(Call& call);
  HttpResponse admin_topology(Call& call);

  HttpResponse issued(const Issued& issued, const Call& call);
  HttpResponse newer_parameters() const;

  Registrar& registrar_;
  ContactDirectory& contacts_;
  MeshApiSettings settings_;
  spdlog::logger& log_;
  Hooks hooks_;
  AddressBudget connections_;
  AddressBudget requests_;
  AddressBudget joins_;
  AddressBudget mails_{5, 5 / 3600.0};
  FailureBackoff failures_;
  std::map<std::string, TimePoint> mailed_;  // by e-mail address: when last
  std::map<std::string, Held> held_;         // by the node's prefix
  log::RateLimit log_limit_{20, std::chrono::seconds(60)};
};

}  // namespace sixlink::registry
