// An X.509 certificate (RFC 5280) made by OpenSSL. For this folder's sources only.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "base/time.h"
#include "base/tls/openssl.h"

namespace fairlead::tls {

struct CertificateSpec {
  std::string common_name;
  std::vector<std::string> names;     // alternative names (§4.2.1.6): IP addresses, URIs ("scheme://…"), else DNS names
  Nanos from_wall = 0, until_wall = 0;
  bool authority = false;             // may issue others
};

// A certificate for the key, of version 3 with a random serial number of 127 bits; without issuer it signs itself.
StatusOr<CertificatePointer> MakeCertificate(const CertificateSpec& spec, EVP_PKEY* key, X509* issuer, EVP_PKEY* issuer_key);

// PEM text of either; a key unencrypted, as PKCS #8.
StatusOr<std::string> PemOf(X509* certificate);
StatusOr<std::string> PemOf(EVP_PKEY* key);
// `what` names it in the error.
StatusOr<CertificatePointer> ParseCertificate(const std::string& pem, const std::string& what);
StatusOr<KeyPointer> ParseKey(const std::string& pem, const std::string& what);

Nanos UntilWall(const X509* certificate);
Nanos FromWall(const X509* certificate);
std::string CommonNameOf(const X509* certificate);
std::vector<std::string> NamesOf(const X509* certificate);  // as in CertificateSpec

}  // namespace fairlead::tls
