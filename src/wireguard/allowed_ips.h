// SPDX-License-Identifier: BSD-3-Clause
// Which peer an inner address belongs to: longest prefix match for IPv6 and IPv4 (whitepaper section 2,
// cryptokey routing).
#pragma once

#include <array>
#include <boost/asio/ip/address.hpp>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "src/net/prefix.h"

namespace sixlink::wireguard {

// IPv4 prefixes are held as their v4-mapped form (net::v4_mapped), so that one kind of value names both; the
// families are told apart all the same: ::/0 holds no IPv4 address, and 0.0.0.0/0 no IPv6 one.
//
// Not thread-safe against change: readers may share it while no one changes it.
class AllowedIps {
 public:
  // A caller's number for a peer (Device: PeerId's slot).
  using Owner = std::uint32_t;

  // What `prefix` was of before, if anyone's: it moves.
  std::optional<Owner> insert(const net::Prefix& prefix, Owner owner);
  // False: it was not there, or of another.
  bool remove(const net::Prefix& prefix, Owner owner);

  // The addresses as they stand in a packet.
  std::optional<Owner> find_v6(std::span<const std::uint8_t, 16> address) const {
    return find(root_v6_, Bits::of_v6(address), 128);
  }
  std::optional<Owner> find_v4(std::span<const std::uint8_t, 4> address) const {
    return find(root_v4_, Bits::of_v4(address), 32);
  }
  std::optional<Owner> find(const boost::asio::ip::address& address) const;
  // By an inner packet's header. nullopt: no IP packet, or no one's address.
  std::optional<Owner> find_destination(std::span<const std::uint8_t> packet) const;
  std::optional<Owner> find_source(std::span<const std::uint8_t> packet) const;

  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

 private:
  // Path-compressed binary trie (as in BSD's radix tree): a node stands for a prefix, its children for longer
  // ones with a 0 or a 1 next. Nodes are numbers into one vector: half the size of pointers, one allocation.
  using Index = std::uint32_t;
  static constexpr Index kNone = UINT32_MAX;
  // An address from its first bit on, in two words of the machine's; IPv4 in the first half of the first.
  struct Bits {
    std::uint64_t high = 0;
    std::uint64_t low = 0;

    static Bits of_v4(std::span<const std::uint8_t, 4> address);
    static Bits of_v6(std::span<const std::uint8_t, 16> address);
    unsigned at(unsigned position) const {
      return static_cast<unsigned>((position < 64 ? high >> (63 - position) : low >> (127 - position)) & 1);
    }
    unsigned common_with(const Bits& other) const;
    Bits first(unsigned length) const;
  };
  struct Key {
    Bits bits;
    unsigned length = 0;
    bool is_v4 = false;

    explicit Key(const net::Prefix& prefix);
  };
  struct Node {
    Bits bits;
    std::array<Index, 2> children{kNone, kNone};
    Owner owner = 0;
    std::uint8_t length = 0;
    bool is_owned = false;  // else only a fork
  };

  std::optional<Owner> find(Index root, const Bits& address, unsigned length) const;
  Index add_node(const Bits& bits, unsigned length);
  void drop_node(Index index);

  std::vector<Node> nodes_;
  Index free_ = kNone;  // a list through children[0]
  Index root_v4_ = kNone;
  Index root_v6_ = kNone;
  std::size_t size_ = 0;
};

}  // namespace sixlink::wireguard
