#include "base/tls/context.h"

#include <openssl/sha.h>
#include <pwd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>

#include "base/check.h"
#include "base/tls/openssl.h"

namespace fairlead::tls {
namespace {

constexpr size_t kMaxFileBytes = 4 << 20;
constexpr char kTls12Ciphers[] = "ECDHE+AESGCM:ECDHE+CHACHA20";

// Whom this process runs as: its name, or its number where it has none.
std::string OwnUser() {
  const passwd* user = getpwuid(geteuid());
  return user != nullptr ? user->pw_name : Cat(geteuid());
}

StatusOr<std::string> ReadFile(const std::string& path) {
  std::unique_ptr<FILE, FreeBy<fclose>> file(fopen(path.c_str(), "re"));
  if (file == nullptr) {
    int error = errno;
    if (error == EACCES)
      return PermissionDenied("read ", path, ": permission denied; make it readable for user ", OwnUser(),
                              ", or restart the process as root: it reads its files before it drops privileges");
    std::error_code unknown;
    if (error == ENOENT && !path.starts_with('/'))
      return NotFound("read ", path, ": no such file in ", std::filesystem::current_path(unknown).string(),
                      ", where the process was started; give an absolute path");
    return ErrnoStatus(error, Cat("read ", path));
  }
  std::string text;
  char piece[16384];
  while (size_t got = fread(piece, 1, sizeof piece, file.get())) {
    text.append(piece, got);
    if (text.size() > kMaxFileBytes) return InvalidArgument(path, " is larger than 4 MiB: not a file of certificates");
  }
  if (ferror(file.get()) != 0) return ErrnoStatus(errno, Cat("read ", path));
  return text;
}

BioPointer BioOf(const std::string& text) { return BioPointer(BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))); }

// Without this OpenSSL asks for a pass phrase at the terminal.
int NoPassPhrase(char*, int, int, void*) { return -1; }

StatusOr<std::vector<CertificatePointer>> ReadCertificates(const std::string& path) {
  ASSIGN_OR_RETURN(std::string text, ReadFile(path));
  BioPointer bio = BioOf(text);
  std::vector<CertificatePointer> certificates;
  while (X509* certificate = PEM_read_bio_X509_AUX(bio.get(), nullptr, NoPassPhrase, nullptr))
    certificates.emplace_back(certificate);
  bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  std::string reason = TakeOpensslError();
  if (certificates.empty() && at_end)
    return InvalidArgument(path, " holds no certificate: it should begin with -----BEGIN CERTIFICATE----- (PEM)");
  if (!at_end) return InvalidArgument(path, ": certificate ", certificates.size() + 1, " is malformed: ", reason);
  return certificates;
}

StatusOr<KeyPointer> ReadKey(const std::string& path) {
  ASSIGN_OR_RETURN(std::string text, ReadFile(path));
  BioPointer bio = BioOf(text);
  KeyPointer key(PEM_read_bio_PrivateKey(bio.get(), nullptr, NoPassPhrase, nullptr));
  bool has_key = text.find("PRIVATE KEY-----") != text.npos;
  bool locked = text.find("ENCRYPTED") != text.npos;
  OPENSSL_cleanse(text.data(), text.size());
  std::string reason = TakeOpensslError();
  if (key != nullptr) return key;
  if (!has_key)
    return InvalidArgument(path, " holds no private key: it should have a -----BEGIN PRIVATE KEY----- (PEM)");
  if (locked)
    return InvalidArgument(path, ": the private key has a pass phrase, and nobody is there to type it; write one without: openssl "
                           "pkey -in ", path, " -out NEW");
  return InvalidArgument(path, ": the private key cannot be used: ", reason);
}

