// SPDX-License-Identifier: BSD-3-Clause
// Where the registry listens.
#include "registry/listen_addresses.h"

#include "src/config/setters.h"

namespace sixlink::registry {
namespace {

constexpr std::size_t kMostListenAddresses = 64;

}  // namespace

std::optional<std::vector<ListenAddress>> parse_listen_addresses(std::string_view value,
                                                                 std::uint16_t default_port) {
  std::vector<ListenAddress> listen;
  for (const auto part : config::split_list(value)) {
    const auto server = net::ServerAddress::parse(part);
    if (!server || !server->is_literal()) return std::nullopt;
    boost::system::error_code error;
    const auto address = boost::asio::ip::make_address(server->host, error);
    if (error || address.is_multicast()) return std::nullopt;
    const bool has_port = part != server->host && part != "[" + server->host + "]";
    listen.push_back({address, has_port ? server->port : default_port});
  }
  if (listen.empty() || listen.size() > kMostListenAddresses) return std::nullopt;
  return listen;
}

}  // namespace sixlink::registry
