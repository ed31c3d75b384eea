// SPDX-License-Identifier: BSD-3-Clause
// Looking into a document.
#include "src/tsp/xml_document.h"

#include <algorithm>
#include <charconv>

#include "src/tsp/status.h"

namespace sixlink::tsp::xml {
namespace {

bool is_named(const XMLElement& element, std::string_view name) {
  return lower(element.Name()) == name;
}

}  // namespace

std::string lower(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return result;
}

std::string_view trim(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

const XMLElement* next_named(const XMLElement* element, std::string_view name) {
  while (element && !is_named(*element, name)) element = element->NextSiblingElement();
  return element;
}

const XMLElement* child(const XMLElement* parent, std::string_view name) {
  return parent ? next_named(parent->FirstChildElement(), name) : nullptr;
}

std::string_view attribute(const XMLElement& element, std::string_view name) {
  for (const auto* a = element.FirstAttribute(); a; a = a->Next()) {
    if (lower(a->Name()) == name) return trim(a->Value());
  }
  return {};
}

std::string_view text_of(const XMLElement& element) {
  const char* text = element.GetText();
  return text ? trim(text) : std::string_view();
}

std::optional<long> number(std::string_view text, long low, long high) {
  long value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size() || value < low || value > high)
    return std::nullopt;
  return value;
}

std::optional<std::uint64_t> unsigned_number(std::string_view text, std::uint64_t high) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size() || value > high)
    return std::nullopt;
  return value;
}

const XMLElement* address_element(const XMLElement* parent, std::string_view type) {
  for (const auto* e = child(parent, "address"); e; e = next_named(e->NextSiblingElement(), "address")) {
    if (lower(attribute(*e, "type")) == type) return e;
  }
  return nullptr;
}

Document::Document(std::string_view xml, std::string_view name, std::size_t most) {
  while (!xml.empty() && xml.back() == '\0') xml.remove_suffix(1);
  if (xml.size() > most) {
    error_ = "the XML is longer than " + std::to_string(most) + " bytes";
  } else if (xml.find('\0') != std::string_view::npos) {
    error_ = "the XML holds a NUL byte";
  } else if (document_.Parse(xml.data(), xml.size()) != tinyxml2::XML_SUCCESS) {
    error_ = std::string("the XML is not well formed: ") + printable(document_.ErrorStr());
  } else if (const auto* root = document_.RootElement(); !root || !is_named(*root, name)) {
    error_ = "the XML holds no <" + std::string(name) + ">";
  }
}

}  // namespace sixlink::tsp::xml
