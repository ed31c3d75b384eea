// SPDX-License-Identifier: BSD-3-Clause
// Load for a registry: thousands of TSP sessions over RUDP (RFC 5572) at once, each from an endpoint of its
// own. Unlike a client it keeps a few words a session, so that it costs less than what it measures. What it
// found is one JSON object on stdout.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <deque>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <vector>

#include "registry/store/store.h"
#include "src/tsp/digest_md5.h"
#include "tests/bench/wireguard_client.h"

namespace {

using Clock = std::chrono::steady_clock;
using TimePoint = Clock::time_point;
using namespace std::chrono_literals;

constexpr const char* kUsage =
    "usage: registry-load sessions --server A --from A --addresses N --sessions N [--first N] [--concurrency "
    "N]\n"
    "                     [--users N --password P] [--ping] [--keepalive SECONDS --hold SECONDS]\n"
    "                     [--wireguard]\n"
    "       registry-load users DATABASE COUNT REALM PASSWORD\n"
    "sessions: from --addresses addresses, the first of which is --from, each with as many ports as it "
    "takes, --concurrency\n"
    "  (1000) at a time; --first: endpoints left out, used by an earlier run; --users: DIGEST-MD5 as user0, "
    "user1 and so on\n"
    "  instead of ANONYMOUS; --ping: one echo request to the broker through each tunnel; --keepalive: one "
    "each so often\n"
    "  afterwards, until --hold is over; --wireguard: tunnels of that mode, each with a session that carries "
    "the "
    "pings\n"
    "users: adds user0, user1 and so on to a registry's database\n";

constexpr std::uint16_t kTspPort = 3653;
constexpr std::uint16_t kFirstPort = 10000;
constexpr std::uint32_t kFirstSequence = 0xF00000F0;
constexpr auto kResendAfter = 1s;
constexpr int kMostSends = 8;
constexpr std::size_t kBatch = 64;
constexpr std::size_t kLargest = 2048;

struct Options {
  in_addr server{};
  in_addr from{};
  std::size_t addresses = 1;
  std::size_t sessions = 0;
  std::size_t first = 0;
  std::size_t concurrency = 1000;
  std::size_t users = 0;
  std::string password;
  bool pings = false;
  bool is_wireguard = false;
  std::chrono::seconds keepalive{0};
  std::chrono::seconds hold{0};
};

enum class Step : std::uint8_t {
  kVersion,
  kAuthenticate,
  kDigest,
  kDigestEnd,
  kCreate,
  kAccept,
  kDone,
  kFailed
};

struct Session {
  Step step = Step::kVersion;
  std::uint8_t sends = 0;
  std::uint32_t sequence = kFirstSequence;
  TimePoint began;
  TimePoint sent;
  TimePoint asked;  // for the tunnel
  in6_addr broker{};
  in6_addr client{};
};

struct Slot {
  std::size_t size = 0;
  in_addr address{};
  char data[kLargest];
};

// One port of ours, for all of our addresses.
class Port {
 public:
  Port(std::uint16_t port, const in_addr& server)
      : file_(::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) {
    const int on = 1;
    const int size = 16 << 20;
    sockaddr_in local{};
    local.sin_family = AF_INET;
    local.sin_port = htons(port);
    if (file_ < 0 || ::setsockopt(file_, IPPROTO_IP, IP_PKTINFO, &on, sizeof on) != 0 ||
        ::bind(file_, reinterpret_cast<const sockaddr*>(&local), sizeof local) != 0)
      throw std::runtime_error("cannot open UDP port " + std::to_string(port) + ": " + std::strerror(errno));
    ::setsockopt(file_, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
    ::setsockopt(file_, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
    server_.sin_family = AF_INET;
    server_.sin_port = htons(kTspPort);
    server_.sin_addr = server;
  }
  Port(const Port&) = delete;
  Port& operator=(const Port&) = delete;
  ~Port() { ::close(file_); }

  int file() const { return file_; }

  void queue(const in_addr& from, std::string_view bytes) {
    if (count_ == kBatch) flush();
    auto& slot = out_[count_++];
    slot.size = std::min(bytes.size(), kLargest);
    std::memcpy(slot.data, bytes.data(), slot.size);
    slot.address = from;
  }

  void flush() {
    std::array<mmsghdr, kBatch> messages{};
    std::array<iovec, kBatch> parts{};
    std::array<Control, kBatch> controls;
    for (std::size_t i = 0; i < count_; ++i) {
      parts[i] = {out_[i].data, out_[i].size};
      fill(messages[i].msg_hdr, parts[i], controls[i]);
      messages[i].msg_hdr.msg_name = &server_;
      messages[i].msg_hdr.msg_namelen = sizeof server_;
      auto* header = CMSG_FIRSTHDR(&messages[i].msg_hdr);
      header->cmsg_level = IPPROTO_IP;
      header->cmsg_type = IP_PKTINFO;
      header->cmsg_len = CMSG_LEN(sizeof(in_pktinfo));
      in_pktinfo info{};
      info.ipi_spec_dst = out_[i].address;
      std::memcpy(CMSG_DATA(header), &info, sizeof info);
    }
    // What does not leave now is sent again after a second, as anything that is lost.
    if (count_ > 0) ::sendmmsg(file_, messages.data(), static_cast<unsigned>(count_), 0);
    count_ = 0;
  }

  // Calls with our address and the bytes of each datagram that waits.
  template <typename Function>
  void receive(Function&& function) {
    std::array<mmsghdr, kBatch> messages{};
    std::array<iovec, kBatch> parts{};
    std::array<Control, kBatch> controls;
    for (;;) {
      for (std::size_t i = 0; i < kBatch; ++i) {
        parts[i] = {in_[i].data, kLargest};
        fill(messages[i].msg_hdr, parts[i], controls[i]);
      }
      const int count = ::recvmmsg(file_, messages.data(), kBatch, 0, nullptr);
      for (int n = 0; n < count; ++n) {
        const auto i = static_cast<std::size_t>(n);
        for (auto* header = CMSG_FIRSTHDR(&messages[i].msg_hdr); header;
             header = CMSG_NXTHDR(&messages[i].msg_hdr, header)) {
          if (header->cmsg_level != IPPROTO_IP || header->cmsg_type != IP_PKTINFO) continue;
          in_pktinfo info;
          std::memcpy(&info, CMSG_DATA(header), sizeof info);
          function(info.ipi_addr, std::string_view(in_[i].data, messages[i].msg_len));
        }
      }
      if (count < static_cast<int>(kBatch)) return;
    }
  }

 private:
  union Control {
    cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(in_pktinfo))];
  };

