// By transcript: Debian 12 has no Podman that runs external netavark plugins. The messages are those of plugin-API.md.
#include "runtime-shim/netavark.h"

#include <gmock/gmock.h>

#include "runtime-shim/attach_fixture.h"

namespace fairlead::runtime {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class NetavarkTest : public AttachTest {
 protected:
  static Json Network() {
    return {{"name", "podnet"}, {"id", "53ce4390f2adb1681eb1a90ec8b48c49c015e0a8d336c197637e7f65e365fa9e"}, {"driver", "fairlead-netavark"},
            {"network_interface", "br100"}, {"subnets", nullptr}, {"ipv6_enabled", true}, {"internal", false}, {"dns_enabled", false},
            {"options", {{"pool", "shop"}}}, {"ipam_options", {{"driver", "none"}}}};
  }
  static Json Input(std::string container, std::string name) {
    return {{"container_id", std::move(container)}, {"container_name", std::move(name)}, {"port_mappings", Json::array()},
            {"network", Network()},
            {"network_options", {{"aliases", {"web"}}, {"interface_name", "eth0"}, {"static_ips", nullptr}, {"static_mac", nullptr}}}};
  }
  Json Call(std::string command, std::string netns, Json input) {
    NetavarkPlugin plugin(*attachments_, *IpAddress::Parse("169.254.53.53"));
    return *worker_.Run(plugin.Handle({{"command", std::move(command)}, {"netns", std::move(netns)}, {"input", std::move(input)}}));
  }
};

TEST_F(NetavarkTest, CreateFillsInThePoolsSubnets) {
  const Json network = Call("create", "", Network())["result"];
  EXPECT_EQ(network["subnets"], Json({{{"subnet", "10.40.0.0/24"}, {"gateway", "10.40.0.1"}},
                                      {{"subnet", "fd00:40::/64"}, {"gateway", "fd00:40::1"}}}));
  EXPECT_EQ(network["id"], Network()["id"]);
}

TEST_F(NetavarkTest, CreateRefusesAnotherSubnetPoolOrOption) {
  Json network = Network();
  network["subnets"] = {{{"subnet", "192.0.2.0/24"}}};
  EXPECT_THAT(Call("create", "", network)["error"].get<std::string>(), HasSubstr("no subnet 192.0.2.0/24; it has 10.40.0.0/24"));
  network = Network();
  network["options"]["pool"] = "unknown";
  EXPECT_THAT(Call("create", "", network)["error"].get<std::string>(), HasSubstr("pool unknown is not known"));
  network["options"] = {{"vlan", "12"}};
  EXPECT_THAT(Call("create", "", network)["error"].get<std::string>(), HasSubstr("option vlan is not known"));
}

TEST_F(NetavarkTest, SetupGivesAStatusBlockAndANameKeepsItsAddress) {
  const Json status = Call("setup", "/run/netns/a", Input("a", "web"))["result"];
  EXPECT_THAT(status["dns_server_ips"], testing::ElementsAre("169.254.53.53"));
  const Json eth0 = status["interfaces"]["eth0"];
  ASSERT_THAT(eth0["subnets"], SizeIs(2));
  EXPECT_EQ(eth0["subnets"][0]["gateway"], "10.40.0.1");
  EXPECT_FALSE(eth0["mac_address"].get<std::string>().empty());
  EXPECT_EQ(driver_.placed.at("cni:a/eth0").netns, "/run/netns/a");

  EXPECT_EQ(Call("teardown", "/run/netns/a", Input("a", "web")), Json({{"result", Json::object()}}));
  EXPECT_THAT(driver_.endpoints, IsEmpty());
  EXPECT_EQ(Call("setup", "/run/netns/b", Input("b", "web"))["result"], status) << "another container of the name";
}

TEST_F(NetavarkTest, SetupHonoursStaticAddressesAndMac) {
  Json input = Input("a", "web");
  input["network_options"]["static_ips"] = {"10.40.0.77", "fd00:40::77"};
  input["network_options"]["static_mac"] = "02:00:00:00:00:77";
  const Json eth0 = Call("setup", "/run/netns/a", input)["result"]["interfaces"]["eth0"];
  EXPECT_EQ(eth0["subnets"][0]["ipnet"], "10.40.0.77/24");
  EXPECT_EQ(eth0["subnets"][1]["ipnet"], "fd00:40::77/64");
  EXPECT_EQ(eth0["mac_address"], "02:00:00:00:00:77");
}

TEST_F(NetavarkTest, TeardownOfWhatNeverWasPasses) {
  EXPECT_EQ(Call("teardown", "/run/netns/a", Input("never-was", "web")), Json({{"result", Json::object()}}));
}

TEST_F(NetavarkTest, SetupNamesWhatIsMissing) {
  Json input = Input("a", "web");
  input["network_options"]["interface_name"] = "";
  EXPECT_THAT(Call("setup", "/run/netns/a", input)["error"].get<std::string>(), HasSubstr("interface_name"));
}

}  // namespace
}  // namespace fairlead::runtime
