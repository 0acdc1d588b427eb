// Client and server engine joined in memory.
#include "base/tls/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/tls/certificate_fixture.h"

namespace fairlead::tls {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using Step = TlsEngine::Step;

std::shared_ptr<const TlsContext> Server(const ServerOptions& options) {
  auto context = TlsContext::Server(options);
  EXPECT_TRUE(context.ok()) << context.status();
  return *context;
}
std::shared_ptr<const TlsContext> Client(const ClientOptions& options) {
  auto context = TlsContext::Client(options);
  EXPECT_TRUE(context.ok()) << context.status();
  return *context;
}

// What one engine has for the other, held while it is read: at most `at_once` bytes a time.
struct Wire {
  std::string waiting, fed;
  void Collect(TlsEngine& from) { waiting += from.TakeSealed().view(); }
  bool Deliver(TlsEngine& to, size_t at_once) {
    if (waiting.empty()) return false;
    fed = waiting.substr(0, at_once);
    waiting.erase(0, fed.size());
    to.Feed(fed);
    return true;
  }
};

struct Pair {
  TlsEngine client, server;
  Wire to_server, to_client;
  size_t at_once = 1 << 20;
  Step client_step = Step::kNeedMore, server_step = Step::kNeedMore;

  Pair(std::shared_ptr<const TlsContext> c, std::shared_ptr<const TlsContext> s)
      : client(std::move(c)), server(std::move(s)) {}
  template <class Pin>
  Pair(std::shared_ptr<const TlsContext> c, std::shared_ptr<const TlsContext> s, Pin pin)
      : Pair(std::move(c), std::move(s)) {
    pin(client);
    Shake();
  }
  // Until both are done, or one has failed and the other was told.
  void Shake() {
    client_step = client.Handshake();
    to_server.Collect(client);
    for (bool moved = true; moved;) {
      moved = false;
      if (server_step == Step::kNeedMore && to_server.Deliver(server, at_once)) {
        server_step = server.Handshake();
        to_client.Collect(server);
        moved = true;
      }
      if (client_step == Step::kNeedMore && to_client.Deliver(client, at_once)) {
        client_step = client.Handshake();
        to_server.Collect(client);
        moved = true;
      }
    }
  }
  bool done() const { return client_step == Step::kDone && server_step == Step::kDone; }

  // Everything that the wire has for `to` as plaintext; the result of the last Read() goes to `*last`.
  std::string ReadAll(TlsEngine& to, Wire& wire, int* last = nullptr) {
    std::string plain;
    uint8_t piece[io::PlainPiece::kBytes];
    for (;;) {
      int got = to.Read(piece, sizeof piece);
      if (last != nullptr) *last = got;
      if (got == io::RecordLayer::kNeedMore) {
        if (!wire.Deliver(to, at_once)) return plain;
      } else if (got <= 0) {
        return plain;
      } else {
        plain.append(reinterpret_cast<char*>(piece), static_cast<size_t>(got));
      }
    }
  }
  std::string Up(const std::string& bytes) {
    EXPECT_TRUE(client.Seal(bytes));
    to_server.Collect(client);
    return ReadAll(server, to_server);
  }
  std::string Down(const std::string& bytes) {
    EXPECT_TRUE(server.Seal(bytes));
    to_client.Collect(server);
    return ReadAll(client, to_client);
  }
};

class TlsEngineTest : public testing::TestWithParam<const char*> {
 protected:
  TlsEngineTest() : web_(folder_.Issue("web", {"web.test", "10.0.0.7"})), wild_(folder_.Issue("wild", {"*.wild.test"})) {
    server_.name = "https";
    server_.certificates = {{web_.cert, web_.key, ""}, {wild_.cert, wild_.key, ""}};
    client_ = {.ca = folder_.ca(), .server_name = "web.test", .verify = true, .cert = "", .key = "", .alpn = {}};
  }
  // With the parameter's version on both sides.
  Pair Shaken() {
    return Pair(Client(client_), Server(server_), [this](TlsEngine& client) { Pin(client); });
  }
  void Pin(TlsEngine& engine) {
    bool old = GetParam() == std::string("1.2");
    SSL_set_max_proto_version(engine.ssl(), old ? TLS1_2_VERSION : TLS1_3_VERSION);
    SSL_set_min_proto_version(engine.ssl(), old ? TLS1_2_VERSION : TLS1_3_VERSION);
  }
  std::string SubjectFor(const std::string& server_name) {
    client_.server_name = server_name;
    client_.verify = false;
    Pair pair = Shaken();
    EXPECT_TRUE(pair.done()) << pair.client.error() << pair.server.error();
    EXPECT_EQ(pair.server.facts().server_name, server_name);
    return pair.client.facts().peer_subject;
  }

