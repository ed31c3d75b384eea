// SPDX-License-Identifier: BSD-3-Clause
// What differs between systems, or needs privilege: implemented in platform/<os>/ (and platform/posix/ where
// systems agree).
#pragma once

#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/system/result.hpp>
#include <concepts>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace sixlink::platform {

// A layer-3 tunnel interface that this process moves the packets of. It disappears with the object (and with
// the process, however that ends). Not blocking.
class TunDevice {
 public:
  virtual ~TunDevice() = default;
  virtual const std::string& name() const = 0;
  virtual int fd() const = 0;
  // One inner packet. > 0: its size; 0: nothing there now; < 0: -errno.
  virtual std::ptrdiff_t read(std::span<std::uint8_t> buffer) = 0;
  // 0: written (or dropped because the kernel's queue is full); < 0: -errno.
  virtual int write(std::span<const std::uint8_t> packet) = 0;
};

// `name` "tun" picks the first free tunN, as gogoc does; any other name is used as it is. An existing
// interface is never taken over: EEXIST. EPERM: not privileged; ENOENT, ENODEV: the kernel has no TUN.
boost::system::result<std::unique_ptr<TunDevice>> open_tun(const std::string& name);

// What a person can do about a failed open_tun().
std::string explain_tun_error(const std::string& name, const boost::system::error_code& error);

// Datagrams that one system call moves. The storage is allocated once.
class DatagramBatch {
 public:
  static constexpr std::size_t kCapacity = 64;
  // Larger than any inner packet a tunnel carries; a longer datagram is marked truncated.
  static constexpr std::size_t kBufferSize = 2048;
  // What a kernel made of several packets fits too (src/datapath/joined_packets.h).
  static constexpr std::size_t kJoinedSize = 65536;

  struct Datagram {
    std::uint8_t* data = nullptr;
    std::size_t size = 0;
    bool is_truncated = false;
    boost::asio::ip::udp::endpoint peer;  // sending on a connected socket: ignored
    // Received: the address it was sent to (packet info on). To send: the source; unspecified: any.
    boost::asio::ip::address local;
  };

  DatagramBatch() : DatagramBatch(kBufferSize) {}
  explicit DatagramBatch(std::size_t buffer_size);
  Datagram& operator[](std::size_t i) { return datagrams_[i]; }
  std::span<std::uint8_t> buffer(std::size_t i) { return {storage_.get() + i * buffer_size_, buffer_size_}; }
  std::size_t count = 0;

 private:
  std::size_t buffer_size_;
  std::unique_ptr<std::uint8_t[]> storage_;  // not initialised: memory is taken as it is used
  std::vector<Datagram> datagrams_;
};

// Fills `batch` with what is there, without blocking. Sets batch.count; returns the error that a connected
// socket reports (ECONNREFUSED, ...) when nothing was received; would_block is no error.
boost::system::error_code receive_batch(int fd, DatagramBatch& batch);
// Sends the batch's first `count`; `connected`: peers are not given to the kernel. Returns the number sent;
// the rest could not be (queue full, unreachable), `error` is the first reason.
std::size_t send_batch(int fd, DatagramBatch& batch, bool connected, boost::system::error_code& error);

// Sends one datagram on a connected socket, without blocking.
boost::system::error_code send_one(int fd, std::span<const std::uint8_t> datagram);
// The same, not to be fragmented anywhere, whatever the kernel believes of the path (IPv4: DF is set).
// EMSGSIZE: the first link does not carry it. ENOTSUP: the system cannot be told so.
boost::system::error_code send_unfragmented(int fd, std::span<const std::uint8_t> datagram);

// Has the kernel tell the local address of each datagram, for replies from the same one.
boost::system::error_code enable_packet_info(int fd, bool is_v6);

// The plain encapsulations without a header of their own: the inner packet follows the outer IP header.
enum class RawTunnel {
  kIpv6InIpv4,  // protocol 41 between two IPv4 addresses (RFC 4213)
  kIpv4InIpv6,  // protocol 4 between two IPv6 addresses (RFC 2473)
};
// A raw socket, bound to `local` and, unless `remote` is unspecified, connected to it; not blocking; packet
// info is on when it is not connected. Either may be unspecified. What is sent is the inner packet alone;
// what is received of kIpv6InIpv4 begins with the IPv4 header, of kIpv4InIpv6 with the inner one.
boost::system::result<int> open_raw_tunnel(RawTunnel kind, const boost::asio::ip::address& local,
                                           const boost::asio::ip::address& remote);

