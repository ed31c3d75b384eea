// SPDX-License-Identifier: BSD-3-Clause
#include "src/client/mesh_cache.h"

#include <doctest/doctest.h>

using namespace sixlink::client;

TEST_CASE("mesh cache: what is written is read") {
  const std::vector<SignedBytes> contacts{{1}, {2, 3, 0, 10}, SignedBytes(kLongestCached, 7)};
  const auto text = to_cache_text(contacts);
  CHECK(text.starts_with("sixlink contacts 1\n"));
  CHECK(parse_cache_text(text) == contacts);
  CHECK(parse_cache_text(to_cache_text({})) == std::vector<SignedBytes>());
}

TEST_CASE("mesh cache: what is no contact is left out") {
  CHECK(parse_cache_text(to_cache_text({{}, SignedBytes(kLongestCached + 1, 7), {5}})) ==
        std::vector<SignedBytes>{{5}});
  const std::vector<SignedBytes> many(kMostCached + 5, SignedBytes{9});
  const auto read = parse_cache_text(to_cache_text(many));
  REQUIRE(read);
  CHECK(read->size() == kMostCached);
}

TEST_CASE("mesh cache: a damaged file is none") {
  using namespace std::string_literals;
  const auto text = to_cache_text({{1, 2, 3}, {4, 5}});
  const std::string_view first_line = "sixlink contacts 1\n";
  for (std::size_t size = 0; size < text.size(); ++size) {
    // Cut between two of them, it is one that has fewer.
    const bool is_whole = size == first_line.size() || size == first_line.size() + 5;
    CAPTURE(size);
    CHECK(parse_cache_text(std::string_view(text).substr(0, size)).has_value() == is_whole);
  }
  CHECK_FALSE(parse_cache_text("something else\n"));
  CHECK_FALSE(parse_cache_text(std::string(first_line) + "\x00\x00"s));
  CHECK_FALSE(parse_cache_text(std::string(first_line) + "\xff\xff"s + std::string(0xffff, 'x')));
}

TEST_CASE("mesh cache: no file is no problem, a directory in its place is") {
  CHECK(load_mesh_cache("/nonexistent/contacts").problem.empty());
  const auto loaded = load_mesh_cache("/");
  CHECK(loaded.contacts.empty());
  CHECK(loaded.problem.find("asked from the registry") != std::string::npos);
}
