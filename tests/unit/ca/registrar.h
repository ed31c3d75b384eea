// SPDX-License-Identifier: BSD-3-Clause
// A mesh's registrar on a database of its own, for tests.
#pragma once

#include <doctest/doctest.h>

#include <memory>
#include <string>

#include "registry/ca/contact_directory.h"
#include "registry/ca/registrar.h"
#include "tests/unit/pki/mesh_certificates.h"
#include "tests/unit/temporary_directory.h"

namespace sixlink::test {

struct RegistrarParts {
  TemporaryDirectory directory;
  registry::RegistrarSettings settings;
  std::unique_ptr<registry::Database> database;
  std::unique_ptr<registry::Registrar> registrar;

  RegistrarParts() {
    settings.network = kNetwork;
    settings.key_directory = directory.file("ca");
    settings.urls = {"https://registry.example.net/"};
    settings.hosts = {"registry.example.net"};
    open();
  }

  // Again with the settings as they are now, as after a restart.
  void open(const pki::WallTime& now = kNow) {
    registrar.reset();
    auto opened = registry::open_sqlite(directory.file("mesh.db"));
    REQUIRE_MESSAGE(opened.database, opened.problem);
    database = std::move(opened.database);
    registrar = std::make_unique<registry::Registrar>(*database, settings);
    const auto problem = registrar->open(now);
    REQUIRE_MESSAGE(problem.empty(), problem);
  }

  std::string token(int length = 0) {
    const auto made = registrar->make_token({length, std::chrono::seconds(0), ""}, kNow);
    REQUIRE(made);
    return made->token;
  }

  // Joined with a token of its own.
  registry::Issued join(const pki::PrivateKey& key, int length = 0, const pki::WallTime& now = kNow) {
    const auto issued = registrar->enrol(request_of(key), token(length), now);
    REQUIRE_MESSAGE(issued, issued.refusal().message);
    return *issued;
  }
};

}  // namespace sixlink::test
