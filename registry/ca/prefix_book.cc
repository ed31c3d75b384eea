// SPDX-License-Identifier: BSD-3-Clause
#include "registry/ca/prefix_book.h"

namespace sixlink::registry {
namespace {

constexpr int kMapped = 96;  // of ::ffff:0:0/96

PrefixPool make_pool_v4(const NetworkV4& v4) {
  PrefixPool pool(net::v4_mapped(v4.network), kMapped + v4.length);
  // Its first address is nobody's, as that of the IPv6 network.
  if (const auto first = net::PrefixV4::make(v4.network.address, v4.length))
    pool.reserve(net::v4_mapped(*first));
  return pool;
}

PrefixPool make_pool(const net::Prefix& network) {
  PrefixPool pool(network, PrefixBook::kLongest);
  pool.reserve({network.address, PrefixBook::kLongest});
  return pool;
}

}  // namespace

PrefixBook::PrefixBook(const net::Prefix& network, const std::optional<NetworkV4>& network_v4)
    : network_(network), network_v4_(network_v4), pool_(make_pool(network)) {
  if (network_v4_) pool_v4_ = make_pool_v4(*network_v4_);
}

void PrefixBook::load(Database& database) {
  const auto rows = database.run("SELECT revision, network_v4 FROM mesh_network WHERE id = 1");
  if (rows.empty() || rows.front().number(0) == revision_) return;
  pool_ = make_pool(network_);
  pool_v4_.reset();
  if (network_v4_ && rows.front().text(1) == network_v4_->network.to_string())
    pool_v4_ = make_pool_v4(*network_v4_);
  for (const auto& row : database.run("SELECT prefix, prefix_v4 FROM mesh_nodes")) {
    if (const auto prefix = net::Prefix::parse(row.text(0))) pool_.reserve(*prefix);
    if (row.is_null(1) || !pool_v4_) continue;
    // One of another length, from before network_v4 was changed, stays taken as far as it is in the pool.
    if (const auto v4 = net::PrefixV4::parse(row.text(1))) pool_v4_->reserve(net::v4_mapped(*v4));
  }
  for (const auto& row : database.run("SELECT prefix_v4 FROM mesh_former_v4")) {
    const auto v4 = net::PrefixV4::parse(row.text(0));
    if (v4 && pool_v4_) pool_v4_->reserve(net::v4_mapped(*v4));
  }
  revision_ = rows.front().number(0);
}

void PrefixBook::changed(Database& database) {
  database.run("UPDATE mesh_network SET revision = revision + 1 WHERE id = 1");
  ++revision_;
}

std::optional<PrefixBook::Taken> PrefixBook::take(Database& database, int length) {
  load(database);
  if (database.has_failed()) return std::nullopt;
  const auto prefix = pool_.allocate(length);
  if (!prefix) return std::nullopt;
  Taken taken{*prefix, std::nullopt};
  if (pool_v4_) {
    if (const auto v4 = pool_v4_->allocate(kMapped + network_v4_->length))
      taken.prefix_v4 = net::unmapped(*v4);
  }
  changed(database);
  return taken;
}

void PrefixBook::give_back(Database& database, const net::Prefix& prefix,
                           const std::optional<net::PrefixV4>& prefix_v4) {
  load(database);
  pool_.release(prefix);
  if (prefix_v4 && pool_v4_) pool_v4_->release(net::v4_mapped(*prefix_v4));
  changed(database);
}

std::optional<net::PrefixV4> PrefixBook::take_v4(Database& database, const net::Prefix& node) {
  load(database);
  if (!pool_v4_ || database.has_failed()) return std::nullopt;
  for (const auto& row :
       database.run("SELECT prefix_v4 FROM mesh_former_v4 WHERE prefix = $1", {node.to_string()})) {
    const auto former = net::PrefixV4::parse(row.text(0));
    if (!former || former->length != network_v4_->length || !network_v4_->covers(*former)) continue;
    database.run("DELETE FROM mesh_former_v4 WHERE prefix_v4 = $1", {row.text(0)});
    changed(database);
    return former;
  }
  const auto taken = pool_v4_->allocate(kMapped + network_v4_->length);
  if (!taken) return std::nullopt;
  changed(database);
  return net::unmapped(*taken);
}

void PrefixBook::retire_v4(Database& database, const net::PrefixV4& prefix_v4, const net::Prefix& node,
                           std::int64_t until) {
  database.run("DELETE FROM mesh_former_v4 WHERE prefix_v4 = $1", {prefix_v4.to_string()});
  database.run("INSERT INTO mesh_former_v4 (prefix_v4, prefix, kept_until) VALUES ($1, $2, $3)",
               {prefix_v4.to_string(), node.to_string(), until});
}

void PrefixBook::free_retired_v4(Database& database, std::int64_t now) {
  const auto rows =
      database.run("SELECT prefix_v4 FROM mesh_former_v4 WHERE kept_until < $1 LIMIT 1000", {now});
  if (rows.empty()) return;
  load(database);
  for (const auto& row : rows) {
    const auto v4 = net::PrefixV4::parse(row.text(0));
    if (v4 && pool_v4_) pool_v4_->release(net::v4_mapped(*v4));
    database.run("DELETE FROM mesh_former_v4 WHERE prefix_v4 = $1", {row.text(0)});
  }
  changed(database);
}

}  // namespace sixlink::registry
