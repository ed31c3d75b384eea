// SPDX-License-Identifier: BSD-3-Clause
#include "src/datapath/lane_backlog.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <deque>
#include <map>
#include <random>
#include <string>
#include <vector>

using namespace sixlink;
using datapath::LaneBacklog;
using Bytes = std::vector<std::uint8_t>;

namespace {

// Gives what it was told to give, without any kernel.
class ScriptedQueue final : public platform::TunQueue {
 public:
  const std::string& name() const override { return name_; }
  int fd() const override { return -1; }
  platform::Offloads granted() const override { return platform::Offloads::none(); }
  std::ptrdiff_t read(datapath::FrameHeader& header, std::span<std::uint8_t> buffer) override {
    CHECK(buffer.size() >= datapath::kFrameBuffer);
    if (frames.empty()) return error;
    header = {};
    const auto frame = std::move(frames.front());
    frames.pop_front();
    std::copy(frame.begin(), frame.end(), buffer.begin());
    return static_cast<std::ptrdiff_t>(frame.size());
  }
  int write(const datapath::FrameHeader&, std::span<const iovec>) override { return 0; }

  std::deque<Bytes> frames;
  std::ptrdiff_t error = 0;

 private:
  std::string name_ = "scripted0";
};

constexpr std::uint8_t kUdp = 17;
constexpr std::size_t kNumber = 48;  // where a frame has its number

// IPv6 and UDP as far as a flow shows; the frame's number stands behind.
Bytes frame(std::uint16_t port, std::uint32_t number, std::size_t size = 100) {
  Bytes bytes(size, static_cast<std::uint8_t>(number));
  std::fill_n(bytes.begin(), kNumber, std::uint8_t{0});
  bytes[0] = 0x60;
  bytes[6] = kUdp;
  bytes[40] = static_cast<std::uint8_t>(port >> 8);
  bytes[41] = static_cast<std::uint8_t>(port);
  std::memcpy(bytes.data() + kNumber, &number, sizeof number);
  return bytes;
}

// An IPv4 fragment: no ports, but bytes where they would be.
Bytes fragment(std::uint8_t offset, std::uint32_t number) {
  Bytes bytes(100, offset);
  std::fill_n(bytes.begin(), 20, std::uint8_t{0});
  bytes[0] = 0x45;
  bytes[6] = 0x20;  // more to come
  bytes[7] = offset;
  bytes[9] = kUdp;
  std::memcpy(bytes.data() + kNumber, &number, sizeof number);
  return bytes;
}

std::uint32_t number_of(const LaneBacklog::Frame& frame) {
  std::uint32_t number = 0;
  std::memcpy(&number, frame.bytes.data() + kNumber, sizeof number);
  return number;
}

std::vector<std::uint32_t> numbers(std::span<const LaneBacklog::Frame> batch) {
  std::vector<std::uint32_t> all;
  for (const auto& frame : batch) all.push_back(number_of(frame));
  return all;
}

using Numbers = std::vector<std::uint32_t>;

}  // namespace

TEST_CASE("lane backlog: one flow stays in order, in batches of so many bytes") {
  LaneBacklog backlog;
  ScriptedQueue queue;
  for (std::uint32_t i = 0; i < 5; ++i) queue.frames.push_back(frame(1, i, 60000));
  REQUIRE(backlog.fill(queue) == 0);
  CHECK(backlog.is_drained());
  CHECK(numbers(backlog.take()) == Numbers{0, 1});
  REQUIRE(backlog.fill(queue) == 0);
  CHECK(numbers(backlog.take()) == Numbers{2, 3});
  CHECK_FALSE(backlog.is_empty());
  REQUIRE(backlog.fill(queue) == 0);
  CHECK(numbers(backlog.take()) == Numbers{4});
  CHECK(backlog.is_empty());
  REQUIRE(backlog.fill(queue) == 0);
  CHECK(backlog.take().empty());
}

TEST_CASE("lane backlog: small frames come in batches of so many") {
  LaneBacklog backlog;
  ScriptedQueue queue;
  for (std::uint32_t i = 0; i < 300; ++i) queue.frames.push_back(frame(1, i));
  REQUIRE(backlog.fill(queue) == 0);
  CHECK(backlog.take().size() == LaneBacklog::kBatchFrames);
}

