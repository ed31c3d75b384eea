// SPDX-License-Identifier: BSD-3-Clause
#include "src/wireguard/messages.h"

#include <algorithm>

#include "src/wireguard/little_endian.h"

namespace sixlink::wireguard {
namespace {

// Takes fields off the front; sizes are known when compiling, so that no field lies beyond the end.
class Reader {
 public:
  explicit Reader(Bytes bytes) : rest_(bytes) {}
  std::uint32_t number() {
    const auto value = load_le<std::uint32_t>(rest_.data());
    rest_ = rest_.subspan(4);
    return value;
  }
  template <std::size_t kSize>
  void bytes(std::array<std::uint8_t, kSize>& field) {
    std::copy_n(rest_.begin(), kSize, field.begin());
    rest_ = rest_.subspan(kSize);
  }

 private:
  Bytes rest_;
};

class Writer {
 public:
  explicit Writer(std::span<std::uint8_t> bytes) : rest_(bytes) {}
  void number(std::uint32_t value) {
    store_le<std::uint32_t>(rest_.data(), value);
    rest_ = rest_.subspan(4);
  }
  void type(MessageType type) { number(static_cast<std::uint32_t>(type)); }
  template <std::size_t kSize>
  void bytes(const std::array<std::uint8_t, kSize>& field) {
    std::copy(field.begin(), field.end(), rest_.begin());
    rest_ = rest_.subspan(kSize);
  }

 private:
  std::span<std::uint8_t> rest_;
};

}  // namespace

Macs Macs::read(Bytes message) {
  Macs macs;
  Reader reader(message.last(kSize));
  reader.bytes(macs.mac1);
  reader.bytes(macs.mac2);
  return macs;
}

void Macs::write(std::span<std::uint8_t> message) const {
  Writer writer(message.last(kSize));
  writer.bytes(mac1);
  writer.bytes(mac2);
}

Initiation Initiation::read(std::span<const std::uint8_t, kInitiationSize> message) {
  Initiation result;
  Reader reader(message.subspan(4));
  result.sender = reader.number();
  reader.bytes(result.ephemeral);
  reader.bytes(result.sealed_static);
  reader.bytes(result.sealed_timestamp);
  return result;
}

void Initiation::write(std::span<std::uint8_t, kInitiationSize> message) const {
  Writer writer(message);
  writer.type(MessageType::kInitiation);
  writer.number(sender);
  writer.bytes(ephemeral);
  writer.bytes(sealed_static);
  writer.bytes(sealed_timestamp);
}

Response Response::read(std::span<const std::uint8_t, kResponseSize> message) {
  Response result;
  Reader reader(message.subspan(4));
  result.sender = reader.number();
  result.receiver = reader.number();
  reader.bytes(result.ephemeral);
  reader.bytes(result.sealed_nothing);
  return result;
}

void Response::write(std::span<std::uint8_t, kResponseSize> message) const {
  Writer writer(message);
  writer.type(MessageType::kResponse);
  writer.number(sender);
  writer.number(receiver);
  writer.bytes(ephemeral);
  writer.bytes(sealed_nothing);
}

CookieReply CookieReply::read(std::span<const std::uint8_t, kCookieSize> message) {
  CookieReply result;
  Reader reader(message.subspan(4));
  result.receiver = reader.number();
  reader.bytes(result.nonce);
  reader.bytes(result.sealed_cookie);
  return result;
}

void CookieReply::write(std::span<std::uint8_t, kCookieSize> message) const {
  Writer writer(message);
  writer.type(MessageType::kCookie);
  writer.number(receiver);
  writer.bytes(nonce);
  writer.bytes(sealed_cookie);
}

std::optional<MessageType> classify(Bytes datagram) {
  if (datagram.size() < 4) return std::nullopt;
  const auto word = load_le<std::uint32_t>(datagram.data());
  const auto size = datagram.size();
  switch (word) {
    case 1:
      return size == kInitiationSize ? std::optional(MessageType::kInitiation) : std::nullopt;
    case 2:
      return size == kResponseSize ? std::optional(MessageType::kResponse) : std::nullopt;
    case 3:
      return size == kCookieSize ? std::optional(MessageType::kCookie) : std::nullopt;
    case 4:
      return size >= kDataOverhead ? std::optional(MessageType::kData) : std::nullopt;
    default:
      return std::nullopt;
  }
}

}  // namespace sixlink::wireguard
