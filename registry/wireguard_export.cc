// SPDX-License-Identifier: BSD-3-Clause
// A user's tunnel as a file of wg-quick(8), and as a QR code.
#include "registry/wireguard_export.h"

#include <openssl/crypto.h>
#include <qrencode.h>

#include <memory>

#include "src/net/outer_address.h"

namespace sixlink::registry {
namespace {

// Below the 30 s after which the shortest-lived NATs forget a mapping; what WireGuard's own documents name.
constexpr int kPersistentKeepalive = 25;
// Of the standard four, two do for every reader of today.
constexpr int kQuietZone = 2;

struct WipeCode {
  void operator()(QRcode* code) const {
    OPENSSL_cleanse(code->data,
                    static_cast<std::size_t>(code->width) * static_cast<std::size_t>(code->width));
    QRcode_free(code);
  }
};

std::uint16_t own_port(const Config& config) {
  if (config.wireguard.port != 0) return config.wireguard.port;
  return config.listen.empty() ? net::kTspPort : config.listen.front().port;
}

}  // namespace

std::string export_endpoint(const Config& config, std::string& problem) {
  const auto port = std::to_string(own_port(config));
  if (const auto& named = config.wireguard.endpoint) {
    const bool is_v6 = named->host.find(':') != std::string::npos;
    return (is_v6 ? "[" + named->host + "]" : named->host) + ":" +
           (named->port != 0 ? std::to_string(named->port) : port);
  }
  if (config.advertised_v4) return config.advertised_v4->to_string() + ":" + port;
  for (const auto& listen : config.listen) {
    if (!listen.address.is_unspecified())
      return net::endpoint_text(listen.address,
                                config.wireguard.port != 0 ? config.wireguard.port : listen.port);
  }
  problem =
      "it is not known by what name or address others reach this machine; add a line such as "
      "wireguard_endpoint=broker.example.net to " +
      config.path;
  return {};
}

pki::Secret wg_quick_text(const Config& config, const ExportedPeer& peer, const pki::WireguardKeyPair& key) {
  const auto& lease = peer.lease;
  const auto secret = key.private_text();
  // In one piece: a string that grows leaves its text behind.
  std::string text;
  text.reserve(2048);
  text.append("# The IPv6 tunnel of ").append(lease.user).append(" at ").append(peer.endpoint).append("\n");
  if (lease.prefix) text.append("# ").append(lease.prefix->to_string()).append(" is routed to it as well.\n");
  text.append("[Interface]\nPrivateKey = ").append(secret.reveal());
  text.append("\nAddress = ").append(lease.address.to_string()).append("/128");
  if (lease.address_v4) text.append(", ").append(lease.address_v4->to_string()).append("/32");
  if (config.dns_server) text.append("\nDNS = ").append(config.dns_server->to_string());
  text.append("\nMTU = ").append(std::to_string(config.mode_mtu(LeaseMode::kWireguard)));
  text.append("\n\n[Peer]\nPublicKey = ").append(peer.server_key.to_string());
  text.append("\nEndpoint = ").append(peer.endpoint).append("\nAllowedIPs = ::/0");
  if (lease.address_v4) {
    text.append(", ").append(peer.routes_all_v4 ? "0.0.0.0/0" : config.leases.prefix_v4->to_string());
  }
  text.append("\nPersistentKeepalive = ").append(std::to_string(kPersistentKeepalive)).append("\n");
  pki::Secret result(text);
  pki::wipe(text);
  return result;
}

std::optional<pki::Secret> qr_text(std::string_view text) {
  const std::unique_ptr<QRcode, WipeCode> code(QRcode_encodeData(
      static_cast<int>(text.size()), reinterpret_cast<const unsigned char*>(text.data()), 0, QR_ECLEVEL_L));
  if (!code) return std::nullopt;
  const int width = code->width;
  const auto is_dark = [&](int x, int y) {
    if (x < 0 || y < 0 || x >= width || y >= width) return false;
    return (code->data[y * width + x] & 1) != 0;
  };
  // Two rows a line: the upper halves in the foreground's colour.
  std::string drawn;
  const auto side = static_cast<std::size_t>(width) + 2 * kQuietZone;
  drawn.reserve(side * side * 2 + 2048);
  for (int y = -kQuietZone; y < width + kQuietZone; y += 2) {
    drawn += "\033[38;5;16;48;5;231m";
    for (int x = -kQuietZone; x < width + kQuietZone; ++x) {
      const bool upper = is_dark(x, y);
      const bool lower = is_dark(x, y + 1);
      drawn += upper && lower ? "\xe2\x96\x88" : upper ? "\xe2\x96\x80" : lower ? "\xe2\x96\x84" : " ";
    }
    drawn += "\033[0m\n";
  }
  pki::Secret result(drawn);
  pki::wipe(drawn);
  return result;
}

}  // namespace sixlink::registry
