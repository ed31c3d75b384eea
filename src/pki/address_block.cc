// SPDX-License-Identifier: BSD-3-Clause
#include "src/pki/address_block.h"

#include <algorithm>
#include <array>

namespace sixlink::pki {
namespace {

using Blocks = std::unique_ptr<IPAddrBlocks, FreeWith<[](IPAddrBlocks* blocks) {
                                 sk_IPAddressFamily_pop_free(blocks, IPAddressFamily_free);
                               }>>;

constexpr std::size_t kAddressSize = 16;

}  // namespace

ExtensionPtr make_address_block(const net::Prefix& prefix) {
  const ErrorScope errors;
  const Blocks blocks(sk_IPAddressFamily_new_null());
  auto address = prefix.address.to_bytes();
  if (!blocks ||
      X509v3_addr_add_prefix(blocks.get(), IANA_AFI_IPV6, nullptr, address.data(), prefix.length) != 1 ||
      X509v3_addr_canonize(blocks.get()) != 1)
    return nullptr;
  return ExtensionPtr(X509V3_EXT_i2d(NID_sbgp_ipAddrBlock, 1, blocks.get()));
}

std::optional<net::Prefix> address_block_of(const X509* certificate) {
  const ErrorScope errors;
  const Blocks blocks(
      static_cast<IPAddrBlocks*>(X509_get_ext_d2i(certificate, NID_sbgp_ipAddrBlock, nullptr, nullptr)));
  if (!blocks || sk_IPAddressFamily_num(blocks.get()) != 1 || X509v3_addr_is_canonical(blocks.get()) != 1 ||
      X509v3_addr_inherits(blocks.get()) != 0)
    return std::nullopt;
  auto* const family = sk_IPAddressFamily_value(blocks.get(), 0);
  // Without a SAFI: two bytes.
  if (X509v3_addr_get_afi(family) != IANA_AFI_IPV6 || family->addressFamily->length != 2) return std::nullopt;
  const auto* ranges = family->ipAddressChoice->u.addressesOrRanges;
  if (sk_IPAddressOrRange_num(ranges) != 1) return std::nullopt;
  auto* const range = sk_IPAddressOrRange_value(ranges, 0);
  if (range->type != IPAddressOrRange_addressPrefix) return std::nullopt;
  const auto* bits = range->u.addressPrefix;
  const int unused = static_cast<int>(bits->flags & 7);
  if (bits->length < 0 || bits->length > static_cast<int>(kAddressSize)) return std::nullopt;
  net::AddressV6::bytes_type bytes{};
  std::copy_n(bits->data, bits->length, bytes.begin());
  return net::Prefix::make(net::AddressV6(bytes), bits->length * 8 - (bits->length > 0 ? unused : 0));
}

}  // namespace sixlink::pki
