// SPDX-License-Identifier: BSD-3-Clause
// Key pairs, and keys as text: 44 characters of base64, as `wg genkey`, `wg pubkey` and their files have
// them.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "src/pki/secret.h"
#include "src/wireguard/secret_key.h"

namespace sixlink::wireguard {

// From the system's randomness. Throws std::runtime_error when there is none.
SecretKey generate_private_key();
// A preshared key: any 32 bytes.
SecretKey generate_preshared_key();
// Throws std::runtime_error when OpenSSL lacks X25519.
PublicKey public_key_of(const SecretKey& private_key);

std::string to_base64(const PublicKey& key);
pki::Secret to_base64(const SecretKey& key);
// nullopt: not exactly 32 bytes in canonical base64. Spaces around the text are the caller's to remove.
std::optional<PublicKey> parse_public_key(std::string_view text);
// The time does not depend on the key.
std::optional<SecretKey> parse_secret_key(std::string_view text);

}  // namespace sixlink::wireguard
