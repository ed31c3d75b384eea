// SPDX-License-Identifier: BSD-3-Clause
// `sixlink doctor`: runs the checks, and prints what they found.
#include "src/client/doctor.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/json.hpp>
#include <cstdio>

#include "platform/platform.h"
#include "src/client/doctor_checks.h"
#include "src/client/mesh_cache.h"
#include "src/control/control_socket.h"

namespace sixlink::client {
namespace {

using Result = Finding::Result;

// Enough to find one that answers.
constexpr unsigned kContacts = 8;

template <typename T, typename Start>
ApiResult<T> ask(boost::asio::io_context& io, Start start) {
  std::optional<ApiResult<T>> answer;
  start([&](ApiResult<T> result) { answer = std::move(result); });
  io.restart();
  while (!answer && io.run_one() > 0) {
  }
  if (answer) return *std::move(answer);
  ApiResult<T> none;
  none.error.text = "the request ended without an answer";
  return none;
}

// Each finding is printed when it is there: some take seconds.
class Report {
 public:
  explicit Report(bool is_json) : is_json_(is_json) {}
  void add(Finding finding) {
    if (!is_json_) {
      std::fputs(render_findings({finding}).c_str(), stdout);
      std::fflush(stdout);
    }
    findings_.push_back(std::move(finding));
  }
  void add(std::vector<Finding> findings) {
    for (auto& finding : findings) add(std::move(finding));
  }
  int end() const {
    if (is_json_) {
      std::printf("%s\n", findings_to_json(findings_).c_str());
    } else {
      const auto count = [&](Result result) {
        return std::ranges::count(findings_, result, &Finding::result);
      };
      std::printf("%td failed, %td warnings\n", count(Result::kFailed), count(Result::kWarning));
    }
    return exit_status_of(findings_);
  }

 private:
  bool is_json_;
  std::vector<Finding> findings_;
};

std::vector<SignedBytes> contacts_of(const MeshConfig& mesh, boost::asio::io_context& io, RegistryApi& api) {
  auto contacts = load_mesh_cache(mesh.contacts_path()).contacts;
  if (contacts.size() > kContacts) contacts.resize(kContacts);
  const auto fresh =
      ask<std::vector<SignedBytes>>(io, [&](auto handler) { api.contacts(kContacts, std::move(handler)); });
  if (fresh) contacts.insert(contacts.end(), fresh.value->begin(), fresh.value->end());
  return contacts;
}

void check_network(const MeshConfig& mesh, const MeshIdentity& identity, const std::string& status,
                   Report& report) {
  boost::asio::io_context io(1);
  RegistryApiSettings settings;
  settings.url = mesh.registry;
  settings.ca_path = mesh.authority_path();
  settings.certificate_path = mesh.certificate_path();
  settings.key_path = mesh.key_path();
  settings.connect_limit = settings.answer_limit = std::chrono::seconds(6);
  RegistryApi api(io, settings);
  report.add(check_dns(mesh.registry));
  const auto address = ask<SeenAddress>(io, [&](auto handler) { api.address(std::move(handler)); });
  std::optional<ApiResult<FetchedParameters>> known;
  if (address)
    known = ask<FetchedParameters>(
        io, [&](auto handler) { api.parameters(0, std::chrono::seconds(0), std::move(handler)); });
  report.add(check_registry(address, known));
  report.add(check_clock(address, std::chrono::system_clock::now()));
  auto endpoints =
      known_endpoints(address ? contacts_of(mesh, io, api) : load_mesh_cache(mesh.contacts_path()).contacts,
                      identity, std::chrono::system_clock::now());
  endpoints.registry = registry_endpoints(mesh.registry);
  // A node that runs has asked its peers already.
  const auto nat = nat_of(status);
  const bool is_asked = nat == mesh::NatKind::kUnknown || endpoints.udp.empty();
  const auto survey = is_asked ? ask_where_seen(endpoints, identity.certificate.prefix()) : NatSurvey();
  report.add(check_udp(endpoints, survey, mesh.protocols.has(mesh::Transport::kTcp)));
  report.add(check_tcp(endpoints));
  report.add(check_nat(address, nat, survey));
  auto source = std::optional<boost::asio::ip::address>();
  if (!endpoints.udp.empty()) source = platform::source_towards(endpoints.udp.front().address);
  if (!source && address) source = platform::source_towards(address.value->address);
  report.add(check_mtu(source, mesh.mtu));
}

}  // namespace

const char* to_string(Result result) {
  switch (result) {
    case Result::kOk:
      return "ok";
    case Result::kWarning:
      return "warning";
    case Result::kFailed:
      return "FAILED";
    case Result::kSkipped:
      return "skipped";
  }
  return "";
}

std::string render_findings(const std::vector<Finding>& findings) {
  std::string text;
  for (const auto& finding : findings) {
    text += fmt::format("{:<9}{:<13}{}\n", to_string(finding.result), finding.check, finding.text);
    if (!finding.advice.empty()) text += fmt::format("{:<22}{}\n", "", finding.advice);
  }
  return text;
}

std::string findings_to_json(const std::vector<Finding>& findings) {
  boost::json::array checks;
  for (const auto& finding : findings) {
    const bool is_failed = finding.result == Result::kFailed;
    boost::json::object check{{"check", finding.check},
                              {"result", is_failed ? "failed" : to_string(finding.result)},
                              {"text", finding.text},
                              {"advice", nullptr}};
    if (!finding.advice.empty()) check["advice"] = finding.advice;
    checks.push_back(std::move(check));
  }
  return boost::json::serialize(
      boost::json::object{{"ok", exit_status_of(findings) == 0}, {"checks", std::move(checks)}});
}

int exit_status_of(const std::vector<Finding>& findings) {
  return std::ranges::any_of(findings, [](const auto& one) { return one.result == Result::kFailed; }) ? 1 : 0;
}

int run_doctor(const Config& config, const Options& options) {
  Report report(options.json);
  const auto& mesh = config.mesh;
  std::string status;
  std::string problem;
  const auto path = config.run_dir + "/" + config.instance_name() + ".sock";
  if (auto answer = control::ask_daemon(path, "status")) {
    status = *std::move(answer);
  } else {
    problem = answer.error().message();
  }
  if (!mesh.is_node()) {
    report.add(Finding{Result::kFailed, "joined",
                       config.path + " names no registry: this machine is no node of a mesh",
                       "run: sixlink join URL, as the registry's administrator told you"});
  }
  const auto identity = load_mesh_identity(mesh);
  if (mesh.is_node() && !identity.identity) {
    report.add(Finding{Result::kFailed, "joined", identity.problem, {}});
  } else if (identity.identity) {
    report.add(
        Finding{Result::kOk,
                "joined",
                fmt::format("this node is {} of {}", identity.identity->certificate.prefix().to_string(),
                            identity.identity->joined_with.front().prefix().to_string()),
                {}});
    report.add(check_certificate(*identity.identity, std::chrono::system_clock::now()));
  }
  report.add(check_kernel(mesh.main_interface));
  report.add(check_babeld(mesh.babeld));
  if (identity.identity && mesh.is_node()) check_network(mesh, *identity.identity, status, report);
  report.add(check_node(status, problem));
  return report.end();
}

}  // namespace sixlink::client
