#include "base/tls/authority.h"

#include <algorithm>
#include <utility>

#include "base/net/ip_address.h"
#include "base/strings.h"
#include "base/tls/certificate.h"

namespace fairlead::tls {
namespace {

constexpr std::string_view kScheme = "spiffe://";

StatusOr<KeyPointer> NewKey() {
  KeyPointer key(EVP_EC_gen("P-256"));
  if (!key) return Internal("OpenSSL cannot make a key: ", TakeOpensslError());
  return key;
}

StatusOr<PemPair> Signed(const CertificateSpec& spec, EVP_PKEY* key, X509* issuer, EVP_PKEY* issuer_key) {
  ASSIGN_OR_RETURN(CertificatePointer certificate, MakeCertificate(spec, key, issuer, issuer_key));
  PemPair pair;
  ASSIGN_OR_RETURN(pair.certificate, PemOf(certificate.get()));
  ASSIGN_OR_RETURN(pair.key, PemOf(key));
  return pair;
}

}  // namespace

std::string_view RoleName(Role role) { return role == Role::kAgent ? "agent" : "consumer"; }

std::string PeerIdentity::ToUri() const { return Cat(kScheme, kTrustDomain, "/", RoleName(role), "/", name); }

std::optional<PeerIdentity> PeerIdentity::FromUri(std::string_view uri) {
  for (Role role : {Role::kAgent, Role::kConsumer}) {
    const std::string prefix = PeerIdentity{.role = role, .name = ""}.ToUri();
    if (uri.starts_with(prefix) && IsHostName(uri.substr(prefix.size()))) return PeerIdentity{role, std::string(uri.substr(prefix.size()))};
  }
  return std::nullopt;
}

bool IsHostName(std::string_view name) {
  if (IpAddress::Parse(name).ok()) return true;
  if (name.empty() || name.size() > 253) return false;
  return std::ranges::all_of(Split(name, '.'), [](std::string_view label) {
    return !label.empty() && label.size() <= 63 && label.front() != '-' && label.back() != '-' && std::ranges::all_of(label, [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    });
  });
}

StatusOr<PemPair> Authority::Make(const std::string& name, Nanos now_wall, Nanos life) {
  ASSIGN_OR_RETURN(KeyPointer key, NewKey());
  return Signed({.common_name = name, .names = {}, .from_wall = now_wall - kClockSkew, .until_wall = now_wall + life, .authority = true},
                key.get(), nullptr, key.get());
}

StatusOr<Authority> Authority::From(PemPair files) {
  ASSIGN_OR_RETURN(CertificatePointer certificate, ParseCertificate(files.certificate, "ca.pem"));
  ASSIGN_OR_RETURN(KeyPointer key, ParseKey(files.key, "ca.key"));
  if (X509_check_private_key(certificate.get(), key.get()) != 1) {
    (void)TakeOpensslError();
    return InvalidArgument("ca.key is not the key of ca.pem");
  }
  if (X509_check_ca(certificate.get()) != 1) return InvalidArgument("ca.pem may not issue certificates");
  Authority authority;
  authority.until_wall_ = UntilWall(certificate.get());
  authority.files_ = std::move(files);
  return authority;
}

StatusOr<PemPair> Authority::Issue(const CertificateRequest& request, Nanos now_wall) const {
  if (now_wall >= until_wall_) return FailedPrecondition("the authority's own certificate has expired");
  ASSIGN_OR_RETURN(CertificatePointer issuer, ParseCertificate(files_.certificate, "ca.pem"));
  ASSIGN_OR_RETURN(KeyPointer issuer_key, ParseKey(files_.key, "ca.key"));
  ASSIGN_OR_RETURN(KeyPointer key, NewKey());
  CertificateSpec spec{.common_name = request.who.name,
                       .names = {request.who.ToUri(), request.who.name},
                       .from_wall = now_wall - kClockSkew,
                       .until_wall = std::min(now_wall + request.life, until_wall_)};
  for (const std::string& name : request.names)
    if (name != request.who.name) spec.names.push_back(name);
  return Signed(spec, key.get(), issuer.get(), issuer_key.get());
}

StatusOr<CertificateFacts> Authority::Read(const std::string& certificate, const std::string& what) const {
  ASSIGN_OR_RETURN(CertificatePointer read, ParseCertificate(certificate, what));
  ASSIGN_OR_RETURN(CertificatePointer issuer, ParseCertificate(files_.certificate, "ca.pem"));
  if (X509_verify(read.get(), X509_get0_pubkey(issuer.get())) != 1) {
    (void)TakeOpensslError();
    return FailedPrecondition(what, " was not issued by this authority");
  }
  CertificateFacts facts{.who = {}, .names = {}, .from_wall = FromWall(read.get()), .until_wall = UntilWall(read.get())};
  std::optional<PeerIdentity> who;
  for (std::string& name : NamesOf(read.get())) {
    if (!who && name.starts_with(kScheme)) {
      who = PeerIdentity::FromUri(name);
    } else {
      facts.names.push_back(std::move(name));
    }
  }
  if (!who) return FailedPrecondition(what, " does not say whose it is: it has no name ", kScheme, kTrustDomain, "/ROLE/NAME");
  facts.who = *std::move(who);
  return facts;
}

bool Authority::ShouldRenew(const CertificateFacts& facts, Nanos now_wall) {
  return facts.until_wall - now_wall < (facts.until_wall - facts.from_wall) / 3;
}

}  // namespace fairlead::tls
