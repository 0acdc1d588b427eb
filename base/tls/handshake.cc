#include "base/tls/handshake.h"

namespace fairlead::tls {
namespace {

using io::IoResult;

io::Task<StatusOr<TlsFacts>> Steps(io::Stream& stream, std::shared_ptr<const TlsContext> context) {
  auto engine = std::make_unique<TlsEngine>(std::move(context));
  io::Chunk received;
  for (;;) {
    TlsEngine::Step step = engine->Handshake();
    if (engine->has_sealed()) {
      io::SealedBytes out = engine->TakeSealed();
      IoResult sent = co_await stream.Send(out.view());
      if (!sent.ok() && step != TlsEngine::Step::kFailed) co_return sent.ToStatus("TLS handshake");
    }
    if (step == TlsEngine::Step::kFailed) co_return engine->error();
    if (step == TlsEngine::Step::kDone) break;
    received.Reset();
    IoResult got = co_await stream.Receive();
    if (!got.ok()) co_return got.ToStatus("TLS handshake");
    if (got.is_end()) co_return Unavailable("TLS handshake: the peer closed the connection");
    received = stream.Take();
    engine->Feed(received.view());
  }
  TlsFacts facts = engine->facts();
  stream.socket()->Secure(std::move(engine), std::move(received));
  co_return facts;
}

}  // namespace

io::Task<StatusOr<TlsFacts>> Handshake(io::Stream& stream, std::shared_ptr<const TlsContext> context, Nanos deadline) {
  io::Proactor& proactor = stream.socket()->proactor();
  co_return co_await io::WithDeadline<StatusOr<TlsFacts>>(proactor, deadline, Steps(stream, std::move(context)));
}

}  // namespace fairlead::tls
