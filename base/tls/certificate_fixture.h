// Certificates for tests, made at run time in a folder of their own: nothing of the kind is committed.
#pragma once

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/clock.h"
#include "base/strings.h"
#include "base/tls/certificate.h"

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
  static X509* Make(const std::string& common_name, const std::vector<std::string>& names, EVP_PKEY* key, X509* issuer, EVP_PKEY* issuer_key,
                    int days) {
    const Nanos now_wall = SystemClock().WallNow(), day = 24 * kHour;
    auto made = MakeCertificate({.common_name = common_name,
                                 .names = names,
                                 .from_wall = days < 0 ? now_wall + 2 * days * day : now_wall - kHour,
                                 .until_wall = now_wall + days * day,
                                 .authority = issuer == nullptr},
                                key, issuer, issuer_key);
    CHECK(made.ok());
    return made->release();
  }

  char folder_[32] = "/tmp/fairlead_tls_XXXXXX";
  KeyPointer ca_key_;
  CertificatePointer ca_;
};

}  // namespace fairlead::tls
