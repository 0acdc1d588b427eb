// Docker and Podman on one host: one name on one network runs in one of them at a time, and a network's bridge stays as
// long as anybody is on it.
#include <gmock/gmock.h>

#include "runtime-shim/attachments.h"
#include "runtime-shim/plugin_fixture.h"

namespace fairlead::runtime {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

class NeighboursTest : public PluginFixture {
 protected:
  static constexpr const char* kContainer = "0123456789abcdef";

  void SetUp() override {
    neighbours_.holder = [this](const ipam::LeaseKey& key) { return attachments_->HolderOf(key); };
    neighbours_.keep_network = [this](dataplane::NetworkSpec network) { return attachments_->KeepNetwork(std::move(network)); };
    neighbours_.may_make = [this](const dataplane::NetworkSpec& network) { return attachments_->MayMake(network); };
    PluginFixture::SetUp();
    attachment_store_ = *AttachmentStore::Open(worker_.folder + "/attachments.db");
    StartAttachments();
    CreateNetwork();
    plugin_->NetworkSeen(engine_.network("net1"));
    worker_.Settle();
  }
  void StartAttachments() {
    attachments_ = std::make_unique<Attachments>(
        "host1", "", IpAddress(),
        Attachments::Parts{.proactor = *worker_.proactor, .ipam = *ipam_, .store = *attachment_store_, .store_thread = offload_,
                           .driver = driver_, .network_thread = offload_, .probe_thread = offload_,
                           .namespace_there = [this](const std::string& path) { return path != gone_; },
                           .holder_elsewhere = [this](const ipam::LeaseKey& key) { return plugin_->HolderOf(key); },
                           .known_network = [this](const std::string& name) { return plugin_->NetworkNamed(name); }});
    ASSERT_TRUE(worker_.Run(attachments_->Start()).ok());
  }
  static AttachRequest Wish(const std::string& name, const std::string& container = kContainer) {
    return {.container_id = container, .interface = "eth0", .netns = "/run/netns/" + name, .network = {.name = "shopnet"}, .name = name};
  }
  // `podman run --name`: the address, or the refusal.
  std::string PodmanStarts(const std::string& name, const std::string& container = kContainer) {
    auto attached = worker_.Run(attachments_->Attach(Wish(name, container)));
    return attached.ok() ? attached->record.addresses[0].ToString() : std::string(Message(attached.status()));
  }
  void PodmanStops(const std::string& name, const std::string& container = kContainer) {
    ASSERT_TRUE(worker_.Run(attachments_->Detach(container, "eth0", "shopnet", name)).ok());
  }
  // `docker start`, as far as the address: it, or the refusal.
  std::string DockerAsks(const std::string& name, const std::string& address = "") {
    Json reply = RequestAddress(address, {{"com.docker.network.endpoint.name", name}});
    return Address(reply) + Text(reply, "Error");
  }
  void DeleteNetwork() { EXPECT_EQ(Call("NetworkDriver.DeleteNetwork", {{"NetworkID", "net1"}}), Json::object()); }

