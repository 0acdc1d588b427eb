#include "runtime-shim/programs/authz_connection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "runtime-shim/programs/authz_properties.h"

namespace fairlead::programs {
namespace {

using nlohmann::json;

constexpr char kAllowed[] =
    "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.plugins.v1.2+json\r\nContent-Length: 14\r\n\r\n"
    "{\"Allow\":true}\n";
// {"Id":"c0ffee","Warnings":[]}
constexpr char kCreated[] = "eyJJZCI6ImMwZmZlZSIsIldhcm5pbmdzIjpbXX0=";

// A call as dockerd 20.10 writes it.
std::string Call(std::string_view path, std::string_view body) {
  return Cat("POST ", path, " HTTP/1.1\r\nHost: \r\nUser-Agent: Go-http-client/1.1\r\nContent-Length: ", body.size(),
             "\r\nAccept: application/vnd.docker.plugins.v1.2+json\r\n\r\n", body);
}
std::string Request(std::string_view method, std::string_view uri) {
  return Call("/AuthZPlugin.AuthZReq", Cat(R"({"RequestMethod":")", method, R"(","RequestUri":")", uri,
                                           R"(","RequestHeaders":{"User-Agent":"Docker-Client/28.2.2"}})", "\n"));
}
std::string Response(std::string_view method, std::string_view uri, int status, std::string_view body) {
  return Call("/AuthZPlugin.AuthZRes",
              Cat(R"({"RequestMethod":")", method, R"(","RequestUri":")", uri, R"(","RequestBody":"eyJJbWFnZSI6ImxhYiJ9",)",
                  R"("RequestHeaders":{"Content-Type":"application/json"},"ResponseStatusCode":)", status,
                  R"(,"ResponseBody":")", body, R"(","ResponseHeaders":{"Api-Version":"1.41"}})", "\n"));
}
std::string Transcript(const std::string& bytes) { return AuthzTranscript(bytes, bytes.size()); }

TEST(AuthzConnection, SaysWhatItIs) {
  EXPECT_EQ(Transcript("POST /Plugin.Activate HTTP/1.1\r\nHost: \r\nContent-Length: 0\r\n\r\n"),
            "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.plugins.v1.2+json\r\nContent-Length: 24\r\n\r\n"
            "{\"Implements\":[\"authz\"]}\n");
}

TEST(AuthzConnection, AsksAtTheRequestOfAStartAndOfARestart) {
  EXPECT_EQ(Transcript(Request("POST", "/v1.41/containers/c0ffee/start")), Cat("ask start c0ffee\n", kAllowed));
  EXPECT_EQ(Transcript(Request("POST", "/containers/shop_web-1/restart?t=5")), Cat("ask start shop_web-1\n", kAllowed));
}

TEST(AuthzConnection, AsksAtTheAnswerToACreate) {
  EXPECT_EQ(Transcript(Response("POST", "/v1.41/containers/create?name=web", 201, kCreated)), Cat("ask create c0ffee\n", kAllowed));
  EXPECT_EQ(Transcript(Response("POST", "/containers/create", 201, kCreated)), Cat("ask create c0ffee\n", kAllowed));
}

TEST(AuthzConnection, ReadsAUriAsGoWritesIt) {
  EXPECT_EQ(Transcript(Response("POST", R"(\/v1.41/containers/create?name=a\u0026platform=)", 201, kCreated)),
            Cat("ask create c0ffee\n", kAllowed));
}

TEST(AuthzConnection, AllowsEverythingElseWithoutAsking) {
  for (const std::string& call : {
           Request("GET", "/v1.41/containers/json"), Request("POST", "/v1.41/containers/create?name=web"),
           Request("POST", "/v1.41/containers/c0ffee/stop"), Request("GET", "/v1.41/containers/c0ffee/start"),
           Request("POST", "/v1.41/containers/a/b/start"), Request("POST", "/v1.41/containers//start"),
           Request("POST", "/v1.41/containers/%2e%2e/start"), Request("POST", "/vx/containers/a/start"),
           Request("POST", "/v1.41/exec/c0ffee/start"), Request("POST", Cat("/containers/", std::string(256, 'a'), "/start")),
           Response("POST", "/v1.41/containers/c0ffee/start", 204, ""), Response("POST", "/v1.41/images/create", 201, kCreated),
           Response("GET", "/v1.41/containers/create", 201, kCreated), Response("POST", "/containers/create", 409, kCreated),
           Response("POST", "/containers/create", 201, "!!!!"), Response("POST", "/containers/create", 201, "e30="),
           Response("POST", "/containers/create", 201, ""), Call("/AuthZPlugin.AuthZReq", ""),
           Call("/AuthZPlugin.AuthZReq", "[1,2"), Call("/AuthZPlugin.AuthZRes", "{}{}"),
           Call("/AuthZPlugin.AuthZReq", R"({"RequestMethod":["POST"],"RequestUri":{"a":1}})")})
    EXPECT_EQ(Transcript(call), kAllowed) << call;
}

TEST(AuthzConnection, DoubtsJsonThatBreaksOff) {
  std::string body = R"({"RequestMethod":"POST","RequestUri":"/containers/a/start")";
  EXPECT_EQ(Transcript(Call("/AuthZPlugin.AuthZReq", body + "}")), Cat("ask start a\n", kAllowed));
  EXPECT_EQ(Transcript(Call("/AuthZPlugin.AuthZReq", body)), kAllowed);
}

TEST(AuthzConnection, TakesAKeyInABodyForNothingItActsUpon) {
  std::string nested = R"({"RequestBody":"x\"RequestUri\":\"/containers/a/start","X":{"RequestUri":"/containers/a/start",)"
                       R"("RequestMethod":"POST"},"Y":[{"RequestUri":"/containers/a/start"}]})";
  EXPECT_EQ(Transcript(Call("/AuthZPlugin.AuthZReq", nested)), kAllowed);
}

TEST(AuthzConnection, FindsTheMarkAmongTheHeaders) {
  AuthzConnection connection;
  std::string call = Call("/AuthZPlugin.AuthZReq", R"({"RequestMethod":"POST","RequestUri":"/containers/a/start",)"
                          R"("RequestHeaders":{"Accept":"x","X-Fairlead":"0123456789abcdef"}})");
  std::string_view bytes = call;
  ASSERT_EQ(connection.Advance(bytes), AuthzConnection::Need::kCall);
  EXPECT_EQ(connection.Take().facts.mark, "0123456789abcdef");
}

TEST(AuthzConnection, KeepsNothingOfALongBody) {
  AuthzConnection connection;
  std::string body = Cat(R"({"RequestMethod":"POST","RequestUri":"/build","RequestBody":")", std::string(6 << 20, 'A'),
                         R"(","ResponseStatusCode":200,"ResponseBody":")", std::string(6 << 20, 'B'), R"("})");
  std::string call = Call("/AuthZPlugin.AuthZRes", body);
  size_t most = 0;
  for (std::string_view bytes = call; !bytes.empty();) {
    std::string_view piece = bytes.substr(0, 65536);
    bytes.remove_prefix(piece.size());
    while (!piece.empty() && connection.Advance(piece) != AuthzConnection::Need::kCall) {}
    most = std::max(most, connection.kept_bytes());
  }
  EXPECT_LT(most, 512u);
  EXPECT_EQ(AnswerTo(connection.Take()) + "\n", kAllowed);
}

