// SPDX-License-Identifier: BSD-3-Clause
#include "src/wireguard/allowed_ips.h"

#include <doctest/doctest.h>

#include <map>
#include <random>
#include <utility>
#include <vector>

using namespace sixlink;
using wireguard::AllowedIps;

namespace {

net::Prefix prefix(const char* text) {
  if (const auto v4 = net::PrefixV4::parse(text)) return net::v4_mapped(*v4);
  return net::Prefix::parse(text).value();
}

std::optional<AllowedIps::Owner> find(const AllowedIps& table, const char* address) {
  return table.find(boost::asio::ip::make_address(address));
}

// The slow one: looks at every prefix.
class Oracle {
 public:
  std::optional<AllowedIps::Owner> insert(const net::Prefix& prefix, AllowedIps::Owner owner) {
    const auto [at, is_new] = owners_.try_emplace({prefix.address, prefix.length}, owner);
    if (is_new) return std::nullopt;
    return std::exchange(at->second, owner);
  }
  bool remove(const net::Prefix& prefix, AllowedIps::Owner owner) {
    const auto at = owners_.find({prefix.address, prefix.length});
    if (at == owners_.end() || at->second != owner) return false;
    owners_.erase(at);
    return true;
  }
  std::optional<AllowedIps::Owner> find(const boost::asio::ip::address& address) const {
    std::optional<AllowedIps::Owner> found;
    int longest = -1;
    for (const auto& [key, owner] : owners_) {
      const net::Prefix candidate{key.first, key.second};
      const auto v4 = net::unmapped(candidate);
      const bool matches =
          address.is_v4() ? v4 && v4->contains(address.to_v4()) : !v4 && candidate.contains(address.to_v6());
      if (matches && key.second > longest) {
        longest = key.second;
        found = owner;
      }
    }
    return found;
  }
  std::size_t size() const { return owners_.size(); }
  const auto& all() const { return owners_; }

 private:
  std::map<std::pair<net::AddressV6, int>, AllowedIps::Owner> owners_;
};

}  // namespace

TEST_CASE("allowed IPs: the longest prefix wins, in both families") {
  AllowedIps table;
  CHECK(table.empty());
  CHECK_FALSE(find(table, "192.0.2.1"));
  CHECK_FALSE(table.insert(prefix("0.0.0.0/0"), 1));
  CHECK_FALSE(table.insert(prefix("192.0.2.0/24"), 2));
  CHECK_FALSE(table.insert(prefix("192.0.2.128/25"), 3));
  CHECK_FALSE(table.insert(prefix("192.0.2.129/32"), 4));
  CHECK_FALSE(table.insert(prefix("2001:db8::/32"), 5));
  CHECK_FALSE(table.insert(prefix("2001:db8:0:1::/64"), 6));
  CHECK(table.size() == 6);
  CHECK(find(table, "198.51.100.1") == 1);
  CHECK(find(table, "192.0.2.1") == 2);
  CHECK(find(table, "192.0.2.128") == 3);
  CHECK(find(table, "192.0.2.129") == 4);
  CHECK(find(table, "2001:db8::1") == 5);
  CHECK(find(table, "2001:db8:0:1::1") == 6);
  CHECK_FALSE(find(table, "2001:db9::1"));
}

TEST_CASE("allowed IPs: the families are told apart") {
  AllowedIps table;
  table.insert(prefix("::/0"), 6);
  CHECK_FALSE(find(table, "192.0.2.1"));
  table.insert(prefix("0.0.0.0/0"), 4);
  CHECK(find(table, "192.0.2.1") == 4);
  CHECK(find(table, "2001:db8::1") == 6);
  CHECK(find(table, "::ffff:192.0.2.1") == 6);  // an IPv6 packet may not pass for an IPv4 one
  CHECK(table.remove(prefix("::/0"), 6));
  CHECK(find(table, "192.0.2.1") == 4);
  CHECK_FALSE(find(table, "2001:db8::1"));
}

TEST_CASE("allowed IPs: a prefix moves to who takes it, and only its owner removes it") {
  AllowedIps table;
  table.insert(prefix("2001:db8::/64"), 1);
  CHECK(table.insert(prefix("2001:db8::/64"), 1) == 1);
  CHECK(table.insert(prefix("2001:db8::/64"), 2) == 1);
  CHECK(table.size() == 1);
  CHECK_FALSE(table.remove(prefix("2001:db8::/64"), 1));
  CHECK_FALSE(table.remove(prefix("2001:db8::/65"), 2));
  CHECK_FALSE(table.remove(prefix("2001:db8::/63"), 2));
  CHECK(find(table, "2001:db8::1") == 2);
  CHECK(table.remove(prefix("2001:db8::/64"), 2));
  CHECK_FALSE(find(table, "2001:db8::1"));
  CHECK(table.empty());
}

