// SPDX-License-Identifier: BSD-3-Clause
// RFC 6886 section 3, RFC 6887 sections 7, 11 and 14.
#include "src/mesh/port_mapping_message.h"

#include <algorithm>
#include <iterator>

#include "src/net/big_endian.h"
#include "src/net/outer_address.h"

namespace sixlink::mesh {
namespace {

using boost::asio::ip::address;
using boost::asio::ip::address_v4;
using boost::asio::ip::address_v6;
using Bytes = std::span<const std::uint8_t>;

constexpr std::uint8_t kNatPmp = 0;  // versions
constexpr std::uint8_t kPcp = 2;
constexpr std::uint8_t kAnswer = 0x80;

constexpr std::uint8_t kNatPmpAddress = 0;  // opcodes
constexpr std::uint8_t kNatPmpMapUdp = 1;
constexpr std::uint8_t kNatPmpMapTcp = 2;
constexpr std::uint8_t kPcpAnnounce = 0;
constexpr std::uint8_t kPcpMap = 1;

constexpr std::size_t kPcpHeader = 24;
constexpr std::size_t kPcpMapSize = 60;
constexpr std::size_t kNatPmpHeader = 8;  // of an answer

constexpr std::uint8_t kTcp = 6;  // IANA's numbers
constexpr std::uint8_t kUdp = 17;

void put32(std::span<std::uint8_t> bytes, std::size_t at, std::uint32_t value) {
  net::put16(bytes, at, value >> 16);
  net::put16(bytes, at + 2, value & 0xFFFF);
}
std::uint32_t get32(Bytes bytes, std::size_t at) {
  return static_cast<std::uint32_t>(net::get16(bytes, at)) << 16 | net::get16(bytes, at + 2);
}

// IPv4 ones as ::ffff:a.b.c.d.
void put_address(std::span<std::uint8_t> bytes, std::size_t at, const address& value) {
  const auto v6 = value.is_v4() ? boost::asio::ip::make_address_v6(boost::asio::ip::v4_mapped, value.to_v4())
                                : value.to_v6();
  std::ranges::copy(v6.to_bytes(), bytes.begin() + static_cast<std::ptrdiff_t>(at));
}
address get_address(Bytes bytes, std::size_t at) {
  address_v6::bytes_type raw;
  std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(at), raw.size(), raw.begin());
  return net::unmapped(address(address_v6(raw)));
}

MapResult pcp_result(int code) {
  switch (code) {
    case 0:
      return MapResult::kDone;
    case 1:
      return MapResult::kOtherVersion;
    case 7:   // network failure
    case 8:   // no resources
    case 10:  // this user's quota
      return MapResult::kNotNow;
    default:
      return MapResult::kRefused;
  }
}

MapResult nat_pmp_result(int code) {
  switch (code) {
    case 0:
      return MapResult::kDone;
    case 1:
      return MapResult::kOtherVersion;
    case 3:  // network failure
    case 4:  // out of resources
      return MapResult::kNotNow;
    default:
      return MapResult::kRefused;
  }
}

std::optional<MapAnswer> parse_pcp(Bytes bytes) {
  if (bytes.size() < kPcpHeader || bytes.size() % 4 != 0) return std::nullopt;
  MapAnswer answer;
  answer.is_pcp = true;
  answer.code = bytes[3];
  answer.result = pcp_result(answer.code);
  answer.epoch = get32(bytes, 8);
  const int opcode = bytes[1] & ~kAnswer;
  if (opcode == kPcpAnnounce) return answer;
  // Who does not know the version may leave out the rest.
  if (opcode != kPcpMap) return std::nullopt;
  if (bytes.size() < kPcpMapSize) {
    if (answer.result == MapResult::kOtherVersion) return answer;
    return std::nullopt;
  }
  MapAnswer::Mapped mapped;
  mapped.lifetime = get32(bytes, 4);
  std::copy_n(bytes.begin() + kPcpHeader, mapped.nonce.size(), mapped.nonce.begin());
  const auto protocol = bytes[36];
  if (protocol != kUdp && protocol != kTcp) return std::nullopt;
  mapped.transport = protocol == kUdp ? Transport::kUdp : Transport::kTcp;
  mapped.internal_port = net::get16(bytes, 40);
  mapped.external_port = net::get16(bytes, 42);
  mapped.external = get_address(bytes, 44);
  answer.content = mapped;
  return answer;
}

std::optional<MapAnswer> parse_nat_pmp(Bytes bytes) {
  if (bytes.size() < kNatPmpHeader) return std::nullopt;
  MapAnswer answer;
  answer.code = net::get16(bytes, 2);
  answer.result = nat_pmp_result(answer.code);
  answer.epoch = get32(bytes, 4);
  const int opcode = bytes[1] & ~kAnswer;
  if (opcode == kNatPmpAddress && bytes.size() >= 12) {
    answer.content = MapAnswer::Address{address_v4(get32(bytes, 8))};
    return answer;
  }
  if ((opcode == kNatPmpMapUdp || opcode == kNatPmpMapTcp) && bytes.size() >= 16) {
    MapAnswer::Mapped mapped;
    mapped.transport = opcode == kNatPmpMapUdp ? Transport::kUdp : Transport::kTcp;
    mapped.internal_port = net::get16(bytes, 8);
    mapped.external_port = net::get16(bytes, 10);
    mapped.lifetime = get32(bytes, 12);
    answer.content = mapped;
    return answer;
  }
  // The whole answer to a version that it does not know.
  if (answer.result == MapResult::kOtherVersion) return answer;
  return std::nullopt;
}

}  // namespace

