// SPDX-License-Identifier: BSD-3-Clause
#include "src/net/server_address.h"

#include <doctest/doctest.h>

using namespace sixlink::net;

TEST_CASE("server address: the forms of gogoc.conf") {
  struct Row {
    const char* text;
    const char* host;
    int port;
  };
  for (const Row& row :
       {Row{"broker.example.net", "broker.example.net", 3653},
        Row{"broker.example.net:3654", "broker.example.net", 3654}, Row{"192.0.2.1", "192.0.2.1", 3653},
        Row{"192.0.2.1:1", "192.0.2.1", 1}, Row{"[2001:db8::1]", "2001:db8::1", 3653},
        Row{"[2001:db8::1]:65535", "2001:db8::1", 65535}, Row{"2001:db8::1", "2001:db8::1", 3653},
        Row{"fe80::1%eth0.5", "fe80::1%eth0.5", 3653}, Row{"localhost", "localhost", 3653}}) {
    CAPTURE(row.text);
    const auto server = ServerAddress::parse(row.text);
    REQUIRE(server);
    CHECK(server->host == row.host);
    CHECK(server->port == row.port);
    CHECK(server->text == row.text);
  }
}

TEST_CASE("server address: refuses what cannot be a server") {
  for (const char* text : {"",
                           ":3653",
                           "host:",
                           "host:0",
                           "host:65536",
                           "host:12x",
                           "[2001:db8::1",
                           "[2001:db8::1]x",
                           "[192.0.2.1]",
                           "[]",
                           "192.0.2.300",
                           "1.2.3",
                           "ho st",
                           "host;reboot",
                           "-host",
                           "host-",
                           "a..b",
                           "$(id)",
                           "2001:db8::1::2",
                           "fe80::1%",
                           "fe80::1%eth0\v\tb# a",
                           "fe80::1%a b",
                           "fe80::1%\r",
                           "[fe80::1%$(id)]:3653",
                           "host:3653:1"}) {
    CAPTURE(text);
    CHECK_FALSE(ServerAddress::parse(text).has_value());
  }
  CHECK_FALSE(ServerAddress::parse(std::string(64, 'a') + ".example").has_value());
  CHECK(ServerAddress::parse(std::string(63, 'a') + ".example").has_value());
  CHECK_FALSE(ServerAddress::parse(std::string_view("a\0b", 3)).has_value());
}
