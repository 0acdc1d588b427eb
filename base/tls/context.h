// TlsContext: what the connections of one listener, or of one service's backends, have in common: certificates, keys,
// versions, whom to trust. Made from files once, then immutable: all workers share it. A change of certificates is
// another context for new connections; the connections that stand keep theirs.
//
// TLS 1.2 (RFC 5246) with forward secrecy and AEAD only, and 1.3 (RFC 8446); no compression, no renegotiation. SNI:
// RFC 6066 §3, wildcards as in RFC 6125 §6.4.3 (one label). ALPN: RFC 7301; a client that offers none of our protocols
// is refused (§3.2).
//
// Kernel TLS is left out: it needs a socket BIO, while all I/O here is the proactor's and OpenSSL sees memory only.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/random.h"
#include "base/status.h"
#include "base/strings.h"

using SSL = struct ssl_st;
using SSL_CTX = struct ssl_ctx_st;

namespace fairlead::tls {

// Seals session tickets (RFC 5077). Contexts with the same keys and the same `name` resume each other's sessions; so a
// client comes back without a full handshake to any worker, and after a reload.
struct TicketKeys {
  static constexpr size_t kBytes = 80;
  std::array<unsigned char, kBytes> bytes;
  static std::shared_ptr<const TicketKeys> Make(Random& random);
};

struct CertificateSource {
  std::string cert;   // PEM file: the certificate, then its chain
  std::string key;    // PEM file; "": in `cert`
  std::string ocsp;   // DER response to staple; "": none
};

struct ServerOptions {
  std::string name;                               // of the listener: sessions of another name are not resumed
  std::vector<CertificateSource> certificates;    // chosen by SNI; the first is the default
  std::vector<std::string> alpn;                  // best first; empty: not negotiated
  std::string client_ca;                          // PEM file; "": clients show no certificate
  bool require_client_certificate = true;         // where there is a client_ca
  std::string min_version = "1.2";
  std::shared_ptr<const TicketKeys> ticket_keys;  // null: keys of its own
};

struct ClientOptions {
  std::string ca;                                 // PEM file; "": the system's store
  std::string server_name;                        // SNI and the name that is verified; an IP address is not sent
  bool verify = true;                             // chain and name
  std::string cert, key;                          // PEM files of what we show; "": nothing
  std::vector<std::string> alpn;
};

class TlsContext {
 public:
  // Errors name the file, what is wrong with it and the way out.
  static StatusOr<std::shared_ptr<const TlsContext>> Server(const ServerOptions& options);
  static StatusOr<std::shared_ptr<const TlsContext>> Client(const ClientOptions& options);
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;
  ~TlsContext();

  SSL* NewConnection() const;
  bool is_server() const { return is_server_; }
  const std::string& server_name() const { return server_name_; }  // of a client

 private:
  struct Identity {                               // one certificate
    ~Identity();
    SSL_CTX* ssl = nullptr;
    std::string ocsp;
  };
  TlsContext() = default;
  Status AddIdentity(const ServerOptions& options, const CertificateSource& source);
  Status ClaimNames(const Identity& identity, const std::string& file);
  Status Common(SSL_CTX* ssl, const std::vector<std::string>& alpn);
  const Identity* IdentityOf(std::string_view server_name) const;
  static int ChooseIdentity(SSL* ssl, int* alert, void* self);
  static int ChooseProtocol(SSL* ssl, const unsigned char** out, unsigned char* out_bytes, const unsigned char* in,
                            unsigned in_bytes, void* self);
  static int Staple(SSL* ssl, void* identity);

  bool is_server_ = false;
  std::string server_name_;
  std::string alpn_;                              // wire form: length and name, each
  std::vector<std::unique_ptr<Identity>> identities_;
  std::unordered_map<std::string, const Identity*, StringHash, std::equal_to<>> names_;  // "*.x": wildcards
};

}  // namespace fairlead::tls