  std::string gone_;
  std::unique_ptr<AttachmentStore> attachment_store_;
  std::unique_ptr<Attachments> attachments_;
};

TEST_F(NeighboursTest, ANameThatRunsInPodmanIsRefusedToDockerWithItsHolder) {
  const std::string address = PodmanStarts("web");
  const std::string refused = DockerAsks("web");
  EXPECT_THAT(refused, HasSubstr(Cat("address ", address.substr(0, address.find('/')), " of name web on network shopnet is in use by "
                                     "container 0123456789ab of Podman")));
  EXPECT_THAT(refused, HasSubstr("; stop that one, or take another name"));
  EXPECT_TRUE(LeaseAt(address)->attached);
  PodmanStops("web");
  EXPECT_EQ(DockerAsks("web"), address) << "it is the name's own";
}

TEST_F(NeighboursTest, ANameThatRunsInDockerIsRefusedToPodmanWithItsHolder) {
  const std::string address = DockerAsks("web");
  EXPECT_THAT(PodmanStarts("web"), HasSubstr("is in use by container web of Docker")) << "given, no endpoint has it yet";
  CreateEndpoint("ep1", address);
  EXPECT_THAT(PodmanStarts("web"), HasSubstr("is in use by container web of Docker"));
  PodmanStops("web");  // what an engine does after a refusal
  EXPECT_TRUE(LeaseAt(address)->attached);
  CreateContainer("c1", "web");
  engine_.container("c1").networks[0].endpoint_id = "ep1";
  StopContainer("c1", "ep1", address);
  EXPECT_EQ(PodmanStarts("web"), address);
}

TEST_F(NeighboursTest, AnAddressByConfigurationIsRefusedAsWell) {
  const std::string address = PodmanStarts("web");
  CreateContainer("c1", "web");
  plugin_->ContainerSeen(engine_.container("c1"));
  const std::string wanted = address.substr(0, address.find('/'));
  EXPECT_THAT(Text(RequestAddress(wanted), "Error"), HasSubstr("is in use by container 0123456789ab"));
  EXPECT_THAT(DockerAsks("db", wanted), HasSubstr("web")) << "of another name: the lease's holder";
}

TEST_F(NeighboursTest, OfTwoThatStartAtOnceExactlyOneGoesOn) {
  std::optional<StatusOr<Attached>> podman;
  io::TaskGroup group;
  group.Spawn(Worker::Store(attachments_->Attach(Wish("web")), podman));
  const std::string docker = DockerAsks("web");
  worker_.Settle();
  ASSERT_TRUE(podman.has_value());
  EXPECT_NE(podman->ok(), docker.starts_with("10.50.0."));
}

TEST_F(NeighboursTest, ThoseThatStopAtOnceDetachOnlyTheirOwn) {
  const std::string address = PodmanStarts("web");
  Json release{{"PoolID", pool_}, {"Address", address.substr(0, address.find('/'))}};
  Call("IpamDriver.ReleaseAddress", release);  // rolled back after a refusal
  EXPECT_TRUE(LeaseAt(address)->attached);
  gone_ = "/run/netns/web";                    // its container was killed, and nobody told
  EXPECT_EQ(DockerAsks("web"), address);
  CreateEndpoint("ep1", address);
  PodmanStops("web");                          // now they do
  EXPECT_TRUE(LeaseAt(address)->attached) << "it is Docker's now";
}

TEST_F(NeighboursTest, WhatPodmanHasOnDockersNetworkIsNotTakenForAFailedStart) {
  const std::string address = PodmanStarts("web");
  worker_.Advance(3 * kMinute);
  EXPECT_TRUE(LeaseAt(address)->attached);
}

TEST_F(NeighboursTest, ABridgeStaysUntilPodmansLastContainerHasLeft) {
  PodmanStarts("web", "aaaa");
  PodmanStarts("db", "bbbb");
  DeleteNetwork();
  EXPECT_FALSE(plugin_->NetworkNamed("shopnet"));
  ASSERT_TRUE(driver_.networks.contains("net1"));
  PodmanStops("web", "aaaa");
  EXPECT_TRUE(driver_.networks.contains("net1"));
  PodmanStops("db", "bbbb");
  EXPECT_FALSE(driver_.networks.contains("net1"));
  PodmanStops("db", "bbbb");  // again
}

TEST_F(NeighboursTest, ABridgeOfNobodyElseGoesWithItsNetwork) {
  PodmanStarts("web");
  PodmanStops("web");
  EXPECT_TRUE(driver_.networks.contains("net1")) << "Docker's network is still there";
  DeleteNetwork();
  EXPECT_FALSE(driver_.networks.contains("net1"));
}

TEST_F(NeighboursTest, OthersJoinAKeptBridgeAndARestartRemembersIt) {
  PodmanStarts("web", "aaaa");
  DeleteNetwork();
  StartAttachments();
  EXPECT_THAT(PodmanStarts("db", "bbbb"), HasSubstr("10.50.0."));
  EXPECT_EQ(driver_.networks.size(), 1u) << "no second bridge for the name";
  PodmanStops("web", "aaaa");
  PodmanStops("db", "bbbb");
  EXPECT_THAT(driver_.networks, IsEmpty());
  StartAttachments();
  EXPECT_EQ(attachments_->MayMake({.id = "net2", .name = "", .bridge = "br1"}), OkStatus()) << "forgotten on disk too";
}

TEST_F(NeighboursTest, ARestartRemovesAKeptBridgeWhoseContainersTheHostLost) {
  PodmanStarts("web");
  DeleteNetwork();
  driver_.endpoints.clear();
  StartAttachments();
  EXPECT_THAT(driver_.networks, IsEmpty());
}

TEST_F(NeighboursTest, ANewNetworkOnAKeptBridgeIsRefusedWithTheNamesOfThoseOnIt) {
  PodmanStarts("web");
  DeleteNetwork();
  Json data = Json::array({{{"AddressSpace", "fairlead-local"}, {"Gateway", "10.50.0.1/24"}, {"Pool", "10.50.0.0/24"}}});
  auto create = [&] {
    return Text(Call("NetworkDriver.CreateNetwork", {{"NetworkID", "net2"}, {"Options", Json::object()}, {"IPv4Data", data},
                                                     {"IPv6Data", Json::array()}}), "Err");
  };
  EXPECT_THAT(create(), HasSubstr("bridge br1 of the removed network shopnet is still used by containers of Podman"));
  EXPECT_THAT(create(), HasSubstr("(web); stop them"));
  PodmanStops("web");
  EXPECT_EQ(create(), "");
}

}  // namespace
}  // namespace fairlead::runtime