  CertificateFolder folder_;
  CertificateFiles web_, wild_;
  ServerOptions server_;
  ClientOptions client_;
};

INSTANTIATE_TEST_SUITE_P(Versions, TlsEngineTest, testing::Values("1.2", "1.3"),
                         [](const auto& info) { return info.param == std::string("1.2") ? "Tls12" : "Tls13"; });

TEST_P(TlsEngineTest, CarriesBytesBothWays) {
  Pair pair = Shaken();
  ASSERT_TRUE(pair.done()) << pair.client.error() << pair.server.error();
  EXPECT_EQ(pair.client.facts().version, Cat("TLSv", GetParam()));
  EXPECT_EQ(pair.Up("request"), "request");
  EXPECT_EQ(pair.Down("answer"), "answer");
}

TEST_P(TlsEngineTest, CertificateIsChosenByServerName) {
  EXPECT_EQ(SubjectFor("web.test"), "/CN=web");
  EXPECT_EQ(SubjectFor("a.wild.test"), "/CN=wild");
  EXPECT_EQ(SubjectFor("A.Wild.Test"), "/CN=wild");
}

TEST_P(TlsEngineTest, WildcardStandsForOneLabel) { EXPECT_EQ(SubjectFor("a.b.wild.test"), "/CN=web"); }

TEST_P(TlsEngineTest, UnknownServerNameGetsTheFirstCertificate) { EXPECT_EQ(SubjectFor("other.test"), "/CN=web"); }

TEST_P(TlsEngineTest, ServerNameThatIsAnAddressIsVerifiedAndNotSent) {
  client_.server_name = "10.0.0.7";
  Pair pair = Shaken();
  ASSERT_TRUE(pair.done()) << pair.client.error();
  EXPECT_EQ(pair.server.facts().server_name, "");
}

TEST_P(TlsEngineTest, ProtocolIsTheServersFirstThatTheClientKnows) {
  server_.alpn = {"http/1.1", "acme"};
  client_.alpn = {"acme", "http/1.1"};
  Pair pair = Shaken();
  ASSERT_TRUE(pair.done());
  EXPECT_EQ(pair.server.facts().alpn, "http/1.1");
  EXPECT_EQ(pair.client.facts().alpn, "http/1.1");
}

TEST_P(TlsEngineTest, ClientWithoutACommonProtocolIsRefused) {
  server_.alpn = {"http/1.1"};
  client_.alpn = {"h2"};
  Pair pair = Shaken();
  EXPECT_EQ(pair.server_step, Step::kFailed);
  EXPECT_THAT(std::string(Message(pair.client.error())), HasSubstr("no application protocol"));
}

TEST_P(TlsEngineTest, ClientWithoutProtocolsIsServed) {
  server_.alpn = {"http/1.1"};
  Pair pair = Shaken();
  EXPECT_TRUE(pair.done());
  EXPECT_EQ(pair.server.facts().alpn, "");
}

TEST_P(TlsEngineTest, ClientCertificateIsAccepted) {
  server_.client_ca = folder_.ca();
  CertificateFiles me = folder_.Issue("me", {"me.test"});
  client_.cert = me.cert;
  client_.key = me.key;
  Pair pair = Shaken();
  ASSERT_TRUE(pair.done()) << pair.server.error();
  EXPECT_EQ(pair.server.facts().peer_subject, "/CN=me");
  EXPECT_EQ(pair.Up("request"), "request");
}

TEST_P(TlsEngineTest, ClientWithoutCertificateIsRefused) {
  server_.client_ca = folder_.ca();
  Pair pair = Shaken();
  EXPECT_EQ(pair.server_step, Step::kFailed);
  EXPECT_THAT(std::string(Message(pair.server.error())), HasSubstr("peer did not return a certificate"));
}

TEST_P(TlsEngineTest, ClientCertificateOfAnotherAuthorityIsRefused) {
  CertificateFolder others("another authority");
  CertificateFiles me = others.Issue("me", {"me.test"});
  server_.client_ca = folder_.ca();
  client_.cert = me.cert;
  client_.key = me.key;
  Pair pair = Shaken();
  EXPECT_EQ(pair.server_step, Step::kFailed);
  EXPECT_THAT(std::string(Message(pair.server.error())), HasSubstr("the client's certificate is refused: unable to"));
}

TEST_P(TlsEngineTest, ServerOfAnotherAuthorityIsRefused) {
  CertificateFolder others("another authority");
  client_.ca = others.ca();
  Pair pair = Shaken();
  EXPECT_EQ(pair.client_step, Step::kFailed);
  EXPECT_THAT(std::string(Message(pair.client.error())),
              AllOf(HasSubstr("the server's certificate is refused"), HasSubstr("set tls.ca")));
  EXPECT_EQ(pair.server_step, Step::kFailed);  // it was told
}

TEST_P(TlsEngineTest, ServerWithAnotherNameIsRefused) {
  client_.server_name = "elsewhere.test";
  Pair pair = Shaken();
  EXPECT_EQ(pair.client_step, Step::kFailed);
  EXPECT_THAT(std::string(Message(pair.client.error())), HasSubstr("not for elsewhere.test; set tls.server_name"));
}

TEST_P(TlsEngineTest, ExpiredServerIsRefused) {
  CertificateFiles old = folder_.Issue("old", {"web.test"}, -1);
  server_.certificates = {{old.cert, old.key, ""}};
  Pair pair = Shaken();
  EXPECT_THAT(std::string(Message(pair.client.error())), HasSubstr("certificate has expired; renew it at the server"));
}

TEST_P(TlsEngineTest, AServerThatSpeaksNoTlsIsSaidToBeNone) {
  TlsEngine client(Client(client_));
  EXPECT_EQ(client.Handshake(), Step::kNeedMore);
  client.Feed("HTTP/1.1 400 Bad Request\r\n\r\n");
  EXPECT_EQ(client.Handshake(), Step::kFailed);
  EXPECT_THAT(std::string(Message(client.error())), HasSubstr("what came is no TLS"));
}

TEST_P(TlsEngineTest, UnverifiedServerIsTaken) {
  client_ = {.ca = "", .server_name = "", .verify = false, .cert = "", .key = "", .alpn = {}};
  EXPECT_TRUE(Shaken().done());
}

TEST_P(TlsEngineTest, StapleOfTheChosenCertificateIsSent) {
  std::string response = "not looked into by the server";
  server_.certificates[1].ocsp = folder_.WriteText("wild.ocsp", response);
  client_.server_name = "a.wild.test";
  Pair pair(Client(client_), Server(server_));
  Pin(pair.client);
  SSL_set_tlsext_status_type(pair.client.ssl(), TLSEXT_STATUSTYPE_ocsp);
  pair.Shake();
  ASSERT_TRUE(pair.done());
  const unsigned char* got = nullptr;
  long bytes = SSL_get_tlsext_status_ocsp_resp(pair.client.ssl(), &got);  // NOLINT: OpenSSL's type
  ASSERT_GT(bytes, 0);
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(got), static_cast<size_t>(bytes)), response);
}