TEST_CASE("allowed IPs: by a packet's header, of which nothing is believed") {
  AllowedIps table;
  table.insert(prefix("192.0.2.0/24"), 1);
  table.insert(prefix("198.51.100.0/24"), 2);
  table.insert(prefix("2001:db8:1::/48"), 3);
  table.insert(prefix("2001:db8:2::/48"), 4);
  std::vector<std::uint8_t> v4(20);
  v4[0] = 0x45;
  v4[12] = 192, v4[13] = 0, v4[14] = 2, v4[15] = 9;
  v4[16] = 198, v4[17] = 51, v4[18] = 100, v4[19] = 9;
  CHECK(table.find_source(v4) == 1);
  CHECK(table.find_destination(v4) == 2);
  std::vector<std::uint8_t> v6(40);
  v6[0] = 0x60;
  v6[8] = 0x20, v6[9] = 0x01, v6[10] = 0x0d, v6[11] = 0xb8, v6[13] = 1;
  v6[24] = 0x20, v6[25] = 0x01, v6[26] = 0x0d, v6[27] = 0xb8, v6[29] = 2;
  CHECK(table.find_source(v6) == 3);
  CHECK(table.find_destination(v6) == 4);
  for (std::size_t size = 0; size < v4.size(); ++size)
    CHECK_FALSE(table.find_destination(std::span(v4).first(size)));
  for (std::size_t size = 0; size < v6.size(); ++size)
    CHECK_FALSE(table.find_source(std::span(v6).first(size)));
  v6[0] = 0x50;
  CHECK_FALSE(table.find_source(v6));
  CHECK_FALSE(table.find_destination(v6));
}

TEST_CASE("allowed IPs: agrees with a list that is searched from end to end") {
  std::mt19937 random(20260704);
  for (int round = 0; round < 12; ++round) {
    AllowedIps table;
    Oracle oracle;
    const auto address = [&](bool is_v4) -> net::AddressV6 {
      net::AddressV6::bytes_type bytes{};
      // Few different bits, so that prefixes nest and part everywhere.
      for (std::size_t i = 0; i < 16; ++i)
        bytes[i] = random() % 4 == 0 ? static_cast<std::uint8_t>(1U << random() % 8) : std::uint8_t{0};
      if (is_v4) {
        std::fill(bytes.begin(), bytes.begin() + 10, std::uint8_t{0});
        bytes[10] = bytes[11] = 0xFF;
      }
      return net::AddressV6(bytes);
    };
    for (int i = 0; i < 3000; ++i) {
      const bool is_v4 = random() % 2 == 0;
      const auto base = address(is_v4);
      const int length = is_v4 ? 96 + static_cast<int>(random() % 33) : static_cast<int>(random() % 129);
      net::Prefix chosen{net::mask(base, length), length};
      const AllowedIps::Owner owner = random() % 8;
      if (random() % 5 < 2 && oracle.size() > 0) {
        auto at = oracle.all().begin();
        std::advance(at, static_cast<long>(random() % oracle.size()));
        chosen = {at->first.first, at->first.second};
        const auto its_owner = random() % 4 == 0 ? owner : at->second;
        REQUIRE(table.remove(chosen, its_owner) == oracle.remove(chosen, its_owner));
      } else if (!is_v4 && net::unmapped(chosen)) {
        continue;  // means an IPv4 prefix
      } else {
        REQUIRE(table.insert(chosen, owner) == oracle.insert(chosen, owner));
      }
      REQUIRE(table.size() == oracle.size());
      for (int probe = 0; probe < 4; ++probe) {
        const auto wanted = address(probe % 2 == 0);
        const boost::asio::ip::address either =
            probe % 2 == 0 ? boost::asio::ip::address(
                                 boost::asio::ip::make_address_v4(boost::asio::ip::v4_mapped, wanted))
                           : boost::asio::ip::address(wanted);
        REQUIRE(table.find(either) == oracle.find(either));
      }
    }
    // To the last one, and nothing is left.
    while (oracle.size() > 0) {
      const auto [key, owner] = *oracle.all().begin();
      REQUIRE(table.remove({key.first, key.second}, owner));
      oracle.remove({key.first, key.second}, owner);
    }
    CHECK(table.empty());
    CHECK_FALSE(table.find(boost::asio::ip::make_address("::")));
  }
}