// What the context shows: a certificate with its chain, and the key.
Status UseIdentity(SSL_CTX* ssl, const std::string& cert_path, const std::string& key_path) {
  const std::string& key_file = key_path.empty() ? cert_path : key_path;
  ASSIGN_OR_RETURN(std::vector<CertificatePointer> chain, ReadCertificates(cert_path));
  ASSIGN_OR_RETURN(KeyPointer key, ReadKey(key_file));
  if (X509_check_private_key(chain[0].get(), key.get()) != 1) {
    ERR_clear_error();
    return InvalidArgument("key ", key_file, " does not match certificate ", cert_path,
                           ": give the key that the first certificate of the file was issued for");
  }
  if (SSL_CTX_use_certificate(ssl, chain[0].get()) != 1 || SSL_CTX_use_PrivateKey(ssl, key.get()) != 1)
    return InvalidArgument(cert_path, " cannot be used: ", TakeOpensslError());
  for (size_t i = 1; i < chain.size(); i++)
    if (SSL_CTX_add0_chain_cert(ssl, chain[i].release()) != 1) return Internal(cert_path, ": ", TakeOpensslError());
  return OkStatus();
}

// Whom the context trusts.
StatusOr<std::string> TrustFile(SSL_CTX* ssl, const std::string& path, bool announce) {
  ASSIGN_OR_RETURN(std::vector<CertificatePointer> certificates, ReadCertificates(path));
  X509_STORE* store = SSL_CTX_get_cert_store(ssl);
  std::string all;
  for (const CertificatePointer& certificate : certificates) {
    unsigned char digest[SHA256_DIGEST_LENGTH];
    X509_digest(certificate.get(), EVP_sha256(), digest, nullptr);
    all.append(reinterpret_cast<char*>(digest), sizeof digest);
    X509_STORE_add_cert(store, certificate.get());
    if (announce) SSL_CTX_add_client_CA(ssl, certificate.get());
  }
  ERR_clear_error();
  return all;
}

// DNS names of a certificate: the alternative names, or the common name where there are none (RFC 6125 §6.4.4).
std::vector<std::string> NamesOf(X509* certificate) {
  std::vector<std::string> names;
  auto add = [&](const ASN1_STRING* text) {
    names.push_back(LowerAscii(std::string_view(reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
                                                static_cast<size_t>(ASN1_STRING_length(text)))));
  };
  auto* alternatives = static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
  for (int i = 0; i < sk_GENERAL_NAME_num(alternatives); i++) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(alternatives, i);
    if (name->type == GEN_DNS) add(name->d.dNSName);
  }
  GENERAL_NAMES_free(alternatives);
  const X509_NAME* subject = X509_get_subject_name(certificate);
  int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  if (names.empty() && at >= 0) add(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
  return names;
}

}  // namespace

std::shared_ptr<const TicketKeys> TicketKeys::Make(Random& random) {
  auto keys = std::make_shared<TicketKeys>();
  for (size_t i = 0; i < kBytes; i += 8) {
    uint64_t bits = random.Next();
    for (size_t j = 0; j < 8; j++) keys->bytes[i + j] = static_cast<unsigned char>(bits >> (8 * j));
  }
  return keys;
}

TlsContext::~TlsContext() = default;
TlsContext::Identity::~Identity() { SSL_CTX_free(ssl); }

Status TlsContext::Common(SSL_CTX* ssl, const std::vector<std::string>& alpn) {
  SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_options(ssl, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION);
  if (SSL_CTX_set_cipher_list(ssl, kTls12Ciphers) != 1) return Internal("OpenSSL has none of ", kTls12Ciphers);
  alpn_.clear();
  for (const std::string& protocol : alpn) {
    if (protocol.empty() || protocol.size() > 255)
      return InvalidArgument("alpn \"", protocol, "\": a protocol has 1 to 255 bytes");
    alpn_ += Cat(static_cast<char>(protocol.size()), protocol);
  }
  return OkStatus();
}

StatusOr<std::shared_ptr<const TlsContext>> TlsContext::Server(const ServerOptions& options) {
  if (options.certificates.empty()) return InvalidArgument("no certificate: TLS needs at least one with its key");
  std::shared_ptr<TlsContext> context(new TlsContext);
  context->is_server_ = true;
  for (const CertificateSource& source : options.certificates) RETURN_IF_ERROR(context->AddIdentity(options, source));
  return std::shared_ptr<const TlsContext>(std::move(context));
}

