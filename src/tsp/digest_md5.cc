// SPDX-License-Identifier: BSD-3-Clause
// SASL DIGEST-MD5 (RFC 2831) as deployed TSP clients and servers speak it.
#include "src/tsp/digest_md5.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <stdexcept>
#include <utility>
#include <vector>

namespace sixlink::tsp {
namespace {

// Long enough for any real field, short enough that a hostile one costs nothing.
constexpr std::size_t kLongestField = 512;

Md5 md5(std::initializer_list<std::string_view> parts) {
  // A joined copy would hold the password; the parts are hashed where they are.
  Md5 digest{};
  const std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
  bool ok = context && EVP_DigestInit_ex(context.get(), EVP_md5(), nullptr) == 1;
  for (const auto part : parts) ok = ok && EVP_DigestUpdate(context.get(), part.data(), part.size()) == 1;
  unsigned size = 0;
  ok = ok && EVP_DigestFinal_ex(context.get(), digest.data(), &size) == 1 && size == digest.size();
  if (!ok) throw std::runtime_error("OpenSSL offers no MD5 (a FIPS provider?); DIGEST-MD5 cannot work");
  return digest;
}

std::string hex(const Md5& digest) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const auto byte : digest) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

// RFC 4648 section 4; what is none of the digits has kNoDigit. Nodes of a mesh read a contact in most
// messages.
constexpr std::uint8_t kNoDigit = 0xFF;
constexpr auto kBase64Values = [] {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::array<std::uint8_t, 256> values{};
  values.fill(kNoDigit);
  for (std::size_t i = 0; i < kDigits.size(); ++i)
    values[static_cast<std::uint8_t>(kDigits[i])] = static_cast<std::uint8_t>(i);
  return values;
}();

std::string_view bytes_of(const Md5& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

std::string quoted(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    result += c;
  }
  return result + "\"";
}

// name=value or name="value", separated by commas; RFC 2831 section 7.1, without any of its line folding.
using Directives = std::vector<std::pair<std::string, std::string>>;
std::optional<Directives> parse_directives(std::string_view text) {
  Directives directives;
  std::size_t at = 0;
  const auto skip = [&](std::string_view characters) {
    while (at < text.size() && characters.find(text[at]) != std::string_view::npos) ++at;
  };
  skip(" \t\r\n,");
  while (at < text.size()) {
    const auto equals = text.find('=', at);
    if (equals == std::string_view::npos || directives.size() >= 32) return std::nullopt;
    auto name = std::string(text.substr(at, equals - at));
    while (name.ends_with(' ')) name.pop_back();
    if (name.empty() || name.size() > kLongestField) return std::nullopt;
    at = equals + 1;
    skip(" \t");
    std::string value;
    if (at < text.size() && text[at] == '"') {
      for (++at; at < text.size() && text[at] != '"'; ++at) {
        if (text[at] == '\\' && ++at == text.size()) return std::nullopt;
        value += text[at];
      }
      if (at == text.size()) return std::nullopt;  // no closing quote
      ++at;
    } else {
      const auto end = std::min(text.find_first_of(", \t\r\n", at), text.size());
      value = text.substr(at, end - at);
      at = end;
    }
    if (value.size() > kLongestField || value.find('\0') != std::string::npos) return std::nullopt;
    directives.emplace_back(std::move(name), std::move(value));
    skip(" \t\r\n");
    if (at < text.size() && text[at] != ',') return std::nullopt;
    skip(" \t\r\n,");
  }
  return directives;
}

// nullopt when absent or given twice (RFC 2831 section 2.1.1: then the message is to be refused).
std::optional<std::string> only(const Directives& directives, std::string_view name) {
  std::optional<std::string> found;
  for (const auto& [key, value] : directives) {
    if (key != name) continue;
    if (found) return std::nullopt;
    found = value;
  }
  return found;
}

bool is_hex(std::string_view text, std::size_t size) {
  return text.size() == size && text.find_first_not_of("0123456789abcdefABCDEF") == std::string_view::npos;
}

std::string session_value(const Md5& ha1, const DigestResponse& fields, std::string_view method) {
  const auto a1 = md5({bytes_of(ha1), ":", fields.nonce, ":", fields.cnonce});
  const auto a2 = md5({method, ":", fields.digest_uri});
  return hex(
      md5({hex(a1), ":", fields.nonce, ":", fields.nonce_count, ":", fields.cnonce, ":auth:", hex(a2)}));
}

}  // namespace

std::string base64_encode(std::string_view bytes) {
  std::string text(4 * ((bytes.size() + 2) / 3) + 1, '\0');
  const int size =
      EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                      reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()));
  text.resize(static_cast<std::size_t>(size));
  return text;
}

