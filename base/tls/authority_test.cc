// What an authority issues, seen by OpenSSL's own verification.
#include "base/tls/authority.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/tls/certificate.h"

namespace fairlead::tls {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr Nanos kNow = 1'800'000'000 * kSecond;
constexpr Nanos kDay = 24 * kHour;

Authority Made(const std::string& name = "fleet") {
  auto files = Authority::Make(name, kNow);
  EXPECT_TRUE(files.ok()) << files.status();
  auto authority = Authority::From(*files);
  EXPECT_TRUE(authority.ok()) << authority.status();
  return *authority;
}

CertificateRequest Host1() { return {.who = {Role::kAgent, "host1"}, .names = {"10.0.0.1", "fd00::1", "host1.example.com"}}; }

using StorePointer = std::unique_ptr<X509_STORE, FreeBy<X509_STORE_free>>;
using VerifierPointer = std::unique_ptr<X509_STORE_CTX, FreeBy<X509_STORE_CTX_free>>;

// X509_V_OK, or what is wrong.
int Verified(const std::string& certificate, const std::string& authority, Nanos at_wall) {
  auto leaf = ParseCertificate(certificate, "leaf"), root = ParseCertificate(authority, "root");
  StorePointer store(X509_STORE_new());
  X509_STORE_add_cert(store.get(), root->get());
  VerifierPointer verifier(X509_STORE_CTX_new());
  X509_STORE_CTX_init(verifier.get(), store.get(), leaf->get(), nullptr);
  X509_STORE_CTX_set_time(verifier.get(), 0, at_wall / kSecond);
  X509_STORE_CTX_set_purpose(verifier.get(), X509_PURPOSE_SSL_SERVER);
  X509_verify_cert(verifier.get());
  return X509_STORE_CTX_get_error(verifier.get());
}

TEST(Authority, IssuesWhatOpensslVerifiesForAsLongAsItIsMeantTo) {
  PemPair files = *Authority::Make("fleet", kNow);
  PemPair pair = *Authority::From(files)->Issue(Host1(), kNow);
  EXPECT_EQ(Verified(pair.certificate, files.certificate, kNow), X509_V_OK);
  EXPECT_EQ(Verified(pair.certificate, files.certificate, kNow - kClockSkew), X509_V_OK);
  EXPECT_EQ(Verified(pair.certificate, files.certificate, kNow + 7 * kDay - kSecond), X509_V_OK);
  EXPECT_EQ(Verified(pair.certificate, files.certificate, kNow + 7 * kDay + kSecond), X509_V_ERR_CERT_HAS_EXPIRED);
  EXPECT_EQ(Verified(pair.certificate, Authority::Make("fleet", kNow)->certificate, kNow), X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY);
}

TEST(Authority, ACertificateMayNotIssueOthers) {
  Authority authority = Made();
  PemPair pair = *authority.Issue(Host1(), kNow);
  EXPECT_THAT(Message(Authority::From(pair).status()), HasSubstr("may not issue"));
}

TEST(Authority, ReadsWhatItIssued) {
  Authority authority = Made();
  auto facts = authority.Read(authority.Issue(Host1(), kNow)->certificate, "host1.pem");
  ASSERT_TRUE(facts.ok()) << facts.status();
  EXPECT_EQ(facts->who, (PeerIdentity{Role::kAgent, "host1"}));
  EXPECT_THAT(facts->names, ElementsAre("host1", "10.0.0.1", "fd00::1", "host1.example.com"));
  EXPECT_EQ(facts->from_wall, kNow - kClockSkew);
  EXPECT_EQ(facts->until_wall, kNow + 7 * kDay);
}

TEST(Authority, KeysAndSerialNumbersAreNewEachTime) {
  Authority authority = Made();
  PemPair first = *authority.Issue(Host1(), kNow), second = *authority.Issue(Host1(), kNow);
  EXPECT_NE(first.key, second.key);
  auto one = ParseCertificate(first.certificate, "1"), two = ParseCertificate(second.certificate, "2");
  EXPECT_NE(ASN1_INTEGER_cmp(X509_get0_serialNumber(one->get()), X509_get0_serialNumber(two->get())), 0);
}

TEST(Authority, NothingOutlivesIt) {
  auto files = Authority::Make("fleet", kNow, kDay);
  Authority authority = *Authority::From(*files);
  EXPECT_EQ(authority.Read(authority.Issue(Host1(), kNow)->certificate, "c")->until_wall, kNow + kDay);
  EXPECT_EQ(authority.Issue(Host1(), kNow + kDay).status().code(), StatusCode::kFailedPrecondition);
}

TEST(Authority, SaysWhatIsWrongWithItsFiles) {
  PemPair one = *Authority::Make("one", kNow), two = *Authority::Make("two", kNow);
  EXPECT_THAT(Message(Authority::From({one.certificate, two.key}).status()), HasSubstr("ca.key is not the key of ca.pem"));
  EXPECT_THAT(Message(Authority::From({"x", one.key}).status()), HasSubstr("ca.pem is no certificate in PEM"));
  EXPECT_THAT(Message(Authority::From({one.certificate, ""}).status()), HasSubstr("ca.key is no unencrypted key in PEM"));
}

TEST(Authority, ReadsNoCertificateOfAnother) {
  Authority ours = Made(), theirs = Made();
  EXPECT_THAT(Message(ours.Read(theirs.Issue(Host1(), kNow)->certificate, "host1.pem").status()),
              HasSubstr("host1.pem was not issued by this authority"));
}

TEST(Authority, RenewsInTheLastThird) {
  CertificateFacts facts{.who = {}, .names = {}, .from_wall = kNow, .until_wall = kNow + 9 * kDay};
  EXPECT_FALSE(Authority::ShouldRenew(facts, kNow + 5 * kDay));
  EXPECT_TRUE(Authority::ShouldRenew(facts, kNow + 7 * kDay));
  EXPECT_TRUE(Authority::ShouldRenew(facts, kNow + 20 * kDay));
}

TEST(PeerIdentity, IsReadAsItIsWrittenAndNothingElse) {
  const PeerIdentity who{Role::kConsumer, "lb-1.example.com"};
  EXPECT_EQ(who.ToUri(), "spiffe://fairlead/consumer/lb-1.example.com");
  EXPECT_EQ(PeerIdentity::FromUri(who.ToUri()), who);
  for (const char* other : {"spiffe://fairlead/agent/", "spiffe://fairlead/agent/a/b", "spiffe://other/agent/a", "spiffe://fairlead/root/a",
                            "spiffe://fairlead/agent/a b", ""})
    EXPECT_EQ(PeerIdentity::FromUri(other), std::nullopt) << other;
}

}  // namespace
}  // namespace fairlead::tls
