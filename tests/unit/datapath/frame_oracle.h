// SPDX-License-Identifier: BSD-3-Clause
// Frames and packets made and cut slowly and obviously, without the code that is tested with them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <random>
#include <stdexcept>
#include <vector>

#include "src/datapath/frame.h"

namespace sixlink::test {

using Bytes = std::vector<std::uint8_t>;

inline std::size_t get16(const Bytes& bytes, std::size_t at) {
  return bytes.at(at) * 256U + bytes.at(at + 1);
}
inline void put16(Bytes& bytes, std::size_t at, std::size_t value) {
  bytes.at(at) = static_cast<std::uint8_t>(value / 256);
  bytes.at(at + 1) = static_cast<std::uint8_t>(value);
}
inline void append(Bytes& bytes, const Bytes& more) {
  bytes.insert(bytes.end(), more.begin(), more.end());
}
inline Bytes slice(const Bytes& bytes, std::size_t from, std::size_t size) {
  return Bytes(bytes.begin() + static_cast<std::ptrdiff_t>(from),
               bytes.begin() + static_cast<std::ptrdiff_t>(from + size));
}

// RFC 1071, word by word with the carry put back each time; not complemented.
inline std::uint16_t slow_sum(Bytes words) {
  if (words.size() % 2 != 0) words.push_back(0);
  unsigned total = 0;
  for (std::size_t i = 0; i < words.size(); i += 2) {
    total += words[i] * 256U + words[i + 1];
    if (total > 0xffff) total = total % 0x10000 + 1;
  }
  return static_cast<std::uint16_t>(total);
}

// What a test asks for.
struct Shape {
  bool is_v4 = false;
  bool is_tcp = true;
  std::size_t ip_options = 0;   // bytes, a multiple of 4
  std::size_t tcp_options = 0;  // bytes, a multiple of 4
  Bytes extensions;             // IPv6: headers whose last one says next header 6 or 17
  std::uint8_t first_next = 0;  // and the number of the first one
  Bytes final_destination;      // if there is a routing header
  std::uint8_t flags = 0x10;
  std::uint32_t sequence = 1000;
  std::uint32_t acknowledgement = 7000;
  std::uint16_t window = 501;
  std::uint16_t identification = 0x1234;
  bool may_fragment = false;  // IPv4: DF is not set
  std::uint8_t traffic_class = 0;
  std::uint8_t hop_limit = 64;
  std::uint16_t source_port = 5060;
  std::uint16_t target_port = 80;
  std::uint8_t host = 1;  // of the source address
  Bytes data;

