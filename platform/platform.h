// SPDX-License-Identifier: BSD-3-Clause
// What differs between systems, or needs privilege: implemented in platform/<os>/ (and platform/posix/ where
// systems agree).
#pragma once

#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/system/result.hpp>
#include <cstdint>
#include <memory>
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

  struct Datagram {
    std::uint8_t* data = nullptr;
    std::size_t size = 0;
    bool is_truncated = false;
    boost::asio::ip::udp::endpoint peer;  // sending on a connected socket: ignored
    // Received: the address it was sent to (packet info on). To send: the source; unspecified: any.
    boost::asio::ip::address local;
  };

  DatagramBatch();
  Datagram& operator[](std::size_t i) { return datagrams_[i]; }
  std::span<std::uint8_t> buffer(std::size_t i) { return {storage_.get() + i * kBufferSize, kBufferSize}; }
  std::size_t count = 0;

 private:
  std::unique_ptr<std::uint8_t[]> storage_;
  std::vector<Datagram> datagrams_;
};

// Fills `batch` with what is there, without blocking. Sets batch.count; returns the error that a connected
// socket reports (ECONNREFUSED, ...) when nothing was received; would_block is no error.
boost::system::error_code receive_batch(int fd, DatagramBatch& batch);
// Sends the batch's first `count`; `connected`: peers are not given to the kernel. Returns the number sent;
// the rest could not be (queue full, unreachable), `error` is the first reason.
std::size_t send_batch(int fd, DatagramBatch& batch, bool connected, boost::system::error_code& error);

// Has the kernel tell the local address of each datagram, for replies from the same one.
boost::system::error_code enable_packet_info(int fd, bool is_v6);

// A raw socket for IPv6 in IPv4 (protocol 41); received data begins with the IPv4 header.
boost::system::result<int> open_protocol41(const boost::asio::ip::address_v4& local);

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

// Unpredictable bytes from the system.
void random_bytes(std::span<std::uint8_t> out);

}  // namespace sixlink::platform