std::optional<std::string> base64_decode(std::string_view text) {
  while (!text.empty() && (text.back() == '\r' || text.back() == '\n' || text.back() == '\0'))
    text.remove_suffix(1);
  const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
  if (text.empty() || text.size() % 4 != 0 || text.size() > 16384) return std::nullopt;
  const auto digits = text.substr(0, text.size() - padding);
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3);
  std::uint32_t group = 0;
  std::uint8_t seen = 0;
  std::size_t count = 0;
  for (const char c : digits) {
    const auto value = kBase64Values[static_cast<std::uint8_t>(c)];
    seen |= value;
    group = group << 6 | (value & 63U);
    if (++count % 4 != 0) continue;
    const char three[] = {static_cast<char>(group >> 16), static_cast<char>(group >> 8),
                          static_cast<char>(group)};
    bytes.append(three, sizeof three);
  }
  if ((seen & 0x80) != 0) return std::nullopt;
  if (padding != 0) {
    group <<= 6 * padding;
    bytes += static_cast<char>(group >> 16);
    if (padding == 1) bytes += static_cast<char>(group >> 8);
  }
  return bytes;
}

Md5 digest_ha1(std::string_view user, std::string_view realm, std::string_view password) {
  return md5({user, ":", realm, ":", password});
}

std::string DigestChallenge::to_string() const {
  return "realm=\"" + realm + "\",nonce=\"" + nonce + "\",qop=\"auth\",algorithm=md5-sess,charset=utf-8";
}

std::optional<DigestChallenge> DigestChallenge::parse(std::string_view text) {
  const auto directives = parse_directives(text);
  if (!directives) return std::nullopt;
  const auto nonce = only(*directives, "nonce");
  const auto algorithm = only(*directives, "algorithm");
  if (!nonce || nonce->empty() || !algorithm || *algorithm != "md5-sess") return std::nullopt;
  DigestChallenge challenge{"", *nonce};
  for (const auto& [key, value] : *directives) {
    // Several realms may be offered (section 2.1.1); the first serves.
    if (key == "realm" && challenge.realm.empty()) challenge.realm = value;
    if (key == "qop") {
      const auto list = "," + value + ",";
      if (list.find(",auth,") == std::string::npos && list.find(" auth,") == std::string::npos)
        return std::nullopt;
    }
  }
  return challenge;
}

std::string DigestResponse::to_string() const {
  return "charset=utf-8,username=" + quoted(user) + ",realm=" + quoted(realm) + ",nonce=" + quoted(nonce) +
         ",nc=" + nonce_count + ",cnonce=" + quoted(cnonce) + ",digest-uri=" + quoted(digest_uri) +
         ",response=" + response + ",qop=auth";
}

std::optional<DigestResponse> DigestResponse::parse(std::string_view text) {
  const auto directives = parse_directives(text);
  if (!directives) return std::nullopt;
  const auto user = only(*directives, "username");
  const auto nonce = only(*directives, "nonce");
  const auto cnonce = only(*directives, "cnonce");
  const auto count = only(*directives, "nc");
  const auto uri = only(*directives, "digest-uri");
  const auto response = only(*directives, "response");
  if (!user || !nonce || !cnonce || cnonce->empty() || !count || !is_hex(*count, 8) || !uri || !response ||
      !is_hex(*response, 32)) {
    return std::nullopt;
  }
  const auto qop = only(*directives, "qop");
  if (qop && *qop != "auth") return std::nullopt;
  DigestResponse fields;
  fields.user = *user;
  fields.realm = only(*directives, "realm").value_or("");
  fields.nonce = *nonce;
  fields.cnonce = *cnonce;
  fields.nonce_count = *count;
  fields.digest_uri = *uri;
  fields.response = *response;
  std::transform(fields.response.begin(), fields.response.end(), fields.response.begin(),
                 [](char c) { return c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c; });
  return fields;
}

std::string digest_response_value(const Md5& ha1, const DigestResponse& fields) {
  return session_value(ha1, fields, "AUTHENTICATE");
}

std::string digest_rspauth_value(const Md5& ha1, const DigestResponse& fields) {
  return session_value(ha1, fields, "");
}

DigestResponse answer_challenge(const DigestChallenge& challenge, std::string_view user,
                                std::string_view password, std::string_view digest_uri,
                                std::string_view cnonce) {
  DigestResponse fields;
  fields.user = user;
  fields.realm = challenge.realm;
  fields.nonce = challenge.nonce;
  fields.cnonce = cnonce;
  fields.nonce_count = "00000001";
  fields.digest_uri = digest_uri;
  Md5 ha1 = digest_ha1(user, challenge.realm, password);
  fields.response = digest_response_value(ha1, fields);
  OPENSSL_cleanse(ha1.data(), ha1.size());
  return fields;
}

}  // namespace sixlink::tsp
