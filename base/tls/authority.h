// Authority: a small certificate authority for the connections between a fleet's own programs. A folder holds it: ca.pem,
// which every host gets, and ca.key, which stays where it was made. Certificates are short-lived, so that nothing has to be
// revoked, and say by a SPIFFE ID who their owner is: an agent may write its own host's rows, a consumer none.
//
// Keys are P-256, signatures ECDSA with SHA-256. Source: RFC 5280; SPIFFE-ID.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "base/time.h"

namespace fairlead::tls {

inline constexpr Nanos kAuthorityLife = 3650 * 24 * kHour;
inline constexpr Nanos kCertificateLife = 7 * 24 * kHour;
inline constexpr Nanos kShortestCertificateLife = 5 * kMinute, kLongestCertificateLife = 825 * 24 * kHour;
inline constexpr Nanos kClockSkew = 5 * kMinute;  // a certificate holds from so long before it was made
inline constexpr std::string_view kTrustDomain = "fairlead";

enum class Role : uint8_t { kAgent, kConsumer };
std::string_view RoleName(Role role);  // "agent", "consumer"

// Whose certificate it is: spiffe://fairlead/ROLE/NAME.
struct PeerIdentity {
  Role role = Role::kConsumer;
  std::string name;                   // of an agent: its node's name
  std::string ToUri() const;
  static std::optional<PeerIdentity> FromUri(std::string_view uri);
  friend bool operator==(const PeerIdentity&, const PeerIdentity&) = default;
};

struct CertificateRequest {
  PeerIdentity who;
  std::vector<std::string> names;     // DNS names and IP addresses it is reached at, beside its own name
  Nanos life = kCertificateLife;
};

// What a certificate says; for people, and for those who renew.
struct CertificateFacts {
  PeerIdentity who;
  std::vector<std::string> names;     // without the identity
  Nanos from_wall = 0, until_wall = 0;
};
struct PemPair {
  std::string certificate, key;
};

class Authority {
 public:
  // `name` is for people.
  static StatusOr<PemPair> Make(const std::string& name, Nanos now_wall, Nanos life = kAuthorityLife);
  // From the content of ca.pem and ca.key. Errors say what is wrong with which.
  static StatusOr<Authority> From(PemPair files);

  // A new key, and its certificate. Never one that outlives the authority.
  StatusOr<PemPair> Issue(const CertificateRequest& request, Nanos now_wall) const;
  // Whether a certificate is of this authority, and what it says. One that has expired is, too.
  StatusOr<CertificateFacts> Read(const std::string& certificate, const std::string& what) const;
  // Less than a third of its life is left.
  static bool ShouldRenew(const CertificateFacts& facts, Nanos now_wall);
  Nanos until_wall() const { return until_wall_; }

 private:
  PemPair files_;
  Nanos until_wall_ = 0;
};

// Is it a host's name, or an address, that a certificate may be for? RFC 1123 §2.1; no wildcards.
bool IsHostName(std::string_view name);

}  // namespace fairlead::tls
