// SPDX-License-Identifier: BSD-3-Clause
// The <parameters> element.
#include "src/mesh/parameters.h"

#include <algorithm>
#include <utility>

#include "src/pki/cms.h"
#include "src/tsp/digest_md5.h"
#include "src/tsp/xml_document.h"

namespace sixlink::mesh {
namespace {

using tsp::xml::child;
using tsp::xml::next_named;
using tsp::xml::text_of;
using tsp::xml::XMLElement;

// re6st's, but for the hello interval: it is babeld's own, as a link that dies is noticed without waiting for
// hellos.
struct Bounds {
  const char* name;
  long low;
  long high;
};
constexpr Bounds kHelloInterval{"hello-interval", 1, 600};
constexpr Bounds kClientCount{"client-count", 1, 100};
constexpr Bounds kTunnelRefresh{"tunnel-refresh", 10, 86400};

constexpr std::size_t kLongestSerial = 40;  // digits of 20 bytes (RFC 5280 section 4.1.2.2)

std::string element(std::string_view name, const std::string& text) {
  return "<" + std::string(name) + ">" + text + "</" + std::string(name) + ">";
}

std::string base64(std::span<const std::uint8_t> bytes) {
  return tsp::base64_encode({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

std::optional<pki::Certificate> parse_authority(std::string_view text) {
  if (text.size() > pki::Certificate::kLargest / 3 * 4) return std::nullopt;
  const auto der = tsp::base64_decode(text);
  if (!der) return std::nullopt;
  auto certificate =
      pki::Certificate::parse({reinterpret_cast<const std::uint8_t*>(der->data()), der->size()});
  if (certificate && !certificate->is_authority()) return std::nullopt;
  return certificate;
}

bool is_serial(std::string_view text) {
  return !text.empty() && text.size() % 2 == 0 && text.size() <= kLongestSerial &&
         text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

std::string no_usable(std::string_view what) {
  return "the network's parameters have no usable " + std::string(what);
}

// Sets `value` where the element is there. False: it is there and not good.
bool read_number(const XMLElement& root, const Bounds& bounds, long& value) {
  const auto* found = child(&root, bounds.name);
  if (!found) return true;
  const auto number = tsp::xml::number(text_of(*found), bounds.low, bounds.high);
  if (number) value = *number;
  return number.has_value();
}

std::string read_numbers(const XMLElement& root, NetworkParameters& parameters) {
  long hello = parameters.hello_interval.count();
  long count = parameters.client_count;
  long refresh = parameters.tunnel_refresh.count();
  if (!read_number(root, kHelloInterval, hello)) return no_usable(kHelloInterval.name);
  if (!read_number(root, kClientCount, count)) return no_usable(kClientCount.name);
  if (!read_number(root, kTunnelRefresh, refresh)) return no_usable(kTunnelRefresh.name);
  parameters.hello_interval = std::chrono::seconds(hello);
  parameters.client_count = static_cast<int>(count);
  parameters.tunnel_refresh = std::chrono::seconds(refresh);
  return {};
}

// Half a list of revoked nodes would let the other half in.
std::string read_lists(const XMLElement& root, NetworkParameters& parameters) {
  for (const auto* e = child(&root, "revoked"); e; e = next_named(e->NextSiblingElement(), "revoked")) {
    const auto serial = text_of(*e);
    if (!is_serial(serial) || parameters.revoked.size() == NetworkParameters::kMostRevoked)
      return no_usable("list of revoked serial numbers");
    parameters.revoked.emplace(serial);
  }
  for (const auto* e = child(&root, "authority"); e; e = next_named(e->NextSiblingElement(), "authority")) {
    auto certificate = parse_authority(text_of(*e));
    if (!certificate || parameters.authorities.size() == pki::TrustAnchor::kMostAuthorities)
      return no_usable("list of authorities");
    parameters.authorities.push_back(*std::move(certificate));
  }
  return {};
}

}  // namespace

std::string to_xml(const NetworkParameters& parameters) {
  std::string text = "<parameters>" + element("version", std::to_string(parameters.version)) +
                     element("network", parameters.network.to_string());
  if (parameters.network_v4) text += element("network-v4", parameters.network_v4->to_string());
  text += element(kHelloInterval.name, std::to_string(parameters.hello_interval.count())) +
          element(kClientCount.name, std::to_string(parameters.client_count)) +
          element(kTunnelRefresh.name, std::to_string(parameters.tunnel_refresh.count()));
  for (const auto& serial : parameters.revoked) text += element("revoked", serial);
  for (const auto& authority : parameters.authorities)
    text += element("authority", base64(authority.to_der()));
  return text + "</parameters>";
}

ParsedParameters parse_parameters(std::string_view xml) {
  ParsedParameters parsed;
  const auto refuse = [&](std::string problem) {
    parsed.problem = std::move(problem);
    return parsed;
  };
  const tsp::xml::Document document(xml, "parameters", NetworkParameters::kLargest);
  const auto* root = document.root();
  if (!root) return refuse("the network's parameters cannot be read: " + document.error());
  if (root->NextSiblingElement())
    return refuse("the network's parameters cannot be read: something follows them");

  NetworkParameters parameters;
  const auto* version_element = child(root, "version");
  const auto version = version_element ? tsp::xml::unsigned_number(text_of(*version_element)) : std::nullopt;
  if (!version) return refuse(no_usable("version"));
  parameters.version = *version;
  const auto* network_element = child(root, "network");
  const auto network = network_element ? net::Prefix::parse(text_of(*network_element)) : std::nullopt;
  if (!network) return refuse(no_usable("network"));
  parameters.network = *network;
  if (const auto* v4 = child(root, "network-v4")) {
    parameters.network_v4 = net::PrefixV4::parse(text_of(*v4));
    if (!parameters.network_v4) return refuse(no_usable("network-v4"));
  }
  if (auto problem = read_numbers(*root, parameters); !problem.empty()) return refuse(std::move(problem));
  if (auto problem = read_lists(*root, parameters); !problem.empty()) return refuse(std::move(problem));
  parsed.parameters = std::move(parameters);
  return parsed;
}

std::vector<std::uint8_t> sign_parameters(const NetworkParameters& parameters,
                                          const pki::Authority& authority) {
  const auto text = to_xml(parameters);
  if (text.size() > NetworkParameters::kLargest) return {};
  return pki::sign(text, authority.certificate(), authority.key());
}

ParsedParameters open_parameters(std::span<const std::uint8_t> der, const pki::TrustAnchor& anchor,
                                 WallTime now) {
  ParsedParameters parsed;
  const auto refuse = [&](std::string problem) {
    parsed.problem = std::move(problem);
    return parsed;
  };
  const auto document = pki::open_signed(der);
  if (!document)
    return refuse(
        "the network's parameters are damaged: their signature is not that of the certificate in them");
  const auto distrust = anchor.verify_authority(document->signer, now);
  if (distrust != pki::Distrust::kNone)
    return refuse("the network's parameters are not signed by its authority: the certificate " +
                  std::string(distrust == pki::Distrust::kForeign ? "is not one of the network's authorities'"
                                                                  : explain(distrust)));
  parsed = parse_parameters(document->text);
  if (parsed.parameters && parsed.parameters->network != document->signer.prefix()) {
    parsed.parameters.reset();
    return refuse("the network's parameters are for another network than their signer's");
  }
  return parsed;
}

pki::TrustAnchor anchor_of(const std::vector<pki::Certificate>& joined_with,
                           const NetworkParameters& parameters, WallTime now) {
  std::vector<pki::Certificate> all;
  std::vector<pki::Certificate> good;
  for (const auto* list : {&joined_with, &parameters.authorities}) {
    for (const auto& authority : *list) {
      if (std::ranges::find(all, authority) != all.end()) continue;
      all.push_back(authority);
      if (authority.not_after() >= now) good.push_back(authority);
    }
  }
  return pki::TrustAnchor(good.empty() ? std::move(all) : std::move(good));
}

}  // namespace sixlink::mesh
