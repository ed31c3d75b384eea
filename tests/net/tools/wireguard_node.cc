// SPDX-License-Identifier: BSD-3-Clause
// One end of WireGuard tunnels, of the protocol machine alone: wireguard_node INTERFACE CONFIGURATION
//
// Opens the TUN interface (addresses and routes are the caller's), reads a configuration as `wg setconf`
// takes it, and moves packets in one thread until it is killed. SIGUSR1: prints a line for each peer (public
// key, endpoint, seconds since the latest handshake or -1, bytes received, bytes sent) and one with what
// became of what arrived.
#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include "platform/platform.h"
#include "src/net/outer_address.h"
#include "src/wireguard/device.h"
#include "src/wireguard/keys.h"

using namespace sixlink;

namespace {

constexpr std::size_t kMtu = 1420;

volatile sig_atomic_t is_status_wanted = 0;
void on_status(int /*signal*/) {
  is_status_wanted = 1;
}

[[noreturn]] void fail(const std::string& why) {
  std::fprintf(stderr, "wireguard_node: %s\n", why.c_str());
  std::exit(1);
}

std::string trimmed(const std::string& text) {
  const auto first = text.find_first_not_of(" \t\r");
  return first == std::string::npos ? "" : text.substr(first, text.find_last_not_of(" \t\r") + 1 - first);
}

boost::asio::ip::udp::endpoint parse_endpoint(const std::string& text) {
  const auto colon = text.rfind(':');
  if (colon == std::string::npos) fail("no port in " + text);
  auto host = text.substr(0, colon);
  if (host.starts_with('[')) host = host.substr(1, host.size() - 2);
  return {boost::asio::ip::make_address(host),
          static_cast<std::uint16_t>(std::stoul(text.substr(colon + 1)))};
}

net::Prefix parse_prefix(const std::string& text) {
  if (const auto v4 = net::PrefixV4::parse(text)) return net::v4_mapped(*v4);
  if (const auto v6 = net::Prefix::parse(text)) return *v6;
  fail("no prefix: " + text);
}

template <typename T>
T required(std::optional<T> value, const std::string& what) {
  if (!value) fail("cannot be read: " + what);
  return std::move(*value);
}

struct Configuration {
  wireguard::SecretKey private_key;
  std::uint16_t port = 0;
  std::vector<wireguard::PeerConfig> peers;
};

Configuration read_configuration(const char* path) {
  Configuration result;
  std::ifstream file(path);
  if (!file) fail(std::string("cannot open ") + path);
  for (std::string line; std::getline(file, line);) {
    line = trimmed(line);
    if (line.empty() || line.starts_with('#') || line == "[Interface]") continue;
    if (line == "[Peer]") {
      result.peers.emplace_back();
      continue;
    }
    const auto equals = line.find('=');
    const auto key = trimmed(line.substr(0, equals));
    const auto value = equals == std::string::npos ? "" : trimmed(line.substr(equals + 1));
    if (key == "PrivateKey") {
      result.private_key = required(wireguard::parse_secret_key(value), key);
    } else if (key == "ListenPort") {
      result.port = static_cast<std::uint16_t>(std::stoul(value));
    } else if (result.peers.empty()) {
      fail("not known before [Peer]: " + key);
    } else if (key == "PublicKey") {
      result.peers.back().public_key = required(wireguard::parse_public_key(value), key);
    } else if (key == "PresharedKey") {
      result.peers.back().preshared_key = required(wireguard::parse_secret_key(value), key);
    } else if (key == "Endpoint") {
      result.peers.back().endpoint = parse_endpoint(value);
    } else if (key == "PersistentKeepalive") {
      result.peers.back().persistent_keepalive = std::chrono::seconds(std::stoul(value));
    } else if (key == "AllowedIPs") {
      for (std::size_t at = 0; at < value.size();) {
        const auto comma = std::min(value.find(',', at), value.size());
        result.peers.back().allowed_ips.push_back(parse_prefix(trimmed(value.substr(at, comma - at))));
        at = comma + 1;
      }
    } else {
      fail("not known: " + key);
    }
  }
  return result;
}

// Both IP versions.
int open_socket(std::uint16_t port) {
  const int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int off = 0;
  sockaddr_in6 any{};
  any.sin6_family = AF_INET6;
  any.sin6_port = htons(port);
  if (fd < 0 || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) != 0 ||
      bind(fd, reinterpret_cast<const sockaddr*>(&any), sizeof any) != 0)
    fail(std::string("cannot open the UDP socket: ") + std::strerror(errno));
  return fd;
}

class Node {
 public:
  Node(platform::TunDevice& tun, int socket, Configuration configuration)
      : tun_(tun), socket_(socket), device_(std::move(configuration.private_key), {.mtu = kMtu}) {
    for (auto& peer : configuration.peers) {
      const auto added = device_.add_peer(std::move(peer), wireguard::Clock::now(), actions_);
      if (!added) fail(wireguard::explain(added.error()));
    }
    carry_out();
  }