// A session of `first`, offered to `second`.
bool Resumes(const ClientOptions& client, const ServerOptions& first, const ServerOptions& second, auto pin) {
  auto context = Client(client);
  Pair one(context, Server(first));
  pin(one.client);
  one.Shake();
  EXPECT_TRUE(one.done());
  EXPECT_EQ(one.Down("answer"), "answer");  // with the tickets of TLS 1.3
  SSL_SESSION* session = SSL_get1_session(one.client.ssl());
  Pair two(context, Server(second));
  pin(two.client);
  SSL_set_session(two.client.ssl(), session);
  SSL_SESSION_free(session);
  two.Shake();
  EXPECT_TRUE(two.done()) << two.client.error() << two.server.error();
  EXPECT_EQ(two.client.facts().resumed, two.server.facts().resumed);
  return two.server.facts().resumed;
}

TEST_P(TlsEngineTest, SessionIsResumedByAnotherContextWithTheSameKeys) {
  SystemRandom random;
  server_.ticket_keys = TicketKeys::Make(random);
  EXPECT_TRUE(Resumes(client_, server_, server_, [&](TlsEngine& e) { Pin(e); }));
}

TEST_P(TlsEngineTest, SessionIsNotResumedWithOtherKeys) {
  EXPECT_FALSE(Resumes(client_, server_, server_, [&](TlsEngine& e) { Pin(e); }));
}

