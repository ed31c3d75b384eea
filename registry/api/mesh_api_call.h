// SPDX-License-Identifier: BSD-3-Clause
// One request to the mesh's API, taken apart: for mesh_api*.cc.
#pragma once

#include <boost/json.hpp>
#include <charconv>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "registry/api/mesh_api.h"

namespace sixlink::registry {

struct MeshApi::Route {
  enum class Who { kAnyone, kNode, kNodeOfOld, kAdministrator };
  std::string_view method;
  std::string_view path;  // with a "*" at the end: whatever follows
  Who who;
  HttpResponse (MeshApi::*handler)(Call& call);

  bool is_open() const { return path.ends_with('*'); }
  std::string_view stem() const { return is_open() ? path.substr(0, path.size() - 1) : path; }
  bool matches(std::string_view asked) const {
    return is_open() ? asked.size() > stem().size() && asked.starts_with(stem()) : asked == path;
  }
  std::string rest_of(std::string_view asked) const { return std::string(asked.substr(stem().size())); }
};

struct MeshApi::Call {
  Call(std::shared_ptr<const HttpRequest> asked, HttpsServer::Reply answer_to, Times times)
      : request(std::move(asked)), reply(std::move(answer_to)), at(times) {
    const std::string_view target = request->target;
    const auto mark = target.find('?');
    path = unescaped(target.substr(0, mark));
    if (mark == std::string_view::npos) return;
    auto pairs = target.substr(mark + 1);
    while (!pairs.empty()) {
      const auto part = pairs.substr(0, pairs.find('&'));
      pairs.remove_prefix(std::min(pairs.size(), part.size() + 1));
      const auto equals = part.find('=');
      if (equals == std::string_view::npos) continue;
      query[unescaped(part.substr(0, equals))] = unescaped(part.substr(equals + 1));
    }
  }

  // %XX (RFC 3986 section 2.1); what is not well formed stays as it is.
  static std::string unescaped(std::string_view text) {
    std::string result;
    for (std::size_t i = 0; i < text.size(); ++i) {
      unsigned value = 0;
      const auto* digits = text.data() + i + 1;
      if (text[i] == '%' && i + 2 < text.size() &&
          std::from_chars(digits, digits + 2, value, 16).ptr == digits + 2) {
        result += static_cast<char>(value);
        i += 2;
      } else {
        result += text[i];
      }
    }
    return result;
  }

  bool parse_body() {
    boost::system::error_code error;
    auto value = boost::json::parse(request->body.empty() ? "{}" : request->body, error);
    if (error || !value.is_object()) return false;
    body = std::move(value.get_object());
    return true;
  }

  // Of the body. Empty: there is none, or it is no text.
  std::string text(std::string_view name) const {
    const auto* value = body.if_contains(name);
    return value && value->is_string() ? std::string(value->get_string()) : std::string();
  }
  std::optional<std::int64_t> whole(std::string_view name) const {
    const auto* value = body.if_contains(name);
    return value && value->is_int64() ? std::optional(value->get_int64()) : std::nullopt;
  }
  // Of the query.
  std::optional<std::uint64_t> number(const std::string& name) const {
    const auto found = query.find(name);
    if (found == query.end()) return std::nullopt;
    const auto& digits = found->second;
    std::uint64_t value = 0;
    const auto [stop, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error != std::errc() || stop != digits.data() + digits.size()) return std::nullopt;
    return value;
  }

  static HttpResponse answer(const boost::json::object& object, unsigned status = 200) {
    return {status, boost::json::serialize(object), "application/json", std::chrono::seconds(0)};
  }

  std::shared_ptr<const HttpRequest> request;
  HttpsServer::Reply reply;
  Times at;
  std::string path;
  std::map<std::string, std::string> query;
  std::string rest;  // of an open route
  boost::json::object body;
  std::optional<Asker> node;
  std::string administrator;
  bool is_held = false;  // answered later
};

}  // namespace sixlink::registry
