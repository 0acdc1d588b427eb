// One look at an endpoint: does its port accept, does it answer as the check wants?
#pragma once

#include <string>

#include "base/io/proactor.h"
#include "base/io/task.h"
#include "base/net/socket_address.h"
#include "discovery/row.h"

namespace fairlead::health {

// kRefused: nothing listens there. kSilent: no answer of any sort to the connect, so nothing is known of the
// application: as of a macvlan child, which its own host cannot reach.
enum class Answer : uint8_t { kGood, kBad, kRefused, kSilent };

struct ProbeOutcome {
  Answer answer = Answer::kGood;
  std::string reason = {};         // unless good: "HTTP 500", "connection refused", "no answer within 1s"
};

// HTTP is good with 200 to 399; gRPC with SERVING (grpc.health.v1); else the connect decides.
io::Task<ProbeOutcome> Probe(io::Proactor& proactor, SocketAddress address, discovery::HealthCheck check);

}  // namespace fairlead::health
