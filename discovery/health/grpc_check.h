// A call of grpc.health.v1.Health/Check over a connection that is there.
// https://github.com/grpc/grpc/blob/master/doc/health-checking.md
#pragma once

#include <string>
#include <string_view>

#include "base/io/stream.h"
#include "base/io/task.h"
#include "base/status.h"

namespace fairlead::health {

// OK: SERVING. FailedPrecondition: it answered otherwise ("NOT_SERVING", "grpc-status 5: unknown service"). Other codes: no
// such answer came. The caller sets the deadline.
io::Task<Status> CheckGrpc(io::Stream stream, std::string authority, std::string service);

// The message HealthCheckRequest, and what a HealthCheckResponse says.
std::string EncodeHealthRequest(std::string_view service);
Status DecodeHealthResponse(std::string_view message);

}  // namespace fairlead::health
