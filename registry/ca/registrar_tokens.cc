// SPDX-License-Identifier: BSD-3-Clause
// The registrar's tokens.
#include "registry/ca/key_hash.h"
#include "registry/ca/registrar.h"
#include "registry/ca/registrar_parts.h"

namespace sixlink::registry {
namespace {

// Of its hash: what names a token in lists.
constexpr std::size_t kIdLength = 12;
constexpr std::size_t kMostTokens = 100000;
constexpr std::chrono::hours kLongestLifetime{24 * 365};

std::string id_of(const std::string& hash) {
  return hash.substr(0, kIdLength);
}

Token read_token(const Database::Row& row) {
  return {id_of(row.text(0)), {}, static_cast<int>(row.number(1)), row.text(2), row.number(3), row.number(4)};
}

}  // namespace

Answer<Token> Registrar::make_token(const TokenRequest& request, WallTime now) {
  const int length = request.prefix_length == 0 ? settings_.prefix_length : request.prefix_length;
  const int shortest = std::max(settings_.shortest_prefix, settings_.network.length + 1);
  if (length < shortest || length > PrefixBook::kLongest)
    return Refusal{RefusalCode::kBadRequest,
                   "a node's prefix of " + std::to_string(length) + " bits is not given out here",
                   "choose " + std::to_string(shortest) + " to " + std::to_string(PrefixBook::kLongest) +
                       ", or change mesh_prefix_length_min"};
  const auto lifetime = request.lifetime.count() == 0 ? settings_.token_lifetime : request.lifetime;
  if (lifetime.count() < 0 || lifetime > kLongestLifetime)
    return Refusal{RefusalCode::kBadRequest, "a token cannot be good for so long", "choose a year at most"};
  Token token{{}, registry::make_token(), length, request.email, seconds_of(now), seconds_of(now + lifetime)};
  const auto hash = sha256_text(token.token);
  token.id = id_of(hash);
  return transact<Token>([&]() -> Answer<Token> {
    const auto count = database_.run("SELECT count(*) FROM mesh_tokens");
    if (!count.empty() && count.front().number(0) >= static_cast<std::int64_t>(kMostTokens))
      return Refusal{RefusalCode::kBusy, "there are too many tokens already", "delete some, or wait"};
    database_.run(
        "INSERT INTO mesh_tokens (hash, prefix_length, email, created, expires) VALUES ($1, $2, $3, $4, $5)",
        {hash, length, or_null(request.email), token.created, token.expires});
    return token;
  });
}

Answer<std::vector<Token>> Registrar::tokens(WallTime now) {
  const auto rows = database_.run(
      "SELECT hash, prefix_length, email, created, expires FROM mesh_tokens"
      " WHERE used IS NULL AND expires > $1 ORDER BY created, hash",
      {seconds_of(now)});
  if (database_.has_failed()) return failure();
  std::vector<Token> tokens;
  for (const auto& row : rows) tokens.push_back(read_token(row));
  return tokens;
}

Answer<Token> Registrar::delete_token(std::string_view id, WallTime now) {
  return transact<Token>([&]() -> Answer<Token> {
    const auto rows = database_.run(
        "SELECT hash, prefix_length, email, created, expires FROM mesh_tokens WHERE used IS NULL AND expires "
        "> $1",
        {seconds_of(now)});
    for (const auto& row : rows) {
      if (id_of(row.text(0)) != id) continue;
      database_.run("DELETE FROM mesh_tokens WHERE hash = $1", {row.text(0)});
      return read_token(row);
    }
    return Refusal{RefusalCode::kNotFound, "there is no token " + std::string(id) + " that was not used yet",
                   "\"sixlink-registry token list\" shows them"};
  });
}

std::string Registrar::join_line(const std::string& token, WallTime now) const {
  const auto* root = authorities_.root(now);
  return "sixlink join " + (settings_.urls.empty() ? "https://REGISTRY/" : settings_.urls.front()) +
         " --token " + token + (root ? " --fingerprint " + root->certificate().fingerprint() : "");
}

}  // namespace sixlink::registry