// Has the kernel learn the path MTUs of what a raw socket that is not connected sends, so that it cuts larger
// outer packets into fragments. The descriptor is to be kept open; nothing is ever read from it.
// operation_not_supported: the kernel learns them without, or not at all.
boost::system::result<int> watch_path_mtu(RawTunnel kind, const boost::asio::ip::address& local);

// A raw ICMP (ICMPv6, when the addresses are IPv6) socket that sends echo requests through `interface` and
// receives echo replies of `destination` alone. What is sent is the ICMP message without its IP header (over
// IPv6 the kernel fills in the checksum); what is received begins with the IPv4 header, or of IPv6 with the
// ICMPv6 message.
boost::system::result<int> open_echo(const boost::asio::ip::address& source,
                                     const boost::asio::ip::address& destination,
                                     const std::string& interface);

// What an interface of the kernel's has carried. ENODEV: there is no such interface.
struct InterfaceCounters {
  std::uint64_t packets_in = 0;
  std::uint64_t packets_out = 0;
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
};
boost::system::result<InterfaceCounters> interface_counters(const std::string& name);

boost::system::result<int> interface_mtu(const std::string& name);
boost::system::error_code set_interface_mtu(const std::string& name, int mtu);

// The MTU of the interface that `address` belongs to; nullopt when no interface has it.
std::optional<int> mtu_of_address(const boost::asio::ip::address& address);

// The address that the system would send from to `destination` now; nullopt: there is no way there.
std::optional<boost::asio::ip::address> source_towards(const boost::asio::ip::address& destination);

// Equal as long as the machine's interfaces are up and down as before and have the same addresses; without
// loopback, link-local addresses and the interface `ignored`.
std::string network_state(const std::string& ignored);

// Wakes when something changed that a tunnel depends on. Not blocking; move-only.
class ChangeMonitor {
 public:
  struct Changes {
    bool network = false;  // an interface, an address or a route
    bool clock = false;    // the wall clock was set, or the machine was resumed
  };
  static boost::system::result<ChangeMonitor> open();
  ChangeMonitor(ChangeMonitor&& other) noexcept;
  ChangeMonitor& operator=(ChangeMonitor&&) = delete;
  ~ChangeMonitor();
  int fd() const;   // readable: something changed
  Changes drain();  // what, since the last call

 private:
  struct Descriptors;
  explicit ChangeMonitor(std::unique_ptr<Descriptors> descriptors);
  std::unique_ptr<Descriptors> descriptors_;
};

// The directory of the running program; empty when not known.
std::string program_directory();

// Puts the process into the background in two steps, so that the shell's exit code is about the tunnel, not
// about fork().
class Background {
 public:
  // Returns in the child; the parent stays inside, passes SIGINT, SIGTERM and SIGHUP on, and exits with what
  // the child reports (or with `lost_code` when the child dies before).
  static boost::system::result<Background> fork(int lost_code);
  Background(Background&& other) noexcept;
  Background& operator=(Background&&) = delete;
  ~Background();
  // The parent exits with `code`. With detach, this process leaves the terminal: new session, stdio on
  // /dev/null. Once.
  void report(int code, bool detach);

 private:
  explicit Background(int fd) : fd_(fd) {}
  int fd_;
};

// NAME.pid, locked while this object lives: one instance for each configuration.
class PidFile {
 public:
  // EWOULDBLOCK: another process holds it; `holder` is its pid (0: unknown).
  static boost::system::result<PidFile> acquire(const std::string& path, long& holder);
  PidFile(PidFile&& other) noexcept;
  PidFile& operator=(PidFile&&) = delete;
  // Removes the file.
  ~PidFile();

 private:
  PidFile(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}
  std::string path_;
  int fd_;
};

// To be called first in main(): a descriptor 0, 1 or 2 that the caller closed is opened on /dev/null, or the
// first socket would become the standard output.
void claim_standard_descriptors();

// A core file would hold the password.
void forbid_core_files();

// In a forked child: end when the parent does, where the system can. A template that outlives a killed daemon
// would work against the next one.
void end_with_parent();

// The calling thread goes before those that compute, where the system has such a thing for a thread and
// allows it.
void hurry_thread();

// Unpredictable bytes from the system.
void random_bytes(std::span<std::uint8_t> out);
template <std::unsigned_integral T = std::uint64_t>
T random_number() {
  T number{};
  random_bytes({reinterpret_cast<std::uint8_t*>(&number), sizeof number});
  return number;
}

}  // namespace sixlink::platform
