// SPDX-License-Identifier: BSD-3-Clause
// `sixlink join URL`. Everything that can fail here is done before the token is shown to the registry, and
// what the registry then sends is on the disk before anything else happens; the registry gives the same
// certificate again to the same key and token. So nothing is lost, whatever fails between.
#include "src/client/join.h"

#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <cstdio>
#include <iostream>
#include <utility>

#include "platform/platform.h"
#include "src/client/exit_code.h"
#include "src/client/join_config.h"
#include "src/client/mesh_identity.h"
#include "src/client/node_request.h"
#include "src/client/registry_api.h"
#include "src/config/directory.h"
#include "src/config/small_file.h"

namespace sixlink::client {
namespace {

constexpr int kNeeded = 0;
constexpr int kNotNeeded = 1;
constexpr std::size_t kLargestConfig = 1 << 20;

// What ends the command: its status, and what to tell. Thrown and caught in this file only.
struct Ended {
  int status = kExitFailed;
  std::string text;
};

int status_of(const ApiError& error) {
  switch (error.kind) {
    case ApiFailure::kUnreachable:
      return kExitCannotConnect;
    case ApiFailure::kNotTrusted:
      return kExitAuthentication;
    case ApiFailure::kLater:
      return kExitBusy;
    case ApiFailure::kRefused:
      return error.status == 401 || error.status == 403 || error.status == 409 ? kExitAuthentication
                                                                               : kExitTspError;
    case ApiFailure::kBadAnswer:
      return kExitTspError;
  }
  return kExitFailed;
}

class Join {
 public:
  Join(const Config& config, const Options& options)
      : config_(config), mesh_(config.mesh), options_(options), join_(options.join) {
    if (!join_.url.empty()) mesh_.registry = join_.url;
  }
  int run();

 private:
  RegistryApiSettings settings() const;
  template <typename T, typename Start>
  ApiResult<T> ask(RegistryApi& api, Start start);
  template <typename T>
  T must(ApiResult<T> result, const std::string& afterwards = {});

  void prepare_directory();
  void prepare_config();
  // Sets pin_, by which all further connections are judged, and joined_with_.
  void trust();
  void confirm(const std::string& fingerprint);
  int tell_whether_needed();
  // True: there is a certificate, and the registry knows it.
  bool is_joined();
  std::string ask_for_token(const std::string& why);
  void enrol();
  void keep(const Enrolled& enrolled);
  void write(const std::string& path, std::string_view text);
  void tell(const MeshIdentity& identity, bool is_new);

