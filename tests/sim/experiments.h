// SPDX-License-Identifier: BSD-3-Clause
// What is done to a network, and what is measured while it is.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "tests/sim/json.h"
#include "tests/sim/world.h"

namespace sixlink::sim {

// As homes and servers are (README.md).
AccessMix usual_mix();
// Where everybody can reach everybody.
AccessMix public_mix();

// What this many nodes can be simulated with.
WorldSettings settings_for(std::size_t nodes, std::uint64_t seed);
// Over which they start.
std::chrono::milliseconds spread_for(std::size_t nodes);

// From nothing to a network: everybody starts, and joins.
JsonObject join(World& world, std::chrono::nanoseconds spread, std::chrono::seconds settle);
// As it is: pieces, paths, links.
JsonObject describe(const World& world, std::size_t samples);
// What it costs while nothing happens.
JsonObject rest(World& world, std::chrono::seconds window);
// A part of them dies at once. `is_all`: until links are back; else only until the rest is one component.
JsonObject lose(World& world, double part, bool is_all, std::chrono::seconds limit);
// The registry revokes one and tells one other.
JsonObject revoke(World& world, std::chrono::seconds limit);
// The registry is gone, and everybody starts again at once with what it knew.
JsonObject restart_all(World& world, std::chrono::seconds limit);
// Two halves do not hear each other for some time.
JsonObject part_and_heal(World& world, std::chrono::seconds apart, std::chrono::seconds limit);

double in_seconds(std::chrono::nanoseconds time);

// Living nodes at random; each once.
std::vector<std::uint32_t> pick(const World& world, std::size_t count, std::mt19937_64& random);

}  // namespace sixlink::sim
