// TlsEngine: one TLS connection without I/O. Received bytes are fed, bytes to send are taken; OpenSSL reads and writes
// them through a BIO of memory that copies nothing but what it must. Used by one thread.
#pragma once

#include <memory>
#include <string>

#include "base/io/record_layer.h"
#include "base/tls/context.h"

namespace fairlead::tls {

// What the handshake settled.
struct TlsFacts {
  std::string server_name;       // SNI, as the client wrote it
  std::string alpn;              // "" where none was negotiated
  std::string version;           // "TLSv1.3"
  std::string peer_subject;      // of the peer's certificate, verified or not asked to be; "": none shown
  bool resumed = false;
};

class TlsEngine final : public io::RecordLayer {
 public:
  explicit TlsEngine(std::shared_ptr<const TlsContext> context);
  ~TlsEngine() override;

  enum class Step { kDone, kNeedMore, kFailed };
  // Goes on with the handshake; before kNeedMore is answered by Feed(), what TakeSealed() gives has to be sent. After
  // kFailed too: it is the alert that tells the peer.
  Step Handshake();
  Status error() const { return error_; }  // why the handshake failed, with the way out
  TlsFacts facts() const;

  void Feed(std::string_view received) override;
  int Read(uint8_t* to, size_t room) override;
  bool Seal(std::string_view plain) override;
  void SealEnd() override;
  io::SealedBytes TakeSealed() override { return std::move(out_); }
  bool has_sealed() const override { return !out_.empty(); }

  SSL* ssl() const { return ssl_; }

 private:
  friend struct EngineBio;
  Status Explain() const;

  std::shared_ptr<const TlsContext> context_;  // its callbacks are asked during the handshake
  SSL* ssl_;
  std::string_view in_;                        // fed, not yet read by OpenSSL
  io::SealedBytes out_;
  Status error_;
  bool broken_ = false;                        // OpenSSL forbids further calls after a fatal error
};

}  // namespace fairlead::tls
