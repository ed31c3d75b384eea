// SPDX-License-Identifier: BSD-3-Clause
#include "registry/mesh_service.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <mutex>
#include <thread>

#include "registry/api/endpoint_server.h"
#include "registry/api/https_server.h"
#include "registry/api/mesh_api.h"
#include "registry/ca/contact_directory.h"
#include "registry/ca/registrar.h"
#include "registry/ca/tls_certificate.h"
#include "registry/mail/mailer.h"
#include "registry/mesh_settings.h"

namespace sixlink::registry {
namespace {

namespace asio = boost::asio;

constexpr std::chrono::seconds kLook{1};
constexpr std::chrono::seconds kFlush{5};
constexpr std::chrono::minutes kMaintain{10};
// The HTTPS server's certificate: made anew at each start, and in time.
constexpr std::chrono::hours kServerLifetime{24 * 90};
constexpr std::chrono::hours kServerRenewal{24 * 30};

MeshApi::Times now() {
  return {std::chrono::steady_clock::now(), std::chrono::system_clock::now()};
}

}  // namespace

class MeshService::Impl {
 public:
  Impl(const Config& config, spdlog::logger& log, std::unique_ptr<Database> database)
      : config_(config),
        log_(log),
        database_(std::move(database)),
        registrar_(*database_, registrar_settings(config)),
        contacts_(registrar_),
        mailer_(config.mesh.mail.is_on() ? std::make_unique<Mailer>(config.mesh.mail, log) : nullptr),
        api_(registrar_, contacts_, api_settings(config), log,
             {&now, [this](const std::string& to, const std::string& line) { return mail_token(to, line); }}),
        server_(
            io_, log, {}, [this](const asio::ip::address& peer) { return api_.admits(peer); },
            [this](const std::shared_ptr<const HttpRequest>& request, HttpsServer::Reply reply) {
              api_.handle(request, std::move(reply));
            }),
        endpoints_(io_, log),
        timer_(io_) {}

  ~Impl() {
    io_.stop();
    if (thread_.joinable()) thread_.join();
    // Nodes that asked just before are live after a restart, too.
    report(contacts_.flush(now().wall));
  }

  // Empty: it runs.
  std::string start() {
    const auto wall = now().wall;
    if (auto problem = registrar_.open(wall); !problem.empty()) return problem;
    if (auto problem = renew_identity(wall); !problem.empty()) return problem;
    for (const auto& where : config_.mesh.listen) {
      if (auto problem = server_.listen({where.address, where.port}); !problem.empty()) return problem;
      // Most of what nodes need works without.
      const auto missing = endpoints_.listen({where.address, where.port});
      if (!missing.empty()) log_.warn("{}", missing);
    }
    next_flush_ = next_maintenance_ = now().now;
    next_maintenance_ += kMaintain;
    wait();
    count();
    thread_ = std::thread([this] { io_.run(); });
    log_.info("the mesh {} is served at {}, its authority is {}", config_.mesh.network->to_string(),
              config_.mesh.urls.front(), registrar_.authorities().root(wall)->certificate().fingerprint());
    return {};
  }

  void look_now() {
    asio::post(io_, [this] { look(); });
  }

  MeshStatus status() const {
    const std::lock_guard lock(status_mutex_);
    return status_;
  }

 private:
  void count() {
    const auto counts = contacts_.count(now().wall);
    const std::lock_guard lock(status_mutex_);
    if (counts) {
      status_.nodes = counts->nodes;
      status_.live = counts->live;
    }
    status_.network = config_.mesh.network->to_string();
    status_.parameters = registrar_.parameters().version;
    status_.connections = server_.connections();
    status_.waiting = api_.held();
  }

  void report(const std::string& problem) {
    if (!problem.empty() && limit_.allow(now().now)) log_.error("{}", problem);
  }

  void wait() {
    timer_.expires_after(kLook);
    timer_.async_wait([this](const boost::system::error_code& error) {
      if (error) return;
      tick();
      wait();
    });
  }

  // What was revoked by a command, or by another registry with the same database.
  void look() {
    std::string problem;
    if (registrar_.refresh(problem)) {
      log_.info("the network's parameters have the version {}", registrar_.parameters().version);
      api_.on_parameters();
      // With the parameters come other authorities.
      report(renew_identity(now().wall));
    }
    report(problem);
  }

  void tick() {
    const auto at = now();
    look();
    api_.tick();
    if (at.now >= next_flush_) {
      next_flush_ = at.now + kFlush;
      report(contacts_.flush(at.wall));
      count();
    }
    if (at.now < next_maintenance_) return;
    next_maintenance_ = at.now + kMaintain;
    const auto before = registrar_.parameters().version;
    report(registrar_.maintain(at.wall));
    if (registrar_.parameters().version != before) api_.on_parameters();
    report(renew_identity(at.wall));
  }

  std::string renew_identity(WallTime wall) {
    const auto* root = registrar_.authorities().root(wall);
    if (!root) return "no authority of the network is valid now, or its key is not here; is the clock right?";
    const bool is_same = served_by_ == root->certificate().fingerprint();
    if (is_same && wall < identity_expires_ - kServerRenewal) return {};
    try {
      const auto identity = make_server_identity(*root, registrar_.settings().hosts,
                                                 {wall - std::chrono::hours(24), wall + kServerLifetime});
      auto problem =
          server_.use_identity(identity.certificate_pem + root->certificate().to_pem(), identity.key_pem);
      if (!problem.empty()) return problem;
      identity_expires_ = identity.expires;
      served_by_ = root->certificate().fingerprint();
    } catch (const std::exception& error) {
      return error.what();
    }
    return {};
  }

  bool mail_token(const std::string& to, const std::string& line) {
    return mailer_ &&
           mailer_->send({to, "Your token for " + config_.mesh.network->to_string(),
                          "Somebody, probably you, asked for a token to join the network " +
                              config_.mesh.network->to_string() +
                              ".\nRun this as root on the machine that is to join:\n\n    " + line +
                              "\n\nThe token is good once. If it was not you, do nothing.\n"});
  }

  const Config& config_;
  spdlog::logger& log_;
  std::unique_ptr<Database> database_;
  Registrar registrar_;
  ContactDirectory contacts_;
  std::unique_ptr<Mailer> mailer_;
  MeshApi api_;
  asio::io_context io_{1};
  HttpsServer server_;
  EndpointServer endpoints_;
  asio::steady_timer timer_;
  MeshApi::TimePoint next_flush_{};
  MeshApi::TimePoint next_maintenance_{};
  WallTime identity_expires_{};
  std::string served_by_;
  log::RateLimit limit_{5, std::chrono::seconds(60)};
  mutable std::mutex status_mutex_;
  MeshStatus status_;
  std::thread thread_;
};

MeshService::MeshService(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
MeshService::~MeshService() = default;

std::unique_ptr<MeshService> MeshService::start(const Config& config, spdlog::logger& log,
                                                std::string& problem) {
  auto opened = open_database(config.mesh_database());
  if (!opened.database) {
    problem = opened.problem;
    return nullptr;
  }
  auto impl = std::make_unique<Impl>(config, log, std::move(opened.database));
  problem = impl->start();
  if (!problem.empty()) return nullptr;
  return std::unique_ptr<MeshService>(new MeshService(std::move(impl)));
}

void MeshService::look_now() {
  impl_->look_now();
}

MeshStatus MeshService::status() const {
  return impl_->status();
}

}  // namespace sixlink::registry