  [[noreturn]] void run() {
    std::array<pollfd, 2> fds{pollfd{tun_.fd(), POLLIN, 0}, pollfd{socket_, POLLIN, 0}};
    while (true) {
      int wait = -1;
      if (const auto deadline = device_.deadline(); deadline != wireguard::TimePoint::max()) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - wireguard::Clock::now());
        wait = static_cast<int>(std::max<std::int64_t>(0, std::min<std::int64_t>(left.count(), 60'000)));
      }
      if (poll(fds.data(), fds.size(), wait) < 0 && errno != EINTR) fail(std::strerror(errno));
      if (is_status_wanted != 0) {
        is_status_wanted = 0;
        print_status();
      }
      const auto now = wireguard::Clock::now();
      device_.tick(now, actions_);
      carry_out();
      for (int i = 0; i < 64 && from_tun(now); ++i) carry_out();
      for (int i = 0; i < 64 && from_socket(now); ++i) carry_out();
    }
  }

 private:
  bool from_tun(wireguard::TimePoint now) {
    const auto size = tun_.read(buffer_);
    if (size < 0) fail("the interface is gone");
    if (size == 0) return false;
    device_.send(std::span(buffer_).first(static_cast<std::size_t>(size)), now, actions_);
    return true;
  }
  bool from_socket(wireguard::TimePoint now) {
    sockaddr_in6 from{};
    socklen_t length = sizeof from;
    const auto size =
        recvfrom(socket_, buffer_.data(), buffer_.size(), 0, reinterpret_cast<sockaddr*>(&from), &length);
    if (size < 0) return false;
    boost::asio::ip::address_v6::bytes_type bytes;
    std::memcpy(bytes.data(), &from.sin6_addr, bytes.size());
    const wireguard::Endpoint endpoint{
        {net::unmapped(boost::asio::ip::address_v6(bytes)), ntohs(from.sin6_port)}, {}};
    device_.input(std::span(buffer_).first(static_cast<std::size_t>(size)), endpoint, now, actions_);
    return true;
  }
  void carry_out() {
    for (const auto& datagram : actions_.datagrams) {
      const auto& remote = datagram.to.remote;
      const auto address =
          remote.address().is_v6()
              ? remote.address().to_v6()
              : boost::asio::ip::make_address_v6(boost::asio::ip::v4_mapped, remote.address().to_v4());
      const auto bytes = address.to_bytes();
      sockaddr_in6 to{};
      to.sin6_family = AF_INET6;
      to.sin6_port = htons(remote.port());
      std::memcpy(&to.sin6_addr, bytes.data(), bytes.size());
      // What cannot be sent is lost, as on any path.
      (void)sendto(socket_, datagram.bytes.data(), datagram.bytes.size(), 0,
                   reinterpret_cast<const sockaddr*>(&to), sizeof to);
    }
    for (const auto& packet : actions_.packets) (void)tun_.write(packet.bytes);
    actions_.clear();
  }
  void print_status() const {
    const auto now = std::chrono::system_clock::now();
    for (const auto peer : device_.peers()) {
      const auto status = device_.status(peer, wireguard::Clock::now());
      std::int64_t since = -1;
      if (status->latest_handshake)
        since = std::chrono::duration_cast<std::chrono::seconds>(now - *status->latest_handshake).count();
      const auto endpoint = status->endpoint ? net::endpoint_text(status->endpoint->remote.address(),
                                                                  status->endpoint->remote.port())
                                             : "-";
      std::cout << "peer " << wireguard::to_base64(status->public_key) << ' ' << endpoint << ' ' << since
                << ' ' << status->bytes_received << ' ' << status->bytes_sent << '\n';
    }
    std::cout << "outcomes initiations=" << device_.counters().initiations_sent;
    for (std::size_t i = 0; i < static_cast<std::size_t>(wireguard::Outcome::kCount); ++i) {
      const auto outcome = static_cast<wireguard::Outcome>(i);
      std::cout << ", " << wireguard::to_string(outcome) << '=' << device_.counters()[outcome];
    }
    std::cout << std::endl;
  }

  platform::TunDevice& tun_;
  int socket_;
  wireguard::Device device_;
  wireguard::Actions actions_;
  std::array<std::uint8_t, 65536> buffer_{};
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) fail("usage: wireguard_node INTERFACE CONFIGURATION");
  try {
    auto configuration = read_configuration(argv[2]);
    const auto tun = platform::open_tun(argv[1]);
    if (!tun) fail(platform::explain_tun_error(argv[1], tun.error()));
    struct sigaction action {};
    action.sa_handler = on_status;
    sigaction(SIGUSR1, &action, nullptr);
    const int socket = open_socket(configuration.port);
    const auto node = std::make_unique<Node>(**tun, socket, std::move(configuration));
    std::cout << "ready" << std::endl;
    node->run();
  } catch (const std::exception& error) {
    fail(error.what());
  }
}
