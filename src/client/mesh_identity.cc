// SPDX-License-Identifier: BSD-3-Clause
// The files of a node's identity.
#include "src/client/mesh_identity.h"

#include <spdlog/fmt/chrono.h>
#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "src/config/small_file.h"
#include "src/pki/cms.h"

namespace sixlink::client {
namespace {

using boost::system::errc::no_such_file_or_directory;

// PEM has a third more than DER, and text may stand between certificates.
constexpr std::size_t kLargestPem = 2 * pki::Certificate::kLargest;
constexpr std::size_t kLongestPrefix = 64;
constexpr std::size_t kLargestAuthorities = kMostAuthorities * kLargestPem;

std::string join_again(const MeshConfig& config) {
  return "run: sixlink join " + (config.registry.empty() ? "URL" : config.registry);
}

std::string cannot_read(std::string_view what, const std::string& path,
                        const boost::system::error_code& error, const MeshConfig& config) {
  if (error == no_such_file_or_directory)
    return fmt::format("this machine has not joined the mesh yet: there is no {} ({}); {}", what, path,
                       join_again(config));
  return fmt::format("cannot read {} {}: {}", what, path, error.message());
}

}  // namespace

LoadedAuthorities read_authorities(std::string_view pem, const std::string& origin) {
  LoadedAuthorities loaded;
  loaded.authorities = pki::Certificate::parse_all_pem(pem, kMostAuthorities);
  if (loaded.authorities.empty()) {
    loaded.problem = fmt::format("{} holds no certificates of a mesh's authorities", origin);
  } else if (!std::ranges::all_of(loaded.authorities,
                                  [](const auto& certificate) { return certificate.is_authority(); })) {
    loaded.authorities.clear();
    loaded.problem = fmt::format("{} holds a certificate that is no authority's", origin);
  } else if (!std::ranges::all_of(loaded.authorities, [&](const auto& certificate) {
               return certificate.prefix() == loaded.authorities.front().prefix();
             })) {
    loaded.authorities.clear();
    loaded.problem = fmt::format("{} holds authorities of more than one network", origin);
  }
  return loaded;
}

LoadedAuthorities load_authorities(const std::string& path) {
  const auto text = config::read_small_file(path, kLargestAuthorities);
  if (text) return read_authorities(*text, path);
  LoadedAuthorities loaded;
  loaded.is_missing = text.error() == no_such_file_or_directory;
  loaded.problem = fmt::format("cannot read {}: {}", path, text.error().message());
  return loaded;
}

std::string to_pem(const std::vector<pki::Certificate>& certificates) {
  std::string pem;
  for (const auto& certificate : certificates) pem += certificate.to_pem();
  return pem;
}

std::string store_prefix_v4(const MeshConfig& config, const std::optional<net::PrefixV4>& prefix) {
  const auto path = config.prefix_v4_path();
  if (!prefix) {
    ::unlink(path.c_str());
    return {};
  }
  const auto error = config::write_small_file(path, prefix->to_string() + "\n", config::Existing::kReplace);
  return error ? fmt::format("cannot write {}: {}", path, error.message()) : std::string();
}

std::string certificate_problem(const pki::Certificate& certificate, const pki::PrivateKey& key,
                                const pki::TrustAnchor& anchor) {
  if (!certificate.has_key_of(key)) return "is another key's";
  const auto verdict = anchor.verify(certificate, certificate.not_before());
  // The authority's own time may have begun later or ended since; whether that matters is a question of now.
  if (verdict == pki::Distrust::kNone || verdict == pki::Distrust::kNotYetValid ||
      verdict == pki::Distrust::kExpired)
    return {};
  return pki::explain(verdict);
}

LoadedMeshIdentity load_mesh_identity(const MeshConfig& config) {
  LoadedMeshIdentity loaded;
  const auto refuse = [&](std::string problem) {
    loaded.problem = std::move(problem);
    return std::move(loaded);
  };
  const auto authority_text = config::read_small_file(config.authority_path(), kLargestAuthorities);
  if (!authority_text)
    return refuse(
        cannot_read("authority's certificate", config.authority_path(), authority_text.error(), config));
  auto authorities = read_authorities(*authority_text, config.authority_path());
  if (authorities.authorities.empty())
    return refuse(authorities.problem + "; move it away and " + join_again(config));
  const auto pem = config::read_small_file(config.certificate_path(), kLargestPem);
  if (!pem)
    return refuse(cannot_read("certificate of its own", config.certificate_path(), pem.error(), config));
  auto certificate = pki::Certificate::parse_pem(*pem);
  if (!certificate)
    return refuse(fmt::format("{} holds no certificate of a node; move it away and {}",
                              config.certificate_path(), join_again(config)));
  auto key = pki::load_private_key(config.key_path());
  if (!key.key) return refuse(key.problem);
  const pki::TrustAnchor anchor(authorities.authorities);
  if (const auto problem = certificate_problem(*certificate, *key.key, anchor); !problem.empty())
    return refuse(fmt::format("the certificate {} {}: {} and {} do not belong together; {}",
                              config.certificate_path(), problem, config.key_path(), config.authority_path(),
                              join_again(config)));
  auto wireguard = pki::load_or_make_wireguard_key(config.wireguard_key_path());
  if (!wireguard.pair) return refuse(wireguard.problem);
  std::optional<net::PrefixV4> prefix_v4;
  if (auto line = config::read_small_file(config.prefix_v4_path(), kLongestPrefix)) {
    prefix_v4 = net::PrefixV4::parse(line->substr(0, line->find('\n')));
  }
  const auto parameters = config::read_small_file(config.parameters_path(), pki::kLargestSigned);
  std::vector<std::uint8_t> document;
  // Without them the defaults do until somebody sends the newest.
  if (parameters) document.assign(parameters->begin(), parameters->end());
  loaded.identity.emplace(MeshIdentity{std::move(authorities.authorities), anchor, *std::move(certificate),
                                       *std::move(key.key), *std::move(wireguard.pair), std::move(document),
                                       prefix_v4});
  return loaded;
}

WallTime renewal_time(const pki::Certificate& certificate) {
  const auto life = certificate.not_after() - certificate.not_before();
  return certificate.not_after() - std::min<WallTime::duration>(kRenewalAhead, life / 3);
}

std::string certificate_warning(const pki::Certificate& certificate, WallTime now) {
  if (now < certificate.not_before())
    return fmt::format(
        "this node's certificate is not valid before {}, and this machine's clock says {}: set the clock",
        utc_time(certificate.not_before()), utc_time(now));
  if (now > certificate.not_after())
    return fmt::format(
        "this node's certificate expired on {}: other nodes refuse it until it is renewed (see the registry "
        "below); if the clock is right and the registry answers, run sixlink join again",
        utc_time(certificate.not_after()));
  // A renewal takes seconds: a day late is more than a registry that was restarted.
  if (now > renewal_time(certificate) + std::chrono::hours(24))
    return fmt::format("this node's certificate expires on {} and could not be renewed since {}",
                       utc_time(certificate.not_after()), utc_date(renewal_time(certificate)));
  return {};
}

std::string utc_date(WallTime time) {
  return fmt::format("{:%Y-%m-%d}", fmt::gmtime(std::chrono::system_clock::to_time_t(time)));
}

std::string utc_time(WallTime time) {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::chrono::system_clock::to_time_t(time)));
}

}  // namespace sixlink::client
