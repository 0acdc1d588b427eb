// For tests: a Docker plugin whose dockerd is played by the test, call by call as 20.10 makes them, with an engine that tells
// what the test says.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "ipam/memory_lease_store.h"
#include "runtime-shim/docker_plugin.h"
#include "runtime-shim/json_fields.h"
#include "runtime-shim/shim_harness.h"

namespace fairlead::runtime {

class PluginFixture : public testing::Test {
 protected:
  void SetUp() override { StartAgent(); }
  void TearDown() override { StopAgent(); }

  void StartAgent() {
    store_ = *PluginStore::Open(worker_.folder + "/plugin.db");
    ipam_ = std::make_unique<ipam::Ipam>(leases_, offload_, *worker_.proactor, worker_.clock);
    ASSERT_TRUE(worker_.Run(ipam_->Load()).ok());
    PluginConfig config{.node = "host1", .driver = "fairlead", .dns_address = *IpAddress::Parse("169.254.53.53")};
    plugin_ = std::make_unique<DockerPlugin>(
        config, DockerPlugin::Parts{*worker_.proactor, worker_.clock, random_, engine_, *ipam_, *store_, offload_, driver_, offload_, offload_, neighbours_});
    ASSERT_TRUE(worker_.Run(plugin_->Start()).ok());
  }
  void StopAgent() {
    worker_.Run(StopPlugin(*plugin_));
    plugin_.reset();
    ipam_.reset();
    store_.reset();
  }
  static io::Task<bool> StopPlugin(DockerPlugin& plugin) {
    co_await plugin.Stop();
    co_return true;
  }

  Json Call(const std::string& call, const Json& request = nullptr) {
    http::Request http{.method = "POST", .target = "/" + call, .headers = {}, .body = request.is_null() ? "" : request.dump()};
    http::RequestContext context{*worker_.proactor, {}, {}};
    http::Reply reply = worker_.Run(plugin_->Handle(http, context));
    EXPECT_EQ(reply.status, 200);
    return Json::parse(reply.body);
  }
  std::string Address(const Json& reply) { return Text(reply, "Address"); }

  // `docker network create --subnet 10.50.0.0/24 --gateway 10.50.0.1 shopnet`
  void CreateNetwork(const std::string& id = "net1", const std::string& subnet = "10.50.0.0/24") {
    Json pool = Call("IpamDriver.RequestPool", {{"AddressSpace", "fairlead-local"}, {"Pool", subnet}, {"SubPool", ""},
                                                {"Options", Json::object()}, {"V6", false}});
    pool_ = Text(pool, "PoolID");
    Prefix prefix = *Prefix::Parse(Text(pool, "Pool"));
    std::string gateway = prefix.network().Plus(1).ToString();
    Call("IpamDriver.RequestAddress", {{"PoolID", pool_}, {"Address", gateway},
                                       {"Options", {{"RequestAddressType", "com.docker.network.gateway"}}}});
    Json data{{"AddressSpace", "fairlead-local"}, {"Gateway", Cat(gateway, "/", prefix.length())}, {"Pool", prefix.ToString()}};
    Json made = Call("NetworkDriver.CreateNetwork",
                     {{"NetworkID", id},
                      {"Options", {{"com.docker.network.enable_ipv6", false}, {"com.docker.network.generic", {{"bridge", "br1"}}}}},
                      {"IPv4Data", Json::array({data})},
                      {"IPv6Data", Json::array()}});
    EXPECT_EQ(made, Json::object());
    engine_.network(id) = {.id = id, .name = "shopnet", .driver = "fairlead", .subnets = {prefix}};
  }
  // `docker create`: on the network by configuration only.
  void CreateContainer(const std::string& id, const std::string& name, Labels labels = {}) {
    ContainerDetails& c = engine_.container(id);
    c.id = id;
    c.name = name;
    c.state = "created";
    c.labels = std::move(labels);
    c.networks = {NetworkAttachment{.network = "shopnet"}};
  }
  Json RequestAddress(const std::string& address = "", Json options = nullptr) {
    return Call("IpamDriver.RequestAddress", {{"PoolID", pool_}, {"Address", address}, {"Options", options}});
  }
  Json CreateEndpoint(const std::string& endpoint, const std::string& address) {
    return Call("NetworkDriver.CreateEndpoint", {{"NetworkID", "net1"}, {"EndpointID", endpoint}, {"Options", Json::object()},
                                                 {"Interface", {{"Address", address}, {"AddressIPv6", ""}, {"MacAddress", ""}}}});
  }
  Json Join(const std::string& endpoint) {
    return Call("NetworkDriver.Join", {{"NetworkID", "net1"}, {"EndpointID", endpoint}, {"SandboxKey", "/x"}, {"Options", Json::object()}});
  }
  // The whole start of a container; gives its address.
  std::string StartContainer(const std::string& id, const std::string& endpoint) {
    std::string address = Address(RequestAddress());
    CreateEndpoint(endpoint, address);
    Join(endpoint);
    ContainerDetails& c = engine_.container(id);
    c.state = "running";
    c.networks[0].endpoint_id = endpoint;
    c.networks[0].network_id = "net1";
    engine_.network("net1").members.push_back({endpoint, c.name});
    return address;
  }
  void StopContainer(const std::string& id, const std::string& endpoint, const std::string& address) {
    Json which{{"NetworkID", "net1"}, {"EndpointID", endpoint}};
    EXPECT_EQ(Call("NetworkDriver.RevokeExternalConnectivity", which), Json::object());
    EXPECT_EQ(Call("NetworkDriver.Leave", which), Json::object());
    EXPECT_EQ(Call("NetworkDriver.DeleteEndpoint", which), Json::object());
    Json release{{"PoolID", pool_}, {"Address", address.substr(0, address.find('/'))}};
    EXPECT_EQ(Call("IpamDriver.ReleaseAddress", release), Json::object());
    engine_.container(id).state = "exited";
    engine_.container(id).networks[0].endpoint_id.clear();
    std::erase_if(engine_.network("net1").members, [&](const NetworkMember& m) { return m.endpoint_id == endpoint; });
  }
  std::optional<ipam::Lease> LeaseAt(const std::string& address) {
    return ipam_->FindByAddress("10.50.0.0/24", InterfaceAddress::Parse(address)->address);
  }

  Worker worker_;
  InlineOffload offload_;
  SeededRandom random_{1};
  ScriptedEngine engine_{*worker_.proactor};
  RememberingDriver driver_;
  Neighbours neighbours_;
  ipam::MemoryLeaseStore leases_;
  std::unique_ptr<PluginStore> store_;
  std::unique_ptr<ipam::Ipam> ipam_;
  std::unique_ptr<DockerPlugin> plugin_;
  std::string pool_;
};

}  // namespace fairlead::runtime
