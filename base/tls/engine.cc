#include "base/tls/engine.h"

#include <cerrno>
#include <cstring>

#include "base/check.h"
#include "base/tls/openssl.h"

namespace fairlead::tls {

// The BIO through which OpenSSL sees its engine's bytes.
struct EngineBio {
  static TlsEngine& EngineOf(BIO* bio) { return *static_cast<TlsEngine*>(BIO_get_data(bio)); }
  static int Read(BIO* bio, char* to, int room) {
    std::string_view& in = EngineOf(bio).in_;
    BIO_clear_retry_flags(bio);
    if (in.empty()) {
      BIO_set_retry_read(bio);
      return -1;
    }
    size_t taken = in.copy(to, static_cast<size_t>(room));
    in.remove_prefix(taken);
    return static_cast<int>(taken);
  }
  static int Write(BIO* bio, const char* data, int bytes) {
    BIO_clear_retry_flags(bio);
    EngineOf(bio).out_.Append({data, static_cast<size_t>(bytes)});
    return bytes;
  }
  static long Control(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }  // NOLINT
  static BIO_METHOD* Make() {
    BIO_METHOD* method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "fairlead");
    CHECK(method != nullptr);
    BIO_meth_set_read(method, Read);
    BIO_meth_set_write(method, Write);
    BIO_meth_set_ctrl(method, Control);
    return method;
  }
  static BIO* New(TlsEngine& engine) {
    static BIO_METHOD* const method = Make();
    BIO* bio = BIO_new(method);
    CHECK(bio != nullptr);
    BIO_set_data(bio, &engine);
    BIO_set_init(bio, 1);
    return bio;
  }
};

TlsEngine::TlsEngine(std::shared_ptr<const TlsContext> context)
    : context_(std::move(context)), ssl_(context_->NewConnection()) {
  BIO* bio = EngineBio::New(*this);
  SSL_set_bio(ssl_, bio, bio);
}

TlsEngine::~TlsEngine() { SSL_free(ssl_); }

void TlsEngine::Feed(std::string_view received) {
  CHECK(in_.empty());
  in_ = received;
}

TlsEngine::Step TlsEngine::Handshake() {
  if (broken_) return Step::kFailed;
  ERR_clear_error();
  int done = SSL_do_handshake(ssl_);
  if (done == 1) return Step::kDone;
  if (SSL_get_error(ssl_, done) == SSL_ERROR_WANT_READ) return Step::kNeedMore;
  broken_ = true;
  error_ = Explain();
  return Step::kFailed;
}

namespace {

// What to do about a server's certificate that X509_verify_cert() refused.
std::string_view WayOut(long verified) {  // NOLINT: OpenSSL's type
  switch (verified) {
    case X509_V_ERR_CERT_HAS_EXPIRED: return "; renew it at the server";
    case X509_V_ERR_CERT_NOT_YET_VALID: return "; look at the clocks of both hosts";
    default: return "; set tls.ca to the file of who issued it";
  }
}

}  // namespace

Status TlsEngine::Explain() const {
  long verified = SSL_get_verify_result(ssl_);  // NOLINT: OpenSSL's type
  bool plain = ERR_GET_REASON(ERR_peek_error()) == SSL_R_WRONG_VERSION_NUMBER;
  std::string reason = TakeOpensslError();
  if (plain && !context_->is_server())
    return FailedPrecondition("TLS handshake failed: what came is no TLS; does the server speak it at this port?");
  if (verified == X509_V_OK || SSL_get_verify_mode(ssl_) == SSL_VERIFY_NONE)
    return FailedPrecondition("TLS handshake failed: ", reason);
  std::string why = X509_verify_cert_error_string(verified);
  if (context_->is_server()) return PermissionDenied("the client's certificate is refused: ", why);
  if (verified == X509_V_ERR_HOSTNAME_MISMATCH || verified == X509_V_ERR_IP_ADDRESS_MISMATCH)
    return PermissionDenied("the server's certificate is not for ", context_->server_name(),
                            "; set tls.server_name to a name that it shows");
  return PermissionDenied("the server's certificate is refused: ", why, WayOut(verified));
}

int TlsEngine::Read(uint8_t* to, size_t room) {
  if (broken_) return -EPROTO;
  ERR_clear_error();
  size_t total = 0;
  for (;;) {
    int got = SSL_read(ssl_, to + total, static_cast<int>(room - total));
    if (got > 0) {
      total += static_cast<size_t>(got);
      if (total == room || (in_.empty() && SSL_pending(ssl_) == 0)) return static_cast<int>(total);
      continue;  // small records come together in one piece
    }
    int error = SSL_get_error(ssl_, got);
    if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_ZERO_RETURN) {
      broken_ = true;
      ERR_clear_error();
    }
    if (total != 0) return static_cast<int>(total);  // the next call gives the end or the error
    if (error == SSL_ERROR_WANT_READ) return kNeedMore;
    return error == SSL_ERROR_ZERO_RETURN ? 0 : -EPROTO;
  }
}

bool TlsEngine::Seal(std::string_view plain) {
  if (broken_ || (SSL_get_shutdown(ssl_) & SSL_SENT_SHUTDOWN) != 0) return false;
  ERR_clear_error();
  size_t sealed = 0;
  if (SSL_write_ex(ssl_, plain.data(), plain.size(), &sealed) == 1 && sealed == plain.size()) return true;
  broken_ = true;
  ERR_clear_error();
  return false;
}

void TlsEngine::SealEnd() {
  if (broken_ || (SSL_get_shutdown(ssl_) & SSL_SENT_SHUTDOWN) != 0) return;
  (void)SSL_shutdown(ssl_);
  ERR_clear_error();
}

TlsFacts TlsEngine::facts() const {
  TlsFacts facts;
  if (const char* name = SSL_get_servername(ssl_, TLSEXT_NAMETYPE_host_name)) facts.server_name = name;
  const unsigned char* alpn = nullptr;
  unsigned alpn_bytes = 0;
  SSL_get0_alpn_selected(ssl_, &alpn, &alpn_bytes);
  facts.alpn.assign(reinterpret_cast<const char*>(alpn), alpn_bytes);
  facts.version = SSL_get_version(ssl_);
  facts.resumed = SSL_session_reused(ssl_) != 0;
  if (X509* peer = SSL_get0_peer_certificate(ssl_)) {
    char text[256];
    facts.peer_subject = X509_NAME_oneline(X509_get_subject_name(peer), text, sizeof text);
  }
  return facts;
}

}  // namespace fairlead::tls