// A certificate whose every name an earlier one has would never be shown; the first is the default.
Status TlsContext::ClaimNames(const Identity& identity, const std::string& file) {
  std::vector<std::string> names = NamesOf(SSL_CTX_get0_certificate(identity.ssl));
  bool shown = identities_.size() == 1;
  for (const std::string& name : names) shown |= names_.try_emplace(name, &identity).second;
  if (shown) return OkStatus();
  if (names.empty()) return InvalidArgument("certificate ", file, " has no DNS name, so no client would ever get it; put it first or leave it out");
  return InvalidArgument("certificate ", file, " would never be shown: earlier ones have all of its names (", Join(names, ", "),
                         "); leave one of them out");
}

Status TlsContext::AddIdentity(const ServerOptions& options, const CertificateSource& source) {
  identities_.push_back(std::make_unique<Identity>());
  Identity& identity = *identities_.back();
  identity.ssl = SSL_CTX_new(TLS_server_method());
  if (identity.ssl == nullptr) return Internal("OpenSSL gives no context: ", TakeOpensslError());
  RETURN_IF_ERROR(Common(identity.ssl, options.alpn));
  if (options.min_version == "1.3") {
    SSL_CTX_set_min_proto_version(identity.ssl, TLS1_3_VERSION);
  } else if (options.min_version != "1.2") {
    return InvalidArgument("min_version ", options.min_version, ": it is 1.2 or 1.3");
  }
  RETURN_IF_ERROR(UseIdentity(identity.ssl, source.cert, source.key));
  RETURN_IF_ERROR(ClaimNames(identity, source.cert));
  if (!source.ocsp.empty()) {
    ASSIGN_OR_RETURN(identity.ocsp, ReadFile(source.ocsp));
    if (identity.ocsp.empty()) return InvalidArgument(source.ocsp, " is empty: it should hold an OCSP response (DER)");
    SSL_CTX_set_tlsext_status_cb(identity.ssl, &TlsContext::Staple);
    SSL_CTX_set_tlsext_status_arg(identity.ssl, &identity);
  }
  std::string trusted;
  if (!options.client_ca.empty()) {
    ASSIGN_OR_RETURN(trusted, TrustFile(identity.ssl, options.client_ca, /*announce=*/true));
    SSL_CTX_set_verify(identity.ssl,
                       SSL_VERIFY_PEER | (options.require_client_certificate ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), nullptr);
  }
  // A session is resumed only where the same clients are let in: never under another name or another client_ca.
  std::string session_of = Cat(options.name, "\n", options.require_client_certificate ? "1" : "0", trusted);
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(session_of.data()), session_of.size(), digest);
  static_assert(sizeof digest <= SSL_MAX_SID_CTX_LENGTH);
  SSL_CTX_set_session_id_context(identity.ssl, digest, sizeof digest);
  SSL_CTX_set_session_cache_mode(identity.ssl, SSL_SESS_CACHE_OFF);  // tickets only: nothing to share between workers
  if (options.ticket_keys != nullptr) {
    auto keys = options.ticket_keys->bytes;
    CHECK(SSL_CTX_set_tlsext_ticket_keys(identity.ssl, keys.data(), keys.size()) == 1);
  }
  SSL_CTX_set_tlsext_servername_callback(identity.ssl, &TlsContext::ChooseIdentity);
  SSL_CTX_set_tlsext_servername_arg(identity.ssl, this);
  if (!alpn_.empty()) SSL_CTX_set_alpn_select_cb(identity.ssl, &TlsContext::ChooseProtocol, this);
  return OkStatus();
}

