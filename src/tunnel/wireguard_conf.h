// SPDX-License-Identifier: BSD-3-Clause
// The text that wg(8) reads: `wg setconf`, and with more in it wg-quick(8).
#pragma once

#include <string>

#include "src/pki/secret.h"
#include "src/pki/wireguard_key.h"
#include "src/tunnel/parameters.h"

namespace sixlink::tunnel {

// For `wg setconf` on the interface of a tunnel of mode wireguard.
pki::Secret wireguard_conf(const pki::WireguardKeyPair& key, const TunnelParameters& parameters);

}  // namespace sixlink::tunnel
