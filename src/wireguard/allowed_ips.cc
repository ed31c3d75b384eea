// SPDX-License-Identifier: BSD-3-Clause
#include "src/wireguard/allowed_ips.h"

#include <algorithm>
#include <bit>

namespace sixlink::wireguard {
namespace {

template <std::size_t kSize>
std::uint64_t big_endian(std::span<const std::uint8_t> bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < kSize; ++i) value = value << 8 | bytes[i];
  return value;
}

}  // namespace

AllowedIps::Bits AllowedIps::Bits::of_v4(std::span<const std::uint8_t, 4> address) {
  return {big_endian<4>(address) << 32, 0};
}

AllowedIps::Bits AllowedIps::Bits::of_v6(std::span<const std::uint8_t, 16> address) {
  return {big_endian<8>(address), big_endian<8>(address.subspan(8))};
}

unsigned AllowedIps::Bits::common_with(const Bits& other) const {
  if (high != other.high) return static_cast<unsigned>(std::countl_zero(high ^ other.high));
  return 64 + static_cast<unsigned>(std::countl_zero(low ^ other.low));
}

AllowedIps::Bits AllowedIps::Bits::first(unsigned length) const {
  const auto mask = [](unsigned bits) { return bits == 0 ? 0 : ~std::uint64_t{0} << (64 - bits); };
  return {high & mask(std::min(length, 64U)), low & mask(length > 64 ? length - 64 : 0)};
}

AllowedIps::Key::Key(const net::Prefix& prefix) {
  if (const auto v4 = net::unmapped(prefix)) {
    bits = Bits::of_v4(v4->address.to_bytes());
    length = static_cast<unsigned>(v4->length);
    is_v4 = true;
  } else {
    bits = Bits::of_v6(prefix.address.to_bytes());
    length = static_cast<unsigned>(prefix.length);
  }
}

AllowedIps::Index AllowedIps::add_node(const Bits& bits, unsigned length) {
  Index index = free_;
  if (index != kNone) {
    free_ = nodes_[index].children[0];
    nodes_[index] = Node{};
  } else {
    index = static_cast<Index>(nodes_.size());
    nodes_.emplace_back();
  }
  nodes_[index].bits = bits.first(length);
  nodes_[index].length = static_cast<std::uint8_t>(length);
  return index;
}

void AllowedIps::drop_node(Index index) {
  nodes_[index] = Node{};
  nodes_[index].children[0] = free_;
  free_ = index;
}

std::optional<AllowedIps::Owner> AllowedIps::insert(const net::Prefix& prefix, Owner owner) {
  const Key key(prefix);
  // Where the number of the node that we look at is written: the root, or a child of the last one. Vectors
  // grow, so it is kept as numbers.
  Index parent = kNone;
  unsigned side = 0;
  Index at = key.is_v4 ? root_v4_ : root_v6_;
  const auto link = [&](Index index) {
    if (parent != kNone)
      nodes_[parent].children[side] = index;
    else
      (key.is_v4 ? root_v4_ : root_v6_) = index;
  };
  const auto own = [&](Index index) {
    nodes_[index].owner = owner;
    nodes_[index].is_owned = true;
    ++size_;
  };

  while (at != kNone) {
    const unsigned length = nodes_[at].length;
    const unsigned common = std::min({key.bits.common_with(nodes_[at].bits), key.length, length});
    if (common == length && length == key.length) {
      if (nodes_[at].is_owned) {
        const auto before = nodes_[at].owner;
        nodes_[at].owner = owner;
        return before;
      }
      own(at);
      return std::nullopt;
    }
    if (common == length) {  // below this node
      parent = at;
      side = key.bits.at(length);
      at = nodes_[at].children[side];
      continue;
    }
    // Between the parent and this node: itself, or a fork from which both go on.
    const auto added = add_node(key.bits, key.length);
    if (common == key.length) {
      nodes_[added].children[nodes_[at].bits.at(common)] = at;
      link(added);
    } else {
      const auto fork = add_node(key.bits, common);
      const auto ours = key.bits.at(common);
      nodes_[fork].children[ours] = added;
      nodes_[fork].children[1 - ours] = at;
      link(fork);
    }
    own(added);
    return std::nullopt;
  }
  const auto added = add_node(key.bits, key.length);
  link(added);
  own(added);
  return std::nullopt;
}

bool AllowedIps::remove(const net::Prefix& prefix, Owner owner) {
  const Key key(prefix);
  Index& root = key.is_v4 ? root_v4_ : root_v6_;
  Index* grandparent_link = nullptr;  // no node is added here, so pointers stay
  Index parent = kNone;
  Index* link = &root;
  while (*link != kNone) {
    const Index at = *link;
    Node& node = nodes_[at];
    if (node.length > key.length || key.bits.common_with(node.bits) < node.length) return false;
    if (node.length < key.length) {
      grandparent_link = link;
      parent = at;
      link = &node.children[key.bits.at(node.length)];
      continue;
    }
    if (!node.is_owned || node.owner != owner) return false;
    --size_;
    node.is_owned = false;
    if (node.children[0] != kNone && node.children[1] != kNone) return true;  // stays as a fork
    *link = node.children[node.children[0] != kNone ? 0 : 1];
    const bool was_leaf = *link == kNone;
    drop_node(at);
    // A fork that lost one of its two ways is of no use.
    if (was_leaf && parent != kNone && !nodes_[parent].is_owned) {
      const Index other = nodes_[parent].children[nodes_[parent].children[0] != kNone ? 0 : 1];
      *grandparent_link = other;
      drop_node(parent);
    }
    return true;
  }
  return false;
}

std::optional<AllowedIps::Owner> AllowedIps::find(Index root, const Bits& address, unsigned length) const {
  std::optional<Owner> found;
  for (Index at = root; at != kNone;) {
    const Node& node = nodes_[at];
    if (address.common_with(node.bits) < node.length) break;
    if (node.is_owned) found = node.owner;
    if (node.length == length) break;
    at = node.children[address.at(node.length)];
  }
  return found;
}

std::optional<AllowedIps::Owner> AllowedIps::find(const boost::asio::ip::address& address) const {
  if (address.is_v4()) return find_v4(address.to_v4().to_bytes());
  return find_v6(address.to_v6().to_bytes());
}

std::optional<AllowedIps::Owner> AllowedIps::find_destination(std::span<const std::uint8_t> packet) const {
  if (packet.size() >= 20 && packet[0] >> 4 == 4) return find_v4(packet.subspan<16, 4>());
  if (packet.size() >= 40 && packet[0] >> 4 == 6) return find_v6(packet.subspan<24, 16>());
  return std::nullopt;
}

std::optional<AllowedIps::Owner> AllowedIps::find_source(std::span<const std::uint8_t> packet) const {
  if (packet.size() >= 20 && packet[0] >> 4 == 4) return find_v4(packet.subspan<12, 4>());
  if (packet.size() >= 40 && packet[0] >> 4 == 6) return find_v6(packet.subspan<8, 16>());
  return std::nullopt;
}

}  // namespace sixlink::wireguard
