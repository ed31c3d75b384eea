// SPDX-License-Identifier: BSD-3-Clause
// Looking into a document of one element, as <tunnel>: names and types compare without regard to case, blanks
// around values do not count, every size is bounded.
#pragma once

#include <tinyxml2.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sixlink::tsp::xml {

using tinyxml2::XMLElement;

std::string lower(std::string_view text);
std::string_view trim(std::string_view text);

// The first of the element and those behind it that has the name; null: none.
const XMLElement* next_named(const XMLElement* element, std::string_view name);
// The first child of that name; null: none, or no parent.
const XMLElement* child(const XMLElement* parent, std::string_view name);
// The first <address type="..."> child of that type.
const XMLElement* address_element(const XMLElement* parent, std::string_view type);
// Empty when it is not there.
std::string_view attribute(const XMLElement& element, std::string_view name);
std::string_view text_of(const XMLElement& element);
// nullopt: no decimal number, or out of bounds.
std::optional<long> number(std::string_view text, long low, long high);
// nullopt: something else than digits, or above `high`.
std::optional<std::uint64_t> unsigned_number(std::string_view text, std::uint64_t high = UINT64_MAX);

// Loads the document and finds its root element.
class Document {
 public:
  // `xml` has `most` bytes at most, NULs at its end left out, and `name` as its first element.
  Document(std::string_view xml, std::string_view name, std::size_t most);
  const XMLElement* root() const { return error_.empty() ? document_.RootElement() : nullptr; }
  const std::string& error() const { return error_; }

 private:
  // Entities beyond XML's five are not expanded by tinyxml2 and nesting is bounded there, so the size bounds
  // the memory.
  tinyxml2::XMLDocument document_;
  std::string error_;
};

}  // namespace sixlink::tsp::xml
