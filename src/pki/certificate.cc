// SPDX-License-Identifier: BSD-3-Clause
#include "src/pki/certificate.h"

#include <openssl/pem.h>

#include <array>
#include <ctime>
#include <utility>

#include "src/pki/address_block.h"
#include "src/pki/openssl_types.h"
#include "src/pki/private_key.h"

namespace sixlink::pki {
namespace {

constexpr int kVersion3 = 2;
constexpr std::size_t kLongestSerial = 20;  // RFC 5280 section 4.1.2.2

std::string hexadecimal(std::span<const std::uint8_t> bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const auto byte : bytes) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 0xf];
  }
  return text;
}

// Empty: negative, zero or too long.
std::string serial_of(const X509* certificate) {
  const auto* serial = X509_get0_serialNumber(certificate);
  if (serial->length <= 0 || static_cast<std::size_t>(serial->length) > kLongestSerial ||
      ASN1_STRING_type(serial) != V_ASN1_INTEGER)
    return {};
  auto text = hexadecimal({serial->data, static_cast<std::size_t>(serial->length)});
  return text.find_first_not_of('0') == std::string::npos ? std::string() : text;
}

std::optional<WallTime> time_of(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return std::nullopt;
  using std::chrono::day;
  using std::chrono::month;
  using std::chrono::year;
  const auto date =
      std::chrono::sys_days(year(parts.tm_year + 1900) / month(static_cast<unsigned>(parts.tm_mon + 1)) /
                            day(static_cast<unsigned>(parts.tm_mday)));
  return date + std::chrono::hours(parts.tm_hour) + std::chrono::minutes(parts.tm_min) +
         std::chrono::seconds(parts.tm_sec);
}

std::string subject_of(const X509* certificate) {
  const Bio bio(BIO_new(BIO_s_mem()));
  if (!bio || X509_NAME_print_ex(bio.get(), X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253) < 0)
    return {};
  return std::string(contents(bio));
}

}  // namespace

struct Certificate::Contents {
  X509Ptr x509;
  net::Prefix prefix;
  std::string serial;
  WallTime not_before;
  WallTime not_after;
  bool is_authority = false;
  std::string fingerprint;
  std::string subject;
};

std::optional<Certificate> Certificate::adopt(x509_st* certificate) {
  X509Ptr x509(certificate);
  const ErrorScope errors;
  if (!x509 || X509_get_version(x509.get()) != kVersion3 || !is_on_p256(X509_get0_pubkey(x509.get())))
    return std::nullopt;
  Contents contents;
  const auto prefix = address_block_of(x509.get());
  const auto not_before = time_of(X509_get0_notBefore(x509.get()));
  const auto not_after = time_of(X509_get0_notAfter(x509.get()));
  contents.serial = serial_of(x509.get());
  std::array<std::uint8_t, EVP_MAX_MD_SIZE> digest;
  unsigned size = 0;
  if (!prefix || !not_before || !not_after || contents.serial.empty() ||
      X509_digest(x509.get(), EVP_sha256(), digest.data(), &size) != 1)
    return std::nullopt;
  contents.prefix = *prefix;
  contents.not_before = *not_before;
  contents.not_after = *not_after;
  contents.fingerprint = "sha256:" + hexadecimal(std::span(digest).first(size));
  contents.subject = subject_of(x509.get());
  contents.is_authority = X509_check_ca(x509.get()) == 1;
  contents.x509 = std::move(x509);
  return Certificate(std::make_shared<const Contents>(std::move(contents)));
}

std::optional<Certificate> Certificate::parse(std::span<const std::uint8_t> der) {
  if (der.size() > kLargest) return std::nullopt;
  const ErrorScope errors;
  const auto* at = der.data();
  X509Ptr x509(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
  if (!x509 || at != der.data() + der.size()) return std::nullopt;
  return adopt(x509.release());
}

std::optional<Certificate> Certificate::parse_pem(std::string_view pem) {
  auto all = parse_all_pem(pem, 1);
  if (all.empty()) return std::nullopt;
  return std::move(all.front());
}

std::vector<Certificate> Certificate::parse_all_pem(std::string_view pem, std::size_t most) {
  // Base64 and two lines around it.
  constexpr std::size_t kLargestPem = kLargest / 3 * 4 + 512;
  if (pem.size() > most * kLargestPem) return {};
  const ErrorScope errors;
  const auto bio = read_only(pem);
  std::vector<Certificate> all;
  while (bio && contents(bio).find_first_not_of(" \t\r\n") != std::string_view::npos) {
    auto one = all.size() < most ? adopt(PEM_read_bio_X509(bio.get(), nullptr, refuse_password, nullptr))
                                 : std::nullopt;
    if (!one) return {};
    all.push_back(*std::move(one));
  }
  return all;
}

std::vector<std::uint8_t> Certificate::to_der() const {
  const ErrorScope errors;
  std::vector<std::uint8_t> der(static_cast<std::size_t>(std::max(0, i2d_X509(native(), nullptr))));
  auto* to = der.data();
  i2d_X509(native(), &to);
  return der;
}

std::string Certificate::to_pem() const {
  const ErrorScope errors;
  const Bio bio(BIO_new(BIO_s_mem()));
  if (!bio || PEM_write_bio_X509(bio.get(), native()) != 1) return {};
  return std::string(contents(bio));
}

bool Certificate::has_key_of(const PrivateKey& key) const {
  const ErrorScope errors;
  return EVP_PKEY_eq(X509_get0_pubkey(native()), key.native()) == 1;
}

x509_st* Certificate::native() const {
  return contents_->x509.get();
}
const net::Prefix& Certificate::prefix() const {
  return contents_->prefix;
}
const std::string& Certificate::serial() const {
  return contents_->serial;
}
WallTime Certificate::not_before() const {
  return contents_->not_before;
}
WallTime Certificate::not_after() const {
  return contents_->not_after;
}
bool Certificate::is_authority() const {
  return contents_->is_authority;
}
const std::string& Certificate::fingerprint() const {
  return contents_->fingerprint;
}
const std::string& Certificate::subject() const {
  return contents_->subject;
}

}  // namespace sixlink::pki
