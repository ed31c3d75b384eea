// SPDX-License-Identifier: BSD-3-Clause
// One tunnel's template from creation to teardown.
#include "src/tunnel/template_runner.h"

#include <unistd.h>

#include "src/tsp/status.h"
#include "src/tunnel/leftover.h"

namespace sixlink::tunnel {
namespace {

constexpr std::chrono::seconds kCreateLimit{60};
constexpr std::chrono::seconds kTeardownLimit{20};

}  // namespace

TemplateContext TemplateRunner::context() const {
  return {settings_.home_dir, settings_.run_path + ".record", settings_.verbosity};
}

boost::asio::awaitable<void> TemplateRunner::remove_leftovers() {
  const auto leftover = load_leftover(leftover_path());
  if (!leftover) {
    log_.warn(
        "cannot read {}, which an earlier run left: {}; check by hand for routes and addresses that it "
        "created, then remove it",
        leftover_path(), leftover.error().message());
    co_return;
  }
  if (!*leftover) co_return;
  log_.info("an earlier run ended without cleaning up; removing what it left first");
  const auto result =
      co_await run_script((*leftover)->template_path, (*leftover)->environment, kTeardownLimit);
  if (!result.has_succeeded) {
    log_.error("cannot remove what an earlier run left: {}; it is tried again at the next start",
               result.problem);
    co_return;
  }
  ::unlink(leftover_path().c_str());
}

boost::asio::awaitable<std::string> TemplateRunner::create(TunnelParameters parameters,
                                                           std::function<bool()> is_hurried) {
  parameters_ = std::move(parameters);
  std::string searched;
  path_ = find_template(settings_.template_name, settings_.home_dir, settings_.data_dir, searched);
  if (path_.empty()) co_return "no template \"" + settings_.template_name + "\": looked for " + searched;
  const Leftover leftover{path_, template_environment(parameters_, context(), Operation::kTeardown)};
  if (const auto error = save_leftover(leftover_path(), leftover)) {
    co_return "cannot write " + leftover_path() +
        ", which is needed to clean up after a crash: " + error.message();
  }
  needs_teardown_ = true;
  const auto result =
      co_await run_script(path_, template_environment(parameters_, context(), Operation::kCreate),
                          kCreateLimit, std::move(is_hurried));
  create_duration_ = result.duration;
  log_.debug("template: {}", tsp::printable(result.output, 4000));
  co_return result.problem;
}

boost::asio::awaitable<bool> TemplateRunner::tear_down() {
  if (!needs_teardown_) co_return true;
  const auto result = co_await run_script(
      path_, template_environment(parameters_, context(), Operation::kTeardown), kTeardownLimit);
  if (!result.has_succeeded) {
    log_.error("taking the tunnel down failed: {}", result.problem);
    co_return false;
  }
  ::unlink(leftover_path().c_str());
  needs_teardown_ = false;
  co_return true;
}

}  // namespace sixlink::tunnel