TEST_CASE("lane backlog: a flow that has nothing waiting goes first") {
  LaneBacklog backlog;
  ScriptedQueue queue;
  for (std::uint32_t i = 0; i < 6; ++i) queue.frames.push_back(frame(1, i, 60000));
  REQUIRE(backlog.fill(queue) == 0);
  CHECK(numbers(backlog.take()) == Numbers{0, 1});
  // Two of another flow: the second has to wait for its turn, as it is not to overtake the first.
  queue.frames.push_back(frame(2, 100));
  queue.frames.push_back(frame(2, 101, 60000));
  REQUIRE(backlog.fill(queue) == 0);
  CHECK(numbers(backlog.take()) == Numbers{100, 2, 3});
  // What waits is of both flows now.
  queue.frames.push_back(frame(2, 102));
  queue.frames.push_back(frame(3, 200));
  REQUIRE(backlog.fill(queue) == 0);
  CHECK(numbers(backlog.take()) == Numbers{200, 4, 5});
  REQUIRE(backlog.fill(queue) == 0);
  CHECK(numbers(backlog.take()) == Numbers{101, 102});
}

TEST_CASE("lane backlog: those that go first do not stop the rest") {
  LaneBacklog backlog;
  ScriptedQueue queue;
  for (std::uint32_t i = 0; i < 3; ++i) queue.frames.push_back(frame(1, i, 65535));
  REQUIRE(backlog.fill(queue) == 0);
  CHECK(numbers(backlog.take()) == Numbers{0, 1});
  std::vector<std::uint32_t> seen;
  for (std::uint16_t i = 0; i < 20 && std::ranges::count(seen, 2U) == 0; ++i) {
    queue.frames.push_back(frame(static_cast<std::uint16_t>(1000 + i), 1000U + i, 60000));
    REQUIRE(backlog.fill(queue) == 0);
    for (const auto number : numbers(backlog.take())) seen.push_back(number);
  }
  CHECK(std::ranges::count(seen, 2U) == 1);
}

TEST_CASE("lane backlog: fragments have no ports, and stay in order") {
  LaneBacklog backlog;
  ScriptedQueue queue;
  for (std::uint32_t i = 0; i < 400; ++i) queue.frames.push_back(fragment(static_cast<std::uint8_t>(i), i));
  std::vector<std::uint32_t> seen;
  do {
    REQUIRE(backlog.fill(queue) == 0);
    for (const auto number : numbers(backlog.take())) seen.push_back(number);
  } while (!backlog.is_empty());
  REQUIRE(seen.size() == 400);
  CHECK(std::ranges::is_sorted(seen));
}

TEST_CASE("lane backlog: what is no IP packet passes in order, whatever its size") {
  LaneBacklog backlog;
  ScriptedQueue queue;
  for (std::uint8_t size = 1; size < 40; ++size) queue.frames.push_back(Bytes(size, std::uint8_t{0x60}));
  REQUIRE(backlog.fill(queue) == 0);
  const auto batch = backlog.take();
  REQUIRE(batch.size() == 39);
  for (std::size_t i = 0; i < 39; ++i) CHECK(batch[i].bytes.size() == i + 1);
}

TEST_CASE("lane backlog: the end of the queue is told once what was read is out") {
  LaneBacklog backlog;
  ScriptedQueue queue;
  queue.frames.push_back(frame(1, 7));
  queue.error = -EBADFD;
  CHECK(backlog.fill(queue) == EBADFD);
  CHECK(numbers(backlog.take()) == Numbers{7});
}

TEST_CASE("lane backlog: of any load nothing is lost, damaged or out of its flow's order") {
  std::mt19937 random(20260131);
  LaneBacklog backlog;
  ScriptedQueue queue;
  std::map<std::uint16_t, std::uint32_t> next;  // number by flow
  std::uint32_t given = 0;
  std::uint32_t taken = 0;
  std::uint32_t made[8] = {};
  bool was_full = false;
  for (int round = 0; round < 3000; ++round) {
    // Phases of small frames, of large ones, and of none.
    const unsigned phase = static_cast<unsigned>(round) / 100 % 3;
    const auto count = phase == 2 ? 0 : random() % (phase == 0 ? 400 : 6);
    for (unsigned i = 0; i < count; ++i) {
      const auto port = static_cast<std::uint16_t>(random() % 8);
      const auto size = phase == 0 ? 60 + random() % 100 : 40000 + random() % 25536;
      queue.frames.push_back(frame(port, made[port]++, size));
      ++given;
    }
    REQUIRE(backlog.fill(queue) == 0);
    was_full = was_full || !backlog.is_drained();
    for (const auto& one : backlog.take()) {
      const auto port = static_cast<std::uint16_t>(one.bytes[40] << 8 | one.bytes[41]);
      REQUIRE(number_of(one) == next[port]++);
      const auto rest = one.bytes.subspan(kNumber + 4);
      REQUIRE(std::ranges::count(rest, static_cast<std::uint8_t>(number_of(one))) ==
              static_cast<std::ptrdiff_t>(rest.size()));
      ++taken;
    }
  }
  while (!queue.frames.empty() || !backlog.is_empty()) {
    REQUIRE(backlog.fill(queue) == 0);
    taken += static_cast<std::uint32_t>(backlog.take().size());
  }
  CHECK(taken == given);
  CHECK(given > 50000);
  CHECK(was_full);
}