std::vector<std::uint8_t> pcp_map(const MapRequest& request, const address& client) {
  std::vector<std::uint8_t> bytes(kPcpMapSize);
  bytes[0] = kPcp;
  bytes[1] = kPcpMap;
  put32(bytes, 4, request.lifetime);
  put_address(bytes, 8, client);
  std::ranges::copy(request.nonce, bytes.begin() + kPcpHeader);
  bytes[36] = request.transport == Transport::kUdp ? kUdp : kTcp;
  net::put16(bytes, 40, request.internal_port);
  net::put16(bytes, 42, request.external_port);
  // "Any" is of a family too: that of the client.
  const bool is_any = request.external.is_unspecified() || request.external.is_v4() != client.is_v4();
  put_address(bytes, 44,
              is_any ? client.is_v4() ? address(address_v4()) : address(address_v6()) : request.external);
  return bytes;
}

std::vector<std::uint8_t> pcp_announce(const address& client) {
  std::vector<std::uint8_t> bytes(kPcpHeader);
  bytes[0] = kPcp;
  bytes[1] = kPcpAnnounce;
  put_address(bytes, 8, client);
  return bytes;
}

std::vector<std::uint8_t> nat_pmp_map(const MapRequest& request) {
  std::vector<std::uint8_t> bytes(12);
  bytes[0] = kNatPmp;
  bytes[1] = request.transport == Transport::kUdp ? kNatPmpMapUdp : kNatPmpMapTcp;
  net::put16(bytes, 4, request.internal_port);
  // RFC 6886 section 3.4: a request to remove has 0 here.
  net::put16(bytes, 6, request.lifetime == 0 ? 0 : request.external_port);
  put32(bytes, 8, request.lifetime);
  return bytes;
}

std::vector<std::uint8_t> nat_pmp_address() {
  return {kNatPmp, kNatPmpAddress};
}

std::optional<MapAnswer> parse_map_answer(Bytes datagram) {
  if (datagram.size() < 4 || datagram.size() > kLargestPortMappingMessage || (datagram[1] & kAnswer) == 0)
    return std::nullopt;
  if (datagram[0] == kNatPmp) return parse_nat_pmp(datagram);
  if (datagram[0] == kPcp) return parse_pcp(datagram);
  return std::nullopt;
}

std::string map_result_text(const MapAnswer& answer) {
  static constexpr const char* kPcpTexts[] = {"done",
                                              "unsupported version",
                                              "not authorized",
                                              "malformed request",
                                              "unsupported request",
                                              "unknown option",
                                              "malformed option",
                                              "no network",
                                              "no resources",
                                              "unsupported protocol",
                                              "quota exceeded",
                                              "no outer address",
                                              "wrong address of client",
                                              "too many peers"};
  static constexpr const char* kNatPmpTexts[] = {"done",       "unsupported version", "not authorized",
                                                 "no network", "no resources",        "unsupported request"};
  const auto code = static_cast<std::size_t>(answer.code);
  const auto* text = "unknown result";
  if (answer.is_pcp && code < std::size(kPcpTexts)) text = kPcpTexts[code];
  if (!answer.is_pcp && code < std::size(kNatPmpTexts)) text = kNatPmpTexts[code];
  return std::string(text) + " (" + std::to_string(answer.code) + ")";
}

}  // namespace sixlink::mesh
