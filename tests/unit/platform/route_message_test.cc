// SPDX-License-Identifier: BSD-3-Clause
// platform/posix/route_message.cc: routing messages as each system's kernel writes them on a 64-bit
// little-endian machine. The layouts are those of platform/<os>/system.cc and
// platform/sunos/change_monitor.cc; the stand-in headers of tests/platform assert the sizes.
#include "platform/posix/route_message.h"

#include <doctest/doctest.h>

#include <cstring>
#include <random>
#include <string>
#include <vector>

using namespace sixlink::platform::posix;
using Bytes = std::vector<std::uint8_t>;

namespace {

constexpr std::uint64_t kNewAddress = type_bit(0xc);
constexpr std::uint64_t kDeletedAddress = type_bit(0xd);

struct System {
  const char* name;
  RouteLayout layout;
};

const System kSystems[] = {
    {"FreeBSD",
     {.version = 5,
      .always = kNewAddress | kDeletedAddress | type_bit(0xe) | type_bit(0x11),
      .addresses = 12,
      .header = 0x98,
      .alignment = 8,
      .family_v4 = 2,
      .family_v6 = 28}},
    {"NetBSD",
     {.version = 4,
      .always = kNewAddress | kDeletedAddress | type_bit(0x14) | type_bit(0x10) | type_bit(0x15),
      .addresses = 12,
      .header = 0x78,
      .alignment = 8,
      .family_v4 = 2,
      .family_v6 = 24}},
    {"OpenBSD",
     {.version = 5,
      .always = kNewAddress | kDeletedAddress | type_bit(0xe) | type_bit(0xf) | type_bit(0x10),
      .addresses = 12,
      .header = 0x60,
      .header_length = 4,
      .alignment = 8,
      .family_v4 = 2,
      .family_v6 = 24}},
    {"Darwin",
     {.version = 5,
      .always = kNewAddress | kDeletedAddress | type_bit(0xe) | type_bit(0x12),
      .addresses = 12,
      .header = 0x5c,
      .alignment = 4,
      .family_v4 = 2,
      .family_v6 = 30}},
    {"SunOS",
     {.version = 3,
      .always = kNewAddress | kDeletedAddress | type_bit(0xe) | type_bit(0xf) | type_bit(0x10),
      .addresses = 12,
      .header = 0x4c,
      .alignment = 1,
      .has_length = false,
      .family_v4 = 2,
      .family_v6 = 26}},
};

constexpr std::uint32_t kDestination = 1;
constexpr std::uint32_t kGateway = 2;
constexpr std::uint32_t kNetmask = 4;

void put16(Bytes& bytes, std::size_t at, std::size_t value) {
  bytes[at] = static_cast<std::uint8_t>(value & 0xFF);
  bytes[at + 1] = static_cast<std::uint8_t>(value >> 8);
}

Bytes header(const RouteLayout& layout, int type, std::uint32_t addresses) {
  Bytes bytes(layout.header);
  bytes[2] = layout.version;
  bytes[3] = static_cast<std::uint8_t>(type);
  std::memcpy(bytes.data() + layout.addresses, &addresses, sizeof addresses);
  if (layout.header_length != 0) put16(bytes, layout.header_length, layout.header);
  put16(bytes, 0, bytes.size());
  return bytes;
}

// `length`: what sa_len says where it is not the whole address's; masks are cut short by the kernel.
void append_address(Bytes& message, const RouteLayout& layout, bool is_v6, const Bytes& address,
                    int length = -1) {
  Bytes bytes(is_v6 ? (layout.has_length ? 28 : 32) : 16);
  const std::size_t offset = is_v6 ? 8 : 4;
  std::copy(address.begin(), address.end(), bytes.begin() + static_cast<std::ptrdiff_t>(offset));
  const auto family = is_v6 ? layout.family_v6 : layout.family_v4;
  if (layout.has_length) {
    if (length >= 0) bytes.resize(static_cast<std::size_t>(length));
    const auto size = bytes.size();
    bytes.resize(std::max<std::size_t>(1, (size + layout.alignment - 1) / layout.alignment) *
                 layout.alignment);
    bytes[0] = static_cast<std::uint8_t>(size);
    bytes[1] = family;
  } else {
    put16(bytes, 0, family);
  }
  message.insert(message.end(), bytes.begin(), bytes.end());
  put16(message, 0, message.size());
}

Bytes route(const RouteLayout& layout, int type, bool is_v6, const Bytes& destination, const Bytes& mask,
            int mask_length = -1) {
  auto message = header(layout, type, kDestination | kGateway | kNetmask);
  append_address(message, layout, is_v6, destination);
  append_address(message, layout, is_v6,
                 is_v6 ? Bytes{0xfe, 0x80, 0, 0, 0, 0, 0, 0, 1} : Bytes{192, 0, 2, 1});
  append_address(message, layout, is_v6, mask, layout.has_length ? mask_length : -1);
  return message;
}

template <typename Check>
void on_each_system(Check check) {
  for (const auto& [name, layout] : kSystems) {
    CAPTURE(std::string(name));
    check(layout);
  }
}

}  // namespace

