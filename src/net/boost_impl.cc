// SPDX-License-Identifier: BSD-3-Clause
// The one place where the header-only parts of Boost.Asio and Boost.JSON are compiled.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wshadow"
#include <boost/asio/impl/src.hpp>
#include <boost/json/src.hpp>
#pragma GCC diagnostic pop
