// SPDX-License-Identifier: BSD-3-Clause
// The broker's long-term key of PASSDSS-3DES-1.
#include "src/tsp/passdss_host_key.h"

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/dsa.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>

#include <vector>

#include "src/tsp/digest_md5.h"
#include "src/tsp/mpint.h"

namespace sixlink::tsp {
namespace {

// Ours. Deployed clients were made for keys of brokers of their time, 1024 and 160 bits: their files of known
// keys and their buffers take these for certain, and the message with it stays one unfragmented datagram. A
// longer key would not make the method stronger: its secrecy rests on a Diffie-Hellman group of 1024 bits,
// which is the same for all. It also is the quickest: 50 ms to generate where 2048 and 224 bits take 0.5 to 1
// s, and a third of the time to sign.
constexpr int kPrimeBits = 1024;
constexpr int kSubprimeBits = 160;

// What we accept from others: above this the numbers would keep us busy.
constexpr int kFewestPrimeBits = 1024;
constexpr int kMostPrimeBits = 3072;
constexpr std::size_t kLongestNumber = kMostPrimeBits / 8;

using Context = std::unique_ptr<EVP_PKEY_CTX, decltype(&EVP_PKEY_CTX_free)>;

// The public numbers of a key.
struct PublicKey {
  Number p, q, g, y;
};

bool are_usable(const PublicKey& key) {
  const int p_bits = BN_num_bits(key.p.get());
  const int q_bits = BN_num_bits(key.q.get());
  if (p_bits < kFewestPrimeBits || p_bits > kMostPrimeBits || BN_is_odd(key.p.get()) == 0) return false;
  // OpenSSL knows no others (FIPS 186-4 section 4.2).
  if ((q_bits != 160 && q_bits != 224 && q_bits != 256) || BN_is_odd(key.q.get()) == 0) return false;
  const auto is_inside = [&](const Number& value) {
    return BN_cmp(value.get(), BN_value_one()) > 0 && BN_cmp(value.get(), key.p.get()) < 0;
  };
  if (!is_inside(key.g) || !is_inside(key.y)) return false;
  // y of another order (p - 1 is one) would let one signature fit more than one message.
  const auto power = make_number();
  const NumberContext context(BN_CTX_new());
  return context && BN_mod_exp(power.get(), key.y.get(), key.q.get(), key.p.get(), context.get()) == 1 &&
         BN_is_one(power.get()) != 0;
}

std::optional<PublicKey> parse(std::string_view blob) {
  WireReader reader(blob);
  const auto type = reader.string(kHostKeyType.size());
  if (!type || *type != kHostKeyType) return std::nullopt;
  const auto p = reader.mpint(kLongestNumber);
  const auto q = p ? reader.mpint(32) : std::nullopt;
  const auto g = q ? reader.mpint(kLongestNumber) : std::nullopt;
  const auto y = g ? reader.mpint(kLongestNumber) : std::nullopt;
  if (!y || !reader.is_at_end()) return std::nullopt;
  PublicKey key{number_of(*p), number_of(*q), number_of(*g), number_of(*y)};
  if (!are_usable(key)) return std::nullopt;
  return key;
}

Number number_param(const EVP_PKEY* key, const char* name) {
  BIGNUM* number = nullptr;
  if (EVP_PKEY_get_bn_param(key, name, &number) != 1) return nullptr;
  return Number(number);
}

}  // namespace

void DsaHostKey::FreeKey::operator()(evp_pkey_st* key) const {
  EVP_PKEY_free(key);
}

std::unique_ptr<DsaHostKey> DsaHostKey::adopt(Key key) {
  if (!key || EVP_PKEY_is_a(key.get(), "DSA") != 1) return nullptr;
  std::string blob;
  append_string(blob, kHostKeyType);
  for (const char* name :
       {OSSL_PKEY_PARAM_FFC_P, OSSL_PKEY_PARAM_FFC_Q, OSSL_PKEY_PARAM_FFC_G, OSSL_PKEY_PARAM_PUB_KEY}) {
    const auto number = number_param(key.get(), name);
    if (!number) return nullptr;
    append_string(blob, magnitude_of(number.get()));
  }
  if (!number_param(key.get(), OSSL_PKEY_PARAM_PRIV_KEY) || !is_host_key(blob)) return nullptr;
  return std::unique_ptr<DsaHostKey>(new DsaHostKey(std::move(key), std::move(blob)));
}

std::unique_ptr<DsaHostKey> DsaHostKey::generate() {
  const Context parameters(EVP_PKEY_CTX_new_from_name(nullptr, "DSA", nullptr), &EVP_PKEY_CTX_free);
  EVP_PKEY* made = nullptr;
  if (!parameters || EVP_PKEY_paramgen_init(parameters.get()) != 1 ||
      EVP_PKEY_CTX_set_dsa_paramgen_bits(parameters.get(), kPrimeBits) != 1 ||
      EVP_PKEY_CTX_set_dsa_paramgen_q_bits(parameters.get(), kSubprimeBits) != 1 ||
      EVP_PKEY_generate(parameters.get(), &made) != 1) {
    return nullptr;
  }
  const Key domain(made);
  const Context context(EVP_PKEY_CTX_new_from_pkey(nullptr, domain.get(), nullptr), &EVP_PKEY_CTX_free);
  made = nullptr;
  if (!context || EVP_PKEY_keygen_init(context.get()) != 1 || EVP_PKEY_generate(context.get(), &made) != 1)
    return nullptr;
  return adopt(Key(made));
}

std::unique_ptr<DsaHostKey> DsaHostKey::from_pem(std::string_view pem) {
  const std::unique_ptr<BIO, decltype(&BIO_free)> input(
      BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), &BIO_free);
  if (!input) return nullptr;
  // Without a callback OpenSSL would ask the terminal for a password.
  pem_password_cb* const no_password = [](char*, int, int, void*) { return -1; };
  return adopt(Key(PEM_read_bio_PrivateKey(input.get(), nullptr, no_password, nullptr)));
}