  const Config& config_;
  MeshConfig mesh_;
  const Options& options_;
  const JoinOptions& join_;
  boost::asio::io_context io_{1};
  std::string config_text_;
  // One of the two.
  bool has_authorities_ = false;  // in the file, and good for this registry
  std::string fingerprint_;
  std::vector<pki::Certificate> joined_with_;
  RegistryIntroduction introduction_;
  bool is_offline_ = false;  // the registry cannot be reached, but there is a certificate
  ApiError offline_error_;
};

template <typename T, typename Start>
ApiResult<T> Join::ask(RegistryApi&, Start start) {
  std::optional<ApiResult<T>> answer;
  start([&](ApiResult<T> result) { answer = std::move(result); });
  io_.restart();
  while (!answer && io_.run_one() > 0) {
  }
  if (answer) return *std::move(answer);
  ApiResult<T> none;
  none.error.text = "the request to the registry ended without an answer";
  return none;
}

template <typename T>
T Join::must(ApiResult<T> result, const std::string& afterwards) {
  if (result) return *std::move(result.value);
  throw Ended{status_of(result.error), result.error.text + afterwards};
}

RegistryApiSettings Join::settings() const {
  RegistryApiSettings settings;
  settings.url = mesh_.registry;
  if (has_authorities_) {
    settings.ca_path = mesh_.authority_path();
  } else {
    settings.fingerprint = fingerprint_;
  }
  return settings;
}

void Join::prepare_directory() {
  if (const auto error = config::make_private_directory(mesh_.directory, 0700))
    throw Ended{kExitFailed, config::explain_directory_error("state_dir", mesh_.directory, error)};
}

void Join::prepare_config() {
  std::string text;
  if (auto before = config::read_file(config_.path, kLargestConfig)) {
    text = *std::move(before);
  } else if (before.error() != boost::system::errc::no_such_file_or_directory) {
    throw Ended{kExitBadConfiguration, "cannot read " + config_.path + ": " + before.error().message()};
  } else {
    text = "# sixlink.conf: a node of a mesh. sixlink.conf(5) explains each key.\n";
  }
  ConfigSettings settings{{"registry", mesh_.registry}};
  if (!options_.lan_interfaces.empty()) {
    std::string names;
    for (const auto& name : mesh_.lan_interfaces) names += (names.empty() ? "" : " ") + name;
    settings.emplace_back("lan_interface", names);
  }
  auto updated = update_config(text, settings);
  if (!updated.text) throw Ended{kExitBadConfiguration, config_.path + ": " + updated.problem};
  config_text_ = *std::move(updated.text);
}

void Join::confirm(const std::string& fingerprint) {
  const auto told = fmt::format("the registry {} is not known yet; its authority has the fingerprint\n  {}\n",
                                mesh_.registry, fingerprint);
  if (options_.assume_yes) {
    std::fputs(("sixlink: " + told).c_str(), stderr);
    return;
  }
  if (::isatty(STDIN_FILENO) != 1)
    throw Ended{kExitAuthentication,
                told + "If that is what the registry's administrator says, run again with --fingerprint " +
                    fingerprint + ", or with -y"};
  std::fputs(
      ("sixlink: " + told + "Compare it with what the registry's administrator says. Believe it? [y/N] ")
          .c_str(),
      stderr);
  std::string line;
  std::getline(std::cin, line);
  if (line != "y" && line != "Y" && line != "yes")
    throw Ended{kExitAuthentication, "the registry was not believed; nothing was sent to it or written"};
}

void Join::trust() {
  auto known = load_authorities(mesh_.authority_path());
  if (known.authorities.empty() && !known.is_missing)
    throw Ended{kExitFailed, known.problem + "; move it away, and join again"};
  const bool has_certificate = ::access(mesh_.certificate_path().c_str(), F_OK) == 0;
  const auto has = [&](const std::string& fingerprint) {
    return std::ranges::any_of(known.authorities,
                               [&](const auto& one) { return one.fingerprint() == fingerprint; });
  };
  if (!known.authorities.empty() &&
      (join_.fingerprint.empty() || has(join_.fingerprint) || has_certificate)) {
    if (!join_.fingerprint.empty() && !has(join_.fingerprint))
      throw Ended{
          kExitAuthentication,
          fmt::format("this machine has joined the mesh of another authority, {} ({}): to leave that one "
                      "for good, stop sixlink and move {} away. Nothing was sent",
                      known.authorities.front().fingerprint(), mesh_.authority_path(), mesh_.directory)};
    has_authorities_ = true;
    joined_with_ = std::move(known.authorities);
    RegistryApi api(io_, settings());
    auto result = ask<RegistryIntroduction>(api, [&](auto handler) { api.ca(std::move(handler)); });
    is_offline_ = !result && result.error.kind == ApiFailure::kUnreachable && has_certificate;
    if (is_offline_) {
      offline_error_ = result.error;
      return;
    }
    const bool is_foreign = !result && result.error.kind == ApiFailure::kNotTrusted;
    introduction_ = must(std::move(result),
                         is_foreign ? fmt::format(". It was judged by {}; to join another mesh instead, stop "
                                                  "sixlink and move {} away",
                                                  mesh_.authority_path(), mesh_.directory)
                                    : "");
    return;
  }
  fingerprint_ = join_.fingerprint;
  if (fingerprint_.empty()) {
    RegistryApi anybody(io_, settings());
    const auto told =
        must(ask<RegistryIntroduction>(anybody, [&](auto handler) { anybody.ca(std::move(handler)); }));
    const auto& first = told.authorities.front().fingerprint();
    if (!join_.is_needed) confirm(first);
    fingerprint_ = first;
  }
  // Now for certain: the server must show that very authority in the handshake.
  RegistryApi api(io_, settings());
  introduction_ = must(ask<RegistryIntroduction>(api, [&](auto handler) { api.ca(std::move(handler)); }));
  for (const auto& one : introduction_.authorities) {
    if (one.fingerprint() == fingerprint_) joined_with_ = {one};
  }
}

int Join::tell_whether_needed() {
  const auto network = joined_with_.front().prefix();
  const auto loaded = load_mesh_identity(mesh_);
  if (loaded.identity && loaded.identity->certificate.not_after() > std::chrono::system_clock::now() &&
      loaded.identity->joined_with.front().prefix() == network) {
    std::printf("not needed: this machine is the node %s of %s\n",
                loaded.identity->certificate.prefix().to_string().c_str(), network.to_string().c_str());
    return kNotNeeded;
  }
  auto bytes = network.address.to_bytes();
  bytes[15] |= 1;
  const auto source = platform::source_towards(net::AddressV6(bytes));
  if (source && source->is_v6() && network.contains(source->to_v6())) {
    std::printf("not needed: this machine has the address %s of %s\n", source->to_string().c_str(),
                network.to_string().c_str());
    return kNotNeeded;
  }
  std::printf("needed: this machine is not in %s\n", network.to_string().c_str());
  return kNeeded;
}

bool Join::is_joined() {
  auto loaded = load_mesh_identity(mesh_);
  if (!loaded.identity) {
    if (::access(mesh_.certificate_path().c_str(), F_OK) != 0) return false;
    // What is there is of no use, and a new one may be had for the same key.
    std::fprintf(stderr, "sixlink: %s\n", loaded.problem.c_str());
    return false;
  }
  if (loaded.identity->certificate.not_after() <= std::chrono::system_clock::now()) return false;
  if (is_offline_) {
    std::fprintf(stderr, "sixlink: the registry was not asked whether the certificate is still good: %s\n",
                 offline_error_.text.c_str());
    tell(*loaded.identity, false);
    return true;
  }
  auto with_certificate = settings();
  with_certificate.certificate_path = mesh_.certificate_path();
  with_certificate.key_path = mesh_.key_path();
  RegistryApi api(io_, with_certificate);
  const auto result = ask<FetchedParameters>(
      api, [&](auto handler) { api.parameters(0, std::chrono::seconds(0), std::move(handler)); });
  if (!result && result.error.kind == ApiFailure::kRefused) {
    std::fprintf(stderr, "sixlink: the certificate that this machine has is not good any more: %s\n",
                 result.error.text.c_str());
    return false;
  }
  tell(*loaded.identity, false);
  if (!join_.token.empty()) std::printf("token          not used\n");
  return true;
}

std::string Join::ask_for_token(const std::string& why) {
  if (::isatty(STDIN_FILENO) == 1) std::fputs((why + "token: ").c_str(), stderr);
  std::string line;
  std::getline(std::cin, line);
  while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.pop_back();
  if (line.empty()) throw Ended{kExitFailed, "no token was given; run the command again when you have it"};
  return line;
}

void Join::enrol() {
  auto key = pki::load_or_make_private_key(mesh_.key_path());
  if (!key.key) throw Ended{kExitFailed, key.problem};
  const auto wireguard = pki::load_or_make_wireguard_key(mesh_.wireguard_key_path());
  if (!wireguard.pair) throw Ended{kExitFailed, wireguard.problem};
  if (is_offline_) throw Ended{status_of(offline_error_), offline_error_.text};
  std::string problem;
  // A certificate must have one (RFC 5280 section 4.1.2.6). The machine's name is not everybody's business.
  const auto subject = join_.subject.empty() ? pki::Subject{{"CN", "node"}} : join_.subject;
  const auto request = pki::CertificateRequest::make(*key.key, subject, problem);
  if (!request) throw Ended{kExitBadConfiguration, "--req " + problem};
  // Where it cannot be written the token had better not be used up.
  write(mesh_.authority_path(), to_pem(joined_with_));
  if (const auto trouble = write_config(config_.path, config_text_); !trouble.empty())
    throw Ended{kExitFailed, trouble};

  RegistryApi api(io_, settings());
  Enrolment enrolment;
  enrolment.request_pem = request->to_pem();
  enrolment.is_anonymous = join_.anonymous;
  auto token = join_.token;
  if (!join_.email.empty()) {
    if (!introduction_.sends_email)
      throw Ended{kExitAuthentication,
                  "this registry sends no tokens by e-mail: ask its administrator for one"};
    must(ask<ApiNothing>(api, [&](auto handler) { api.send_token(join_.email, std::move(handler)); }));
    token = ask_for_token("a token was sent to " + join_.email + "; enter it here.\n");
  } else if (token == "-") {
    token = ask_for_token({});
  } else if (token.empty() && !enrolment.is_anonymous) {
    throw Ended{kExitAuthentication,
                std::string("give a token of the registry's administrator with --token") +
                    (introduction_.sends_email ? ", or have one sent with --email ADDRESS" : "") +
                    (introduction_.allows_anonymous ? ", or join with --anonymous" : "")};
  }
  enrolment.token = pki::Secret(token);
  pki::wipe(token);
  auto result =
      ask<Enrolled>(api, [&](auto handler) { api.enrol(std::move(enrolment), std::move(handler)); });
  const bool is_lost = !result && result.error.kind != ApiFailure::kRefused;
  keep(must(std::move(result),
            is_lost ? ". Nothing is lost, the key and the token are good as before: run the same "
                      "command again"
                    : ""));
}

void Join::write(const std::string& path, std::string_view text) {
  if (const auto error = config::write_small_file(path, text, config::Existing::kReplace))
    throw Ended{kExitFailed, "cannot write " + path + ": " + error.message() +
                                 "; nothing is lost: make room there and run the same command again"};
}

void Join::keep(const Enrolled& enrolled) {
  const auto now = std::chrono::system_clock::now();
  const auto bad = [&](const std::string& what) {
    throw Ended{kExitTspError, "the registry sent " + what + ": tell its administrator"};
  };
  auto authorities = joined_with_;
  if (!enrolled.parameters.empty()) {
    const auto opened = mesh::open_parameters(enrolled.parameters, pki::TrustAnchor(joined_with_), now);
    if (!opened.parameters) return bad("parameters that are not good: " + opened.problem);
    authorities = mesh::anchor_of(joined_with_, *opened.parameters, now).authorities();
  }
  const auto key = pki::load_private_key(mesh_.key_path());
  if (!key.key) throw Ended{kExitFailed, key.problem};
  const pki::TrustAnchor anchor(authorities);
  if (!enrolled.certificate.has_key_of(*key.key)) return bad("a certificate for another key");
  const auto verdict = anchor.verify(enrolled.certificate, now);
  if (verdict != pki::Distrust::kNone && verdict != pki::Distrust::kNotYetValid)
    return bad(std::string("a certificate that ") + pki::explain(verdict));
  write(mesh_.authority_path(), to_pem(authorities));
  write(mesh_.certificate_path(), enrolled.certificate.to_pem());
  if (!enrolled.parameters.empty())
    write(mesh_.parameters_path(),
          {reinterpret_cast<const char*>(enrolled.parameters.data()), enrolled.parameters.size()});
  if (const auto problem = store_prefix_v4(mesh_, enrolled.prefix_v4); !problem.empty())
    throw Ended{kExitFailed, problem};
}

void Join::tell(const MeshIdentity& identity, bool is_new) {
  const auto& certificate = identity.certificate;
  const auto line = [](const char* label, const std::string& value) {
    std::printf("%-15s%s\n", label, value.c_str());
  };
  line(is_new ? "joined" : "joined before",
       identity.joined_with.front().prefix().to_string() + " (" + mesh_.registry + ")");
  line("subnet", certificate.prefix().to_string());
  auto bytes = certificate.prefix().address.to_bytes();
  bytes[15] |= 1;
  line("address", net::AddressV6(bytes).to_string());
  if (identity.prefix_v4) line("IPv4", identity.prefix_v4->to_string());
  line("certificate", fmt::format("{}, until {}, renews by itself on {}", certificate.serial(),
                                  utc_date(certificate.not_after()), utc_date(renewal_time(certificate))));
  line("configuration", config_.path);
  const auto is_default = options_.config_file.empty();
  if (is_new) line("now run", "sixlink" + (is_default ? "" : " -f " + config_.path));
}

int Join::run() {
  if (mesh_.registry.empty())
    throw Ended{kExitBadConfiguration,
                "no registry is named: sixlink join https://HOST, as its administrator told you"};
  if (join_.is_needed) {
    trust();
    return tell_whether_needed();
  }
  prepare_directory();
  long holder = 0;
  const auto lock = platform::PidFile::acquire(mesh_.directory + "/join.pid", holder);
  if (!lock)
    throw Ended{kExitFailed,
                fmt::format("another sixlink join works in {} (process {})", mesh_.directory, holder)};
  if (join_.ca_only) {
    trust();
    write(mesh_.authority_path(), to_pem(joined_with_));
    for (const auto& one : joined_with_)
      std::printf("%-15s%s\n%-15s%s\n%-15s%s\n", "network", one.prefix().to_string().c_str(), "authority",
                  one.fingerprint().c_str(), "valid until", utc_date(one.not_after()).c_str());
    std::printf("%-15s%s\n", "written to", mesh_.authority_path().c_str());
    return kExitOk;
  }
  prepare_config();
  trust();
  if (is_joined()) {
    if (const auto problem = write_config(config_.path, config_text_); !problem.empty())
      throw Ended{kExitFailed, problem};
    return kExitOk;
  }
  enrol();
  const auto loaded = load_mesh_identity(mesh_);
  if (!loaded.identity) throw Ended{kExitFailed, loaded.problem};
  tell(*loaded.identity, true);
  return kExitOk;
}

}  // namespace

int run_join(const Config& config, const Options& options) {
  try {
    return Join(config, options).run();
  } catch (const Ended& ended) {
    std::fflush(stdout);
    std::fprintf(stderr, "sixlink: %s\n", ended.text.c_str());
    return ended.status;
  }
}

}  // namespace sixlink::client
