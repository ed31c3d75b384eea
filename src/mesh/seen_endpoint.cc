// SPDX-License-Identifier: BSD-3-Clause
#include "src/mesh/seen_endpoint.h"

#include <charconv>
#include <string>
#include <string_view>

#include "src/mesh/control_message.h"
#include "src/tsp/rudp.h"

namespace sixlink::mesh {
namespace {

constexpr std::string_view kRequest = "ENDPOINT REQUEST ";
constexpr std::string_view kResponse = "ENDPOINT RESPONSE ";
constexpr std::size_t kHexSize = 16;
constexpr std::size_t kTextSize = kSeenEndpointSize - tsp::RudpHeader::kSize;
// The longest: nonce, port and an IPv6 address.
static_assert(kResponse.size() + kHexSize + 1 + 5 + 1 + 39 + 2 <= kTextSize);
constexpr std::uint32_t kSequence = 0xF0000000;

std::vector<std::uint8_t> make(const tsp::RudpHeader& header, std::string text) {
  text.resize(kTextSize - 2, ' ');
  return tsp::make_rudp(header, text + "\r\n");
}

// What stands behind `name`, without what fills it up.
std::optional<std::string_view> rest_of(std::span<const std::uint8_t> datagram, std::string_view name,
                                        tsp::RudpHeader& header) {
  if (datagram.size() != kSeenEndpointSize) return std::nullopt;
  const auto message = tsp::parse_rudp(datagram);
  if (!message || !message->text.starts_with(name) || !message->text.ends_with("\r\n")) return std::nullopt;
  header = message->header;
  auto text = message->text.substr(name.size());
  text.remove_suffix(2);
  const auto end = text.find_last_not_of(' ');
  return text.substr(0, end == std::string_view::npos ? 0 : end + 1);
}

}  // namespace

std::vector<std::uint8_t> make_endpoint_request(std::uint64_t nonce) {
  return make({kSequence, 0}, std::string(kRequest) + hex64(nonce));
}

std::vector<std::uint8_t> answer_endpoint_request(std::span<const std::uint8_t> datagram,
                                                  const boost::asio::ip::udp::endpoint& from) {
  tsp::RudpHeader header;
  const auto rest = rest_of(datagram, kRequest, header);
  const auto nonce = rest ? parse_hex64(*rest) : std::nullopt;
  if (!nonce || from.port() == 0) return {};
  auto address = from.address();
  if (address.is_v6()) {
    // A zone is of no use to anybody else.
    auto v6 = address.to_v6();
    v6.scope_id(0);
    address = v6;
  }
  return make(header, std::string(kResponse) + hex64(*nonce) + " " + std::to_string(from.port()) + " " +
                          address.to_string());
}

std::optional<SeenEndpoint> parse_endpoint_response(std::span<const std::uint8_t> datagram) {
  tsp::RudpHeader header;
  auto rest = rest_of(datagram, kResponse, header);
  if (!rest || rest->size() < kHexSize + 1 || (*rest)[kHexSize] != ' ') return std::nullopt;
  const auto nonce = parse_hex64(rest->substr(0, kHexSize));
  rest->remove_prefix(kHexSize + 1);
  const auto blank = rest->find(' ');
  if (!nonce || blank == std::string_view::npos) return std::nullopt;
  std::uint16_t port = 0;
  const auto [stop, error] = std::from_chars(rest->data(), rest->data() + blank, port);
  if (error != std::errc() || stop != rest->data() + blank || port == 0) return std::nullopt;
  const std::string text(rest->substr(blank + 1));
  boost::system::error_code bad;
  const auto address = boost::asio::ip::make_address(text, bad);
  if (bad || text.find('%') != std::string::npos) return std::nullopt;
  return SeenEndpoint{*nonce, {address, port}};
}

}  // namespace sixlink::mesh
