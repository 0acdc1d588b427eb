#include "runtime-shim/cni.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

#include "runtime-shim/attach_fixture.h"

namespace fairlead::runtime {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class CniTest : public AttachTest {
 protected:
  Json Config() const { return {{"cniVersion", "1.0.0"}, {"name", "podnet"}, {"type", "fairlead"}, {"pool", "shop"}, {"bridge", "br100"}}; }
  Json IpamConfig() const {
    return {{"cniVersion", "1.0.0"}, {"name", "podnet"}, {"type", "macvlan"}, {"master", "eth0"},
            {"ipam", {{"type", "fairlead"}, {"pool", "shop"}}}};
  }
  Json Request(std::string command, std::string container, std::string name, Json config) const {
    return {{"command", std::move(command)},
            {"container_id", container},
            {"netns", "/run/netns/" + container},
            {"ifname", "eth0"},
            {"args", name.empty() ? "IgnoreUnknown=1" : "IgnoreUnknown=1;K8S_POD_NAME=" + name},
            {"config", std::move(config)}};
  }
  Json Call(Json request) {
    CniPlugin plugin({*worker_.proactor, *attachments_, offload_, worker_.folder + "/nerdctl"});
    return *worker_.Run(plugin.Handle(std::move(request)));
  }
  Json Add(const std::string& container, const std::string& name) { return Call(Request("ADD", container, name, Config())); }
  Json Delete(const std::string& container, const std::string& name) { return Call(Request("DEL", container, name, Config())); }
  static std::string FirstIp(const Json& answer) {
    return answer.contains("result") ? answer["result"]["ips"][0].value("address", "") : answer.dump();
  }
  static int Code(const Json& answer) { return answer.contains("error") ? answer["error"]["code"].get<int>() : 0; }
  static std::string Words(const Json& answer) { return answer.contains("error") ? answer["error"]["msg"].get<std::string>() : ""; }
};

TEST_F(CniTest, AddGivesInterfacesAddressesOfBothFamiliesAndRoutes) {
  const Json result = Add("a", "web")["result"];
  EXPECT_EQ(result["cniVersion"], "1.0.0");
  ASSERT_THAT(result["interfaces"], SizeIs(3));
  EXPECT_EQ(result["interfaces"][2]["name"], "eth0");
  EXPECT_EQ(result["interfaces"][2]["sandbox"], "/run/netns/a");
  ASSERT_THAT(result["ips"], SizeIs(2));
  EXPECT_EQ(result["ips"][0]["gateway"], "10.40.0.1");
  EXPECT_EQ(result["ips"][1]["gateway"], "fd00:40::1");
  EXPECT_EQ(result["ips"][0]["interface"], 2);
  EXPECT_FALSE(result["ips"][0].contains("version")) << "since 1.0 the address alone tells its family";
  EXPECT_EQ(result["routes"][0]["dst"], "0.0.0.0/0");
  const auto& placed = driver_.placed.at("cni:a/eth0");
  EXPECT_EQ(placed.netns, "/run/netns/a");
  EXPECT_EQ(placed.interface, "eth0");
  EXPECT_EQ(placed.name_server.ToString(), "169.254.53.53");
  EXPECT_EQ(driver_.networks.at("cni:podnet").bridge, "br100");
  EXPECT_EQ(driver_.announced.at("cni:a/eth0"), 1);
}

TEST_F(CniTest, OlderVersionsSayTheFamilyOfAnAddress) {
  Json config = Config();
  config["cniVersion"] = "0.4.0";
  const Json result = Call(Request("ADD", "a", "web", config))["result"];
  EXPECT_EQ(result["ips"][0]["version"], "4");
  EXPECT_EQ(result["ips"][1]["version"], "6");
}

TEST_F(CniTest, ANameKeepsItsAddressOverStopStartRemoveAndRename) {
  const std::string first = FirstIp(Add("a", "web"));
  Delete("a", "web");
  EXPECT_FALSE(AttachedAt(first.substr(0, first.find('/'))));
  EXPECT_EQ(FirstIp(Add("b", "web")), first) << "another container of the name";
  Delete("b", "web");
  EXPECT_NE(FirstIp(Add("a", "other")), first) << "the name has left, the address stays its own";
  Delete("a", "other");
  EXPECT_EQ(FirstIp(Add("a", "web")), first);
}

TEST_F(CniTest, AddingAgainIsAddingOnce) {
  const Json first = Add("a", "web");
  EXPECT_EQ(Add("a", "web"), first);
  EXPECT_THAT(driver_.endpoints, SizeIs(1));
}

TEST_F(CniTest, DeleteSucceedsAgainAndForWhatNeverWas) {
  Add("a", "web");
  for (int i = 0; i < 2; ++i) EXPECT_EQ(Delete("a", "web"), Json({{"result", Json::object()}}));
  Json request = Request("DEL", "never-was", "", Config());
  request["netns"] = "";
  EXPECT_EQ(Code(Call(request)), 0);
  EXPECT_THAT(driver_.endpoints, IsEmpty());
}

TEST_F(CniTest, DeleteWorksAfterTheRecordsWereLost) {
  const std::string ip = FirstIp(Add("a", "web"));
  store_->Remove("a/eth0").IgnoreError();
  Attachments::Parts parts{.proactor = *worker_.proactor, .ipam = ipam_, .store = *store_, .store_thread = offload_, .driver = driver_,
                           .network_thread = offload_, .probe_thread = offload_, .namespace_there = [](const std::string&) { return true; }};
  attachments_ = std::make_unique<Attachments>("host1", "", IpAddress(), parts);  // not started: the kernel still has the interface
  Delete("a", "web");
  EXPECT_THAT(driver_.endpoints, IsEmpty());
  EXPECT_FALSE(AttachedAt(ip.substr(0, ip.find('/'))));
}

TEST_F(CniTest, DeleteWorksAfterARestart) {
  const std::string ip = FirstIp(Add("a", "web"));
  Restart();
  EXPECT_TRUE(attachments_->Uses(*IpAddress::Parse(ip.substr(0, ip.find('/')))));
  Delete("a", "");
  EXPECT_THAT(driver_.endpoints, IsEmpty());
  EXPECT_FALSE(AttachedAt(ip.substr(0, ip.find('/'))));
}

TEST_F(CniTest, StartDetachesWhatARebootTookAndRemovesWhatNobodyKnows) {
  const std::string ip = FirstIp(Add("a", "web"));
  NamespaceGoes("/run/netns/a");
  driver_.endpoints["cni:lost/eth0"] = {.id = "cni:lost/eth0"};
  driver_.endpoints["e1f2"] = {.id = "e1f2"};
  Restart();
  EXPECT_FALSE(AttachedAt(ip.substr(0, ip.find('/'))));
  EXPECT_THAT(attachments_->records(), IsEmpty());
  EXPECT_FALSE(driver_.endpoints.contains("cni:lost/eth0"));
  EXPECT_TRUE(driver_.endpoints.contains("e1f2")) << "of another engine";
}

TEST_F(CniTest, AFailedAddLeavesNothingAttachedAndTheNextOneGetsTheSameAddress) {
  driver_.place_fails = Internal("planted");
  const Json failed = Add("a", "web");
  EXPECT_EQ(Code(failed), 5);
  EXPECT_THAT(driver_.endpoints, IsEmpty());
  EXPECT_THAT(attachments_->records(), IsEmpty());
  std::string address;
  for (const ipam::Lease& lease : ipam_.Leases()) {
    EXPECT_FALSE(lease.attached);
    if (lease.ip.is_v4()) address = Cat(lease.ip.ToString(), "/24");
  }
  EXPECT_EQ(FirstIp(Add("a", "web")), address);
}

TEST_F(CniTest, MovesAnInterfaceThatAnEarlierLifeLeftInAnotherNamespace) {
  Add("a", "web");
  driver_.place_fails = NotFound("not in this namespace");
  EXPECT_EQ(Code(Add("a", "web")), 0);
}

TEST_F(CniTest, AnotherContainerOfALiveNameIsRefusedWithItsHolder) {
  Add("a", "web");
  const Json refused = Add("b", "web");
  EXPECT_EQ(Code(refused), 101);
  EXPECT_THAT(Words(refused), HasSubstr("is in use by container a"));
  EXPECT_TRUE(driver_.endpoints.contains("cni:a/eth0"));
}

TEST_F(CniTest, ANameWhoseEndWasNotToldIsTakenOverOnceItsNamespaceIsGone) {
  const std::string first = FirstIp(Add("a", "web"));
  NamespaceGoes("/run/netns/a");
  EXPECT_EQ(FirstIp(Add("b", "web")), first);
  EXPECT_FALSE(attachments_->records().contains("a/eth0"));
  Delete("a", "web");  // late
  EXPECT_TRUE(AttachedAt(first.substr(0, first.find('/')))) << "it is b's now";
}

TEST_F(CniTest, ANameThatAnotherEngineUsesIsRefused) {
  const Json first = Add("a", "web");
  Delete("a", "web");
  const ipam::LeaseKey key{"podnet", "host1", "web", false};
  ASSERT_TRUE(worker_.Run(ipam_.Acquire({.pool = "shop", .key = key})).ok());
  elsewhere_ = {key};
  const Json refused = Add("a", "web");
  EXPECT_EQ(Code(refused), 101);
  EXPECT_THAT(Words(refused), HasSubstr("is in use by container web of Docker; stop that one"));
  EXPECT_TRUE(AttachedAt(FirstIp(first).substr(0, FirstIp(first).find('/')))) << "the refused one's end is not the holder's";
}

TEST_F(CniTest, HonoursAddressAndMacOfArgumentsAndOfRuntimeConfig) {
  Json request = Request("ADD", "a", "web", Config());
  request["args"] = "IgnoreUnknown=1;K8S_POD_NAME=web;IP=10.40.0.77;MAC=02:00:00:00:00:77";
  const Json by_args = Call(request)["result"];
  EXPECT_EQ(by_args["ips"][0]["address"], "10.40.0.77/24");
  EXPECT_EQ(by_args["interfaces"][2]["mac"], "02:00:00:00:00:77");
  Json config = Config();
  config["runtimeConfig"] = {{"ips", {"10.40.0.78/24", "fd00:40::78"}}, {"mac", "02:00:00:00:00:78"},
                             {"portMappings", {{{"hostPort", 80}}}}, {"aliases", {{"podnet", {"x"}}}}};
  const Json by_runtime = Call(Request("ADD", "b", "db", config))["result"];
  EXPECT_EQ(by_runtime["ips"][0]["address"], "10.40.0.78/24");
  EXPECT_EQ(by_runtime["ips"][1]["address"], "fd00:40::78/64");
}

TEST_F(CniTest, ATakenAddressIsRefusedWithItsHoldersName) {
  Json request = Request("ADD", "a", "web", Config());
  request["args"] = "K8S_POD_NAME=web;IP=10.40.0.77";
  Call(request);
  Json second = Request("ADD", "b", "db", Config());
  second["args"] = "K8S_POD_NAME=db;IP=10.40.0.77";
  const Json refused = Call(second);
  EXPECT_EQ(Code(refused), 101);
  EXPECT_THAT(Words(refused), HasSubstr("web"));
  EXPECT_EQ(attachments_->records().size(), 1u);
}

TEST_F(CniTest, AnAddressOfAFamilyThatThePoolHasNotIsRefused) {
  ASSERT_TRUE(worker_.Run(ipam_.PutPool({.name = "old", .prefixes = {{.prefix = *Prefix::Parse("10.41.0.0/24")}}})).ok());
  Json config = Config();
  config["pool"] = "old";
  config["runtimeConfig"] = {{"ips", {"fd00:41::7/64"}}};
  const Json refused = Call(Request("ADD", "a", "web", config));
  EXPECT_EQ(Code(refused), 7);
  EXPECT_THAT(Words(refused), HasSubstr("address fd00:41::7: pool old has no subnet of IPv6; it has 10.41.0.0/24; choose one there, or "
                                        "add one: fairlead pool update old --cidr PREFIX"));
}

TEST_F(CniTest, ASquatterOnTheLanIsNamed) {
  driver_.squatters[*IpAddress::Parse("10.40.0.77")] = *MacAddress::Parse("52:54:00:11:22:33");
  Json request = Request("ADD", "a", "web", Config());
  request["args"] = "K8S_POD_NAME=web;IP=10.40.0.77";
  const Json refused = Call(request);
  EXPECT_EQ(Code(refused), 101);
  EXPECT_THAT(Words(refused), HasSubstr("52:54:00:11:22:33"));
  EXPECT_FALSE(AttachedAt("10.40.0.77"));
}

TEST_F(CniTest, AFreeChoicePassesOverASquatter) {
  const std::string first = FirstIp(Add("a", "web"));
  Delete("a", "web");
  const auto lease = ipam_.Find({"podnet", "host1", "web", false});
  ASSERT_TRUE(worker_.Run(ipam_.Release(lease->key)).ok());
  worker_.Advance(kHour);  // past its quarantine
  driver_.squatters[lease->ip] = *MacAddress::Parse("52:54:00:11:22:33");
  const Json again = Add("a", "web");
  EXPECT_EQ(Code(again), 0) << Words(again);
  EXPECT_NE(FirstIp(again), first);
  EXPECT_THAT(ipam_.Foreign(), SizeIs(1));
}

TEST_F(CniTest, AsIpamItGivesAddressesAndRoutesAndTouchesNoInterface) {
  const Json result = Call(Request("ADD", "a", "web", IpamConfig()))["result"];
  EXPECT_FALSE(result.contains("interfaces"));
  EXPECT_EQ(result["ips"][0]["gateway"], "10.40.0.1");
  EXPECT_FALSE(result["ips"][0].contains("interface"));
  EXPECT_THAT(result["routes"], SizeIs(2));
  EXPECT_THAT(driver_.endpoints, IsEmpty());
  EXPECT_EQ(Code(Call(Request("CHECK", "a", "web", IpamConfig()))), 0);
  Call(Request("DEL", "a", "web", IpamConfig()));
  EXPECT_EQ(Call(Request("ADD", "b", "web", IpamConfig()))["result"]["ips"], result["ips"]);
}

TEST_F(CniTest, AsIpamTheConfiguredRoutesCount) {
  Json config = IpamConfig();
  config["ipam"]["routes"] = {{{"dst", "192.0.2.0/24"}}};
  EXPECT_EQ(Call(Request("ADD", "a", "web", config))["result"]["routes"], config["ipam"]["routes"]);
}

TEST_F(CniTest, NerdctlsNameIsLookedUpInItsFiles) {
  std::filesystem::create_directories(worker_.folder + "/nerdctl/1935db59/names/my-space");
  std::ofstream(worker_.folder + "/nerdctl/1935db59/names/my-space/web") << "0123abcd";
  namespaces_.insert("/run/netns/my-space-0123abcd");
  const std::string ip = FirstIp(Add("my-space-0123abcd", ""));
  EXPECT_TRUE(ipam_.Find({"podnet", "host1", "web", false}).has_value());
  Delete("my-space-0123abcd", "");
  EXPECT_EQ(FirstIp(Add("a", "web")), ip);
}

TEST_F(CniTest, AContainerWithoutNameHasALeaseThatEndsWithIt) {
  Add("a", "");
  ASSERT_TRUE(ipam_.Find({"podnet", "host1", "a", false}).has_value());
  Delete("a", "");
  EXPECT_FALSE(ipam_.Find({"podnet", "host1", "a", false}).has_value());
}

TEST_F(CniTest, CheckNamesWhatIsMissing) {
  EXPECT_EQ(Code(Call(Request("CHECK", "a", "web", Config()))), 102);
  Add("a", "web");
  EXPECT_EQ(Code(Call(Request("CHECK", "a", "web", Config()))), 0);
  NamespaceGoes("/run/netns/a");
  const Json missing = Call(Request("CHECK", "a", "web", Config()));
  EXPECT_EQ(Code(missing), 102);
  EXPECT_THAT(Words(missing), HasSubstr("eth0"));
}

TEST_F(CniTest, GcDetachesWhatIsNotListedOfItsNetworkAlone) {
  Add("a", "web");
  Add("b", "db");
  Json other = Config();
  other["name"] = "othernet";
  namespaces_.insert("/run/netns/c");
  Call(Request("ADD", "c", "web", other));
  Json config = Config();
  config["cniVersion"] = "1.1.0";
  config["cni.dev/valid-attachments"] = {{{"containerID", "b"}, {"ifname", "eth0"}}};
  EXPECT_EQ(Code(Call(Request("GC", "", "", config))), 0);
  EXPECT_FALSE(driver_.endpoints.contains("cni:a/eth0"));
  EXPECT_TRUE(driver_.endpoints.contains("cni:b/eth0"));
  EXPECT_TRUE(driver_.endpoints.contains("cni:c/eth0"));
  EXPECT_TRUE(ipam_.Find({"podnet", "host1", "web", false}).has_value()) << "detached, not freed";
}

TEST_F(CniTest, GcWithoutItsListRemovesNothing) {
  Add("a", "web");
  EXPECT_EQ(Code(Call(Request("GC", "", "", Config()))), 7);
  EXPECT_THAT(driver_.endpoints, SizeIs(1));
}

TEST_F(CniTest, StatusAndVersion) {
  EXPECT_EQ(Code(Call(Request("STATUS", "", "", Config()))), 0);
  Json config = Config();
  config["pool"] = "unknown";
  EXPECT_EQ(Code(Call(Request("STATUS", "", "", config))), 50);
  EXPECT_EQ(Call({{"command", "VERSION"}})["result"]["supportedVersions"].back(), "1.1.0");
}

TEST_F(CniTest, BadInputHasItsCode) {
  auto code = [&](const char* key, Json value) {
    Json config = Config();
    config[key] = std::move(value);
    return Code(Call(Request("ADD", "a", "web", config)));
  };
  EXPECT_EQ(code("cniVersion", "0.1.0"), 1);
  EXPECT_EQ(code("pool", "unknown"), 7);
  EXPECT_EQ(code("mtu", 12), 7);
  EXPECT_EQ(code("brigde", "br0"), 7);
  EXPECT_EQ(code("ipam", {{"type", "host-local"}}), 7);
  EXPECT_EQ(code("name", ""), 7);
  EXPECT_EQ(Code(Call(Request("ADD", "a/b", "web", Config()))), 4);
  EXPECT_EQ(Code(Call(Request("PAINT", "a", "web", Config()))), 7);
  Json request = Request("ADD", "a", "web", Config());
  request["config"] = "text";
  EXPECT_EQ(Code(Call(request)), 6);
  request = Request("ADD", "a", "web", Config());
  request["args"] = "IP=10.40.0.300";
  EXPECT_EQ(Code(Call(request)), 7);
  EXPECT_THAT(driver_.endpoints, IsEmpty());
}

}  // namespace
}  // namespace fairlead::runtime
