// SPDX-License-Identifier: BSD-3-Clause
// The mesh's registry while the server runs: HTTPS, database, maintenance, in a thread of its own, so that
// neither a slow disk nor a flood of requests holds up the broker's packets.
#pragma once

#include <spdlog/logger.h>

#include <functional>
#include <memory>
#include <string>

#include "registry/config.h"
#include "registry/status.h"

namespace sixlink::registry {

class MeshService {
 public:
  // `config` and `log` outlive it. nullptr: `problem` says what is wrong, and what to do.
  static std::unique_ptr<MeshService> start(const Config& config, spdlog::logger& log, std::string& problem);
  ~MeshService();
  MeshService(const MeshService&) = delete;
  MeshService& operator=(const MeshService&) = delete;

  // Somebody else has written to the database: looks at once instead of within a second.
  void look_now();
  // As of some seconds ago.
  MeshStatus status() const;

 private:
  class Impl;
  explicit MeshService(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace sixlink::registry
