// SPDX-License-Identifier: BSD-3-Clause
// Steps of mesh_api_fuzz.cc: joining, a node's day, an administrator's, and what is no good request.
#pragma once

#include <set>
#include <string>
#include <string_view>

namespace sixlink::fuzz {

// `who`: 0 nobody, 1 and 3 nodes, 4 an administrator, 6 a revoked node; 8 more: from another address.
inline std::string api_step(unsigned what, unsigned who, std::string_view bytes) {
  const auto size = static_cast<unsigned>(bytes.size());
  return std::string{static_cast<char>(who << 4 | what), static_cast<char>(size >> 8),
                     static_cast<char>(size)} +
         std::string(bytes);
}

inline std::set<std::string> mesh_api_seeds() {
  const auto asked = [](unsigned who, std::string_view text) { return api_step(0, who, text); };
  const auto pass = api_step(7, 0, std::string(70, 'x'));
  std::set<std::string> found;
  const std::string join = "POST /v1/certificates\n{\"request\":\"@0\",\"token\":\"@2\"}";
  found.insert(asked(0, "GET /v1/ca") + asked(8, "GET /v1/address") + asked(0, join) + asked(0, join) +
               asked(8, "POST /v1/certificates\n{\"request\":\"@0\",\"token\":\"@3\"}") +
               asked(8, "POST /v1/certificates\n{\"request\":\"@1\",\"anonymous\":true}"));
  found.insert(asked(0, "POST /v1/certificates\n{\"request\":\"@0\",\"token\":\"aaaa\"}") +
               asked(0, "POST /v1/tokens/email\n{\"email\":\"a@example.net\"}") +
               asked(0, "POST /v1/tokens/email\n{\"email\":\"A@example.net\"}"));
  found.insert(
      asked(1,
            "PUT /v1/contact\n{\"contact\":\"@4\",\"neighbours\":[{\"prefix\":\"2001:db8:42:2::/64\","
            "\"rtt_us\":1234,\"transport\":\"udp\"}]}") +
      asked(3, "PUT /v1/contact\n{\"contact\":\"@6\"}") + asked(1, "PUT /v1/contact\n{\"contact\":\"@5\"}") +
      asked(1, "GET /v1/contacts?count=9") + asked(1, "GET /v1/contacts/2001:db8:42:2::%2f64") +
      asked(3, "GET /v1/parameters?newer_than=@7&wait=60") +
      asked(1, "POST /v1/introductions\n{\"prefix\":\"2001:db8:42:2::/64\"}") + asked(1, "GET /v1/node") +
      asked(1, "DELETE /v1/contact"));
  found.insert(asked(1, "POST /v1/certificates/renew\n{\"request\":\"@0\"}") + pass +
               asked(1, "GET /v1/parameters?newer_than=@7") +
               asked(4, "POST /v1/admin/revocations\n{\"who\":\"2001:db8:42:1::1\"}") +
               asked(1, "GET /v1/node") + api_step(7, 7, "xx"));
  found.insert(
      asked(4, "GET /v1/admin/nodes?email=a%40example.net&name=node") + asked(4, "GET /v1/admin/tokens") +
      asked(4,
            "POST /v1/admin/tokens\n{\"prefix_length\":60,\"expires_in\":600,\"email\":\"a@example.net\"}") +
      asked(4, "DELETE /v1/admin/tokens/0123456789ab") + asked(4, "GET /v1/admin/versions") +
      asked(4, "GET /v1/admin/addresses?who=a%20node") + asked(4, "GET /v1/admin/topology?format=dot") +
      asked(4, "GET /v1/admin/topology"));
  found.insert(
      api_step(3, 0, "GET /v1/ca HTTP/1.1\r\nHost: registry.example.net\r\n\r\n") +
      api_step(3, 3,
               "PUT /v1/contact HTTP/1.1\r\nHost: x\r\nContent-Length: 16\r\n\r\n{\"contact\":\"@6\"}") +
      api_step(3, 0,
               "POST /v1/certificates HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"));
  found.insert(api_step(4, 2, "a name") + api_step(4, 3, "registry.example.net") + api_step(4, 1, "*") +
               api_step(6, 0, "\x30\x03\x02\x01\x01") + api_step(6, 1, "\x30\x82\xff\xff"));
  found.insert(
      api_step(
          5, 1,
          "<contact><prefix>2001:db8:42:1::/64</prefix><key type=\"wireguard\">"
          "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=</key><endpoint kind=\"public\" transport=\"udp\" "
          "port=\"3653\">198.51.100.7</endpoint><sequence>7</sequence><expires>1772452800</expires>"
          "<parameters>12</parameters><software>a &lt;b&gt;</software></contact>") +
      asked(4, "GET /v1/admin/versions"));
  // Bytes that are no UTF-8, in what is repeated in an answer.
  found.insert(asked(4, "DELETE /v1/admin/tokens/%ff%00") +
               asked(4, "POST /v1/admin/revocations\n{\"who\":\"\\u0000\"}"));
  return found;
}

}  // namespace sixlink::fuzz
