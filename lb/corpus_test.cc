// Every input of the fuzz corpora through the functions of the fuzz targets, in ordinary builds.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "lb/fuzz_properties.h"

namespace fairlead::lb {
namespace {

// Gives how many inputs there were.
int RunCorpus(const char* name, void (*check)(std::string_view)) {
  int inputs = 0;
  for (const auto& entry : std::filesystem::directory_iterator(std::filesystem::path(FAIRLEAD_LB_CORPUS) / name)) {
    SCOPED_TRACE(entry.path().string());
    std::ifstream file(entry.path(), std::ios::binary);
    check(std::string(std::istreambuf_iterator<char>(file), {}));
    ++inputs;
  }
  return inputs;
}

TEST(Corpus, ProxyHeaders) { EXPECT_GE(RunCorpus("proxy_header_fuzz", CheckProxyHeader), 20); }
TEST(Corpus, ClientHellos) { EXPECT_GE(RunCorpus("client_hello_fuzz", CheckClientHello), 12); }
TEST(Corpus, ForwardedRequests) { EXPECT_GE(RunCorpus("forward_request_fuzz", CheckForwardedRequest), 12); }
TEST(Corpus, ForwardedResponses) { EXPECT_GE(RunCorpus("forward_response_fuzz", CheckForwardedResponse), 12); }

// As a common client sends it.
TEST(Corpus, TheClientHelloOfOpensslIsRead) {
  std::ifstream file(std::filesystem::path(FAIRLEAD_LB_CORPUS) / "client_hello_fuzz/openssl_tls13", std::ios::binary);
  std::string bytes(std::istreambuf_iterator<char>(file), {});
  ClientHello hello;
  ASSERT_EQ(ParseClientHello(bytes, hello), ClientHelloParse::kOk);
  EXPECT_EQ(hello.server_name, "shop.example.com");
  EXPECT_TRUE(hello.Offers("h2"));
}

}  // namespace
}  // namespace fairlead::lb
