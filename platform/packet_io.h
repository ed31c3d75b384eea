// SPDX-License-Identifier: BSD-3-Clause
// Packets in and out of this process, many a system call: TUN queues that take and give frames, and datagram
// sockets that take and give super datagrams. Every offload is tried when something is opened, what was
// granted can be asked for, and with none granted everything works, one packet a call.
#pragma once

#include <sys/uio.h>

#include <atomic>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/system/result.hpp>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "src/datapath/frame.h"

namespace sixlink::platform {

// What is wanted, and what was granted. `offload=off` is none().
struct Offloads {
  // The TUN.
  bool tun_checksum = true;  // frames whose checksum is not finished (virtio-net headers)
  bool tun_tcp = true;       // TSO frames, both IP versions; needs tun_checksum
  bool tun_udp = true;       // USO frames (Linux 6.2); needs tun_checksum
  // The outer socket. Raw sockets have neither.
  bool udp_segment = true;  // UDP_SEGMENT: the kernel cuts a super datagram (Linux 4.18)
  bool udp_gro = true;      // UDP_GRO: the kernel joins what it received (Linux 5.0)

  static constexpr Offloads none() { return {false, false, false, false, false}; }
  bool operator==(const Offloads&) const = default;
};
// "tun-checksum tun-tcp tun-udp udp-segment udp-gro", those that are set; "none".
std::string to_string(const Offloads& offloads);

// ---- TUN
// ----------------------------------------------------------------------------------------------------

// One queue of a layer-3 tunnel interface. The kernel keeps a flow's packets on one queue, the one that last
// wrote packets of it. The interface goes with its last queue. Not blocking; one thread reads and one
// writes at a time (they may be two).
class TunQueue {
 public:
  virtual ~TunQueue() = default;
  virtual const std::string& name() const = 0;
  virtual int fd() const = 0;            // to poll
  virtual Offloads granted() const = 0;  // only of the TUN's
  // One frame. > 0: its size; 0: nothing there now; < 0: -errno, the interface is gone or broken. `buffer`
  // has at least datapath::kFrameBuffer bytes. `header` says what the kernel said: the frame may still be
  // malformed (datapath::Segmenter finds out).
  virtual std::ptrdiff_t read(datapath::FrameHeader& header, std::span<std::uint8_t> buffer) = 0;
  // The pieces (1024 at most) are one frame, headers first. `header` must ask for nothing that was not
  // granted. 0: taken. -ENOBUFS: the kernel has no room, -EINVAL: it does not accept this frame; both cost
  // this frame only. Other -errno: the interface is gone, down (-EIO) or broken.
  virtual int write(const datapath::FrameHeader& header, std::span<const iovec> pieces) = 0;
};

// `name` as with open_tun() of platform.h, and the same errors (explain_tun_error()). `count` (at least 1) is
// how many queues are wanted: there may be fewer, but one, and all have the same offloads.
boost::system::result<std::vector<std::unique_ptr<TunQueue>>> open_tun_queues(const std::string& name,
                                                                              std::size_t count,
                                                                              const Offloads& wanted);

// ---- Datagram sockets
// ------------------------------------------------------------------------------------------

// UDP_MAX_SEGMENTS of older kernels, and the largest UDP payload over IPv4.
inline constexpr std::size_t kMaximumSegments = 64;
inline constexpr std::size_t kMaximumSuperDatagram = 65507;

// Where a datagram goes to, or came from.
struct Route {
  // Of a raw socket the port means nothing. Sending on a connected socket: ignored.
  boost::asio::ip::udp::endpoint peer;
  // Received: the address it was sent to, where packet info is on (enable_packet_info()). To send: the
  // source; unspecified: any. Sending on a connected socket: ignored.
  boost::asio::ip::address local;
  // IPv4's TOS, IPv6's traffic class: DSCP and, in the two lowest bits, ECN (RFC 3168). Received where the
  // system tells it, else 0.
  std::uint8_t traffic_class = 0;

  bool operator==(const Route&) const = default;
};

// What one call received: super datagrams, each of one or more datagrams of one peer that follow each other
// in memory. The storage is allocated once and touched as it is used. Belongs to one thread.
class ReceiveBatch {
 public:
  struct Entry {
    std::uint8_t* data = nullptr;
    std::size_t size = 0;
    std::size_t segment_size = 0;  // of each datagram but the last, which may have less; `size` if it is one
    bool is_truncated = false;     // longer than the buffer: the rest is lost
    Route route;

    std::size_t datagrams() const { return segment_size == 0 ? 1 : (size + segment_size - 1) / segment_size; }
  };

