#include "discovery/health/probe.h"

#include "base/http/client.h"
#include "base/io/await.h"
#include "base/io/stream.h"
#include "base/strings.h"
#include "base/tls/handshake.h"
#include "discovery/health/grpc_check.h"

namespace fairlead::health {

using discovery::CheckKind;
using discovery::HealthCheck;

namespace {

std::string InTime(Nanos timeout) { return Cat("within ", timeout / kMillisecond, "ms"); }

ProbeOutcome ConnectFailed(io::IoResult result, Nanos timeout) {
  switch (result.error()) {
    case ECONNREFUSED: return {Answer::kRefused, "connection refused"};
    case ETIMEDOUT: return {Answer::kSilent, Cat("no answer to connect ", InTime(timeout))};
    case EHOSTUNREACH: case ENETUNREACH: return {Answer::kSilent, "no way to its address from this host"};
    default: return {Answer::kBad, std::string(Message(result.ToStatus("connect")))};
  }
}

io::Task<ProbeOutcome> ProbeHttp(io::Stream stream, HealthCheck check, Nanos deadline) {
  http::Request request{.target = check.target.empty() ? "/" : check.target};
  if (!check.host.empty()) request.headers.push_back({"Host", check.host});
  request.headers.push_back({"User-Agent", "fairlead-health"});
  auto answer = co_await http::ResponseStream::Open(std::move(stream), std::move(request), deadline);
  if (answer.status().code() == StatusCode::kDeadlineExceeded)
    co_return ProbeOutcome{Answer::kBad, Cat("no HTTP answer ", InTime(check.timeout))};
  if (!answer.ok()) co_return ProbeOutcome{Answer::kBad, std::string(Message(answer.status()))};
  const int status = answer->head().status;
  if (status < 200 || status >= 400) co_return ProbeOutcome{Answer::kBad, Cat("HTTP ", status)};
  co_return ProbeOutcome{};
}

io::Task<ProbeOutcome> ProbeGrpc(io::Proactor& proactor, io::Stream stream, std::string authority, HealthCheck check,
                                 Nanos deadline) {
  Status status = co_await io::WithDeadline<Status>(
      proactor, deadline, CheckGrpc(std::move(stream), std::move(authority), check.target));
  if (status.ok()) co_return ProbeOutcome{};
  if (status.code() == StatusCode::kDeadlineExceeded)
    co_return ProbeOutcome{Answer::kBad, Cat("no gRPC answer ", InTime(check.timeout))};
  co_return ProbeOutcome{Answer::kBad, Cat("gRPC: ", Message(status))};
}

// What is asked is whether it answers: nothing secret is sent, so its certificate need not be anybody's.
io::Task<Status> Secure(io::Stream& stream, const HealthCheck& check, Nanos deadline) {
  tls::ClientOptions options{.ca = "", .server_name = check.host.substr(0, check.host.find(':')), .verify = false};
  options.alpn = {check.kind == CheckKind::kGrpc ? "h2" : "http/1.1"};
  CO_ASSIGN_OR_RETURN(auto context, tls::TlsContext::Client(options));
  co_return (co_await tls::Handshake(stream, std::move(context), deadline)).status();
}

}  // namespace

io::Task<ProbeOutcome> Probe(io::Proactor& proactor, SocketAddress address, HealthCheck check) {
  const Nanos deadline = proactor.Now() + check.timeout;
  StatusOr<int> fd = proactor.OpenStream(address.family());
  if (!fd.ok()) co_return ProbeOutcome{Answer::kSilent, std::string(Message(fd.status()))};  // ours, not the endpoint's
  io::IoResult connected = co_await io::WithDeadline<io::IoResult>(proactor, deadline, io::ConnectTo(proactor, *fd, address));
  if (!connected.ok()) {
    proactor.Close(*fd);
    co_return ConnectFailed(connected, check.timeout);
  }
  io::Stream stream(proactor, *fd);
  if (check.tls) {
    const Status secured = co_await Secure(stream, check, deadline);
    if (secured.code() == StatusCode::kDeadlineExceeded) co_return ProbeOutcome{Answer::kBad, Cat("no TLS answer ", InTime(check.timeout))};
    if (!secured.ok()) co_return ProbeOutcome{Answer::kBad, std::string(Message(secured))};
  }
  switch (check.kind) {
    case CheckKind::kHttp: co_return co_await ProbeHttp(std::move(stream), std::move(check), deadline);
    case CheckKind::kGrpc: {
      std::string authority = check.host.empty() ? address.ToString() : check.host;
      co_return co_await ProbeGrpc(proactor, std::move(stream), std::move(authority), std::move(check), deadline);
    }
    default: break;
  }
  stream.Reset();  // says nothing that a server would log, and leaves no TIME_WAIT behind
  co_return ProbeOutcome{};
}

}  // namespace fairlead::health