  static void fill(msghdr& header, iovec& part, Control& control) {
    header = {};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    header.msg_control = control.bytes;
    header.msg_controllen = sizeof control.bytes;
  }

  int file_;
  sockaddr_in server_{};
  std::size_t count_ = 0;
  // Shared by all ports: only one is worked on at a time, and each is flushed before the next.
  static inline std::array<Slot, kBatch> in_;
  std::array<Slot, kBatch> out_;
};

std::string with_length(const std::string& xml) {
  return "Content-length: " + std::to_string(xml.size()) + "\r\n" + xml;
}

std::string percentiles(std::vector<float>& milliseconds) {
  std::sort(milliseconds.begin(), milliseconds.end());
  const auto at = [&](double share) {
    if (milliseconds.empty()) return 0.0;
    const auto index = static_cast<std::size_t>(share * static_cast<double>(milliseconds.size() - 1));
    return static_cast<double>(milliseconds[index]);
  };
  char text[160];
  std::snprintf(text, sizeof text, R"({"p50": %.2f, "p90": %.2f, "p99": %.2f, "max": %.2f})", at(0.5),
                at(0.9), at(0.99), at(1));
  return text;
}

float milliseconds_since(TimePoint start, TimePoint now) {
  return std::chrono::duration<float, std::milli>(now - start).count();
}

class Load {
 public:
  explicit Load(const Options& options)
      : options_(options), sessions_(options.sessions), epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
    if (options.is_wireguard) wireguard_.resize(options.sessions);
    ports_.resize((options.first + options.sessions) / options.addresses + 1);
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }
  Load(const Load&) = delete;
  Load& operator=(const Load&) = delete;
  ~Load() { ::close(epoll_); }

