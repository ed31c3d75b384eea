// SPDX-License-Identifier: BSD-3-Clause
// The program sixlink-registry.
#include "registry/app.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <cstdio>
#include <iostream>
#include <optional>

#include "platform/platform.h"
#include "registry/config.h"
#include "registry/dns/commands.h"
#include "registry/init.h"
#include "registry/mesh_commands.h"
#include "registry/mesh_service.h"
#include "registry/options.h"
#include "registry/peers.h"
#include "registry/server.h"
#include "registry/users.h"
#include "registry/wireguard_control.h"
#include "src/config/build_info.h"
#include "src/config/directory.h"
#include "src/control/control_socket.h"
#include "src/log/log.h"

namespace sixlink::registry {
namespace {

namespace asio = boost::asio;

void complain(const std::string& text) {
  std::fprintf(stderr, "sixlink-registry: %s\n", text.c_str());
}

void report_serving(spdlog::logger& logger, std::optional<platform::Background>& background) {
  if (!background) return;
  log::detach_terminal(logger);
  background->report(kExitOk, true);
}

void listen_for_commands(asio::io_context& io, const Config& config, spdlog::logger& logger,
                         MeshService* mesh, control::ControlServer::Handlers handlers,
                         std::unique_ptr<control::ControlServer>& listening) {
  handlers.answer = [mesh, others = std::move(handlers.answer)](std::string_view request) {
    if (!mesh || request != kMeshChanged) return others(request);
    mesh->look_now();
    return std::optional<std::string>("{}");
  };
  auto control = control::ControlServer::listen(io, config.control_path(), std::move(handlers));
  if (control) {
    listening = *std::move(control);
  } else {
    logger.error("cannot listen on {}: {}; the commands status and drain will not work",
                 config.control_path(), control.error().message());
  }
}

// Each node of a mesh holds a connection: the usual 1,024 descriptors are too few.
void raise_descriptor_limit() {
  constexpr rlim_t kWanted = 8192;
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= kWanted) return;
  limit.rlim_cur = std::min(kWanted, limit.rlim_max);
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

// A mesh without tunnels: no interface, no TSP.
int serve_mesh(const Config& config, spdlog::logger& logger, MeshService& mesh,
               std::optional<platform::Background>& background) {
  asio::io_context io(1);
  std::signal(SIGPIPE, SIG_IGN);
  asio::signal_set ending(io, SIGINT, SIGTERM);
  ending.async_wait([&](const boost::system::error_code& error, int signal) {
    if (error) return;
    logger.info("ending on signal {}", signal);
    io.stop();
  });
  asio::signal_set hangup(io, SIGHUP);
  const std::function<void()> wait_for_hangup = [&] {
    hangup.async_wait([&](const boost::system::error_code& error, int) {
      if (error) return;
      mesh.look_now();
      wait_for_hangup();
    });
  };
  wait_for_hangup();
  RegistryStatus status;
  status.serves_tunnels = false;
  control::ControlServer::Handlers handlers;
  handlers.answer = [&](std::string_view request) {
    status.mesh = mesh.status();
    return request == "status" ? std::optional(to_json(status)) : std::nullopt;
  };
  std::unique_ptr<control::ControlServer> control;
  listen_for_commands(io, config, logger, &mesh, std::move(handlers), control);
  report_serving(logger, background);
  io.run();
  logger.info("ended");
  logger.flush();
  return kExitOk;
}

// The server proper: everything that is held while it runs.
int serve(const Config& config, std::optional<platform::Background>& background) {
  std::string log_problem;
  const auto logger = log::make_logger("sixlink-registry", config.log, log_problem);
  if (!log_problem.empty()) logger->warn("{}", log_problem);
  const auto run_dir_error = config::make_private_directory(config.run_dir);
  const auto state_dir_error = config::make_private_directory(config.state_dir, 0700);
  if (run_dir_error)
    logger->critical("{}", config::explain_directory_error("run_dir", config.run_dir, run_dir_error));
  if (state_dir_error)
    logger->critical("{}", config::explain_directory_error("state_dir", config.state_dir, state_dir_error));
  if (run_dir_error || state_dir_error) return kExitFailure;
  long holder = 0;
  const auto pid_path = config.run_dir + "/" + config.instance_name() + ".pid";
  const auto pid_file = platform::PidFile::acquire(pid_path, holder);
  if (!pid_file) {
    if (holder > 0) {
      logger->critical("sixlink-registry runs already with this configuration (process {}, {})", holder,
                       pid_path);
    } else {
      logger->critical("cannot lock {}: {}", pid_path, pid_file.error().message());
    }
    return kExitFailure;
  }
  std::unique_ptr<MeshService> mesh;
  if (config.mesh.network) {
    raise_descriptor_limit();
    std::string problem;
    mesh = MeshService::start(config, *logger, problem);
    if (!mesh) {
      logger->critical("{}", problem);
      return kExitFailure;
    }
    if (!config.serves_tunnels()) return serve_mesh(config, *logger, *mesh, background);
  }
  auto store = Store::open(config.database_path());
  if (!store) {
    logger->critical("cannot open the database {}: {}", config.database_path(), store.error().message());
    return kExitFailure;
  }
  auto book = LeaseBook::load(*store, config.leases);
  if (!book) {
    logger->critical("cannot read leases from {}: {}", config.database_path(), book.error().message());
    return kExitFailure;
  }
  asio::io_context io(1);
  Server::Settings settings;
  settings.data_dir = config::data_dir();
  settings.verbosity =
      std::max({config.log.console, config.log.stderr_level, config.log.file, config.log.syslog});
  settings.on_serving = [&] { report_serving(*logger, background); };
  Server server(io, config, *logger, *store, *book, std::move(settings));
  std::signal(SIGPIPE, SIG_IGN);
  asio::signal_set ending(io, SIGINT, SIGTERM);
  ending.async_wait([&](const boost::system::error_code& error, int signal) {
    if (error) return;
    logger->info("ending on signal {}", signal);
    server.stop();
  });
  asio::signal_set hangup(io, SIGHUP);
  const std::function<void()> wait_for_hangup = [&] {
    hangup.async_wait([&](const boost::system::error_code& error, int) {
      if (error) return;
      server.maintain_now();
      wait_for_hangup();
    });
  };
  wait_for_hangup();
  control::ControlServer::Handlers handlers;
  handlers.answer_later = [&](std::string_view request,
                              const control::ControlServer::Handlers::Reply& reply) {
    const auto peer = parse_peer_request(request);
    if (peer) server.on_peer_request(*peer, reply);
    return peer.has_value();
  };
  handlers.answer = [&](std::string_view request) -> std::optional<std::string> {
    const auto drain = parse_drain_request(request);
    if (!drain && request != "status") return std::nullopt;
    if (drain) server.drain(*drain);
    auto status = server.status();
    if (mesh) status.mesh = mesh->status();
    return to_json(status);
  };
  std::unique_ptr<control::ControlServer> control;
  listen_for_commands(io, config, *logger, mesh.get(), std::move(handlers), control);
  int code = kExitFailure;
  asio::co_spawn(io, server.run(), [&](const std::exception_ptr& exception, int result) {
    code = result;
    try {
      if (exception) std::rethrow_exception(exception);
    } catch (const std::exception& e) {
      logger->critical("internal error: {}", e.what());
      code = kExitFailure;
    }
    io.stop();
  });
  io.run();
  logger->info("ended");
  logger->flush();
  return code;
}

// Asks the server that runs with this configuration.
int ask_server(const Options& options) {
  const auto loaded = load_config(options.config_file);
  for (const auto& problem : loaded.problems) complain(config::to_string(options.config_file, problem));
  if (!loaded.config) return kExitBadConfiguration;
  const auto path = loaded.config->control_path();
  const auto request = options.command == Command::kDrain ? to_string(options.drain) : "status";
  const auto answer = control::ask_daemon(path, request);
  if (!answer) {
    complain("no registry answers on " + path + ": " + answer.error().message() +
             "; does it run with this configuration, and are you root?");
    return kExitFailure;
  }
  if (const auto error = error_in(*answer); !error.empty()) {
    complain("the registry on " + path + " refused: " + error);
    return kExitFailure;
  }
  std::cout << (options.json ? *answer + "\n" : render_status(*answer).value_or(*answer + "\n"));
  return kExitOk;
}

int run(const Options& options) {
  const auto loaded = load_config(options.config_file);
  for (const auto& warning : loaded.warnings)
    complain("warning: " + config::to_string(options.config_file, warning));
  for (const auto& problem : loaded.problems) complain(config::to_string(options.config_file, problem));
  if (!loaded.config) {
    if (options.is_default_config) complain("sixlink-registry init --prefix PREFIX writes a configuration");
    return kExitBadConfiguration;
  }
  std::optional<platform::Background> background;
  if (!options.foreground) {
    auto forked = platform::Background::fork(kExitFailure);
    if (!forked) {
      complain("cannot go into the background: " + forked.error().message());
      return kExitFailure;
    }
    background.emplace(*std::move(forked));
  }
  const int code = serve(*loaded.config, background);
  if (background) background->report(code, false);
  return code;
}

}  // namespace

int run_app(const std::vector<std::string>& arguments) {
  const std::string default_config = std::string(config::config_dir()) + "/sixlink-registry.conf";
  const auto parsed = parse_options(arguments, default_config);
  if (!parsed.options) {
    complain(parsed.error);
    return kExitBadConfiguration;
  }
  switch (parsed.options->command) {
    case Command::kHelp:
      std::cout << usage_text(default_config);
      return kExitOk;
    case Command::kVersion:
      std::cout << "sixlink-registry " << config::version() << "\n";
      return kExitOk;
    case Command::kInit:
      return run_init(*parsed.options, std::cout, std::cerr);
    case Command::kRun:
      return run(*parsed.options);
    case Command::kDrain:
    case Command::kStatus:
      return ask_server(*parsed.options);
    case Command::kPeerExport:
    case Command::kPeerList:
    case Command::kPeerDelete:
      return run_peer_command(*parsed.options, std::cout, std::cerr);
    case Command::kDnsStatus:
    case Command::kDnsResync:
      return dns::run_dns_command(*parsed.options, std::cout, std::cerr);
    case Command::kTokenNew:
    case Command::kTokenList:
    case Command::kTokenDelete:
    case Command::kNodes:
    case Command::kRevoke:
    case Command::kVersions:
    case Command::kAddresses:
    case Command::kTopology:
    case Command::kCaList:
    case Command::kCaRoll:
    case Command::kCaRetire:
    case Command::kAdminNew:
    case Command::kAdminList:
    case Command::kAdminRevoke:
      return run_mesh_command(*parsed.options, std::cout, std::cerr);
    default:
      return run_user_command(*parsed.options, STDIN_FILENO, std::cout, std::cerr);
  }
}

}  // namespace sixlink::registry
