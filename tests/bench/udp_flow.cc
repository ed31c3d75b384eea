// SPDX-License-Identifier: BSD-3-Clause
// Finds the highest rate of UDP datagrams that arrives with less than one percent lost, between two network
// namespaces:
//
//   udp_flow --from NETNS --to NETNS [--segments N] [--probe S] [--seconds S] [--near PPS] ADDRESS PORT SIZE
//
// One process holds both sockets, one in each namespace, so that both ends share a clock and need no messages
// of their own. The sender paces sendmmsg() by the clock, with --segments by UDP_SEGMENT so many datagrams a
// message; the receiver counts what came, by trial and sequence number. Short probes find the rate, one of
// --seconds confirms it. The result is a line of JSON.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

// Linux's numbers (include/uapi/linux/udp.h), which older C libraries do not have.
constexpr int kUdpSegment = 103;
constexpr int kUdpGro = 104;

constexpr double kAcceptableLoss = 0.01;
constexpr std::size_t kPacketsPerCall = 64;
// A sender that was off the processor catches up by no more than this: half of a TUN's queue of 500 packets.
constexpr std::uint64_t kLongestBurst = 256;
constexpr auto kShortestSleep = std::chrono::microseconds(50);
// What comes later than this after the last datagram was sent was over the rate that the way can carry: it
// stood in a queue. It counts as lost, and the next trial waits until nothing has come for a while, so that
// it begins with empty queues.
constexpr auto kInTime = std::chrono::milliseconds(100);
constexpr auto kQuiet = std::chrono::milliseconds(60);
constexpr auto kLongestWait = std::chrono::seconds(5);
constexpr int kSocketBuffer = 8 * 1024 * 1024;
constexpr std::uint32_t kMagic = 0x36776c78;

struct Options {
  std::string from, to, address;
  std::uint16_t port = 0;
  std::size_t size = 0;
  std::size_t segments = 1;
  double probe = 0.2, seconds = 1, near = 0;
};

// What each datagram begins with. Both ends are this process: no byte order to agree on.
struct Stamp {
  std::uint32_t magic, trial;
  std::uint64_t sequence;
};

struct Trial {
  double seconds = 0;
  std::uint64_t sent = 0, received = 0, reordered = 0, duplicated = 0, damaged = 0;

  double sent_rate() const { return static_cast<double>(sent) / seconds; }
  double rate() const { return static_cast<double>(received) / seconds; }
  double loss() const {
    return sent == 0 ? 1 : 1 - static_cast<double>(received) / static_cast<double>(sent);
  }
  bool is_good() const { return loss() < kAcceptableLoss; }
};

