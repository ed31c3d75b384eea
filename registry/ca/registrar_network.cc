// SPDX-License-Identifier: BSD-3-Clause
// The registrar's care for the network as a whole: its tables, its parameters and authorities, revocation.
#include <algorithm>

#include "registry/ca/key_hash.h"
#include "registry/ca/registrar.h"
#include "registry/ca/registrar_parts.h"
#include "src/tsp/digest_md5.h"

namespace sixlink::registry {
namespace {

std::string base64(const std::vector<std::uint8_t>& bytes) {
  return tsp::base64_encode({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

std::optional<std::vector<std::uint8_t>> from_base64(std::string_view text) {
  const auto bytes = tsp::base64_decode(text);
  if (!bytes || bytes->empty()) return std::nullopt;
  return std::vector<std::uint8_t>(bytes->begin(), bytes->end());
}

bool is_hexadecimal(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

// The CN of a subject in one line (RFC 2253: "O=Example,CN=router 7"); empty: there is none.
std::string_view common_name(std::string_view subject) {
  while (!subject.empty()) {
    std::size_t end = 0;
    while (end < subject.size() && subject[end] != ',') end += subject[end] == '\\' ? 2 : 1;
    const auto field = subject.substr(0, end);
    if (field.starts_with("CN=")) return field.substr(3);
    subject.remove_prefix(std::min(subject.size(), end + 1));
  }
  return {};
}

}  // namespace

std::string Registrar::open(WallTime now) {
  if (auto problem = upgrade_schema(database_); !problem.empty()) return problem;
  if (auto problem = create_network(); !problem.empty()) return problem;
  if (auto problem = create_authority(now); !problem.empty()) return problem;
  if (auto problem = authorities_.load(database_); !problem.empty()) return problem;
  for (const auto& one : authorities_.all()) {
    if (one.certificate.prefix() != settings_.network)
      return "the network's authority is for " + one.certificate.prefix().to_string() + ", and network= is " +
             settings_.network.to_string() +
             ": put the old prefix back; another network needs another state_dir";
  }
  if (!authorities_.root(now) || !authorities_.issuer(now))
    return "the network's authority has expired, or its key is not on this machine: "
           "\"sixlink-registry ca list\" shows them; is the clock right?";
  std::string problem;
  refresh(problem);
  if (!problem.empty()) return problem;
  return maintain(now);
}

std::string Registrar::create_network() {
  const auto cannot = [&] { return "cannot read the mesh's tables: " + database_.problem(); };
  const auto v4 = settings_.network_v4 ? std::optional(settings_.network_v4->network) : std::nullopt;
  if (!database_.begin()) return cannot();
  const auto rows = database_.run("SELECT network, network_v4 FROM mesh_network WHERE id = 1");
  if (rows.empty()) {
    database_.run(
        "INSERT INTO mesh_network (id, network, network_v4, revision, version, parameters)"
        " VALUES (1, $1, $2, 1, 0, '')",
        {settings_.network.to_string(), or_null(v4)});
  } else if (rows.front().text(0) != settings_.network.to_string()) {
    database_.rollback();
    return "the mesh's database is of the network " + rows.front().text(0) + ", and network= is " +
           settings_.network.to_string() +
           ": put the old prefix back; another network needs another database";
  } else if (rows.front().text(1) != (v4 ? v4->to_string() : "")) {
    // Nodes keep what they have until they ask for another; the pools are read again everywhere.
    database_.run("UPDATE mesh_network SET network_v4 = $1, revision = revision + 1 WHERE id = 1",
                  {or_null(v4)});
  }
  return database_.commit() ? std::string() : cannot();
}

std::string Registrar::create_authority(WallTime now) {
  if (!database_.begin()) return "cannot write the mesh's tables: " + database_.problem();
  const auto rows = database_.run("SELECT fingerprint FROM mesh_authorities");
  std::string problem;
  if (rows.empty() && !database_.has_failed()) {
    if (authorities_.has_files()) {
      problem = "the mesh's database is new, but " + settings_.key_directory +
                " has an authority's key: restore the database from a backup, or move that directory away to "
                "begin another network";
    } else {
      authorities_.add(database_, settings_.network, settings_.name, now, now, problem);
    }
  }
  if (!problem.empty()) {
    database_.rollback();
    return problem;
  }
  return database_.commit() ? std::string() : "cannot write the mesh's tables: " + database_.problem();
}

bool Registrar::refresh(std::string& problem) {
  const auto rows = database_.run("SELECT version, parameters FROM mesh_network WHERE id = 1");
  if (database_.has_failed()) {
    problem = "cannot read the network's parameters: " + database_.problem();
    return false;
  }
  if (rows.empty()) return false;
  const auto version = static_cast<std::uint64_t>(std::max<std::int64_t>(0, rows.front().number(0)));
  if (version == parameters_.version) return false;
  // Another authority comes with other parameters.
  problem = authorities_.load(database_);
  if (!problem.empty()) return false;
  parameters_ = {version, rows.front().text(1)};
  return true;
}

mesh::NetworkParameters Registrar::wanted_parameters(WallTime now) {
  auto wanted = settings_.parameters;
  wanted.network = settings_.network;
  wanted.authorities = authorities_.certificates(now);
  // The latest ones, if there are too many: whoever was revoked longer ago has long lost its links.
  const auto rows = database_.run(
      "SELECT serial FROM mesh_certificates WHERE revoked IS NOT NULL AND expires > $1 ORDER BY revoked DESC",
      {seconds_of(now)});
  for (const auto& row : rows) {
    if (wanted.revoked.size() < mesh::NetworkParameters::kMostRevoked) wanted.revoked.insert(row.text(0));
  }
  return wanted;
}

bool Registrar::publish_parameters(WallTime now) {
  auto wanted = wanted_parameters(now);
  const auto rows = database_.run("SELECT version, parameters, network_v4 FROM mesh_network WHERE id = 1");
  if (rows.empty()) return false;
  // Not of the settings: of several registries the one that was started last says what it is.
  wanted.network_v4 = net::PrefixV4::parse(rows.front().text(2));
  const auto* root = authorities_.root(now);
  if (!root) return false;
  wanted.version = static_cast<std::uint64_t>(std::max<std::int64_t>(0, rows.front().number(0)));
  if (const auto stored = from_base64(rows.front().text(1))) {
    const auto opened =
        mesh::open_parameters(*stored, pki::TrustAnchor({root->certificate()}), now).parameters;
    if (opened == wanted) return true;
  }
  // Greater than before also for nodes that remember a database which was lost.
  wanted.version =
      std::max(wanted.version + 1, static_cast<std::uint64_t>(std::max<std::int64_t>(1, seconds_of(now))));
  const auto document = mesh::sign_parameters(wanted, *root);
  if (document.empty()) return false;
  database_.run("UPDATE mesh_network SET version = $1, parameters = $2 WHERE id = 1",
                {static_cast<std::int64_t>(wanted.version), base64(document)});
  return true;
}

std::string Registrar::maintain(WallTime now) {
  const auto cannot = [&] { return "cannot bring the mesh's tables up to date: " + database_.problem(); };
  if (!database_.begin()) return cannot();
  const auto give_up = [&](const std::string& problem) {
    database_.rollback();
    prefixes_.forget();
    return problem;
  };
  const auto over = seconds_of(now - settings_.prefix_grace);
  for (const auto& row :
       database_.run("SELECT prefix, prefix_v4 FROM mesh_nodes WHERE expires < $1 LIMIT 1000", {over})) {
    const auto prefix = net::Prefix::parse(row.text(0));
    if (prefix) prefixes_.give_back(database_, *prefix, net::PrefixV4::parse(row.text(1)));
    database_.run("DELETE FROM mesh_nodes WHERE prefix = $1", {row.text(0)});
    database_.run("DELETE FROM mesh_contacts WHERE prefix = $1", {row.text(0)});
  }
  prefixes_.free_retired_v4(database_, seconds_of(now));
  database_.run("DELETE FROM mesh_certificates WHERE expires < $1", {over});
  database_.run("DELETE FROM mesh_contacts WHERE expires < $1", {seconds_of(now)});
  // Used ones a while longer, so that whoever asks again is told so.
  database_.run("DELETE FROM mesh_tokens WHERE expires < $1", {seconds_of(now - settings_.token_lifetime)});
  if (!database_.has_failed() && !publish_parameters(now) && !database_.has_failed())
    return give_up(
        "cannot sign the network's parameters: the authority's key is missing, or more was revoked than "
        "fits");
  if (!database_.commit()) {
    prefixes_.forget();
    return cannot();
  }
  std::string problem;
  refresh(problem);
  return problem;
}

std::vector<std::string> Registrar::nodes_named(std::string_view name) {
  std::vector<std::string> prefixes;
  for (const auto& row : database_.run("SELECT prefix, subject FROM mesh_nodes WHERE revoked IS NULL")) {
    if (!name.empty() && (row.text(1) == name || common_name(row.text(1)) == name))
      prefixes.push_back(row.text(0));
  }
  return prefixes;
}

Answer<Revoked> Registrar::revoke(std::string_view who, WallTime now) {
  const std::string text(who);
  auto prefix = net::Prefix::parse(text);
  const auto address = net::parse_v6(text);
  auto answer = transact<Revoked>([&]() -> Answer<Revoked> {
    Database::Rows rows;
    if (address) {
      for (const auto& row : database_.run("SELECT prefix FROM mesh_nodes")) {
        const auto one = net::Prefix::parse(row.text(0));
        if (one && one->contains(*address)) prefix = one;
      }
    }
    if (prefix) {
      rows =
          database_.run("SELECT serial, prefix FROM mesh_certificates WHERE prefix = $1 AND revoked IS NULL",
                        {prefix->to_string()});
    } else if (is_hexadecimal(text)) {
      rows = database_.run(
          "SELECT serial, prefix FROM mesh_certificates WHERE serial = $1 AND revoked IS NULL", {text});
    }
    if (rows.empty() && !prefix && !address) {
      // Whoever joins chooses its name: it has to be one node's alone.
      const auto named = nodes_named(text);
      if (named.size() > 1)
        return Refusal{
            RefusalCode::kBadRequest,
            std::to_string(named.size()) + " nodes have the name " + text + ", one of them " + named.front(),
            "\"sixlink-registry nodes\" lists them: name the prefix or the serial number"};
      if (!named.empty())
        rows = database_.run(
            "SELECT serial, prefix FROM mesh_certificates WHERE prefix = $1 AND revoked IS NULL",
            {named.front()});
    }
    const auto node = rows.empty() ? std::nullopt : net::Prefix::parse(rows.front().text(1));
    if (!node)
      return Refusal{RefusalCode::kNotFound, "there is no certificate of " + text + " that could be revoked",
                     "\"sixlink-registry nodes\" lists names, prefixes and serial numbers"};
    Revoked revoked{*node, {}, 0};
    for (const auto& row : rows) {
      revoked.serials.push_back(row.text(0));
      database_.run("UPDATE mesh_certificates SET revoked = $2 WHERE serial = $1",
                    {row.text(0), seconds_of(now)});
    }
    // The node itself, unless it has another certificate that is good.
    database_.run(
        "UPDATE mesh_nodes SET revoked = $2 WHERE prefix = $1 AND NOT EXISTS (SELECT 1 FROM mesh_certificates"
        " WHERE mesh_certificates.prefix = mesh_nodes.prefix AND mesh_certificates.serial = mesh_nodes.serial"
        " AND mesh_certificates.revoked IS NULL)",
        {node->to_string(), seconds_of(now)});
    database_.run("DELETE FROM mesh_contacts WHERE prefix = $1", {node->to_string()});
    if (!publish_parameters(now) && !database_.has_failed()) return unusable_authority();
    return revoked;
  });
  if (!answer) return answer;
  std::string problem;
  refresh(problem);
  answer->version = parameters_.version;
  return answer;
}

Answer<pki::Certificate> Registrar::roll(const std::string& name, WallTime issues_from, WallTime now) {
  std::string problem;
  auto answer = transact<pki::Certificate>([&]() -> Answer<pki::Certificate> {
    const auto rows = database_.run("SELECT fingerprint FROM mesh_authorities WHERE retired IS NULL");
    if (rows.size() >= pki::TrustAnchor::kMostAuthorities)
      return Refusal{
          RefusalCode::kNotAllowed,
          "the network has " + std::to_string(rows.size()) + " authorities, and no node believes more",
          "retire the oldest: sixlink-registry ca retire FINGERPRINT"};
    const auto made = authorities_.add(database_, settings_.network, name, now, issues_from, problem);
    if (!made) return Refusal{RefusalCode::kInternal, problem, "make room, or mend the directory's mode"};
    return *made;
  });
  if (!answer) return answer;
  // Announced at once; this reads the authorities again, too.
  problem = authorities_.load(database_);
  if (problem.empty()) problem = maintain(now);
  if (!problem.empty())
    return Refusal{RefusalCode::kInternal, problem,
                   "the authority is there; it is announced when this is mended"};
  return answer;
}

Answer<std::string> Registrar::retire(const std::string& fingerprint, WallTime now) {
  auto answer = transact<std::string>([&]() -> Answer<std::string> {
    if (!authorities_.retire(database_, fingerprint, now))
      return Refusal{RefusalCode::kNotFound,
                     "there is no authority " + fingerprint + ", it is retired already, or the only one",
                     "\"sixlink-registry ca list\" shows them; \"ca roll\" makes the next one"};
    return fingerprint;
  });
  if (!answer) return answer;
  auto problem = authorities_.load(database_);
  if (problem.empty()) problem = maintain(now);
  if (!problem.empty())
    return Refusal{RefusalCode::kInternal, problem, "mend this, then start the registry again"};
  return answer;
}

}  // namespace sixlink::registry