  int run() {
    const auto start = Clock::now();
    while (done_ + failed_ < sessions_.size()) {
      const auto now = Clock::now();
      while (begun_ < sessions_.size() && begun_ - done_ - failed_ < options_.concurrency)
        begin(begun_++, now);
      resend(now);
      turn(50ms);
    }
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    if (options_.pings) ping_all();
    const auto answered = answers_;
    hold();
    std::printf(
        R"({"sessions": %zu, "seconds": %.3f, "sessions_per_second": %.0f, "failed": %zu, "sent_again": %zu, "pings_answered": %zu, )"
        R"("session_ms": %s, "create_ms": %s, "refused": "%s"})"
        "\n",
        done_, seconds, static_cast<double>(done_) / seconds, failed_, resent_, answered,
        percentiles(session_ms_).c_str(), percentiles(create_ms_).c_str(), refused_.c_str());
    return failed_ == 0 ? 0 : 1;
  }

 private:
  std::size_t endpoint(std::size_t session) const { return options_.first + session; }

  Port& port_of(std::size_t session) {
    const auto index = endpoint(session) / options_.addresses;
    auto& port = ports_[index];
    if (!port) {
      port = std::make_unique<Port>(static_cast<std::uint16_t>(kFirstPort + index), options_.server);
      epoll_event event{};
      event.events = EPOLLIN;
      event.data.u64 = index;
      ::epoll_ctl(epoll_, EPOLL_CTL_ADD, port->file(), &event);
    }
    return *port;
  }

  in_addr address_of(std::size_t session) const {
    return {htonl(ntohl(options_.from.s_addr) +
                  static_cast<std::uint32_t>(endpoint(session) % options_.addresses))};
  }

  void begin(std::size_t index, TimePoint now) {
    auto& session = sessions_[index];
    session.began = now;
    ask(index, Step::kVersion, now);
  }

  void ask(std::size_t index, Step step, TimePoint now, std::string text = {}) {
    auto& session = sessions_[index];
    session.step = step;
    session.sends = 0;
    if (!text.empty()) digests_[index] = std::move(text);
    if (step == Step::kCreate) session.asked = now;
    send(index, now);
  }

  std::string message(std::size_t index) const {
    switch (sessions_[index].step) {
      case Step::kVersion:
        return "VERSION=2.0.2\r\n";
      case Step::kAuthenticate:
        return options_.users > 0 ? std::string("AUTHENTICATE DIGEST-MD5\r\n\0", 26)
                                  : std::string("AUTHENTICATE ANONYMOUS\r\n\0", 25);
      case Step::kDigest:
        return digests_.at(index);
      case Step::kCreate: {
        char address[INET_ADDRSTRLEN];
        const auto own = address_of(index);
        ::inet_ntop(AF_INET, &own, address, sizeof address);
        const bool is_wireguard = options_.is_wireguard;
        const auto key = is_wireguard
                             ? "  <key type=\"wireguard\">" + wireguard_[index].public_key() + "</key>\r\n"
                             : std::string();
        return with_length("<tunnel action=\"create\" type=\"" +
                           std::string(is_wireguard ? "wireguard" : "v6udpv4") +
                           "\" proxy=\"no\">\r\n <client>\r\n  <address "
                           "type=\"ipv4\">" +
                           std::string(address) + "</address>\r\n" + key +
                           "  <keepalive interval=\"30\">\r\n    <address type=\"ipv6\">::</address>\r\n"
                           "  </keepalive>\r\n </client>\r\n</tunnel>\r\n");
      }
      case Step::kAccept:
        return with_length("<tunnel action=\"accept\"></tunnel>\r\n");
      default:
        return {};  // DIGEST-MD5's end
    }
  }

  void send(std::size_t index, TimePoint now) {
    auto& session = sessions_[index];
    ++session.sends;
    session.sent = now;
    const std::uint32_t header[2] = {
        htonl(session.sequence),
        htonl(static_cast<std::uint32_t>(
            std::chrono::duration_cast<std::chrono::milliseconds>(now - session.began).count()))};
    std::string datagram(reinterpret_cast<const char*>(header), sizeof header);
    datagram += message(index);
    auto& port = port_of(index);
    port.queue(address_of(index), datagram);
    if (touched_.empty() || touched_.back() != &port) touched_.push_back(&port);
    waiting_.emplace_back(index, session.sequence, now);
  }