StatusOr<std::shared_ptr<const TlsContext>> TlsContext::Client(const ClientOptions& options) {
  std::shared_ptr<TlsContext> context(new TlsContext);
  context->server_name_ = options.server_name;
  context->identities_.push_back(std::make_unique<Identity>());
  SSL_CTX* ssl = context->identities_[0]->ssl = SSL_CTX_new(TLS_client_method());
  if (ssl == nullptr) return Internal("OpenSSL gives no context: ", TakeOpensslError());
  RETURN_IF_ERROR(context->Common(ssl, options.alpn));
  if (options.verify && options.server_name.empty())
    return InvalidArgument("server_name is missing: the name that the server's certificate must show");
  if (options.verify && options.ca.empty()) {
    SSL_CTX_set_default_verify_paths(ssl);
    ERR_clear_error();
  } else if (options.verify) {
    RETURN_IF_ERROR(TrustFile(ssl, options.ca, /*announce=*/false).status());
  }
  SSL_CTX_set_verify(ssl, options.verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
  if (!options.cert.empty()) RETURN_IF_ERROR(UseIdentity(ssl, options.cert, options.key));
  if (!context->alpn_.empty())
    SSL_CTX_set_alpn_protos(ssl, reinterpret_cast<const unsigned char*>(context->alpn_.data()),
                            static_cast<unsigned>(context->alpn_.size()));
  return std::shared_ptr<const TlsContext>(std::move(context));
}

SSL* TlsContext::NewConnection() const {
  SSL* ssl = SSL_new(identities_[0]->ssl);
  CHECK(ssl != nullptr);
  if (is_server_) {
    SSL_set_accept_state(ssl);
    return ssl;
  }
  SSL_set_connect_state(ssl);
  if (server_name_.empty()) return ssl;
  X509_VERIFY_PARAM* verify = SSL_get0_param(ssl);
  if (X509_VERIFY_PARAM_set1_ip_asc(verify, server_name_.c_str()) != 1) {  // a name, then
    ERR_clear_error();
    SSL_set_tlsext_host_name(ssl, server_name_.c_str());
    X509_VERIFY_PARAM_set_hostflags(verify, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    X509_VERIFY_PARAM_set1_host(verify, server_name_.data(), server_name_.size());
  }
  return ssl;
}

const TlsContext::Identity* TlsContext::IdentityOf(std::string_view server_name) const {
  std::string name = LowerAscii(server_name);
  if (name.ends_with('.')) name.pop_back();
  auto found = names_.find(name);
  if (found != names_.end()) return found->second;
  size_t dot = name.find('.');
  if (dot == name.npos) return nullptr;
  found = names_.find(Cat("*", std::string_view(name).substr(dot)));
  return found == names_.end() ? nullptr : found->second;
}

int TlsContext::ChooseIdentity(SSL* ssl, int*, void* self) {
  const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  if (name == nullptr) return SSL_TLSEXT_ERR_NOACK;
  const Identity* identity = static_cast<TlsContext*>(self)->IdentityOf(name);
  if (identity != nullptr) SSL_set_SSL_CTX(ssl, identity->ssl);
  return SSL_TLSEXT_ERR_OK;
}

int TlsContext::ChooseProtocol(SSL*, const unsigned char** out, unsigned char* out_bytes, const unsigned char* in,
                               unsigned in_bytes, void* self) {
  const std::string& ours = static_cast<TlsContext*>(self)->alpn_;
  unsigned char* chosen = nullptr;
  int found = SSL_select_next_proto(&chosen, out_bytes, reinterpret_cast<const unsigned char*>(ours.data()),
                                    static_cast<unsigned>(ours.size()), in, in_bytes);
  *out = chosen;
  return found == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

int TlsContext::Staple(SSL* ssl, void* identity) {
  const std::string& response = static_cast<Identity*>(identity)->ocsp;
  void* copy = OPENSSL_memdup(response.data(), response.size());  // OpenSSL frees it
  if (copy == nullptr) return SSL_TLSEXT_ERR_NOACK;
  SSL_set_tlsext_status_ocsp_resp(ssl, static_cast<unsigned char*>(copy), static_cast<int>(response.size()));
  return SSL_TLSEXT_ERR_OK;
}

}  // namespace fairlead::tls
