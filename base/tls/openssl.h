// Owning pointers for OpenSSL's objects, and its error queue as text. For this folder's sources only.
#pragma once

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <memory>
#include <string>

namespace fairlead::tls {

template <auto kFree>
struct FreeBy {
  template <class T>
  void operator()(T* object) const { kFree(object); }
};
using SslPointer = std::unique_ptr<SSL, FreeBy<SSL_free>>;
using SslContextPointer = std::unique_ptr<SSL_CTX, FreeBy<SSL_CTX_free>>;
using CertificatePointer = std::unique_ptr<X509, FreeBy<X509_free>>;
using KeyPointer = std::unique_ptr<EVP_PKEY, FreeBy<EVP_PKEY_free>>;
using BioPointer = std::unique_ptr<BIO, FreeBy<BIO_free>>;

// The reason of the first error in this thread's queue, which is empty afterwards.
inline std::string TakeOpensslError() {
  unsigned long code = ERR_get_error();  // NOLINT: OpenSSL's type
  ERR_clear_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  return reason != nullptr ? reason : "no reason given";
}

}  // namespace fairlead::tls
