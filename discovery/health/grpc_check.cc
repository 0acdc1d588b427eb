#include "discovery/health/grpc_check.h"

#include "base/grpc/call.h"
#include "base/strings.h"

namespace fairlead::health {
namespace {

constexpr size_t kMaxAnswerBytes = 4096;  // a HealthCheckResponse has 2
constexpr size_t kShownBytes = 200;       // of what the server says of its failure

}  // namespace

io::Task<Status> CheckGrpc(io::Stream stream, std::string authority, std::string service) {
  grpc::Request request{.method = "/grpc.health.v1.Health/Check", .message = EncodeHealthRequest(service),
                        .authority = std::move(authority), .max_answer = kMaxAnswerBytes};
  CO_ASSIGN_OR_RETURN(std::unique_ptr<grpc::Call> call, co_await grpc::Call::Over(std::move(stream), std::move(request)));
  StatusOr<std::optional<std::string>> answer = co_await call->Next();
  if (answer.ok() && *answer) {
    StatusOr<std::optional<std::string>> end = co_await call->Next();
    if (!end.ok()) answer = end.status();
  }
  if (const std::string& status = call->grpc_status(); !status.empty() && status != "0")
    co_return FailedPrecondition("grpc-status ", status, call->grpc_message().empty() ? "" : ": ", call->grpc_message().substr(0, kShownBytes));
  CO_RETURN_IF_ERROR(answer.status());
  if (!*answer) co_return DataLoss("an answer without a message");
  co_return DecodeHealthResponse(**answer);
}

std::string EncodeHealthRequest(std::string_view service) {
  std::string message;
  if (!service.empty()) {
    message.push_back('\x0a');  // field 1, text
    for (size_t left = service.size(); ; left >>= 7) {
      const bool more = left >= 0x80;
      message.push_back(static_cast<char>((left & 0x7f) | (more ? 0x80 : 0)));
      if (!more) break;
    }
    message.append(service);
  }
  return message;
}

Status DecodeHealthResponse(std::string_view message) {
  // proto3 leaves a zero out: UNKNOWN is the empty message.
  const int status = message.size() >= 2 && message[0] == '\x08' ? static_cast<unsigned char>(message[1]) : 0;
  switch (status) {
    case 1: return OkStatus();
    case 2: return FailedPrecondition("NOT_SERVING");
    case 3: return FailedPrecondition("SERVICE_UNKNOWN");
    default: return FailedPrecondition("serving status ", status);
  }
}

}  // namespace fairlead::health