TEST_P(TlsEngineTest, SessionOfAListenerWithoutClientCertificatesDoesNotOpenOneThatAsksForThem) {
  SystemRandom random;
  server_.ticket_keys = TicketKeys::Make(random);
  ServerOptions strict = server_;
  strict.client_ca = folder_.ca();
  CertificateFiles me = folder_.Issue("me", {"me.test"});
  client_.cert = me.cert;
  client_.key = me.key;
  EXPECT_FALSE(Resumes(client_, server_, strict, [&](TlsEngine& e) { Pin(e); }));
}

TEST_P(TlsEngineTest, BytesMayComeOneByOne) {
  Pair pair(Client(client_), Server(server_));
  Pin(pair.client);
  pair.at_once = 1;
  pair.Shake();
  ASSERT_TRUE(pair.done());
  EXPECT_EQ(pair.Up("request"), "request");
  EXPECT_EQ(pair.Down("answer"), "answer");
}

TEST_P(TlsEngineTest, LargeContentGoesInManyRecords) {
  Pair pair = Shaken();
  std::string large(1'000'003, '\0');
  for (size_t i = 0; i < large.size(); i++) large[i] = static_cast<char>((i * 2654435761u) >> 13);
  EXPECT_TRUE(pair.Up(large) == large);
  EXPECT_TRUE(pair.Down(large) == large);
}

TEST_P(TlsEngineTest, SmallRecordsComeTogetherInOnePiece) {
  Pair pair = Shaken();
  for (const char* part : {"a", "b", "c"}) ASSERT_TRUE(pair.client.Seal(part));
  pair.to_server.Collect(pair.client);
  pair.to_server.Deliver(pair.server, pair.at_once);
  uint8_t piece[64];
  ASSERT_EQ(pair.server.Read(piece, sizeof piece), 3);
  EXPECT_EQ(std::string(reinterpret_cast<char*>(piece), 3), "abc");
}

TEST_P(TlsEngineTest, EndComesBehindTheBytesAndStays) {
  Pair pair = Shaken();
  ASSERT_TRUE(pair.server.Seal("last"));
  pair.server.SealEnd();
  pair.to_client.Collect(pair.server);
  int last = -1;
  EXPECT_EQ(pair.ReadAll(pair.client, pair.to_client, &last), "last");
  EXPECT_EQ(last, 0);
  EXPECT_EQ(pair.ReadAll(pair.client, pair.to_client, &last), "");
  EXPECT_EQ(last, 0);
  EXPECT_FALSE(pair.server.Seal("more"));
}

TEST_P(TlsEngineTest, TheOtherDirectionGoesOnAfterAnEnd) {
  Pair pair = Shaken();
  pair.client.SealEnd();
  pair.to_server.Collect(pair.client);
  EXPECT_EQ(pair.ReadAll(pair.server, pair.to_server), "");
  EXPECT_EQ(pair.Down("answer"), "answer");
}

TEST_P(TlsEngineTest, ChangedByteIsAnErrorAndTheBytesBeforeItCount) {
  Pair pair = Shaken();
  ASSERT_TRUE(pair.client.Seal("whole"));
  pair.to_server.Collect(pair.client);
  size_t first = pair.to_server.waiting.size();
  ASSERT_TRUE(pair.client.Seal("broken"));
  pair.to_server.Collect(pair.client);
  pair.to_server.waiting[first + 10] ^= 1;
  int last = 0;
  EXPECT_EQ(pair.ReadAll(pair.server, pair.to_server, &last), "whole");
  EXPECT_EQ(last, -EPROTO);
  EXPECT_TRUE(pair.server.has_sealed());  // the alert
  EXPECT_FALSE(pair.server.Seal("more"));
}

TEST_P(TlsEngineTest, WhatIsNoTlsFailsTheHandshake) {
  TlsEngine server(Server(server_));
  server.Feed("GET / HTTP/1.1\r\nHost: web.test\r\n\r\n");
  EXPECT_EQ(server.Handshake(), Step::kFailed);
  EXPECT_THAT(std::string(Message(server.error())), HasSubstr("http request"));
}

TEST_P(TlsEngineTest, MinimumVersionHolds) {
  server_.min_version = "1.3";
  EXPECT_EQ(Shaken().done(), GetParam() == std::string("1.3"));
}

class TlsKeyUpdateTest : public TlsEngineTest {};
INSTANTIATE_TEST_SUITE_P(Versions, TlsKeyUpdateTest, testing::Values("1.3"));

