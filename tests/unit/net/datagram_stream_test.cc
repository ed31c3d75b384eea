// SPDX-License-Identifier: BSD-3-Clause
#include "src/net/datagram_stream.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>

using namespace sixlink;
using net::DatagramStream;

namespace {

using Bytes = std::vector<std::uint8_t>;

void write(DatagramStream& stream, std::span<const std::uint8_t> bytes) {
  REQUIRE(stream.room().size() >= bytes.size());
  std::ranges::copy(bytes, stream.room().begin());
  stream.written(bytes.size());
}

}  // namespace

TEST_CASE("datagram stream: datagrams come out as they went in, however the stream was cut") {
  std::mt19937 random(1);
  std::vector<Bytes> sent;
  Bytes bytes;
  for (int i = 0; i < 300; ++i) {
    Bytes datagram(1 + random() % (i % 20 == 0 ? net::kLargestStreamDatagram : 1500));
    for (auto& byte : datagram) byte = static_cast<std::uint8_t>(random());
    net::append_datagram(bytes, datagram);
    if (i % 7 == 0) bytes.insert(bytes.end(), {0, 0});  // padding
    sent.push_back(std::move(datagram));
  }
  DatagramStream stream;
  std::vector<Bytes> received;
  for (std::size_t at = 0; at < bytes.size();) {
    const auto room = stream.room();
    CHECK(room.size() >= 16384);
    const auto size = std::min({bytes.size() - at, room.size(), std::size_t{1} + random() % 20000});
    write(stream, std::span(bytes).subspan(at, size));
    at += size;
    while (const auto datagram = stream.next()) received.emplace_back(datagram->begin(), datagram->end());
  }
  CHECK_FALSE(stream.is_broken());
  CHECK(received == sent);
}

TEST_CASE("datagram stream: a length that is not allowed breaks it for good") {
  DatagramStream stream;
  Bytes bytes;
  net::append_datagram(bytes, Bytes{1, 2, 3});
  bytes.insert(bytes.end(), {0x3F, 0xFF});  // one more than there may be
  write(stream, bytes);
  CHECK(stream.next());
  CHECK_FALSE(stream.is_broken());
  CHECK_FALSE(stream.next());
  CHECK(stream.is_broken());
  write(stream, bytes);
  CHECK_FALSE(stream.next());
}
