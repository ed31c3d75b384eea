// SPDX-License-Identifier: BSD-3-Clause
// The one place where Boost.Asio's TLS is compiled.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wold-style-cast"
#pragma GCC diagnostic ignored "-Wshadow"
#include <boost/asio/ssl/impl/src.hpp>
#pragma GCC diagnostic pop
