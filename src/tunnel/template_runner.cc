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
// Of a template that was asked for an interface of the system's own.
constexpr int kNoSuchInterface = 3;

}  // namespace

TemplateContext TemplateRunner::context() const {
  return {settings_.home_dir, path(".record"), settings_.run_dir, settings_.verbosity};
}

bool TemplateRunner::has_leftovers() const {
  return ::access(leftover_path().c_str(), F_OK) == 0;
}

boost::asio::awaitable<bool> TemplateRunner::remove_leftovers() {
  const auto leftover = load_leftover(leftover_path());
  if (!leftover) {
    log_.warn(
        "cannot read {}, which an earlier run left: {}; check by hand for routes and addresses that it "
        "created, then remove it",
        leftover_path(), leftover.error().message());
    co_return false;
  }
  if (!*leftover) co_return true;
  log_.info("an earlier run ended without cleaning up; removing what it left first");
  const auto result =
      co_await run_script((*leftover)->template_path, (*leftover)->environment, kTeardownLimit);
  if (!result.has_succeeded) {
    log_.error("cannot remove what an earlier run left: {}; it is tried again at the next start",
               result.problem);
    co_return false;
  }
  ::unlink(leftover_path().c_str());
  co_return true;
}

boost::asio::awaitable<TemplateRunner::Created> TemplateRunner::create(TunnelParameters parameters,
                                                                       std::function<bool()> is_hurried) {
  parameters_ = std::move(parameters);
  std::string searched;
  template_path_ = find_template(settings_.template_name, settings_.home_dir, settings_.data_dir, searched);
  if (template_path_.empty())
    co_return Created{"no template \"" + settings_.template_name + "\": looked for " + searched, false};
  const Leftover leftover{template_path_, template_environment(parameters_, context(), Operation::kTeardown)};
  if (const auto error = save_leftover(leftover_path(), leftover)) {
    co_return Created{
        "cannot write " + leftover_path() + ", which is needed to clean up after a crash: " + error.message(),
        false};
  }
  needs_teardown_ = true;
  const auto result =
      co_await run_script(template_path_, template_environment(parameters_, context(), Operation::kCreate),
                          kCreateLimit, std::move(is_hurried));
  create_duration_ = result.duration;
  log_.debug("template: {}", tsp::printable(result.output, 4000));
  co_return Created{result.problem,
                    parameters_.kind == InterfaceKind::kKernel && result.exit_status == kNoSuchInterface};
}

boost::asio::awaitable<void> TemplateRunner::refresh() {
  if (!needs_teardown_) co_return;
  auto environment = template_environment(parameters_, context(), Operation::kCreate);
  environment.emplace_back("SIXLINK_REFRESH=yes");
  const auto result = co_await run_script(template_path_, std::move(environment), kTeardownLimit);
  if (!result.has_succeeded) log_.warn("the way to the broker could not be looked after: {}", result.problem);
}

boost::asio::awaitable<bool> TemplateRunner::tear_down() {
  if (!needs_teardown_) co_return true;
  const auto result = co_await run_script(
      template_path_, template_environment(parameters_, context(), Operation::kTeardown), kTeardownLimit);
  if (!result.has_succeeded) {
    log_.error("taking the tunnel down failed: {}", result.problem);
    co_return false;
  }
  ::unlink(leftover_path().c_str());
  needs_teardown_ = false;
  co_return true;
}

}  // namespace sixlink::tunnel