pki::Secret DsaHostKey::to_pem() const {
  const std::unique_ptr<BIO, decltype(&BIO_free)> output(BIO_new(BIO_s_secmem()), &BIO_free);
  if (!output ||
      PEM_write_bio_PKCS8PrivateKey(output.get(), key_.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1) {
    return {};
  }
  char* text = nullptr;
  const long size = BIO_get_mem_data(output.get(), &text);
  return size > 0 ? pki::Secret({text, static_cast<std::size_t>(size)}) : pki::Secret();
}

std::optional<DsaSignature> DsaHostKey::sign(const Sha1& digest) const {
  const Context context(EVP_PKEY_CTX_new_from_pkey(nullptr, key_.get(), nullptr), &EVP_PKEY_CTX_free);
  std::vector<unsigned char> der(static_cast<std::size_t>(EVP_PKEY_get_size(key_.get())));
  std::size_t size = der.size();
  if (!context || EVP_PKEY_sign_init(context.get()) != 1 ||
      EVP_PKEY_sign(context.get(), der.data(), &size, digest.data(), digest.size()) != 1) {
    return std::nullopt;
  }
  const unsigned char* at = der.data();
  const std::unique_ptr<DSA_SIG, decltype(&DSA_SIG_free)> pair(
      d2i_DSA_SIG(nullptr, &at, static_cast<long>(size)), &DSA_SIG_free);
  if (!pair) return std::nullopt;
  const BIGNUM* r = nullptr;
  const BIGNUM* s = nullptr;
  DSA_SIG_get0(pair.get(), &r, &s);
  return DsaSignature{magnitude_of(r), magnitude_of(s)};
}

bool is_host_key(std::string_view blob) {
  return parse(blob).has_value();
}

bool is_signed_by(std::string_view blob, const Sha1& digest, const DsaSignature& signature) {
  const auto key = parse(blob);
  if (!key) return false;
  auto r = number_of(signature.r);
  auto s = number_of(signature.s);
  for (const auto* number : {&r, &s}) {
    if (BN_is_zero(number->get()) != 0 || BN_cmp(number->get(), key->q.get()) >= 0) return false;
  }
  const std::unique_ptr<OSSL_PARAM_BLD, decltype(&OSSL_PARAM_BLD_free)> builder(OSSL_PARAM_BLD_new(),
                                                                                &OSSL_PARAM_BLD_free);
  if (!builder || OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_FFC_P, key->p.get()) != 1 ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_FFC_Q, key->q.get()) != 1 ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_FFC_G, key->g.get()) != 1 ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, key->y.get()) != 1) {
    return false;
  }
  const std::unique_ptr<OSSL_PARAM, decltype(&OSSL_PARAM_free)> params(OSSL_PARAM_BLD_to_param(builder.get()),
                                                                       &OSSL_PARAM_free);
  const Context loading(EVP_PKEY_CTX_new_from_name(nullptr, "DSA", nullptr), &EVP_PKEY_CTX_free);
  EVP_PKEY* loaded = nullptr;
  if (!params || !loading || EVP_PKEY_fromdata_init(loading.get()) != 1 ||
      EVP_PKEY_fromdata(loading.get(), &loaded, EVP_PKEY_PUBLIC_KEY, params.get()) != 1) {
    return false;
  }
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> owner(loaded, &EVP_PKEY_free);

  const std::unique_ptr<DSA_SIG, decltype(&DSA_SIG_free)> pair(DSA_SIG_new(), &DSA_SIG_free);
  if (!pair || DSA_SIG_set0(pair.get(), r.get(), s.get()) != 1) return false;
  (void)r.release();  // the pair owns them now
  (void)s.release();
  unsigned char* der = nullptr;
  const int size = i2d_DSA_SIG(pair.get(), &der);
  if (size <= 0) return false;
  const Context context(EVP_PKEY_CTX_new_from_pkey(nullptr, owner.get(), nullptr), &EVP_PKEY_CTX_free);
  const bool is_valid =
      context && EVP_PKEY_verify_init(context.get()) == 1 &&
      EVP_PKEY_verify(context.get(), der, static_cast<std::size_t>(size), digest.data(), digest.size()) == 1;
  OPENSSL_free(der);
  return is_valid;
}

std::string host_key_fingerprint(std::string_view blob) {
  unsigned char digest[32];
  std::size_t size = 0;
  if (EVP_Q_digest(nullptr, "SHA256", nullptr, blob.data(), blob.size(), digest, &size) != 1) return {};
  auto text = base64_encode({reinterpret_cast<const char*>(digest), size});
  while (text.ends_with('=')) text.pop_back();
  return "SHA256:" + text;
}

}  // namespace sixlink::tsp