  // Joined datagrams (UDP_GRO) and what kernels made of raw ones take up to 64 KiB: `buffer_size` is 65536
  // then.
  explicit ReceiveBatch(std::size_t capacity = 64, std::size_t buffer_size = 65536);
  ReceiveBatch(ReceiveBatch&&) noexcept;
  ReceiveBatch& operator=(ReceiveBatch&&) noexcept;
  ~ReceiveBatch();

  std::size_t capacity() const { return entries_.size(); }
  std::size_t size() const { return count_; }
  Entry& operator[](std::size_t i) { return entries_[i]; }
  std::span<Entry> entries() { return {entries_.data(), count_}; }

 private:
  friend class DatagramSocket;
  struct Scratch;  // what the system call is given

  std::size_t buffer_size_;
  std::unique_ptr<std::uint8_t[]> storage_;
  std::vector<Entry> entries_;
  std::size_t count_ = 0;
  std::unique_ptr<Scratch> scratch_;
};

// Datagrams to be sent by one call. Those that follow each other on the same route and have the same size
// (the last may have less) become one super datagram. Nothing is copied: what the pieces point to must stay
// until DatagramSocket::send() returned. The storage is allocated once. Belongs to one thread.
class SendBatch {
 public:
  // At most this many pieces a datagram.
  static constexpr std::size_t kMaximumPieces = 16;
  // What was collected: for DatagramSocket (platform/posix/send_batch.h).
  struct Scratch;
  struct Message;

  // Room for `datagrams` (16 at least) of two pieces each on the average.
  explicit SendBatch(std::size_t datagrams = 1024);
  SendBatch(SendBatch&&) noexcept;
  SendBatch& operator=(SendBatch&&) noexcept;
  ~SendBatch();

  // False: full, the datagram was not taken; send() and clear() first. Pieces that follow each other in
  // memory become one.
  [[nodiscard]] bool add(const Route& to, std::span<const iovec> pieces);
  [[nodiscard]] bool add(const Route& to, std::span<const std::uint8_t> datagram);
  void clear();
  bool is_empty() const { return datagrams_ == 0; }
  std::size_t datagrams() const { return datagrams_; }
  std::size_t super_datagrams() const { return message_count_; }
  Scratch& scratch() { return *scratch_; }

 private:
  friend class DatagramSocket;

  std::unique_ptr<Scratch> scratch_;
  std::size_t message_count_ = 0;
  std::size_t piece_count_ = 0;
  std::size_t datagrams_ = 0;
};

struct SendResult {
  std::size_t sent = 0;             // datagrams
  std::size_t failed = 0;           // datagrams that nobody will send
  bool is_queue_full = false;       // the rest of the batch failed because the socket's buffer is full
  boost::system::error_code error;  // the first reason
};

// Super datagrams in and out of a socket that somebody else owns. Any number of threads may call receive()
// and send() at once, each with a batch of its own.
class DatagramSocket {
 public:
  enum class Kind {
    kUdp,
    kRaw,  // open_raw_tunnel() of platform.h: no segmentation
  };

  // Asks for the offloads and for the traffic class of what is received. `fd` does not block.
  DatagramSocket(int fd, Kind kind, bool is_connected, const Offloads& wanted);

  int fd() const { return fd_; }
  // Only of the socket's. udp_segment is off while the way out cannot do it (EIO: an interface that computes
  // no checksums; it is tried again now and then), so this may change while the socket is used.
  Offloads granted() const;
  // For somebody else who reads the socket for a while, one datagram a call: with false the kernel joins no
  // more (UDP_GRO); what it joined before is still to be received.
  void set_joining(bool is_on);

  // Fills `batch` with what is there, without blocking. Empty: nothing was there. Returns the error that a
  // connected socket reports (ECONNREFUSED, ...) when nothing was received; would_block is no error.
  boost::system::error_code receive(ReceiveBatch& batch);
  // Sends all of `batch`, without blocking, which is left as it is. What the kernel refuses to cut (EIO;
  // EINVAL or EMSGSIZE: segments larger than the path's MTU) is sent datagram by datagram in the same call,
  // and remembered for the route. A full queue ends the call; other failures concern one datagram.
  SendResult send(SendBatch& batch);

 private:
  int fd_;
  bool is_v6_ = false;
  bool is_connected_;
  bool has_gro_ = false;
  bool can_segment_ = false;              // the system can
  std::atomic<bool> may_segment_{false};  // and the ways out, as far as is known
  std::atomic<int> traffic_class_{0};     // where the system has it as the socket's option
};

}  // namespace sixlink::platform
