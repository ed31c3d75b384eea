// SPDX-License-Identifier: BSD-3-Clause
// The text by which a configuration names a broker.
#include "src/net/server_address.h"

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <charconv>

namespace sixlink::net {
namespace {

// make_address() takes anything behind the % of fe80::1%eth0; it is written to logs and files.
bool is_zone(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           c == '-' || c == '.' || c == '@';
  });
}

bool is_address(std::string_view text) {
  if (text.size() > 45) return false;
  const auto zone = text.find('%');
  if (zone != std::string_view::npos && !is_zone(text.substr(zone + 1))) return false;
  if (text.find('\0') != std::string_view::npos) return false;
  boost::system::error_code error;
  boost::asio::ip::make_address(std::string(text), error);
  return !error;
}

}  // namespace

bool is_host_name(std::string_view text) {
  if (!text.empty() && text.back() == '.') text.remove_suffix(1);
  if (text.empty() || text.size() > 253) return false;
  size_t label = 0;
  char previous = '.';
  for (const char c : text) {
    const bool alphanumeric =
        (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    if (c == '.') {
      if (label == 0 || previous == '-') return false;
      label = 0;
    } else {
      if (!alphanumeric && (c != '-' || label == 0)) return false;
      if (++label > 63) return false;
    }
    previous = c;
  }
  return previous != '-';
}

std::optional<ServerAddress> ServerAddress::parse(std::string_view text) {
  ServerAddress server;
  server.text = text;
  std::string_view host = text;
  std::string_view port;
  bool has_port = false;
  if (!text.empty() && text.front() == '[') {
    const auto close = text.find(']');
    if (close == std::string_view::npos) return std::nullopt;
    host = text.substr(1, close - 1);
    const auto rest = text.substr(close + 1);
    if (!rest.empty() && rest.front() != ':') return std::nullopt;
    has_port = !rest.empty();
    port = has_port ? rest.substr(1) : rest;
    if (host.find(':') == std::string_view::npos || !is_address(host)) return std::nullopt;
  } else if (std::count(text.begin(), text.end(), ':') >= 2) {
    if (!is_address(text)) return std::nullopt;
  } else {
    const auto colon = text.find(':');
    has_port = colon != std::string_view::npos;
    if (has_port) {
      host = text.substr(0, colon);
      port = text.substr(colon + 1);
    }
    // All digits and dots is meant as an address: 192.0.2.300 is a mistake, not a name.
    const bool looks_like_v4 = host.find_first_not_of("0123456789.") == std::string_view::npos;
    if (looks_like_v4 ? !is_address(host) : !is_host_name(host)) return std::nullopt;
  }
  if (has_port) {
    unsigned value = 0;
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), value);
    if (error != std::errc{} || end != port.data() + port.size() || value == 0 || value > 65535) {
      return std::nullopt;
    }
    server.port = static_cast<std::uint16_t>(value);
  }
  server.host = host;
  return server;
}

bool ServerAddress::is_literal() const {
  return is_address(host);
}

}  // namespace sixlink::net
