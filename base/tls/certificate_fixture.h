// Certificates for tests, made at run time in a folder of their own: nothing of the kind is committed.
#pragma once

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/strings.h"
#include "base/tls/openssl.h"

namespace fairlead::tls {

struct CertificateFiles {
  std::string cert, key;  // paths
};

// An authority and what it issues. Keys are P-256.
class CertificateFolder {
 public:
  explicit CertificateFolder(const std::string& authority = "test authority") {
    CHECK(mkdtemp(folder_) != nullptr);
    ca_key_.reset(EVP_EC_gen("P-256"));
    ca_.reset(Make(authority, {}, ca_key_.get(), nullptr, ca_key_.get(), 365));
    Write("ca.pem", [&](FILE* f) { return PEM_write_X509(f, ca_.get()); });
  }
  ~CertificateFolder() { std::filesystem::remove_all(folder_); }
  CertificateFolder(const CertificateFolder&) = delete;
  CertificateFolder& operator=(const CertificateFolder&) = delete;

  std::string ca() const { return Path("ca.pem"); }
  std::string Path(const std::string& name) const { return Cat(folder_, "/", name); }
  // NAME.pem and NAME.key for these DNS names or IP addresses.
  CertificateFiles Issue(const std::string& name, const std::vector<std::string>& names, int days = 30) {
    KeyPointer key(EVP_EC_gen("P-256"));
    CertificatePointer certificate(Make(name, names, key.get(), ca_.get(), ca_key_.get(), days));
    Write(Cat(name, ".pem"), [&](FILE* f) { return PEM_write_X509(f, certificate.get()); });
    Write(Cat(name, ".key"), [&](FILE* f) {
      return PEM_write_PrivateKey(f, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
    });
    return {Path(Cat(name, ".pem")), Path(Cat(name, ".key"))};
  }
  std::string WriteText(const std::string& name, const std::string& text) {
    Write(name, [&](FILE* f) { return fwrite(text.data(), 1, text.size(), f) == text.size() ? 1 : 0; });
    return Path(name);
  }

 private:
  template <class F>
  void Write(const std::string& name, F write) {
    FILE* file = fopen(Path(name).c_str(), "we");
    CHECK(file != nullptr);
    CHECK(write(file) == 1);
    CHECK(fclose(file) == 0);
  }
  static void Extend(X509* certificate, X509* issuer, int nid, const std::string& value) {
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
    CHECK(extension != nullptr);
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
  }
  X509* Make(const std::string& common_name, const std::vector<std::string>& names, EVP_PKEY* key, X509* issuer,
             EVP_PKEY* issuer_key, int days) {
    X509* certificate = X509_new();
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++serial_);
    X509_gmtime_adj(X509_getm_notBefore(certificate), days < 0 ? 2L * days * 86400 : -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate), static_cast<long>(days) * 86400);  // NOLINT: OpenSSL's type
    X509_set_pubkey(certificate, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>(common_name.c_str()), -1, -1, 0);
    X509* by = issuer != nullptr ? issuer : certificate;
    X509_set_issuer_name(certificate, X509_get_subject_name(by));
    Extend(certificate, by, NID_basic_constraints, issuer == nullptr ? "critical,CA:TRUE" : "CA:FALSE");
    std::string alternatives;
    for (const std::string& name : names)
      alternatives += Cat(alternatives.empty() ? "" : ",", name.find_first_not_of("0123456789.") == name.npos ? "IP:" : "DNS:", name);
    if (!alternatives.empty()) Extend(certificate, by, NID_subject_alt_name, alternatives);
    CHECK(X509_sign(certificate, issuer_key, EVP_sha256()) > 0);
    return certificate;
  }

  char folder_[32] = "/tmp/fairlead_tls_XXXXXX";
  KeyPointer ca_key_;
  CertificatePointer ca_;
  int serial_ = 0;
};

}  // namespace fairlead::tls
