// SPDX-License-Identifier: BSD-3-Clause
// `sixlink doctor`: what keeps this machine from working as a node of its mesh, and what to do about it.
// Works without a running node, and tells more with one.
#pragma once

#include <string>
#include <vector>

#include "src/client/config.h"
#include "src/client/options.h"

namespace sixlink::client {

struct Finding {
  enum class Result { kOk, kWarning, kFailed, kSkipped };
  Result result = Result::kOk;
  std::string check;   // one word: "clock"
  std::string text;    // what was found
  std::string advice;  // what to do; empty: nothing
};
const char* to_string(Finding::Result result);

std::string render_findings(const std::vector<Finding>& findings);
std::string findings_to_json(const std::vector<Finding>& findings);
// 0; 1: something has failed.
int exit_status_of(const std::vector<Finding>& findings);

int run_doctor(const Config& config, const Options& options);

}  // namespace sixlink::client
