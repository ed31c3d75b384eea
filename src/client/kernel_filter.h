// SPDX-License-Identifier: BSD-3-Clause
// Which packets may pass links that are WireGuard interfaces of the kernel's: what datapath::MeshFilter
// decides for ours, as a table of nftables. Its rules are for interfaces of four groups, so that a link is
// put under them, and under others, by its group alone.
#pragma once

#include <boost/system/error_code.hpp>
#include <cstdint>
#include <string>
#include <string_view>

#include "src/datapath/mesh_filter.h"

namespace sixlink::client {

struct KernelFilter {
  std::string table;
  // The first of four: of links that carry the network's packets alone. From a link that is being left no
  // Babel reaches this machine but the one thing that neighbours say of it then, datapath::make_babel_cost().
  std::uint32_t group = 0;
  std::uint32_t group_of(bool takes_foreign, bool is_left) const {
    return group + (takes_foreign ? 1 : 0) + (is_left ? 2 : 0);
  }
};
// A name and groups of this daemon's own.
KernelFilter kernel_filter_of(std::string_view instance);
bool is_kernel_filter_name(std::string_view table);

// For nft: replaces the table, at once.
std::string kernel_filter_rules(const KernelFilter& filter, const datapath::MeshFilter& mesh);
// Runs nft, which takes some 20 ms, 5 s at most. Empty: done; else why not and what to do.
std::string make_kernel_filter(const KernelFilter& filter, const datapath::MeshFilter& mesh);
[[nodiscard]] boost::system::error_code remove_kernel_filter(const std::string& table);

}  // namespace sixlink::client
