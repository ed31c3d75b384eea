// SPDX-License-Identifier: BSD-3-Clause
// What the parts of the datapath cost that touch every packet, without a system call: packet_costs
//
// A line each: nanoseconds a packet, gigabytes a second. The best of many short rounds, as others use the
// machine too.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <functional>
#include <random>
#include <vector>

#include "platform/packet_io.h"
#include "src/datapath/checksum.h"
#include "src/datapath/coalesce.h"
#include "src/datapath/segment.h"
#include "src/net/internet_checksum.h"
#include "tests/unit/datapath/frame_oracle.h"

using namespace sixlink;
using datapath::Coalescer;
using datapath::Segmenter;
using test::Bytes;

namespace {

// Kept, so that nothing is left out as unused.
volatile std::uint64_t kept;

void measure(const char* name, std::size_t packets, std::size_t bytes, const std::function<void()>& body) {
  using Clock = std::chrono::steady_clock;
  auto best = Clock::duration::max();
  const auto end = Clock::now() + std::chrono::milliseconds(600);
  while (Clock::now() < end) {
    const auto start = Clock::now();
    for (int i = 0; i < 4; ++i) body();
    best = std::min(best, Clock::now() - start);
  }
  const double ns = std::chrono::duration<double, std::nano>(best).count() / 4;
  std::printf("%-44s %8.1f ns a packet %8.2f GB/s\n", name, ns / static_cast<double>(packets),
              static_cast<double>(bytes) / ns);
}

test::Shape shape_of(bool is_tcp, std::size_t data) {
  test::Shape shape;
  shape.is_tcp = is_tcp;
  shape.tcp_options = 12;
  std::mt19937 random(1);
  shape.data = test::random_bytes(random, data);
  return shape;
}

void sums() {
  std::mt19937 random(1);
  const Bytes data = test::random_bytes(random, 64000);
  Bytes to(64000);
  for (const std::size_t size : {100U, 1400U}) {
    const std::size_t count = data.size() / size;
    const auto name = [size](const char* what) {
      return std::string(what) + ", " + std::to_string(size) + " bytes";
    };
    measure(name("sum, word by word").c_str(), count, count * size, [&] {
      for (std::size_t i = 0; i < count; ++i) kept = net::add_words(std::span(data).subspan(i * size, size));
    });
    measure(name("sum").c_str(), count, count * size, [&] {
      for (std::size_t i = 0; i < count; ++i) kept = datapath::sum_bytes(data.data() + i * size, size);
    });
    measure(name("memcpy").c_str(), count, count * size, [&] {
      for (std::size_t i = 0; i < count; ++i) std::memcpy(&to[i * size], &data[i * size], size);
      kept = to[7];
    });
    measure(name("copy and sum").c_str(), count, count * size, [&] {
      for (std::size_t i = 0; i < count; ++i)
        kept = datapath::copy_and_sum(&to[i * size], &data[i * size], size);
    });
  }
}

void cutting(const char* what, bool is_tcp, std::size_t segment, std::size_t packets) {
  const auto shape = shape_of(is_tcp, segment * packets);
  Bytes frame = test::make_packet(shape, false);
  const auto header = test::frame_header(shape, segment);
  Segmenter segmenter;
  Bytes storage((packets + 1) * 128);
  Bytes whole(packets * (segment + 128));
  measure((std::string("cut, ") + what).c_str(), packets, frame.size(), [&] {
    segmenter.start(header, frame);
    std::size_t i = 0;
    while (const auto one = segmenter.next(std::span(storage).subspan(i++ * 128, 128))) kept = one->header[0];
  });
  measure((std::string("cut and copied, ") + what).c_str(), packets, frame.size(), [&] {
    segmenter.start(header, frame);
    std::size_t at = 0;
    while (const auto size = segmenter.next_into(std::span(whole).subspan(at))) at += size;
  });
  platform::SendBatch batch(2048);
  const platform::Route to{{boost::asio::ip::make_address("192.0.2.1"), 3653}, {}, 0};
  measure((std::string("cut and added to a batch, ") + what).c_str(), packets, frame.size(), [&] {
    segmenter.start(header, frame);
    std::size_t i = 0;
    batch.clear();
    while (const auto one = segmenter.next(std::span(storage).subspan(i++ * 128, 128))) {
      const iovec pieces[2] = {{const_cast<std::uint8_t*>(one->header.data()), one->header.size()},
                               {const_cast<std::uint8_t*>(one->data.data()), one->data.size()}};
      if (!batch.add(to, pieces)) std::abort();
    }
  });
}

void joining(const char* what, bool is_tcp, std::size_t segment, std::size_t packets, std::size_t flows) {
  std::vector<std::vector<Bytes>> sent;
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < flows; ++i) {
    auto shape = shape_of(is_tcp, segment * packets / flows);
    shape.source_port = static_cast<std::uint16_t>(1000 + i);
    sent.push_back(test::cut_slowly(shape, segment));
  }
  // As they come from a socket: packets behind each other, flows in turns.
  Bytes memory;
  std::vector<std::pair<std::size_t, std::size_t>> places;
  for (std::size_t i = 0; i < sent[0].size(); ++i) {
    for (const auto& flow : sent) {
      places.emplace_back(memory.size(), flow[i].size());
      memory.insert(memory.end(), flow[i].begin(), flow[i].end());
    }
  }
  bytes = memory.size();
  Coalescer coalescer;
  std::size_t frames = 0;
  measure((std::string("joined, ") + what).c_str(), places.size(), bytes, [&] {
    for (const auto& [at, size] : places)
      if (!coalescer.add(std::span(memory).subspan(at, size))) std::abort();
    frames = coalescer.frames();
    for (std::size_t i = 0; i < frames; ++i) kept = coalescer.frame(i).size;
    coalescer.clear();
  });
}

}  // namespace

int main() {
  sums();
  cutting("TCP 1400", true, 1400, 45);
  cutting("UDP 128", false, 128, 64);
  joining("TCP 1400, one flow", true, 1400, 45, 1);
  joining("TCP 1400, 16 flows", true, 1400, 720, 16);
  joining("UDP 128, one flow", false, 128, 64, 1);
  joining("UDP 128, 64 flows, nothing to join", false, 128, 64, 64);
}