TEST_CASE("route message: default routes that come, go and change") {
  on_each_system([](const RouteLayout& layout) {
    for (const int type : {1, 2, 3}) {
      CHECK(is_change(route(layout, type, false, {0, 0, 0, 0}, {0, 0, 0, 0}), layout));
      CHECK(is_change(route(layout, type, true, Bytes(16), Bytes(16)), layout));
      // The mask of a default route is often cut down to nothing.
      for (const int length : {0, 1, 4, 6}) {
        CHECK(is_change(route(layout, type, false, {0, 0, 0, 0}, {}, length), layout));
        CHECK(is_change(route(layout, type, true, Bytes(16), {}, length), layout));
      }
      // Without a mask it is one too.
      auto bare = header(layout, type, kDestination);
      append_address(bare, layout, false, {0, 0, 0, 0});
      CHECK(is_change(bare, layout));
    }
  });
}

TEST_CASE("route message: other routes do not matter") {
  on_each_system([](const RouteLayout& layout) {
    for (const int type : {1, 2, 3}) {
      CHECK_FALSE(is_change(route(layout, type, false, {198, 51, 100, 0}, {255, 255, 255, 0}), layout));
      CHECK_FALSE(is_change(route(layout, type, false, {198, 51, 100, 0}, {255, 255, 255, 0}, 7), layout));
      Bytes documentation(16);
      documentation[0] = 0x20;
      documentation[1] = 0x01;
      CHECK_FALSE(is_change(route(layout, type, true, documentation, Bytes(4, 0xff)), layout));
      // 0.0.0.0/1 and ::/96 begin with zeros and are no default routes.
      CHECK_FALSE(is_change(route(layout, type, false, {0, 0, 0, 0}, {128, 0, 0, 0}), layout));
      CHECK_FALSE(is_change(route(layout, type, false, {0, 0, 0, 0}, {128}, 5), layout));
      CHECK_FALSE(is_change(route(layout, type, true, Bytes(16), Bytes(12, 0xff)), layout));
      // A zero but for the last byte.
      CHECK_FALSE(is_change(route(layout, type, false, {0, 0, 0, 1}, {255, 255, 255, 255}), layout));
      // An empty address takes room too: the mask, 128.0.0.0, comes after it.
      if (layout.has_length) {
        auto empty_gateway = header(layout, type, kDestination | kGateway | kNetmask);
        append_address(empty_gateway, layout, false, {0, 0, 0, 0});
        append_address(empty_gateway, layout, false, {}, 0);
        append_address(empty_gateway, layout, false, {128}, 5);
        CHECK_FALSE(is_change(empty_gateway, layout));
      }
      // Another family: a link-layer address.
      auto link = header(layout, type, kDestination);
      append_address(link, layout, false, {0, 0, 0, 0});
      link[layout.header + (layout.has_length ? 1 : 0)] = 77;
      if (layout.has_length) CHECK_FALSE(is_change(link, layout));
    }
  });
}

TEST_CASE("route message: addresses and interfaces always matter, look-ups and misses never") {
  on_each_system([](const RouteLayout& layout) {
    for (int type = 0; type < 256; ++type) {
      if (type >= 1 && type <= 3) continue;
      const bool expected = type < 64 && ((layout.always >> type) & 1) != 0;
      CAPTURE(type);
      CHECK(is_change(header(layout, type, 0), layout) == expected);
    }
    CHECK(is_change(header(layout, 0xc, 0), layout));
    CHECK(is_change(header(layout, 0xd, 0), layout));
    CHECK_FALSE(is_change(header(layout, 4, 0), layout));  // RTM_GET
    CHECK_FALSE(is_change(header(layout, 7, 0), layout));  // RTM_MISS
  });
}

TEST_CASE("route message: what cannot be read counts as a change") {
  on_each_system([](const RouteLayout& layout) {
    const auto whole = route(layout, 1, false, {198, 51, 100, 0}, {255, 255, 255, 0});
    REQUIRE_FALSE(is_change(whole, layout));
    CHECK(is_change({}, layout));
    CHECK(is_change(Bytes{1}, layout));
    auto other_version = whole;
    other_version[2] = 99;
    CHECK(is_change(other_version, layout));
    auto too_long = whole;
    put16(too_long, 0, whole.size() + 1);
    CHECK(is_change(too_long, layout));
    // Cut anywhere before the destination's end.
    for (std::size_t size = 4; size < layout.header + 16; ++size) {
      auto cut = whole;
      cut.resize(size);
      put16(cut, 0, size);
      CAPTURE(size);
      CHECK(is_change(cut, layout));
    }
    CHECK(is_change(header(layout, 1, 0), layout));  // a route without a destination
  });
}

TEST_CASE("route message: hostile bytes are survived") {
  std::mt19937 random(1);
  on_each_system([&](const RouteLayout& layout) {
    int changes = 0;
    for (int round = 0; round < 20000; ++round) {
      auto message = route(layout, 1 + static_cast<int>(random() % 3), (random() & 1) != 0, {}, {});
      for (int flips = static_cast<int>(random() % 8); flips >= 0; --flips)
        message[random() % message.size()] = static_cast<std::uint8_t>(random());
      message.resize(random() % (message.size() + 1));
      if (message.size() >= 2 && (random() & 1) != 0) put16(message, 0, message.size());
      changes += is_change(message, layout) ? 1 : 0;
    }
    CHECK(changes > 0);
    CHECK(is_change(route(layout, 1, true, Bytes(16), Bytes(16)), layout));
  });
}
