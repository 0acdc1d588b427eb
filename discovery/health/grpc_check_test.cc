// The health call against a server of the same HTTP/2 library; tests/engines/health_test.py has a real gRPC server.
#include "discovery/health/grpc_check.h"

#include <gmock/gmock.h>

#include "base/grpc/test_server.h"
#include "base/http/peer_test_util.h"
#include "discovery/health/probe.h"

namespace fairlead::health {
namespace {

TEST(GrpcMessages, RequestNamesTheService) {
  EXPECT_EQ(EncodeHealthRequest(""), "");
  EXPECT_EQ(EncodeHealthRequest("shop"), "\x0a\4shop");
  const std::string request = EncodeHealthRequest(std::string(300, 'x'));
  EXPECT_EQ(request.substr(0, 3), "\x0a\xac\2");
  EXPECT_EQ(request.size(), 3 + 300);
}

TEST(GrpcMessages, ResponseSaysWhetherItServes) {
  EXPECT_TRUE(DecodeHealthResponse("\x08\1").ok());
  EXPECT_EQ(Message(DecodeHealthResponse("\x08\2")), "NOT_SERVING");
  EXPECT_EQ(Message(DecodeHealthResponse("\x08\3")), "SERVICE_UNKNOWN");
  EXPECT_EQ(Message(DecodeHealthResponse("")), "serving status 0");
}

class GrpcCheck : public http::OnProactor {
 protected:
  ProbeOutcome Ask(std::string answer, std::string grpc_status) {
    io::Listener listener = Listen();
    grpc::TestServer server(std::move(answer), std::move(grpc_status), "unknown service");
    group().Spawn(server.Serve(listener));
    ProbeOutcome outcome = Run(Probe(proactor(), listener.address(), {.kind = discovery::CheckKind::kGrpc, .target = "shop"}));
    EXPECT_TRUE(Until([this] { return group().live() == 0; }));
    EXPECT_EQ(server.asked, grpc::Framed(EncodeHealthRequest("shop")));
    return outcome;
  }
};
INSTANTIATE_TEST_SUITE_P(, GrpcCheck, testing::Values(io::IoBackend::kEpoll, io::IoBackend::kUring), http::IoBackendName);

TEST_P(GrpcCheck, ServingIsGood) { EXPECT_EQ(Ask(grpc::Framed("\x08\1"), "0").answer, Answer::kGood); }

TEST_P(GrpcCheck, NotServingIsBad) {
  ProbeOutcome outcome = Ask(grpc::Framed("\x08\2"), "0");
  EXPECT_EQ(outcome.answer, Answer::kBad);
  EXPECT_EQ(outcome.reason, "gRPC: NOT_SERVING");
}

TEST_P(GrpcCheck, AnErrorOfTheCallIsBadAndNamed) {
  ProbeOutcome outcome = Ask("", "5");
  EXPECT_EQ(outcome.answer, Answer::kBad);
  EXPECT_EQ(outcome.reason, "gRPC: grpc-status 5: unknown service");
}

}  // namespace
}  // namespace fairlead::health
