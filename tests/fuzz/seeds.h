// SPDX-License-Identifier: BSD-3-Clause
// What the fuzzers begin with, made from tests/recordings and from files of the repository: nothing binary is
// committed.
#pragma once

#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "src/tsp/digest_md5.h"
#include "src/tsp/message.h"
#include "src/tsp/passdss.h"
#include "tests/fuzz/fixture.h"
#include "tests/fuzz/frame_seeds.h"
#include "tests/fuzz/mesh_api_seeds.h"
#include "tests/fuzz/reach_seeds.h"
#include "tests/unit/net/ipv4_packet.h"
#include "tests/unit/tsp/recording.h"

namespace sixlink::fuzz {

// See Records.
inline std::string record(std::string_view bytes) {
  const auto size = static_cast<unsigned>(bytes.size());
  return {std::string{static_cast<char>(size >> 8), static_cast<char>(size)} + std::string(bytes)};
}

inline std::string read_whole(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// ClientSession's first byte (client_session_fuzz.cc) for a recording.
inline char client_choice(std::string_view name, bool is_tcp) {
  const int auth = name.starts_with("plain") || name.starts_with("wrong") ? 2
                   : name.starts_with("digest")                           ? 3
                   : name.starts_with("passdss")                          ? 1
                                                                          : 0;
  const int mode = name.starts_with("anonymous") ? 0 : is_tcp || name.starts_with("proxy") ? 2 : 1;
  return static_cast<char>((is_tcp ? 1 : 0) | auth << 1 | mode << 3 |
                           (name.starts_with("router") ? 0x20 : 0));
}

// A whole session with PASSDSS-3DES-1: only with a key whose private half is known can its challenge be
// right.
inline std::string passdss_replies(bool is_tcp, const std::string& end) {
  static const auto key = tsp::DsaHostKey::generate();
  const tsp::PassDssClient client("alice", pki::Secret(kClientExponent));
  tsp::PassDssServer server(*key, pki::Secret("a server's exponent"));
  std::string replies = record("CAPABILITY TUNNEL=V6V4 AUTH=PASSDSS-3DES-1 \r\n");
  if (!is_tcp) replies += record("");
  return replies + record(server.on_hello(client.hello()).value()) + record("200 Success\r\n") + record(end) +
         record("");
}

inline std::vector<std::string> seeds(std::string_view fuzzer) {
  std::set<std::string> found;
  for (const auto& name : tsp::test::recording_names()) {
    for (const auto& session : tsp::test::load_recording(name)) {
      std::string requests;
      std::string replies;
      std::string datagrams;
      bool is_tcp = false;
      for (const auto& entry : session) {
        using Kind = tsp::test::RecordedEntry::Kind;
        is_tcp = is_tcp || entry.kind == Kind::kTcp;
        if (entry.kind == Kind::kData) {
          if (fuzzer == "packet") found.insert(entry.bytes);
          if (fuzzer == "rudp_sessions" && entry.is_from_client) datagrams += '\x04' + record(entry.bytes);
          continue;
        }
        const auto text = entry.kind == Kind::kTcp ? entry.bytes : entry.bytes.substr(8);
        (entry.is_from_client ? requests : replies) += record(text);
        if (entry.is_from_client && entry.kind == Kind::kRudp) datagrams += '\x04' + record(entry.bytes);
        if (fuzzer == "tunnel_xml" && text.find("<tunnel") != std::string::npos)
          found.insert(text.substr(text.find("<tunnel")));
        if (fuzzer == "passdss" && name.starts_with("passdss")) {
          found.insert(text);
          if (const auto plain = tsp::base64_decode(text)) {
            found.insert(*plain);
            const auto blob = tsp::WireReader(*plain).string(2048);
            if (blob && !blob->empty()) found.insert(std::string(*blob));
            if (blob && !blob->empty()) found.insert("host ssh-dss " + tsp::base64_encode(*blob) + "\n");
          }
        }
        if (fuzzer == "digest_md5") {
          found.insert(text);
          if (const auto plain = tsp::base64_decode(text)) found.insert(*plain);
        }
      }
      if (fuzzer == "server_stream") found.insert(requests);
      if (fuzzer == "client_session") found.insert(client_choice(name, is_tcp) + replies);
      if (fuzzer == "rudp_sessions" && !datagrams.empty()) found.insert(datagrams);
    }
  }
  if (fuzzer == "tunnel_xml") {
    const auto key = pki::WireguardKey::parse("hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=");
    tsp::CreateRequest request;
    request.mode = tsp::Mode::kWireguard;
    request.client_address = boost::asio::ip::make_address("192.0.2.2");
    request.wireguard_key = key;
    found.insert(request.to_xml());
    auto info = granted_tunnel(tsp::Mode::kV6UdpV4);
    info.mode = tsp::Mode::kWireguard;
    auto& server = info.wireguard.emplace();
    server.key = *key;
    server.endpoint_address = boost::asio::ip::make_address("198.51.100.10");
    server.endpoint_port = 51820;
    server.allowed = {{{}, 0}, net::v4_mapped({{}, 0})};
    found.insert(info.to_xml());
  }
  if (fuzzer == "packet") {
    const auto bytes = [](const test::Packet& packet) { return std::string(packet.begin(), packet.end()); };
    // SYN with a maximum segment size; echo reply.
    const test::Packet syn{0x30, 0x39, 1,   0xbb, 0, 0, 0, 1, 0, 0, 0, 0,
                           0x60, 2,    255, 255,  0, 0, 0, 0, 2, 4, 5, 0xb4};
    found.insert(bytes(test::ipv4_packet("203.0.113.9", "192.0.2.9", 6, syn)));
    found.insert(bytes(test::ipv6_packet(test::v6("2001:db8:f:f::2"), test::v6("2001:db8::9"), 6, syn)));
    found.insert(
        bytes(test::ipv4_packet("192.0.2.9", "203.0.113.2", 1, {0, 0, 0x41, 0x10, 0xbe, 0xef, 0, 1})));
  }
  if (fuzzer == "client_session") {
    const auto info = tsp::with_content_length("200 Success\r\n" + granted_tunnel(tsp::Mode::kV6V4).to_xml());
    for (const bool is_tcp : {false, true}) {
      const int choice = (is_tcp ? 1 : 0) | 1 << 1 | 2 << 3;
      found.insert(static_cast<char>(choice) + passdss_replies(is_tcp, info));
      found.insert(static_cast<char>(choice | 0x80) +
                   passdss_replies(is_tcp, tsp::with_content_length("200 Success\r\n")));
    }
  }
  if (fuzzer == "config") {
    for (const char* directory : {"conf", "tests/unit/client/conf"}) {
      for (const auto& file : std::filesystem::directory_iterator(directory)) {
        if (file.path().extension() == ".conf") found.insert(read_whole(file.path()));
      }
    }
    // The samples are mostly comments: the same with all of them in force.
    for (const char* path : {"conf/sixlink.conf", "conf/sixlink-registry.conf"}) {
      auto text = read_whole(path);
      for (std::size_t at = 0; (at = text.find("\n#", at)) != std::string::npos; ++at) {
        if (text.find('=', at) < text.find('\n', at + 1) && text.find(' ', at) > text.find('=', at))
          text.erase(at + 1, 1);
      }
      found.insert(text);
    }
    found.insert("server=broker.example.net\nuserid=alice\npasswd=s3cret\nauth_method=digest-md5\n");
    found.insert("prefix=2001:db8:42::/48\n");
  }
  if (fuzzer == "leftover") {
    found.insert(
        "TEMPLATE=/usr/local/share/sixlink/template/"
        "linux.sh\nTSP_OPERATION=TSP_TUNNEL_TEARDOWN\nTSP_TUNNEL_INTERFACE=tun0\nSIXLINK_RECORD=/run/sixlink/"
        "x.undo\n");
    found.insert("TEMPLATE=/x\nPATH=/tmp\n");
    found.insert("TSP_OPERATION=x");
    found.insert("TEMPLATE=/x\nTSP_OPERATION=" + std::string(16, '\0') + "\n");  // found by the fuzzer
  }
  if (fuzzer == "broker_lines") {
    found.insert("broker.example.net\n192.0.2.1:3653\n[2001:db8::1]:3653\n2001:db8::2\n");
    found.insert("# a comment\r\n\r\nbroker.example.net\r\nno broker\n192.0.2.300");
    found.insert("fe80::1%eth0\n\tb.example.net \n" + std::string(3, '\0') + "\n");
  }
  if (fuzzer == "segment") found = segment_seeds();
  if (fuzzer == "coalesce") found = coalesce_seeds();
  if (fuzzer == "reach") found = reach_seeds();
  if (fuzzer == "mesh_api") found = mesh_api_seeds();
  if (fuzzer == "wireguard_device") {
    // Steps of wireguard_device_fuzz.cc: messages of each type by a stranger, with and without a right mac1.
    for (const auto& [type, size] : {std::pair{1, 148}, {2, 92}, {3, 64}, {4, 32}, {4, 128}}) {
      std::string message(static_cast<std::size_t>(size), '\0');
      message[0] = static_cast<char>(type);
      found.insert('\x08' + record(message) + '\x09' + record(message) + '\x11' + record(message));
    }
    const auto data = record(std::string("\x60", 1) + std::string(99, '\0'));
    // Both send, one message is lost, one changed, one repeated; time passes; all arrive.
    found.insert('\x02' + data + '\x0a' + data + '\x05' + '\x06' + record("\x01") + '\x14' + '\x07' + '\x04');
    found.insert(std::string("\x03\xff\xff\x03\xff\xff", 6) + '\x02' + data + '\x06' + record("\x80") +
                 '\x08' + '\x04');
    found.insert('\x02' + data + std::string("\x03\xff\xff\x04", 4) + '\x0a' + data + '\x16' + record("") +
                 '\x30' + '\x04');
  }
  if (fuzzer == "babel") {
    // A recording in reads of some kilobytes, and cut where the lines are not.
    const auto recording = read_whole("tests/unit/client/babel/babeld-1.12.1.txt");
    for (const std::size_t size : {std::size_t{4096}, std::size_t{313}}) {
      std::string reads;
      for (std::size_t at = 0; at < recording.size(); at += size) reads += record(recording.substr(at, size));
      found.insert(reads);
    }
    found.insert(record(recording.substr(0, 700)) + record("bad\nok\nno such thing\n"));
  }
  if (fuzzer == "contact") {
    found.insert(
        "<contact><prefix>2001:db8:42:7::/64</prefix>"
        "<key type=\"wireguard\">AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=</key>"
        "<endpoint kind=\"public\" transport=\"udp\" port=\"3653\">198.51.100.7</endpoint>"
        "<endpoint kind=\"mapped\" transport=\"tcp\" "
        "port=\"443\">2001:db8:1::7</endpoint><nat>independent</nat>"
        "<sequence>1772366400000</sequence><expires>1772452800</expires><parameters>12</parameters>"
        "<software>a &lt;b&gt; &amp;c</software></contact>");
    found.insert(
        "<parameters><version>12</version><network>2001:db8:42::/48</network><network-v4>203.0.113.0/24</"
        "network-v4>"
        "<hello-interval>4</hello-interval><client-count>10</client-count><tunnel-refresh>300</"
        "tunnel-refresh>"
        "<revoked>0a3f</revoked><revoked>01</revoked></parameters>");
    // The outside of a signed document: SignedData, version 1, SHA-256, data.
    found.insert(std::string(
        "\x30\x2f\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02\xa0\x22\x30\x20\x02\x01\x01\x31\x0d\x30\x0b"
        "\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x30\x0b\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01"
        "\x31",
        49));
  }
  if (fuzzer == "mesh_node") {
    // Steps of mesh_node_fuzz.cc.
    const auto contact = [](const std::string& group, const std::string& sequence) {
      return "<contact><prefix>2001:db8:42:" + group +
             "::/64</prefix><key type=\"wireguard\">AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=</key>"
             "<endpoint kind=\"public\" transport=\"udp\" port=\"3653\">198.51.100." +
             group + "</endpoint><sequence>" + sequence +
             "</sequence><expires>1772452800</expires></contact>";
    };
    const auto create = [&](const std::string& group, const std::string& sequence) {
      return "<tunnel action=\"create\" type=\"wireguard\"><nonce>0000000000000007</nonce>"
             "<to>2001:db8:42:1::/64</to><mtu>1420</mtu><contact>" +
             tsp::base64_encode(contact(group, sequence)) + "</contact></tunnel>";
    };
    const auto echo = [](const std::string& text) {
      return record(std::string("\xf0\0\0\1\0\0\0\0", 8) + text);
    };
    const std::string pass = '\x16' + record("\xff");
    found.insert(create("2", "1"));
    // A request is served, the link comes up, the neighbour speaks in it and goes.
    const auto served = '\x03' + record(create("2", "1")) + '\x07' + record("") + pass;
    found.insert(served + '\x01' + echo("ECHO REQUEST 9\r\n") + pass + '\x04' +
                 record("<tunnel action=\"list\" type=\"contact\"><count>4</count></tunnel>") + '\x04' +
                 record("<tunnel action=\"info\" type=\"contact\"><contact>" +
                        tsp::base64_encode(contact("3", "4")) + "</contact></tunnel>") +
                 '\x04' +
                 record("<tunnel action=\"info\" type=\"parameters\"><version>9</version><size>3</size>"
                        "<offset>0</offset><bytes>AQID</bytes></tunnel>") +
                 '\x04' + record("<tunnel action=\"delete\" type=\"wireguard\"><delay>10</delay></tunnel>") +
                 pass + '\x04' +
                 record("<tunnel action=\"delete\" type=\"wireguard\"><delay>0</delay></tunnel>"));
    // It asks again, with an older contact, with another key, for another node.
    found.insert(served + '\x03' + record(create("2", "0")) + '\x03' + record(create("2", "2")) + '\x13' +
                 record(create("3", "1")) + '\x0d' + record("") + pass + '\x0b' + record(""));
    // A contact that is tried, a route over which it is asked.
    found.insert('\x0a' + record("") + '\x08' + record(contact("4", "1")) + pass + pass + '\x05' +
                 record(create("3", "1")) + '\x18' + record(contact("5", "1")) + pass + '\x0c' + record(""));
    found.insert('\x09' +
                 record("<parameters><version>12</version><network>2001:db8:42::/48</network>"
                        "<revoked>0a</revoked></parameters>") +
                 '\x03' + record(create("2", "1")));
  }
  return {found.begin(), found.end()};
}

}  // namespace sixlink::fuzz
