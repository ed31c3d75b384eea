// SPDX-License-Identifier: BSD-3-Clause
// Names to addresses through the system's resolver, with a
// deadline and cancellable (getaddrinfo itself is neither).
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/system/result.hpp>
#include <chrono>
#include <string>
#include <vector>

namespace sixlink::net {

// Every address of both families in the resolver's order, each once. Asks anew at each call. timed_out when
// `limit` passed: the abandoned look-up ends by itself in its thread; while eight of them hang, further calls
// fail at once with resource_unavailable_try_again. The io_context may end while a look-up runs; a process
// that ends meanwhile does so by _Exit.
boost::asio::awaitable<boost::system::result<std::vector<boost::asio::ip::address>>> resolve(
    std::string host, std::chrono::seconds limit);

}  // namespace sixlink::net