TEST_P(TlsKeyUpdateTest, RequestedUpdateIsAnsweredByTheNextSend) {
  Pair pair = Shaken();
  ASSERT_EQ(SSL_key_update(pair.client.ssl(), SSL_KEY_UPDATE_REQUESTED), 1);
  EXPECT_EQ(pair.Up("under new keys"), "under new keys");
  EXPECT_EQ(pair.Down("under new keys too"), "under new keys too");
  EXPECT_EQ(pair.Up("and on"), "and on");
}

TEST(TlsContext, SaysWhichFileCannotBeRead) {
  Status status = TlsContext::Server({.name = "", .certificates = {{"/nowhere/a.pem", "", ""}}, .alpn = {}, .client_ca = "",
                                      .ticket_keys = nullptr}).status();
  EXPECT_THAT(std::string(Message(status)), HasSubstr("/nowhere/a.pem"));
  EXPECT_EQ(status.code(), StatusCode::kNotFound);
}

std::string FaultOf(CertificateSource source) {
  ServerOptions options;
  options.certificates = {std::move(source)};
  return std::string(Message(TlsContext::Server(options).status()));
}

TEST(TlsContext, SaysWhichKeyDoesNotMatch) {
  CertificateFolder folder;
  CertificateFiles a = folder.Issue("a", {"a.test"}), b = folder.Issue("b", {"b.test"});
  EXPECT_THAT(FaultOf({a.cert, b.key, ""}), HasSubstr(Cat("key ", b.key, " does not match certificate ", a.cert)));
}

TEST(TlsContext, SaysWhatAFileLacks) {
  CertificateFolder folder;
  CertificateFiles a = folder.Issue("a", {"a.test"});
  EXPECT_THAT(FaultOf({folder.WriteText("empty", ""), a.key, ""}), HasSubstr("empty holds no certificate"));
  EXPECT_THAT(FaultOf({a.cert, a.cert, ""}), HasSubstr("a.pem holds no private key"));
  EXPECT_THAT(FaultOf({a.cert, "", ""}), HasSubstr("a.pem holds no private key"));
  EXPECT_THAT(FaultOf({folder.WriteText("torn", "-----BEGIN CERTIFICATE-----\nMIIB\n"), a.key, ""}),
              HasSubstr("torn: certificate 1 is malformed"));
}

TEST(TlsContext, SaysWhereItLookedForARelativePath) {
  EXPECT_THAT(FaultOf({"nowhere.pem", "", ""}), AllOf(HasSubstr("read nowhere.pem: no such file in /"), HasSubstr("absolute path")));
}

TEST(TlsContext, SaysThatAKeyIsLocked) {
  CertificateFolder folder;
  CertificateFiles a = folder.Issue("a", {"a.test"});
  std::string locked = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n";
  EXPECT_THAT(FaultOf({a.cert, folder.WriteText("locked", locked), ""}), HasSubstr("the private key has a pass phrase"));
}

TEST(TlsContext, RefusesACertificateThatWouldNeverBeShown) {
  CertificateFolder folder;
  auto fault = [&](const CertificateFiles& first, const CertificateFiles& second) {
    ServerOptions options;
    options.certificates = {{first.cert, first.key, ""}, {second.cert, second.key, ""}};
    return std::string(Message(TlsContext::Server(options).status()));
  };
  CertificateFiles two = folder.Issue("two", {"a.test", "b.test"}), one = folder.Issue("one", {"a.test"});
  EXPECT_THAT(fault(two, one), HasSubstr(Cat("certificate ", one.cert, " would never be shown: earlier ones have all of its names (a.test)")));
  EXPECT_EQ(fault(one, two), "");
}

TEST(TlsContext, CertificateAndKeyMayShareAFile) {
  CertificateFolder folder;
  CertificateFiles a = folder.Issue("a", {"a.test"});
  std::string both;
  for (const std::string& path : {a.key, a.cert}) {
    FILE* file = fopen(path.c_str(), "re");
    char text[8192];
    both.append(text, fread(text, 1, sizeof text, file));
    fclose(file);
  }
  EXPECT_EQ(FaultOf({folder.WriteText("both.pem", both), "", ""}), "");
}

TEST(TlsContext, NeedsANameToVerify) {
  Status status = TlsContext::Client({}).status();
  EXPECT_THAT(std::string(Message(status)), HasSubstr("server_name is missing"));
}

}  // namespace
}  // namespace fairlead::tls
