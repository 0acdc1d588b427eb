#include "runtime-shim/cni_results.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/check.h"
#include "base/strings.h"

namespace fairlead::runtime {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

// As libcni 1.1 writes it; the configuration is {"cniVersion":"1.0.0","name":"web","plugins":[{"type":"bridge"},{"type":"portmap"}]}.
constexpr char kResult[] = R"({"kind":"cniCacheV1","containerId":"default-c1","config":"eyJjbmlWZXJzaW9uIjoiMS4wLjAiLCJuYW1lIjoid2ViIiwicGx1Z2lucyI6W3sidHlwZSI6ImJyaWRnZSJ9LHsidHlwZSI6InBvcnRtYXAifV19",
  "ifName":"eth0","networkName":"web","result":{"cniVersion":"1.0.0","dns":{},
  "interfaces":[{"mac":"aa:aa:aa:aa:aa:01","name":"br0"},{"mac":"02:00:00:00:00:05","name":"eth0","sandbox":"/run/netns/x"}],
  "ips":[{"address":"10.4.0.5/24","gateway":"10.4.0.1","interface":1},{"address":"fd00:4::5/64","interface":1}]}})";

TEST(CniResults, TellsNetworkPluginsAndAddresses) {
  const CniResult result = *ParseCniResult(kResult);
  EXPECT_EQ(result.network, "web");
  EXPECT_EQ(result.container_id, "default-c1");
  EXPECT_EQ(result.interface, "eth0");
  EXPECT_THAT(result.plugins, ElementsAre("bridge", "portmap"));
  EXPECT_THAT(result.addresses, ElementsAre(*InterfaceAddress::Parse("10.4.0.5/24"), *InterfaceAddress::Parse("fd00:4::5/64")));
  EXPECT_EQ(result.mac.ToString(), "02:00:00:00:00:05");
}

TEST(CniResults, TakesTheFormOfOldPlugins) {
  const CniResult result = *ParseCniResult(
      R"({"kind":"cniCacheV1","containerId":"c","networkName":"n","config":"eyJ0eXBlIjoicHRwIn0=","result":{"cniVersion":"0.2.0","ip4":{"ip":"10.4.0.6/24"}}})");
  EXPECT_THAT(result.plugins, ElementsAre("ptp"));
  EXPECT_THAT(result.addresses, ElementsAre(*InterfaceAddress::Parse("10.4.0.6/24")));
}

TEST(CniResults, RefusesWhatIsNone) {
  for (const char* text : {"", "{", "[]", R"({"kind":"other"})", R"({"kind":"cniCacheV1"})", R"({"kind":"cniCacheV1","containerId":5,"networkName":"n"})"})
    EXPECT_FALSE(ParseCniResult(text).ok()) << text;
}

TEST(CniResults, FindsThoseOfAContainer) {
  char folder[] = "/tmp/fairlead-cni-XXXXXX";
  CHECK(mkdtemp(folder) != nullptr);
  auto write = [&](const std::string& name, const std::string& text) { std::ofstream(Cat(folder, "/", name)) << text; };
  auto of = [](const std::string& id) {
    std::string text = kResult;
    return text.replace(text.find("default-c1"), sizeof "default-c1" - 1, id);
  };
  write("web-default-c1-eth0", of("default-c1"));
  write("web-default-c1-2-eth0", of("default-c1-2"));  // the name of the file alone does not tell them apart
  write("web-default-c3-eth0", "");
  EXPECT_THAT(ReadCniResults(folder, "default-c1"), SizeIs(1));
  EXPECT_THAT(ReadCniResults(folder, ""), SizeIs(2));
  EXPECT_THAT(ReadCniResults(folder, "default-c3"), IsEmpty());
  EXPECT_THAT(ReadCniResults(Cat(folder, "/none"), ""), IsEmpty());
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace fairlead::runtime