  std::size_t transport() const { return is_v4 ? 20 + ip_options : 40 + extensions.size(); }
  std::size_t header() const { return transport() + (is_tcp ? 20 + tcp_options : 8); }
  std::uint8_t protocol() const { return is_tcp ? 6 : 17; }
};

inline Bytes pseudo_header(const Bytes& packet, const Shape& shape) {
  Bytes all = shape.is_v4 ? slice(packet, 12, 8) : slice(packet, 8, 32);
  if (!shape.final_destination.empty()) {
    all.resize(16);
    append(all, shape.final_destination);
  }
  const std::size_t length = packet.size() - shape.transport();
  append(all,
         {0, shape.protocol(), static_cast<std::uint8_t>(length / 256), static_cast<std::uint8_t>(length)});
  return all;
}

// Makes the lengths and checksums of a packet right. `is_finished` false: of the upper layer the checksum is
// that of the pseudo-header, not complemented.
inline void seal(Bytes& packet, const Shape& shape, bool is_finished = true) {
  const std::size_t at = shape.transport();
  if (shape.is_v4) {
    put16(packet, 2, packet.size());
    put16(packet, 10, 0);
    put16(packet, 10, 0xffff - slow_sum(slice(packet, 0, at)));
  } else {
    put16(packet, 4, packet.size() - 40);
  }
  const std::size_t checksum = at + (shape.is_tcp ? 16 : 6);
  if (!shape.is_tcp) put16(packet, at + 4, packet.size() - at);
  put16(packet, checksum, 0);
  Bytes all = pseudo_header(packet, shape);
  if (!is_finished) {
    put16(packet, checksum, slow_sum(all));
    return;
  }
  append(all, slice(packet, at, packet.size() - at));
  std::size_t value = 0xffffU - slow_sum(all);
  if (!shape.is_tcp && value == 0) value = 0xffff;
  put16(packet, checksum, value);
}

inline Bytes make_packet(const Shape& shape, bool is_finished = true) {
  Bytes packet;
  if (shape.is_v4) {
    packet = {static_cast<std::uint8_t>(0x45 + shape.ip_options / 4),
              shape.traffic_class,
              0,
              0,
              static_cast<std::uint8_t>(shape.identification >> 8),
              static_cast<std::uint8_t>(shape.identification),
              static_cast<std::uint8_t>(shape.may_fragment ? 0 : 0x40),
              0,
              shape.hop_limit,
              shape.protocol(),
              0,
              0,
              192,
              0,
              2,
              shape.host,
              198,
              51,
              100,
              7};
    append(packet, Bytes(shape.ip_options, 1));
  } else {
    packet = {static_cast<std::uint8_t>(0x60 + (shape.traffic_class >> 4)),
              static_cast<std::uint8_t>(shape.traffic_class << 4),
              0x12,
              0x34,
              0,
              0,
              shape.extensions.empty() ? shape.protocol() : shape.first_next,
              shape.hop_limit};
    append(packet, {0x20, 1, 0x0d, 0xb8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, shape.host});
    append(packet, {0x20, 1, 0x0d, 0xb8, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 7});
    append(packet, shape.extensions);
  }
  Bytes ports(4);
  put16(ports, 0, shape.source_port);
  put16(ports, 2, shape.target_port);
  append(packet, ports);
  if (shape.is_tcp) {
    Bytes tcp(16);
    put16(tcp, 0, shape.sequence >> 16);
    put16(tcp, 2, shape.sequence & 0xffff);
    put16(tcp, 4, shape.acknowledgement >> 16);
    put16(tcp, 6, shape.acknowledgement & 0xffff);
    tcp[8] = static_cast<std::uint8_t>((5 + shape.tcp_options / 4) << 4);
    tcp[9] = shape.flags;
    put16(tcp, 10, shape.window);
    append(packet, tcp);
    for (std::size_t i = 0; i < shape.tcp_options; ++i) packet.push_back(static_cast<std::uint8_t>(1 + i));
  } else {
    append(packet, Bytes(4));
  }
  append(packet, shape.data);
  seal(packet, shape, is_finished);
  return packet;
}

// The frame of a shape, as a kernel hands it over, and what says so.
inline datapath::FrameHeader frame_header(const Shape& shape, std::size_t segment_size) {
  datapath::FrameHeader header;
  header.segmentation = shape.is_tcp ? datapath::Segmentation::kTcp : datapath::Segmentation::kUdp;
  header.needs_checksum = true;
  header.segment_size = static_cast<std::uint16_t>(segment_size);
  header.header_length = static_cast<std::uint16_t>(shape.header());
  header.checksum_start = static_cast<std::uint16_t>(shape.transport());
  header.checksum_offset = shape.is_tcp ? 16 : 6;
  header.has_cwr = shape.is_tcp && (shape.flags & 0x80) != 0;
  return header;
}

// The packets that a frame of this shape stands for: each made as if it had been sent alone.
inline std::vector<Bytes> cut_slowly(const Shape& shape, std::size_t segment_size,
                                     bool has_fixed_id = false) {
  std::vector<Bytes> packets;
  std::size_t done = 0;
  do {
    const std::size_t size = std::min(segment_size, shape.data.size() - done);
    Shape one = shape;
    one.data = slice(shape.data, done, size);
    one.sequence = static_cast<std::uint32_t>(shape.sequence + done);
    if (!has_fixed_id) one.identification = static_cast<std::uint16_t>(shape.identification + packets.size());
    if (done != 0) one.flags &= 0x7f;                                // CWR
    if (done + size != shape.data.size()) one.flags &= 0xff - 0x09;  // FIN, PSH
    packets.push_back(make_packet(one));
    done += size;
  } while (done < shape.data.size());
  return packets;
}

inline Bytes random_bytes(std::mt19937& random, std::size_t size) {
  Bytes bytes(size);
  for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random());
  return bytes;
}

// IPv6 extension headers in front of `protocol`: hop-by-hop options, destination options, or a routing header
// that has one more address to go to.
inline void add_extension(Shape& shape, unsigned kind) {
  const std::uint8_t next = shape.extensions.empty() ? shape.protocol() : shape.first_next;
  Bytes header;
  if (kind == 43) {
    shape.final_destination = {0x20, 1, 0x0d, 0xb8, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 9};
    header = {next, 2, 4, 1, 0, 0, 0, 0};
    append(header, shape.final_destination);
  } else {
    // An experimental option that is skipped where it is not known (RFC 4727); so much padding a kernel
    // drops.
    header = {next, 1, 0x1e, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
  }
  append(header, shape.extensions);
  shape.extensions = header;
  shape.first_next = static_cast<std::uint8_t>(kind);
}

inline Shape random_shape(std::mt19937& random) {
  Shape shape;
  shape.is_v4 = random() % 2 != 0;
  shape.is_tcp = random() % 3 != 0;
  shape.ip_options = shape.is_v4 && random() % 4 == 0 ? random() % 11 * 4 : 0;
  shape.tcp_options = random() % 11 * 4;
  if (!shape.is_v4 && random() % 3 == 0) {
    for (const unsigned kind : {60U, 43U, 0U})
      if (random() % 2 != 0) add_extension(shape, kind);
  }
  shape.flags = static_cast<std::uint8_t>(0x10 | (random() & 0xc9));
  shape.sequence = random() % 2 != 0 ? static_cast<std::uint32_t>(random())
                                     : static_cast<std::uint32_t>(0xffffff00U - random() % 9000);
  shape.identification = static_cast<std::uint16_t>(random());
  shape.may_fragment = random() % 2 != 0;
  shape.traffic_class = static_cast<std::uint8_t>(random());
  shape.hop_limit = static_cast<std::uint8_t>(1 + random() % 255);
  return shape;
}

}  // namespace sixlink::test