  void resend(TimePoint now) {
    while (!waiting_.empty() && now - waiting_.front().sent >= kResendAfter) {
      const auto entry = waiting_.front();
      waiting_.pop_front();
      auto& session = sessions_[entry.index];
      if (session.step >= Step::kDone || session.sequence != entry.sequence || session.sent != entry.sent)
        continue;
      if (session.sends == kMostSends) {
        end(entry.index, "no answer");
        continue;
      }
      ++resent_;
      send(entry.index, now);
    }
  }

  void end(std::size_t index, std::string_view why) {
    sessions_[index].step = why.empty() ? Step::kDone : Step::kFailed;
    ++(why.empty() ? done_ : failed_);
    if (!why.empty() && refused_.empty()) {
      refused_ = why.substr(0, 60);
      std::replace_if(
          refused_.begin(), refused_.end(), [](char c) { return c < ' ' || c == '"' || c == '\\'; }, ' ');
    }
  }

  void turn(std::chrono::milliseconds wait) {
    for (auto* port : touched_) port->flush();
    touched_.clear();
    std::array<epoll_event, 64> events;
    const int count =
        ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), static_cast<int>(wait.count()));
    const auto now = Clock::now();
    for (int i = 0; i < count; ++i) {
      const auto port = static_cast<std::size_t>(events[static_cast<std::size_t>(i)].data.u64);
      ports_[port]->receive([&](const in_addr& to, std::string_view datagram) {
        const std::size_t place = port * options_.addresses + ntohl(to.s_addr) - ntohl(options_.from.s_addr);
        if (place < options_.first || place - options_.first >= begun_) return;
        on_datagram(place - options_.first, datagram, now);
      });
    }
  }

  void queue(std::size_t index, std::string_view datagram) {
    auto& port = port_of(index);
    port.queue(address_of(index), datagram);
    if (touched_.empty() || touched_.back() != &port) touched_.push_back(&port);
  }

  void on_datagram(std::size_t index, std::string_view datagram, TimePoint now) {
    if (options_.is_wireguard && !datagram.empty() && static_cast<unsigned char>(datagram[0]) <= 4) {
      answers_ +=
          wireguard_[index].receive(datagram, now, [&](std::string_view bytes) { queue(index, bytes); }) ? 1
                                                                                                         : 0;
      return;
    }
    if (datagram.size() > 40 && (static_cast<unsigned char>(datagram[0]) >> 4) == 6) {
      answers_ += static_cast<unsigned char>(datagram[40]) == 129 ? 1 : 0;
      return;
    }
    auto& session = sessions_[index];
    std::uint32_t sequence = 0;
    if (datagram.size() < 8 || session.step >= Step::kDone) return;
    std::memcpy(&sequence, datagram.data(), sizeof sequence);
    if (ntohl(sequence) != session.sequence) return;
    on_reply(index, datagram.substr(8), now);
  }

  void on_reply(std::size_t index, std::string_view text, TimePoint now) {
    auto& session = sessions_[index];
    ++session.sequence;
    switch (session.step) {
      case Step::kVersion:
        if (!text.starts_with("CAPABILITY")) return end(index, text);
        return ask(index, Step::kAuthenticate, now);
      case Step::kAuthenticate:
        if (options_.users > 0) return answer_challenge(index, text, now);
        if (!text.starts_with("200")) return end(index, text);
        return ask(index, Step::kCreate, now);
      case Step::kDigest:
        if (text.starts_with("300")) return end(index, text);
        digests_.erase(index);
        return ask(index, Step::kDigestEnd, now);
      case Step::kDigestEnd:
        if (!text.starts_with("200")) return end(index, text);
        return ask(index, Step::kCreate, now);
      case Step::kCreate:
        create_ms_.push_back(milliseconds_since(session.asked, now));
        if (!read_info(session, text)) return end(index, text);
        if (options_.is_wireguard && !wireguard_[index].start(element(text, "<key type=\"wireguard\">"), now))
          return end(index, "no WireGuard key");
        return ask(index, Step::kAccept, now);
      case Step::kAccept:
        session_ms_.push_back(milliseconds_since(session.began, now));
        return end(index, text.empty() ? "" : text);
      default:
        return;
    }
  }

  void answer_challenge(std::size_t index, std::string_view text, TimePoint now) {
    const auto plain = sixlink::tsp::base64_decode(text);
    const auto challenge = plain ? sixlink::tsp::DigestChallenge::parse(*plain) : std::nullopt;
    if (!challenge) return end(index, text);
    const auto user = "user" + std::to_string(endpoint(index) % options_.users);
    const auto answer = sixlink::tsp::answer_challenge(*challenge, user, options_.password,
                                                       "tsp/broker.example.net", "12345678");
    ask(index, Step::kDigest, now, sixlink::tsp::base64_encode(answer.to_string()) + "\r\n");
  }

  // What stands between that start tag and the next "<".
  static std::string_view element(std::string_view text, std::string_view tag) {
    const auto at = text.find(tag);
    if (at == std::string_view::npos) return {};
    text = text.substr(at + tag.size());
    return text.substr(0, text.find('<'));
  }

  // The two inner addresses.
  static bool read_info(Session& session, std::string_view text) {
    static constexpr std::string_view kMark = "<address type=\"ipv6\">";
    if (text.find("\r\n200 ") == std::string_view::npos) return false;
    for (auto* address : {&session.broker, &session.client}) {
      const auto at = text.find(kMark);
      if (at == std::string_view::npos) return false;
      text = text.substr(at + kMark.size());
      const std::string literal(text.substr(0, text.find('<')));
      if (::inet_pton(AF_INET6, literal.c_str(), address) != 1) return false;
    }
    return true;
  }

  void ping(std::size_t index) {
    const auto& session = sessions_[index];
    if (session.step != Step::kDone) return;
    std::array<std::uint8_t, 56> packet{};
    packet[0] = 0x60;
    packet[5] = packet.size() - 40;
    packet[6] = 58;  // ICMPv6
    packet[7] = 64;
    std::memcpy(&packet[8], &session.client, 16);
    std::memcpy(&packet[24], &session.broker, 16);
    packet[40] = 128;  // echo request
    // The pseudo-header's sum is that of the addresses, the length and the number 58.
    std::uint32_t sum = packet.size() - 40 + 58;
    for (std::size_t i = 8; i < packet.size(); i += 2)
      sum += static_cast<std::uint32_t>(packet[i]) << 8 | packet[i + 1];
    while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
    packet[42] = static_cast<std::uint8_t>(~sum >> 8);
    packet[43] = static_cast<std::uint8_t>(~sum);
    if (options_.is_wireguard) {
      wireguard_[index].send(packet, Clock::now(), [&](std::string_view bytes) { queue(index, bytes); });
    } else {
      queue(index, {reinterpret_cast<const char*>(packet.data()), packet.size()});
    }
  }

  // At most so many at once that none is lost in a queue.
  void ping_all() {
    // Of handshakes fewer: a registry that gets more than 800 a second asks for cookies.
    const std::size_t at_once = options_.is_wireguard ? 32 : 256;
    for (int round = 0; round < 3 && answers_ < done_; ++round) {
      answers_ = 0;
      for (std::size_t i = 0; i < sessions_.size(); ++i) {
        ping(i);
        if (i % at_once != at_once - 1) continue;
        wait_for_answers(i + 1);
        if (options_.is_wireguard && round == 0) std::this_thread::sleep_for(50ms);
      }
      wait_for_answers(done_);
    }
  }

  void wait_for_answers(std::size_t count) {
    for (const auto deadline = Clock::now() + 500ms; answers_ < count && Clock::now() < deadline;) turn(5ms);
  }

  void hold() {
    if (options_.hold == 0s) return;
    std::printf("holding\n");
    std::fflush(stdout);
    const auto start = Clock::now();
    std::size_t sent = 0;
    while (Clock::now() - start < options_.hold) {
      if (options_.keepalive > 0s) {
        const std::chrono::duration<double> elapsed = Clock::now() - start;
        const auto due =
            static_cast<std::size_t>(elapsed / options_.keepalive * static_cast<double>(sessions_.size()));
        for (; sent < due; ++sent) ping(sent % sessions_.size());
      }
      turn(10ms);
    }
  }

  struct Waiting {
    Waiting(std::size_t i, std::uint32_t s, TimePoint t) : index(i), sequence(s), sent(t) {}
    std::size_t index;
    std::uint32_t sequence;
    TimePoint sent;
  };

  const Options& options_;
  std::vector<Session> sessions_;
  std::deque<sixlink::bench::WireguardClient> wireguard_;  // they do not move
  std::unordered_map<std::size_t, std::string> digests_;   // answers to challenges, until they are accepted
  std::vector<std::unique_ptr<Port>> ports_;
  std::vector<Port*> touched_;
  std::deque<Waiting> waiting_;
  int epoll_;
  std::size_t begun_ = 0;
  std::size_t done_ = 0;
  std::size_t failed_ = 0;
  std::size_t resent_ = 0;
  std::size_t answers_ = 0;
  std::string refused_;
  std::vector<float> session_ms_;
  std::vector<float> create_ms_;
};

