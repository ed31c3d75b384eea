// SPDX-License-Identifier: BSD-3-Clause
// The program sixlink.
#include "src/client/app.h"

#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <optional>

#include "platform/platform.h"
#include "src/client/config.h"
#include "src/client/doctor.h"
#include "src/client/exit_code.h"
#include "src/client/igd_helper.h"
#include "src/client/join.h"
#include "src/client/mesh_commands.h"
#include "src/client/mesh_daemon.h"
#include "src/client/mesh_views.h"
#include "src/client/options.h"
#include "src/client/status.h"
#include "src/client/supervisor.h"
#include "src/config/build_info.h"
#include "src/config/directory.h"
#include "src/control/control_socket.h"
#include "src/log/log.h"
#include "src/tunnel/template_runner.h"

namespace sixlink::client {
namespace {

namespace asio = boost::asio;

void complain(const std::string& text) {
  std::fprintf(stderr, "sixlink: %s\n", text.c_str());
}

std::optional<Config> load(const Options& options) {
  const std::string path =
      options.config_file.empty() ? std::string(config::config_dir()) + "/sixlink.conf" : options.config_file;
  auto loaded = load_config(path, &options);
  // What they need of it has defaults.
  const bool may_be_missing = options.command == Command::kJoin || options.command == Command::kDoctor;
  if (may_be_missing && !loaded.config && ::access(path.c_str(), F_OK) != 0)
    loaded = load_config_text(path, {}, &options);
  if (options.command == Command::kRun) {
    for (const auto& warning : loaded.warnings) complain("warning: " + config::to_string(path, warning));
  }
  for (const auto& problem : loaded.problems) complain(config::to_string(path, problem));
  return std::move(loaded.config);
}

std::string run_path(const Config& config, const char* suffix) {
  return config.run_dir + "/" + config.instance_name() + suffix;
}

int show_status(const Config& config, bool as_json) {
  const auto path = run_path(config, ".sock");
  const auto answer = control::ask_daemon(path, "status");
  if (!answer) {
    complain("no daemon answers on " + path + ": " + answer.error().message());
    return 2;
  }
  auto text = as_json ? std::nullopt : render_node_status(*answer);
  if (!text && !as_json) text = render_status(*answer);
  std::fputs(text.value_or(*answer + "\n").c_str(), stdout);
  return is_up(*answer) ? 0 : 1;
}

// A tunnel without a daemon: one that needs nobody, or that a killed daemon left. nullopt: there is none.
std::optional<int> remove_orphan(const Config& config) {
  log::LogConfig only_errors;
  std::string ignored;
  const auto logger = log::make_logger("sixlink", only_errors, ignored);
  tunnel::TemplateRunner::Settings settings;
  settings.run_dir = config.run_dir;
  settings.instance = config.instance_name();
  tunnel::TemplateRunner runner(std::move(settings), *logger);
  if (!runner.has_leftovers()) return std::nullopt;
  long holder = 0;
  const auto lock = platform::PidFile::acquire(run_path(config, ".pid"), holder);
  if (!lock) return std::nullopt;  // a daemon that starts or ends right now
  asio::io_context io(1);
  bool is_removed = false;
  asio::co_spawn(io, runner.remove_leftovers(), [&](const std::exception_ptr& exception, bool result) {
    is_removed = !exception && result;
  });
  io.run();
  return is_removed ? 0 : 1;
}

int stop_daemon(const Config& config, bool release) {
  const auto path = run_path(config, ".sock");
  const auto answer = control::ask_daemon(path, release ? "release" : "stop");
  const bool is_alone = answer.has_error() && answer.error() != boost::system::errc::timed_out;
  if (is_alone && !release) {
    if (const auto code = remove_orphan(config)) return *code;
  }
  if (!answer) {
    const bool is_timeout = answer.error() == boost::system::errc::timed_out;
    complain(is_timeout ? "the daemon did not stop within two minutes"
                        : "no daemon answers on " + path + ": " + answer.error().message());
    return is_timeout ? 1 : 2;
  }
  const auto problem = release ? release_problem(*answer) : std::string();
  if (!problem.empty()) complain("the tunnel is down, but its lease is still held by the broker: " + problem);
  return problem.empty() ? 0 : 1;
}

// The daemon proper: everything that is held while it runs.
int run_daemon(const Config& config, const Options& options,
               std::optional<platform::Background>& background) {
  std::string log_problem;
  const auto logger = log::make_logger("sixlink", config.log, log_problem);
  if (!log_problem.empty()) logger->warn("{}", log_problem);
  if (const auto error = config::make_private_directory(config.run_dir)) {
    logger->critical("{}", config::explain_directory_error("run_dir", config.run_dir, error));
    return kExitFailed;
  }
  long holder = 0;
  const auto pid_path = run_path(config, ".pid");
  auto pid_file = platform::PidFile::acquire(pid_path, holder);
  if (!pid_file) {
    if (holder > 0) {
      logger->critical(
          "sixlink runs already with this configuration (process {}, {}): sixlink stop -f {} ends it", holder,
          pid_path, config.path);
    } else {
      logger->critical("cannot lock {}: {}; run as root, or set run_dir in {}", pid_path,
                       pid_file.error().message(), config.path);
    }
    return kExitFailed;
  }
  if (!config.password.empty() || config.mesh.is_node()) platform::forbid_core_files();
  asio::io_context io(1);
  Supervisor::Settings settings;
  settings.give_up_at_first_failure = options.boot || !config.auto_retry_connect;
  settings.verbosity =
      std::max({config.log.console, config.log.stderr_level, config.log.file, config.log.syslog});
  settings.data_dir = config::data_dir();
  settings.on_first_up = [&] {
    if (!background) return;
    log::detach_terminal(*logger);
    background->report(kExitOk, true);
  };
  // One of the two.
  std::optional<Supervisor> supervisor;
  std::optional<MeshDaemon> node;
  if (config.mesh.is_node()) {
    node.emplace(io, config, *logger, MeshDaemon::Settings{settings.on_first_up});
  } else {
    supervisor.emplace(io, config, *logger, std::move(settings));
  }
  const auto stop = [&] {
    if (node) {
      node->stop();
    } else {
      supervisor->stop();
    }
  };
  bool was_told_to_end = false;
  bool was_told_to_release = false;
  control::ControlServer::Handlers handlers;
  handlers.answer = [&](std::string_view request) {
    if (node) return node->answer(request);
    return request == "status" ? std::optional(to_json(supervisor->status())) : std::nullopt;
  };
  handlers.answer_later = [&](std::string_view request, control::ControlServer::Handlers::Reply reply) {
    return node && node->answer_later(request, std::move(reply));
  };
  handlers.end = [&](std::string_view request) {
    if (request != "stop" && request != "release") return false;
    was_told_to_end = true;
    was_told_to_release = request == "release" && supervisor;
    if (was_told_to_release) {
      supervisor->release();
    } else {
      stop();
    }
    return true;
  };
  auto control = control::ControlServer::listen(io, run_path(config, ".sock"), std::move(handlers));
  if (!control)
    logger->error("cannot listen on {}: {}; sixlink status and sixlink stop will not work",
                  run_path(config, ".sock"), control.error().message());

  std::signal(SIGPIPE, SIG_IGN);
  asio::signal_set signals(io, SIGINT, SIGTERM, SIGHUP);
  // Being told to end is no failure. SIGHUP is, as in gogoc, when the tunnel is not up: its exit code is the
  // last state's.
  signals.async_wait([&](const boost::system::error_code& error, int signal) {
    if (error) return;
    logger->info("ending on signal {}", signal);
    was_told_to_end = signal != SIGHUP;
    stop();
  });
  int code = kExitFailed;
  asio::co_spawn(io, node ? node->run() : supervisor->run(),
                 [&](const std::exception_ptr& exception, int result) {
                   code = result;
                   try {
                     if (exception) std::rethrow_exception(exception);
                   } catch (const std::exception& e) {
                     logger->critical("internal error: {}", e.what());
                     code = kExitFailed;
                   }
                   // An abandoned DNS look-up must not hold the process.
                   io.stop();
                 });
  io.run();
  if (was_told_to_end) code = kExitOk;
  logger->info("ended");
  logger->flush();
  // In this order, so that a new instance may start as soon as `sixlink stop` returns.
  if (control && was_told_to_release) {
    const auto& result = supervisor->release_result();
    (*control)->set_end_answer(release_to_json(result.is_released, result.problem));
  }
  if (control) (*control)->close();
  { const auto released = *std::move(pid_file); }
  return code;
}

int run(const Config& config, const Options& options) {
  std::optional<platform::Background> background;
  if (!options.foreground) {
    auto forked = platform::Background::fork(kExitFailed);
    if (!forked) {
      complain("cannot go into the background: " + forked.error().message());
      return kExitFailed;
    }
    background.emplace(*std::move(forked));
  }
  const int code = run_daemon(config, options, background);
  // Only when the tunnel never was up: the shell waits for this.
  if (background) background->report(code == kExitOk ? kExitCannotConnect : code, false);
  return code;
}

}  // namespace

int run_app(const std::vector<std::string>& arguments) {
  if (!arguments.empty() && arguments.front() == kIgdHelperCommand)
    return run_igd_helper({arguments.begin() + 1, arguments.end()});
  const auto parsed = parse_options(arguments);
  if (!parsed.options) {
    complain(parsed.error);
    return kExitBadConfiguration;
  }
  const Options& options = *parsed.options;
  if (options.command == Command::kHelp) {
    std::fputs(usage_text().c_str(), stdout);
    return 0;
  }
  if (options.command == Command::kVersion) {
    std::printf("sixlink %s\n", std::string(config::version()).c_str());
    return 0;
  }
  const auto config = load(options);
  if (!config) return kExitBadConfiguration;
  switch (options.command) {
    case Command::kStatus:
      return show_status(*config, options.json);
    case Command::kStop:
      return stop_daemon(*config, options.release);
    case Command::kJoin:
      return run_join(*config, options);
    case Command::kPeers:
    case Command::kRoutes:
    case Command::kPath:
    case Command::kTopology:
      return show_mesh(run_path(*config, ".sock"), options);
    case Command::kDoctor:
      return run_doctor(*config, options);
    default:
      return run(*config, options);
  }
}

}  // namespace sixlink::client