TEST(AuthzConnection, KeepsALongAnswerToACreateWithinItsLimit) {
  std::string call = Response("POST", "/containers/create", 201, std::string(1 << 20, 'A'));
  EXPECT_EQ(Transcript(call), kAllowed);
}

TEST(AuthzConnection, AnswersPipelinedCallsInTheirOrder) {
  EXPECT_EQ(Transcript(Request("POST", "/containers/a/start") + Request("GET", "/info") + Request("POST", "/containers/b/restart")),
            Cat("ask start a\n", kAllowed, kAllowed, "ask start b\n", kAllowed));
}

TEST(AuthzConnection, TakesChunksAndSendsContinue) {
  EXPECT_EQ(Transcript("POST /AuthZPlugin.AuthZReq HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked"
                       "\r\n\r\n2\r\n{}\r\n0\r\n\r\n"),
            Cat("continue\n", kAllowed));
}

TEST(AuthzConnection, ClosesAfterWhatIsNoRequestAndAfterConnectionClose) {
  for (std::string garbage : {std::string("SSH-2.0-x\r\n\r\n"), std::string("\x16\x03\x01\0\0\0\r\n", 8), std::string(20000, 'x'),
                              std::string("GET / HTTP/1.1\r\n\r\n")})
    EXPECT_THAT(Transcript(garbage + Request("GET", "/info")), testing::StartsWith("HTTP/1.1 400 ")) << garbage;
  EXPECT_THAT(Transcript("POST /Plugin.Activate HTTP/1.1\r\nHost: \r\nConnection: close\r\n\r\n" + Request("GET", "/info")),
              testing::AllOf(testing::HasSubstr("Connection: close"), testing::Not(testing::HasSubstr("Allow"))));
}

TEST(AuthzConnection, AnswersAnotherPluginsCallWith404AndGoesOn) {
  EXPECT_THAT(Transcript(Call("/NetworkDriver.Join", "{}") + Request("GET", "/info")),
              testing::AllOf(testing::StartsWith("HTTP/1.1 404 "), testing::EndsWith(kAllowed)));
}

TEST(AuthzConnection, WaitsForTheRestOfAPartialCall) {
  std::string call = Request("POST", "/containers/a/start");
  for (size_t n = 0; n < call.size(); n++) ASSERT_EQ(Transcript(call.substr(0, n)), "") << n;
  CheckAuthz(call + call);
}

TEST(AuthzCorpus, HoldsWhateverThePieces) {
  int seen = 0;
  for (const auto& entry : std::filesystem::directory_iterator(FAIRLEAD_AUTHZ_CORPUS)) {
    std::stringstream text;
    text << std::ifstream(entry.path(), std::ios::binary).rdbuf();
    CheckAuthz(text.str());
    seen++;
  }
  EXPECT_GE(seen, 5);
}

TEST(Base64, IsThatOfTheRfcWithPadding) {
  for (auto [text, bytes] : {std::pair("", ""), {"Zg==", "f"}, {"Zm8=", "fo"}, {"Zm9v", "foo"}, {"Zm9vYmFy", "foobar"}})
    EXPECT_EQ(DecodeBase64(text), bytes);
  for (const char* wrong : {"Z", "Zg=", "Zm9v=", "Z===", "Zm9_", "Zm 9"}) EXPECT_EQ(DecodeBase64(wrong), std::nullopt) << wrong;
}

}  // namespace
}  // namespace fairlead::programs
