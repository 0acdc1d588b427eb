#include "runtime-shim/plugin_store.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

namespace fairlead::runtime {
namespace {

class PluginStoreTest : public testing::Test {
 protected:
  PluginStoreTest() {
    char path[] = "/tmp/fairlead-plugin-store-XXXXXX";
    folder_ = mkdtemp(path);
  }
  ~PluginStoreTest() override { std::filesystem::remove_all(folder_); }
  std::string path() const { return folder_ + "/plugin.db"; }
  std::unique_ptr<PluginStore> Open() {
    auto store = PluginStore::Open(path());
    EXPECT_TRUE(store.ok()) << store.status();
    return *std::move(store);
  }

  std::string folder_;
};

PoolRecord SamplePool() {
  return {"fl-1", "shop", *Prefix::Parse("10.40.0.0/24"), true, *IpAddress::Parse("10.40.0.1"),
          {*IpAddress::Parse("10.40.0.200")}, "net1", true};
}
NetworkRecord SampleNetwork() {
  return {"net1", "shopnet", "bridge", "br100", 1400, true, {*InterfaceAddress::Parse("10.40.0.1/24")}};
}
EndpointRecord SampleEndpoint() {
  return {"ep1", "net1", {*InterfaceAddress::Parse("10.40.0.7/24")}, *MacAddress::Parse("02:00:00:00:00:07"), "flc1"};
}

TEST_F(PluginStoreTest, GivesBackWhatWasPutAfterReopening) {
  {
    auto store = Open();
    ASSERT_TRUE(store->Put(SamplePool()).ok());
    ASSERT_TRUE(store->Put(SampleNetwork()).ok());
    ASSERT_TRUE(store->Put(SampleEndpoint()).ok());
  }
  auto contents = Open()->Load();
  ASSERT_TRUE(contents.ok()) << contents.status();
  EXPECT_EQ(contents->pools, std::vector{SamplePool()});
  EXPECT_EQ(contents->networks, std::vector{SampleNetwork()});
  EXPECT_EQ(contents->endpoints, std::vector{SampleEndpoint()});
}

PinRecord SamplePin() {
  EndpointSettings settings{.ipv4 = *IpAddress::Parse("10.40.0.7"), .ipv6 = *IpAddress::Parse("fd00::7"), .aliases = {"www"},
                            .links = {"db:database"}, .driver_opts = {{"vlan", "12"}}, .mac = *MacAddress::Parse("02:00:00:00:00:07")};
  return {PinId("c1", "shopnet"), "c1", "shopnet", settings.ipv4, {}, settings, true};
}

TEST_F(PluginStoreTest, GivesBackAPinUnderWayWhole) {
  ASSERT_TRUE(Open()->Put(SamplePin()).ok());
  EXPECT_EQ(Open()->Load()->pins, std::vector{SamplePin()});
  ASSERT_TRUE(Open()->RemovePin(SamplePin().id).ok());
  EXPECT_TRUE(Open()->Load()->pins.empty());
}

TEST_F(PluginStoreTest, KeepsUnsetFieldsUnset) {
  auto store = Open();
  PoolRecord pool{.id = "fl-2", .pool = "p", .subnet = *Prefix::Parse("fd00::/64")};
  ASSERT_TRUE(store->Put(pool).ok());
  EndpointRecord endpoint{.id = "ep2", .network_id = "net1"};
  ASSERT_TRUE(store->Put(endpoint).ok());
  auto contents = store->Load();
  EXPECT_EQ(contents->pools, std::vector{pool});
  EXPECT_EQ(contents->endpoints, std::vector{endpoint});
}

TEST_F(PluginStoreTest, RemovingWhatIsGoneIsFine) {
  auto store = Open();
  ASSERT_TRUE(store->Put(SampleEndpoint()).ok());
  EXPECT_TRUE(store->RemoveEndpoint("ep1").ok());
  EXPECT_TRUE(store->RemoveEndpoint("ep1").ok());
  EXPECT_TRUE(store->Load()->endpoints.empty());
}

TEST_F(PluginStoreTest, NamesTheFileThatIsNoDatabase) {
  std::ofstream(path()) << std::string(8192, 'x');
  auto store = PluginStore::Open(path());
  ASSERT_FALSE(store.ok());
  EXPECT_EQ(store.status().code(), StatusCode::kDataLoss);
  EXPECT_NE(Message(store.status()).find(path()), std::string_view::npos);
}

}  // namespace
}  // namespace fairlead::runtime
