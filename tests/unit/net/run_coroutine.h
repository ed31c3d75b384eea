// SPDX-License-Identifier: BSD-3-Clause
// Runs a coroutine in a test, with a deadline so that a bug is a failure and not a hang.
#pragma once

#include <doctest/doctest.h>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <exception>
#include <optional>

namespace sixlink::test {

// What `coroutine` returned; other work of `io` runs meanwhile and stays for later.
template <typename T>
T run(boost::asio::io_context& io, boost::asio::awaitable<T> coroutine,
      std::chrono::seconds limit = std::chrono::seconds(20)) {
  std::optional<T> result;
  std::exception_ptr thrown;
  bool is_done = false;
  boost::asio::co_spawn(io, std::move(coroutine), [&](const std::exception_ptr& exception, T value) {
    thrown = exception;
    if (!exception) result = std::move(value);
    is_done = true;
  });
  const auto deadline = std::chrono::steady_clock::now() + limit;
  io.restart();
  while (!is_done && std::chrono::steady_clock::now() < deadline) {
    if (io.run_one_until(deadline) == 0) break;
  }
  if (thrown) std::rethrow_exception(thrown);
  REQUIRE_MESSAGE(result.has_value(), "the coroutine did not end in time");
  return *std::move(result);
}

// Lets the loop work until `condition` holds; false when it did not within `limit`.
template <typename Condition>
bool run_until(boost::asio::io_context& io, Condition&& condition,
               std::chrono::milliseconds limit = std::chrono::seconds(10)) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  io.restart();
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= deadline) return false;
    if (io.stopped()) io.restart();
    io.run_one_for(std::chrono::milliseconds(20));
  }
  return true;
}

}  // namespace sixlink::test
