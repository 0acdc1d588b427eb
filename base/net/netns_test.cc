#include "base/net/netns.h"

#include <gmock/gmock.h>
#include <sched.h>
#include <sys/mount.h>

#include <thread>

#include "base/net/netns_fixture.h"

namespace fairlead {
namespace {

using NetworkNamespaceTest = NetnsTest;

Status MakeBridge(std::string_view name) {
  ASSIGN_OR_RETURN(const auto netlink, Netlink::Open());
  return netlink->CreateBridge({std::string(name), {}, 0});
}

TEST_F(NetworkNamespaceTest, RunsInsideAndLeavesTheCallerOutside) {
  auto inner = NetworkNamespace::Create();
  ASSERT_TRUE(inner.ok()) << inner.status();
  ASSERT_TRUE(inner->Run([] { return MakeBridge("inside"); }).ok());
  EXPECT_EQ(netlink().FindLink("inside").status().code(), StatusCode::kNotFound);
  EXPECT_TRUE(inner->Run([]() -> Status {
    ASSIGN_OR_RETURN(const auto netlink, Netlink::Open());
    return netlink->FindLink("inside").status();
  }).ok());
}

TEST_F(NetworkNamespaceTest, HandsOnTheStatusOfTheBody) {
  auto inner = NetworkNamespace::Create();
  ASSERT_TRUE(inner.ok());
  EXPECT_EQ(inner->Run([] { return NotFound("no such thing"); }).code(), StatusCode::kNotFound);
}

TEST_F(NetworkNamespaceTest, MovesALinkIntoANamespaceUnderItsNewName) {
  auto inner = NetworkNamespace::Create();
  ASSERT_TRUE(inner.ok());
  ASSERT_TRUE(netlink().CreateVeth({"host", {}}, {"guest", {}}, 0).ok());
  ASSERT_TRUE(Change("guest", {.name = "eth0", .namespace_fd = inner->fd()}).ok());
  EXPECT_EQ(netlink().FindLink("guest").status().code(), StatusCode::kNotFound);
  EXPECT_TRUE(inner->Run([]() -> Status {
    ASSIGN_OR_RETURN(const auto netlink, Netlink::Open());
    return netlink->FindLink("eth0").status();
  }).ok());
}

// Runs in a mount namespace of its own, so that neither the name nor the folder's mount reaches the machine.
void NameOpenAndRemove() {
  ASSERT_EQ(unshare(CLONE_NEWNS), 0);
  ASSERT_EQ(mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
  ASSERT_EQ(mount("none", "/run", "tmpfs", 0, nullptr), 0);
  auto made = NetworkNamespace::CreateNamed("web");
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_EQ(NetworkNamespace::CreateNamed("web").status().code(), StatusCode::kAlreadyExists);
  EXPECT_TRUE(made->Run([] { return MakeBridge("marker"); }).ok());
  auto opened = NetworkNamespace::Open("/run/netns/web");
  ASSERT_TRUE(opened.ok()) << opened.status();
  EXPECT_TRUE(opened->Run([]() -> Status {
    ASSIGN_OR_RETURN(const auto netlink, Netlink::Open());
    return netlink->FindLink("marker").status();
  }).ok());
  EXPECT_TRUE(NetworkNamespace::RemoveNamed("web").ok());
  EXPECT_TRUE(NetworkNamespace::RemoveNamed("web").ok()) << "gone is fine";
  EXPECT_EQ(NetworkNamespace::Open("/run/netns/web").status().code(), StatusCode::kNotFound);
}

TEST_F(NetworkNamespaceTest, NamesANamespaceOpensAndRemovesIt) { std::thread(NameOpenAndRemove).join(); }

}  // namespace
}  // namespace fairlead
