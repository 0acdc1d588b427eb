// Test fixture (linked by tests only): each test runs in a fresh network namespace of its own, the "host", with lo up.
// Nothing has to be cleaned: the namespace ends with the test, and its links with it, also when the test dies.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <memory>
#include <optional>

#include "base/net/netlink.h"
#include "base/net/netns.h"

namespace fairlead {

class NetnsTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(geteuid(), 0u) << "tests of the network need root: run them as root, as tools/check does";
    auto outside = NetworkNamespace::Current();
    ASSERT_TRUE(outside.ok()) << outside.status();
    outside_.emplace(*std::move(outside));
    auto host = NetworkNamespace::Create();
    ASSERT_TRUE(host.ok()) << host.status();
    ASSERT_TRUE(host->Enter().ok());
    auto netlink = Netlink::Open();
    ASSERT_TRUE(netlink.ok()) << netlink.status();
    netlink_ = *std::move(netlink);
    ASSERT_TRUE(Up("lo").ok());
  }

  void TearDown() override {
    if (outside_) {
      ASSERT_TRUE(outside_->Enter().ok());
    }
  }

  Netlink& netlink() { return *netlink_; }

  Status Up(std::string_view link) { return Change(link, {.up = true}); }

  Status Change(std::string_view link, const LinkChange& change) {
    ASSIGN_OR_RETURN(const Link found, netlink_->FindLink(link));
    return netlink_->ChangeLink(found, change);
  }

 private:
  std::optional<NetworkNamespace> outside_;
  std::unique_ptr<Netlink> netlink_;
};

}  // namespace fairlead