std::size_t number(const std::string& text) {
  std::size_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size())
    throw std::runtime_error("not a number: " + text);
  return value;
}

in_addr address(const std::string& text) {
  in_addr value{};
  if (::inet_pton(AF_INET, text.c_str(), &value) != 1)
    throw std::runtime_error("not an IPv4 address: " + text);
  return value;
}

Options parse(const std::vector<std::string>& words) {
  Options options;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const auto& name = words[i];
    if (name == "--ping" || name == "--wireguard") {
      (name == "--ping" ? options.pings : options.is_wireguard) = true;
      continue;
    }
    if (++i == words.size()) throw std::runtime_error(name + " needs a value");
    const auto& value = words[i];
    if (name == "--server") {
      options.server = address(value);
    } else if (name == "--from") {
      options.from = address(value);
    } else if (name == "--password") {
      options.password = value;
    } else if (name == "--addresses") {
      options.addresses = number(value);
    } else if (name == "--sessions") {
      options.sessions = number(value);
    } else if (name == "--first") {
      options.first = number(value);
    } else if (name == "--concurrency") {
      options.concurrency = number(value);
    } else if (name == "--users") {
      options.users = number(value);
    } else if (name == "--keepalive") {
      options.keepalive = std::chrono::seconds(number(value));
    } else if (name == "--hold") {
      options.hold = std::chrono::seconds(number(value));
    } else {
      throw std::runtime_error("unknown: " + name);
    }
  }
  const auto endpoints = options.addresses * (65536 - kFirstPort);
  if (options.addresses == 0 || options.concurrency == 0 || options.first + options.sessions > endpoints)
    throw std::runtime_error("there are not so many endpoints");
  return options;
}

int add_users(const std::vector<std::string>& words) {
  if (words.size() != 4) throw std::runtime_error("users takes DATABASE COUNT REALM PASSWORD");
  auto store = sixlink::registry::Store::open(words[0]);
  if (!store) throw std::runtime_error(words[0] + ": " + store.error().message());
  if (const auto error = store->begin()) throw std::runtime_error(error.message());
  for (std::size_t i = 0; i < number(words[1]); ++i) {
    const auto name = "user" + std::to_string(i);
    const auto ha1 = sixlink::tsp::digest_ha1(name, words[2], words[3]);
    const auto added = store->add_user({name, words[2], std::string(ha1.begin(), ha1.end()), 0});
    if (!added) throw std::runtime_error(added.error().message());
  }
  if (const auto error = store->commit()) throw std::runtime_error(error.message());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  try {
    if (!words.empty() && words[0] == "users") return add_users({words.begin() + 1, words.end()});
    if (words.empty() || words[0] != "sessions") {
      std::fputs(kUsage, stderr);
      return 2;
    }
    const auto options = parse({words.begin() + 1, words.end()});
    return Load(options).run();
  } catch (const std::exception& exception) {
    std::fprintf(stderr, "registry-load: %s\n", exception.what());
    return 2;
  }
}
