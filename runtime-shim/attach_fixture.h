// For tests: attachments over a scripted data plane, namespaces that are there or not, leases in memory.
#pragma once

#include <gtest/gtest.h>

#include <set>

#include "ipam/memory_lease_store.h"
#include "runtime-shim/attachments.h"
#include "runtime-shim/shim_harness.h"

namespace fairlead::runtime {

class AttachTest : public testing::Test {
 protected:
  AttachTest() {
    CHECK(worker_.Run(ipam_.Load()).ok());
    CHECK(worker_.Run(ipam_.PutPool({.name = "shop", .prefixes = {{.prefix = *Prefix::Parse("10.40.0.0/24")},
                                                                  {.prefix = *Prefix::Parse("fd00:40::/64")}}})).ok());
    store_ = *AttachmentStore::Open(worker_.folder + "/attachments.db");
    Restart();
    namespaces_ = {"/run/netns/a", "/run/netns/b"};
  }

  // A new process of the agent on the same disk and kernel.
  void Restart() {
    attachments_ = std::make_unique<Attachments>(
        "host1", "", *IpAddress::Parse("169.254.53.53"),
        Attachments::Parts{.proactor = *worker_.proactor, .ipam = ipam_, .store = *store_, .store_thread = offload_,
                           .driver = driver_, .network_thread = offload_, .probe_thread = offload_,
                           .namespace_there = [this](const std::string& path) { return namespaces_.contains(path); },
                           .holder_elsewhere = [this](const ipam::LeaseKey& key) { return elsewhere_.contains(key) ? "container web of Docker" : ""; }});
    const Status started = worker_.Run(attachments_->Start());
    CHECK(started.ok());
  }
  // The container's end as the kernel sees it: its interface goes with its namespace.
  void NamespaceGoes(const std::string& path) {
    namespaces_.erase(path);
    std::erase_if(driver_.placed, [&](const auto& entry) {
      const bool there = entry.second.netns == path;
      if (there) driver_.endpoints.erase(entry.first);
      return there;
    });
  }
  bool AttachedAt(std::string_view ip) {
    auto lease = ipam_.FindByAddress("shop", *IpAddress::Parse(ip));
    return lease && lease->attached;
  }

  Worker worker_;
  InlineOffload offload_;
  ipam::MemoryLeaseStore lease_store_;
  ipam::Ipam ipam_{lease_store_, offload_, *worker_.proactor, worker_.clock};
  RememberingDriver driver_;
  std::unique_ptr<AttachmentStore> store_;
  std::unique_ptr<Attachments> attachments_;
  std::set<std::string> namespaces_;
  std::set<ipam::LeaseKey> elsewhere_;
};

}  // namespace fairlead::runtime
