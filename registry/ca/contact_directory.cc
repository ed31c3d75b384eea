// SPDX-License-Identifier: BSD-3-Clause
#include "registry/ca/contact_directory.h"

#include <algorithm>
#include <boost/json.hpp>

#include "registry/ca/registrar_parts.h"
#include "src/mesh/signed_contact.h"
#include "src/tsp/digest_md5.h"

namespace sixlink::registry {
namespace {

namespace json = boost::json;

std::string endpoints_json(const mesh::Contact& contact) {
  json::array all;
  for (const auto& one : contact.endpoints) {
    all.push_back({{"address", one.address.to_string()},
                   {"port", one.port},
                   {"transport", mesh::to_string(one.transport)},
                   {"kind", mesh::to_string(one.kind)}});
  }
  return json::serialize(all);
}

std::string neighbours_json(const std::vector<Neighbour>& neighbours) {
  json::array all;
  for (const auto& one : neighbours) {
    json::object object{{"prefix", one.prefix.to_string()}};
    if (one.rtt_us) object["rtt_us"] = *one.rtt_us;
    if (!one.transport.empty()) object["transport"] = one.transport;
    all.push_back(std::move(object));
  }
  return json::serialize(all);
}

std::optional<std::int64_t> number_or_none(const Database::Row& row, std::size_t column) {
  return row.is_null(column) ? std::nullopt : std::optional(row.number(column));
}

}  // namespace

const char* to_string(NodeState state) {
  switch (state) {
    case NodeState::kLive:
      return "live";
    case NodeState::kSilent:
      return "silent";
    case NodeState::kExpired:
      return "expired";
    case NodeState::kRevoked:
      return "revoked";
  }
  return "";
}

Answer<std::int64_t> ContactDirectory::put(const Asker& node, std::span<const std::uint8_t> der,
                                           const std::vector<Neighbour>& neighbours, WallTime now) {
  const mesh::CertifiedContacts verifier(registrar_.authorities().anchor(now));
  const auto opened = verifier.open(der, now);
  if (!opened.contact)
    return Refusal{RefusalCode::kBadRequest, opened.problem, "send the node's own contact, newly signed"};
  const auto& contact = opened.contact->contact;
  if (contact.prefix != node.prefix)
    return Refusal{RefusalCode::kBadRequest, "the contact is that of " + contact.prefix.to_string(),
                   "a node gives its own contact only"};
  const auto sequence = static_cast<std::int64_t>(std::min<std::uint64_t>(contact.sequence, INT64_MAX));
  auto& database = registrar_.database();
  if (!database.begin(Database::Durability::kRelaxed)) return registrar_.failure();
  const auto rows =
      database.run("SELECT sequence FROM mesh_contacts WHERE prefix = $1", {node.prefix.to_string()});
  if (!rows.empty() && rows.front().number(0) > sequence) {
    database.rollback();
    return Refusal{RefusalCode::kOldContact, "the registry has a newer contact of this node",
                   "sign a new one; is the clock right, and does no other machine have this key?"};
  }
  database.run(
      "INSERT INTO mesh_contacts (prefix, sequence, expires, document, software, parameters, endpoints,"
      " neighbours) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (prefix) DO UPDATE SET"
      " sequence = excluded.sequence, expires = excluded.expires, document = excluded.document,"
      " software = excluded.software, parameters = excluded.parameters, endpoints = excluded.endpoints,"
      " neighbours = excluded.neighbours",
      {node.prefix.to_string(), sequence, seconds_of(contact.expires),
       tsp::base64_encode({reinterpret_cast<const char*>(der.data()), der.size()}), contact.software,
       static_cast<std::int64_t>(std::min<std::uint64_t>(contact.parameters, INT64_MAX)),
       endpoints_json(contact), neighbours_json(neighbours)});
  database.run("UPDATE mesh_nodes SET last_seen = $2 WHERE prefix = $1",
               {node.prefix.to_string(), seconds_of(now)});
  return database.commit() ? Answer<std::int64_t>(sequence) : Answer<std::int64_t>(registrar_.failure());
}

Answer<bool> ContactDirectory::remove(const Asker& node) {
  seen_.erase(node.prefix.to_string());
  auto& database = registrar_.database();
  if (!database.begin(Database::Durability::kRelaxed)) return registrar_.failure();
  database.run("DELETE FROM mesh_contacts WHERE prefix = $1", {node.prefix.to_string()});
  return database.commit() ? Answer<bool>(true) : Answer<bool>(registrar_.failure());
}

Answer<std::vector<std::string>> ContactDirectory::random(std::size_t count, const net::Prefix& asker,
                                                          WallTime now) {
  auto& database = registrar_.database();
  const auto wanted = static_cast<std::int64_t>(count);
  auto rows = database.run(
      "SELECT c.document FROM mesh_contacts c JOIN mesh_nodes n ON n.prefix = c.prefix WHERE c.prefix <> $1"
      " AND c.expires > $2 AND n.revoked IS NULL AND n.last_seen > $3 ORDER BY random() LIMIT $4",
      {asker.to_string(), seconds_of(now), seconds_of(now - kLive), wanted});
  if (rows.size() < count) {
    const auto more = database.run(
        "SELECT c.document FROM mesh_contacts c JOIN mesh_nodes n ON n.prefix = c.prefix WHERE c.prefix <> $1"
        " AND c.expires > $2 AND n.revoked IS NULL AND n.last_seen <= $3 AND n.last_seen > $4"
        " ORDER BY n.last_seen DESC LIMIT $5",
        {asker.to_string(), seconds_of(now), seconds_of(now - kLive), seconds_of(now - kPerhapsLive),
         wanted - static_cast<std::int64_t>(rows.size())});
    rows.insert(rows.end(), more.begin(), more.end());
  }
  if (database.has_failed()) return registrar_.failure();
  std::vector<std::string> documents;
  for (const auto& row : rows) documents.push_back(row.text(0));
  return documents;
}

Answer<std::string> ContactDirectory::find(const net::Prefix& node, WallTime now) {
  auto& database = registrar_.database();
  const auto rows = database.run("SELECT document FROM mesh_contacts WHERE prefix = $1 AND expires > $2",
                                 {node.to_string(), seconds_of(now)});
  if (database.has_failed()) return registrar_.failure();
  if (rows.empty())
    return Refusal{RefusalCode::kNotFound, "the registry has no contact of " + node.to_string(),
                   "is the node up, and can it reach the registry?"};
  return rows.front().text(0);
}

std::string ContactDirectory::flush(WallTime now) {
  if (seen_.empty()) return {};
  auto& database = registrar_.database();
  const auto cannot = [&] { return "cannot note which nodes live: " + database.problem(); };
  if (!database.begin(Database::Durability::kRelaxed)) return cannot();
  for (const auto& prefix : seen_)
    database.run("UPDATE mesh_nodes SET last_seen = $2 WHERE prefix = $1", {prefix, seconds_of(now)});
  if (!database.commit()) return cannot();
  seen_.clear();
  return {};
}

Answer<ContactDirectory::Counts> ContactDirectory::count(WallTime now) {
  auto& database = registrar_.database();
  const auto all = database.run("SELECT count(*) FROM mesh_nodes");
  if (database.has_failed() || all.empty()) return registrar_.failure();
  const auto live = database.run(
      "SELECT count(*) FROM mesh_nodes WHERE last_seen > $1 AND expires > $2 AND revoked IS NULL",
      {seconds_of(now - kLive), seconds_of(now)});
  if (database.has_failed() || live.empty()) return registrar_.failure();
  return Counts{static_cast<std::size_t>(all.front().number(0)),
                static_cast<std::size_t>(live.front().number(0))};
}

Answer<std::vector<ListedNode>> ContactDirectory::nodes(WallTime now) {
  return list("", {}, now);
}

Answer<std::vector<ListedNode>> ContactDirectory::node(const net::Prefix& prefix, WallTime now) {
  return list(" WHERE n.prefix = $1", {prefix.to_string()}, now);
}

Answer<std::vector<ListedNode>> ContactDirectory::list(const char* condition,
                                                       const std::vector<Database::Value>& values,
                                                       WallTime now) {
  auto& database = registrar_.database();
  const auto rows = database.run_values(
      std::string(
          "SELECT n.prefix, n.prefix_v4, n.subject, n.email, n.serial, n.created, n.expires, n.revoked,"
          " n.last_seen, c.software, c.parameters, c.endpoints, c.neighbours FROM mesh_nodes n"
          " LEFT JOIN mesh_contacts c ON c.prefix = n.prefix") +
          condition,
      values);
  if (database.has_failed()) return registrar_.failure();
  std::vector<ListedNode> nodes;
  for (const auto& row : rows) {
    const auto prefix = net::Prefix::parse(row.text(0));
    if (!prefix) continue;
    ListedNode node{*prefix,       row.text(1),    row.text(2),  row.text(3), row.text(4),
                    row.number(5), row.number(6),  {},           {},          NodeState::kSilent,
                    row.text(9),   row.number(10), row.text(11), row.text(12)};
    node.revoked = number_or_none(row, 7);
    node.last_seen = number_or_none(row, 8);
    if (node.revoked) {
      node.state = NodeState::kRevoked;
    } else if (node.expires <= seconds_of(now)) {
      node.state = NodeState::kExpired;
    } else if (node.last_seen && *node.last_seen > seconds_of(now - kLive)) {
      node.state = NodeState::kLive;
    }
    nodes.push_back(std::move(node));
  }
  std::ranges::sort(nodes, {}, [](const ListedNode& node) { return node.prefix.address; });
  return nodes;
}

}  // namespace sixlink::registry
