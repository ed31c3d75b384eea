// SPDX-License-Identifier: BSD-3-Clause
// Interfaces on SunOS: if_tcp(4P)'s lifreq ioctls, one interface for each family, and the link's kstats
// (kstat(3KSTAT)).
#include <kstat.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/sockio.h>

#include <cstring>

#include "platform/platform.h"
#include "platform/posix/descriptor.h"

namespace sixlink::platform {
namespace {

boost::system::error_code control(int command, int family, const std::string& name, lifreq& request) {
  if (name.size() >= sizeof request.lifr_name) return posix::to_error(ENODEV);
  std::memcpy(request.lifr_name, name.c_str(), name.size() + 1);
  const posix::Descriptor socket(::socket(family, SOCK_DGRAM, 0));
  if (!socket || ::ioctl(socket.get(), command, &request) != 0) return posix::last_error();
  return {};
}

// 0 for a counter that the driver does not keep.
std::uint64_t counter(kstat_t* statistics, std::string name) {
  const auto* found = static_cast<kstat_named_t*>(::kstat_data_lookup(statistics, name.data()));
  return found ? found->value.ui64 : 0;
}

}  // namespace

boost::system::result<int> interface_mtu(const std::string& name) {
  boost::system::error_code error;
  for (const int family : {AF_INET, AF_INET6}) {
    lifreq request{};
    error = control(SIOCGLIFMTU, family, name, request);
    if (!error) return static_cast<int>(request.lifr_mtu);
  }
  return error;
}

boost::system::error_code set_interface_mtu(const std::string& name, int mtu) {
  boost::system::error_code error;
  bool is_set = false;
  for (const int family : {AF_INET, AF_INET6}) {
    lifreq request{};
    request.lifr_mtu = static_cast<unsigned>(mtu);
    if (const auto failure = control(SIOCSLIFMTU, family, name, request)) {
      error = failure;
    } else {
      is_set = true;
    }
  }
  return is_set ? boost::system::error_code() : error;
}

boost::system::result<InterfaceCounters> interface_counters(const std::string& name) {
  const std::unique_ptr<kstat_ctl_t, decltype(&::kstat_close)> kernel(::kstat_open(), &::kstat_close);
  if (!kernel) return posix::last_error();
  std::string module = "link";
  std::string wanted = name;
  kstat_t* statistics = ::kstat_lookup(kernel.get(), module.data(), -1, wanted.data());
  // Drivers that are older than the link module keep theirs by their own name.
  if (!statistics) statistics = ::kstat_lookup(kernel.get(), nullptr, -1, wanted.data());
  if (!statistics || ::kstat_read(kernel.get(), statistics, nullptr) == -1) return posix::to_error(ENODEV);
  return InterfaceCounters{counter(statistics, "ipackets64"), counter(statistics, "opackets64"),
                           counter(statistics, "rbytes64"), counter(statistics, "obytes64")};
}

}  // namespace sixlink::platform