[[noreturn]] void fail(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {}
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&&) = delete;
  ~FileDescriptor() {
    if (fd_ >= 0) close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

// This thread is in the namespace afterwards; a socket stays in the one that it was opened in.
void enter(const std::string& path) {
  const FileDescriptor namespace_file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (namespace_file.get() < 0) fail("cannot open the network namespace " + path);
  if (setns(namespace_file.get(), CLONE_NEWNET) != 0) fail("cannot enter the network namespace " + path);
}

FileDescriptor open_socket() {
  FileDescriptor socket_file(socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (socket_file.get() < 0) fail("cannot open a UDP socket");
  return socket_file;
}

FileDescriptor open_receiver(const sockaddr_in6& address) {
  FileDescriptor receiver = open_socket();
  const int on = 1;
  const timeval wait{.tv_sec = 0, .tv_usec = 20'000};
  if (setsockopt(receiver.get(), SOL_SOCKET, SO_RCVBUFFORCE, &kSocketBuffer, sizeof kSocketBuffer) != 0 ||
      setsockopt(receiver.get(), SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait) != 0) {
    fail("cannot set the receiver up");
  }
  // Missing before Linux 5.0, which then delivers one datagram at a time.
  (void)setsockopt(receiver.get(), SOL_UDP, kUdpGro, &on, sizeof on);
  if (bind(receiver.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    fail("cannot bind the receiver");
  }
  return receiver;
}

FileDescriptor open_sender(const sockaddr_in6& address) {
  FileDescriptor sender = open_socket();
  if (setsockopt(sender.get(), SOL_SOCKET, SO_SNDBUFFORCE, &kSocketBuffer, sizeof kSocketBuffer) != 0) {
    fail("cannot set the sender up");
  }
  if (connect(sender.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    fail("no route to the receiver");
  }
  return sender;
}

class Receiver {
 public:
  Receiver(int socket, std::size_t size)
      : socket_(socket), size_(size), buffers_(kMessages * kBufferSize), headers_(kMessages) {
    for (std::size_t i = 0; i < kMessages; ++i) pieces_[i] = {&buffers_[i * kBufferSize], kBufferSize};
  }

  // Counts one trial's datagrams, and returns when the way is empty again.
  void run(std::uint32_t number, const std::atomic<bool>& sending_is_over, Trial& trial) {
    seen_.assign(seen_.size(), false);
    next_ = 0;
    std::optional<Clock::time_point> over;
    Clock::time_point last = Clock::now();
    while (true) {
      prepare();
      const int count = recvmmsg(socket_, headers_.data(), kMessages, MSG_WAITFORONE, nullptr);
      const auto now = Clock::now();
      if (count > 0) {
        last = now;
        const std::size_t timely = over && now - *over > kInTime ? 0 : static_cast<std::size_t>(count);
        for (std::size_t i = 0; i < timely; ++i) take(i, number, trial);
      } else if (errno != EAGAIN && errno != EINTR) {
        fail("cannot receive");
      }
      if (!over && sending_is_over) over = now;
      if (over && ((now - last > kQuiet && now - *over > kQuiet) || now - *over > kLongestWait)) return;
    }
  }

 private:
  static constexpr std::size_t kMessages = 32;
  static constexpr std::size_t kBufferSize = 65536;

  void prepare() {
    for (std::size_t i = 0; i < kMessages; ++i) {
      headers_[i].msg_hdr = {};
      headers_[i].msg_hdr.msg_iov = &pieces_[i];
      headers_[i].msg_hdr.msg_iovlen = 1;
      headers_[i].msg_hdr.msg_control = controls_[i].data();
      headers_[i].msg_hdr.msg_controllen = controls_[i].size();
    }
  }

  void take(std::size_t message, std::uint32_t number, Trial& trial) {
    msghdr& header = headers_[message].msg_hdr;
    const std::size_t length = headers_[message].msg_len;
    std::size_t step = length;
    for (cmsghdr* control = CMSG_FIRSTHDR(&header); control != nullptr;
         control = CMSG_NXTHDR(&header, control)) {
      if (control->cmsg_level != SOL_UDP || control->cmsg_type != kUdpGro) continue;
      int segment = 0;
      std::memcpy(&segment, CMSG_DATA(control), sizeof segment);
      if (segment > 0) step = static_cast<std::size_t>(segment);
    }
    const char* data = &buffers_[message * kBufferSize];
    for (std::size_t at = 0; at < length; at += step)
      count(data + at, std::min(step, length - at), number, trial);
  }

  void count(const char* data, std::size_t length, std::uint32_t number, Trial& trial) {
    Stamp stamp{};
    if (length == size_) std::memcpy(&stamp, data, sizeof stamp);
    if (stamp.magic != kMagic) {
      ++trial.damaged;
      return;
    }
    if (stamp.trial != number) return;
    if (stamp.sequence >= seen_.size())
      seen_.resize(std::max<std::size_t>(stamp.sequence + 1, seen_.size() * 2));
    if (seen_[stamp.sequence]) {
      ++trial.duplicated;
      return;
    }
    seen_[stamp.sequence] = true;
    if (stamp.sequence < next_) ++trial.reordered;
    next_ = std::max(next_, stamp.sequence + 1);
    ++trial.received;
  }

  int socket_;
  std::size_t size_;
  std::vector<char> buffers_;
  std::vector<mmsghdr> headers_;
  std::array<iovec, kMessages> pieces_{};
  std::array<std::array<char, 64>, kMessages> controls_{};
  std::vector<bool> seen_ = std::vector<bool>(1 << 20);
  std::uint64_t next_ = 0;
};

class Sender {
 public:
  Sender(int socket, std::size_t size, std::size_t segments)
      : socket_(socket), size_(size), segments_(segments), data_(kPacketsPerCall * size) {
    const auto segment = static_cast<std::uint16_t>(size);
    for (std::size_t i = 0; i < headers_.size(); ++i) {
      pieces_[i] = {&data_[std::min(i * segments * size, data_.size() - size)], 0};
      headers_[i].msg_hdr.msg_iov = &pieces_[i];
      headers_[i].msg_hdr.msg_iovlen = 1;
      if (segments == 1) continue;
      headers_[i].msg_hdr.msg_control = control_.data();
      headers_[i].msg_hdr.msg_controllen = CMSG_SPACE(sizeof segment);
      cmsghdr* control = CMSG_FIRSTHDR(&headers_[i].msg_hdr);
      control->cmsg_level = SOL_UDP;
      control->cmsg_type = kUdpSegment;
      control->cmsg_len = CMSG_LEN(sizeof segment);
      std::memcpy(CMSG_DATA(control), &segment, sizeof segment);
    }
  }

  // At `rate` datagrams a second, or as fast as it goes when that is 0.
  void run(std::uint32_t number, double rate, double seconds, Trial& trial) {
    const auto start = Clock::now();
    std::uint64_t skipped = 0;
    while (true) {
      const double elapsed = Seconds(Clock::now() - start).count();
      if (elapsed >= seconds) {
        trial.seconds = elapsed;
        return;
      }
      std::uint64_t due = kPacketsPerCall;
      if (rate > 0) {
        due = static_cast<std::uint64_t>(elapsed * rate) - skipped - trial.sent;
        if (due > kLongestBurst) {
          skipped += due - kLongestBurst;
          due = kLongestBurst;
        }
        // Whole messages only, so that each rate has the sender's calls do the same work for a datagram.
        due -= due % segments_;
        if (due == 0) {
          const Seconds missing((static_cast<double>(trial.sent + skipped + segments_)) / rate - elapsed);
          std::this_thread::sleep_for(std::max<Seconds>(missing, kShortestSleep));
          continue;
        }
      }
      send(number, std::min<std::uint64_t>(due, kPacketsPerCall), trial);
    }
  }

 private:
  void send(std::uint32_t number, std::uint64_t packets, Trial& trial) {
    for (std::uint64_t i = 0; i < packets; ++i) {
      const Stamp stamp{.magic = kMagic, .trial = number, .sequence = trial.sent + i};
      std::memcpy(&data_[i * size_], &stamp, sizeof stamp);
    }
    std::size_t messages = 0;
    for (std::uint64_t left = packets; left > 0; ++messages) {
      const auto count = std::min<std::uint64_t>(left, segments_);
      pieces_[messages].iov_len = count * size_;
      left -= count;
    }
    for (std::size_t done = 0; done < messages;) {
      const int count = sendmmsg(socket_, &headers_[done], static_cast<unsigned>(messages - done), 0);
      if (count > 0) {
        done += static_cast<std::size_t>(count);
      } else if (errno == ENOBUFS || errno == EAGAIN) {
        ++done;  // a queue on the way is full: this message is lost
      } else if (errno != EINTR) {
        fail("cannot send");
      }
    }
    trial.sent += packets;
  }

  int socket_;
  std::size_t size_, segments_;
  std::vector<char> data_;
  std::array<mmsghdr, kPacketsPerCall> headers_{};
  std::array<iovec, kPacketsPerCall> pieces_{};
  // The same for every message.
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(std::uint16_t))> control_{};
};

class Search {
 public:
  Search(const Options& options, int sender, int receiver)
      : options_(options),
        sender_(sender, options.size, options.segments),
        receiver_(receiver, options.size) {}

  Trial run() {
    const double rate = find();
    return confirm(rate);
  }
  std::uint32_t trials() const { return number_; }
  double unlimited() const { return unlimited_; }

 private:
  static constexpr int kMostProbes = 14;
  static constexpr int kMostConfirmations = 14;
  static constexpr double kPrecision = 1.04;

  Trial trial(double rate, double seconds) {
    Trial result, counted;
    std::atomic<bool> over = false;
    ++number_;
    std::exception_ptr error;
    std::thread thread([&] {
      try {
        receiver_.run(number_, over, counted);
      } catch (...) {
        error = std::current_exception();
      }
    });
    try {
      sender_.run(number_, rate, seconds, result);
    } catch (...) {
      over = true;
      thread.join();
      throw;
    }
    over = true;
    thread.join();
    if (error) std::rethrow_exception(error);
    counted.sent = result.sent;
    counted.seconds = result.seconds;
    return counted;
  }

  // The highest rate at which a probe is good, as found by bisection; 0: as fast as the sender can.
  double find() {
    const Trial all = trial(0, options_.probe);
    unlimited_ = all.sent_rate();
    if (all.is_good()) return 0;
    double good = 0, bad = all.sent_rate();
    double next = options_.near > 0 && options_.near < bad ? options_.near : std::max(all.rate(), bad / 100);
    for (int i = 0; i < kMostProbes && (good == 0 || bad / good > kPrecision); ++i) {
      if (trial(next, options_.probe).is_good()) {
        good = next;
        next = std::min(good * 1.3, std::sqrt(good * bad));
      } else {
        bad = next;
        next = good == 0 ? bad * 0.75 : std::sqrt(good * bad);
      }
    }
    return good == 0 ? bad * 0.75 : good;
  }

  Trial confirm(double rate) {
    Trial last;
    for (int i = 0; i < kMostConfirmations; ++i) {
      last = trial(rate, options_.seconds);
      if (last.is_good()) return last;
      // The probe was lucky; after a few times it was much too lucky.
      rate = (rate == 0 ? last.rate() : rate) * (i < 3 ? 0.94 : 0.8);
    }
    char text[160];
    std::snprintf(text, sizeof text, "%.1f %% are lost even at %.0f datagrams a second", last.loss() * 100,
                  last.sent_rate());
    throw std::runtime_error(text);
  }

  const Options& options_;
  Sender sender_;
  Receiver receiver_;
  std::uint32_t number_ = 0;
  double unlimited_ = 0;
};

template <class Number>
Number parse(std::string_view text, Number low, Number high) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < low || value > high) {
    throw std::runtime_error("bad number: " + std::string(text));
  }
  return value;
}

Options parse_options(const std::vector<std::string>& words) {
  Options options;
  std::vector<std::string> rest;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (!words[i].starts_with("--")) {
      rest.push_back(words[i]);
      continue;
    }
    const std::string& name = words[i];
    if (++i == words.size()) throw std::runtime_error(name + " needs a value");
    if (name == "--from") {
      options.from = words[i];
    } else if (name == "--to") {
      options.to = words[i];
    } else if (name == "--segments") {
      options.segments = parse<std::size_t>(words[i], 1, kPacketsPerCall);
    } else if (name == "--probe") {
      options.probe = parse<double>(words[i], 0.01, 60);
    } else if (name == "--seconds") {
      options.seconds = parse<double>(words[i], 0.01, 600);
    } else if (name == "--near") {
      options.near = parse<double>(words[i], 0, 1e9);
    } else {
      throw std::runtime_error("unknown option " + name);
    }
  }
  if (rest.size() != 3 || options.from.empty() || options.to.empty()) {
    throw std::runtime_error(
        "usage: udp_flow --from NETNS --to NETNS [--segments N] [--probe S] [--seconds S] [--near PPS] "
        "ADDRESS PORT SIZE");
  }
  options.address = rest[0];
  options.port = parse<std::uint16_t>(rest[1], 1, 65535);
  options.size = parse<std::size_t>(rest[2], sizeof(Stamp), 65000);
  if (options.size * options.segments > 65000) {
    throw std::runtime_error("SIZE times --segments is more than a datagram holds");
  }
  return options;
}

int run(const Options& options) {
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(options.port);
  if (inet_pton(AF_INET6, options.address.c_str(), &address.sin6_addr) != 1) {
    throw std::runtime_error("not an IPv6 address: " + options.address);
  }
  // Sleeps of 50 us are to be 50 us, not 100.
  (void)prctl(PR_SET_TIMERSLACK, 1UL);
  enter(options.to);
  const FileDescriptor receiver = open_receiver(address);
  enter(options.from);
  const FileDescriptor sender = open_sender(address);
  Search search(options, sender.get(), receiver.get());
  const Trial result = search.run();
  std::printf(
      "{\"pps\": %.0f, \"loss\": %.5f, \"sent_pps\": %.0f, \"unlimited_pps\": %.0f, \"reordered\": %llu, "
      "\"duplicated\": %llu, \"damaged\": %llu, \"seconds\": %.3f, \"trials\": %u}\n",
      result.rate(), result.loss(), result.sent_rate(), search.unlimited(),
      static_cast<unsigned long long>(result.reordered), static_cast<unsigned long long>(result.duplicated),
      static_cast<unsigned long long>(result.damaged), result.seconds, search.trials());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(parse_options({argv + 1, argv + argc}));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "udp_flow: %s\n", error.what());
    return 1;
  }
}
