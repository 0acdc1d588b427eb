#include "base/tls/certificate.h"

#include <ctime>
#include <span>

#include "base/net/ip_address.h"
#include "base/strings.h"

namespace fairlead::tls {
namespace {

using NamesPointer = std::unique_ptr<GENERAL_NAMES, FreeBy<GENERAL_NAMES_free>>;

Status Failed(std::string_view what) { return Internal("OpenSSL cannot ", what, ": ", TakeOpensslError()); }

GENERAL_NAME* GeneralName(const std::string& name) {
  if (auto ip = IpAddress::Parse(name); ip.ok()) return a2i_GENERAL_NAME(nullptr, nullptr, nullptr, GEN_IPADD, name.c_str(), 0);
  return a2i_GENERAL_NAME(nullptr, nullptr, nullptr, name.contains("://") ? GEN_URI : GEN_DNS, name.c_str(), 0);
}

bool AddNames(X509* certificate, const std::vector<std::string>& names) {
  if (names.empty()) return true;
  NamesPointer all(sk_GENERAL_NAME_new_null());
  for (const std::string& name : names) {
    GENERAL_NAME* one = GeneralName(name);
    if (one == nullptr || sk_GENERAL_NAME_push(all.get(), one) == 0) return false;
  }
  return X509_add1_ext_i2d(certificate, NID_subject_alt_name, all.get(), 0, X509V3_ADD_DEFAULT) == 1;
}

bool Extend(X509* certificate, X509* issuer, int nid, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value);
  const bool added = extension != nullptr && X509_add_ext(certificate, extension, -1) == 1;
  X509_EXTENSION_free(extension);
  return added;
}

// Identifiers let a verifier find the issuer among several of one name, as after the authority was made anew.
bool AddUses(X509* certificate, X509* issuer, bool authority) {
  if (!Extend(certificate, issuer, NID_subject_key_identifier, "hash")) return false;
  if (!authority)
    return Extend(certificate, issuer, NID_authority_key_identifier, "keyid") &&
           Extend(certificate, issuer, NID_basic_constraints, "critical,CA:FALSE") &&
           Extend(certificate, issuer, NID_key_usage, "critical,digitalSignature") &&
           Extend(certificate, issuer, NID_ext_key_usage, "serverAuth,clientAuth");
  return Extend(certificate, issuer, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
         Extend(certificate, issuer, NID_key_usage, "critical,keyCertSign,cRLSign");
}

bool SetSerial(X509* certificate) {
  std::unique_ptr<BIGNUM, FreeBy<BN_free>> number(BN_new());
  return number && BN_rand(number.get(), 127, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1 &&
         BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) != nullptr;
}

std::string TextOf(BIO* bio) {
  char* text = nullptr;
  const long bytes = BIO_get_mem_data(bio, &text);  // NOLINT: OpenSSL's type
  return {text, static_cast<size_t>(bytes)};
}

Nanos WallOf(const ASN1_TIME* time) {
  tm parts = {};
  return ASN1_TIME_to_tm(time, &parts) == 1 ? timegm(&parts) * kSecond : 0;
}

}  // namespace

StatusOr<CertificatePointer> MakeCertificate(const CertificateSpec& spec, EVP_PKEY* key, X509* issuer, EVP_PKEY* issuer_key) {
  CertificatePointer made(X509_new());
  X509* by = issuer != nullptr ? issuer : made.get();
  const auto* name = reinterpret_cast<const unsigned char*>(spec.common_name.c_str());
  const bool right =
      X509_set_version(made.get(), X509_VERSION_3) == 1 && SetSerial(made.get()) &&
      ASN1_TIME_set(X509_getm_notBefore(made.get()), spec.from_wall / kSecond) != nullptr &&
      ASN1_TIME_set(X509_getm_notAfter(made.get()), spec.until_wall / kSecond) != nullptr &&
      X509_set_pubkey(made.get(), key) == 1 &&
      X509_NAME_add_entry_by_txt(X509_get_subject_name(made.get()), "CN", MBSTRING_UTF8, name, -1, -1, 0) == 1 &&
      X509_set_issuer_name(made.get(), X509_get_subject_name(by)) == 1 && AddUses(made.get(), by, spec.authority) &&
      AddNames(made.get(), spec.names) && X509_sign(made.get(), issuer_key, EVP_sha256()) > 0;
  if (!right) return Failed(Cat("make a certificate for ", spec.common_name));
  return made;
}

StatusOr<std::string> PemOf(X509* certificate) {
  BioPointer bio(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_X509(bio.get(), certificate) != 1) return Failed("write a certificate");
  return TextOf(bio.get());
}

StatusOr<std::string> PemOf(EVP_PKEY* key) {
  BioPointer bio(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr) != 1) return Failed("write a key");
  return TextOf(bio.get());
}

StatusOr<CertificatePointer> ParseCertificate(const std::string& pem, const std::string& what) {
  BioPointer bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  CertificatePointer certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
  if (!certificate) return InvalidArgument(what, " is no certificate in PEM: ", TakeOpensslError());
  return certificate;
}

StatusOr<KeyPointer> ParseKey(const std::string& pem, const std::string& what) {
  BioPointer bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  char no_password[] = "";
  KeyPointer key(PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, no_password));
  if (!key) return InvalidArgument(what, " is no unencrypted key in PEM: ", TakeOpensslError());
  return key;
}

Nanos UntilWall(const X509* certificate) { return WallOf(X509_get0_notAfter(certificate)); }
Nanos FromWall(const X509* certificate) { return WallOf(X509_get0_notBefore(certificate)); }

std::string CommonNameOf(const X509* certificate) {
  char name[256] = {};
  X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name, sizeof name);
  return name;
}

std::vector<std::string> NamesOf(const X509* certificate) {
  std::vector<std::string> names;
  NamesPointer all(static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; all && i < sk_GENERAL_NAME_num(all.get()); i++) {
    const GENERAL_NAME* one = sk_GENERAL_NAME_value(all.get(), i);
    const ASN1_STRING* text = one->type == GEN_IPADD ? one->d.iPAddress : one->d.ia5;
    if (one->type != GEN_IPADD && one->type != GEN_DNS && one->type != GEN_URI) continue;
    const unsigned char* bytes = ASN1_STRING_get0_data(text);
    const auto size = static_cast<size_t>(ASN1_STRING_length(text));
    if (one->type != GEN_IPADD) {
      names.emplace_back(reinterpret_cast<const char*>(bytes), size);
    } else if (size == 4) {
      names.push_back(IpAddress::V4(uint32_t{bytes[0]} << 24 | uint32_t{bytes[1]} << 16 | uint32_t{bytes[2]} << 8 | bytes[3]).ToString());
    } else if (size == 16) {
      names.push_back(IpAddress::V6(std::span<const uint8_t, 16>(bytes, 16)).ToString());
    }
  }
  return names;
}

}  // namespace fairlead::tls
