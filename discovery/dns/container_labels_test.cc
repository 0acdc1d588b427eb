#include "discovery/dns/container_labels.h"

#include <gtest/gtest.h>

#include "discovery/names.h"

namespace fairlead::dns {
namespace {

TEST(ContainerLabels, GivesTheLaterOfTwoNamesTheHashTail) {
  ContainerLabels labels;
  EXPECT_EQ(labels.Take("host1", "Web.1"), "web-1");
  EXPECT_EQ(labels.Take("host1", "web-1"), discovery::HashedLabel("web-1", "web-1"));
  EXPECT_EQ(labels.Take("host1", "Web.1"), "web-1");
  EXPECT_EQ(labels.Of("host1", "web-1"), discovery::HashedLabel("web-1", "web-1"));
}

TEST(ContainerLabels, AreOfOneHost) {
  ContainerLabels labels;
  EXPECT_EQ(labels.Take("host1", "Web.1"), "web-1");
  EXPECT_EQ(labels.Take("host2", "web-1"), "web-1");
}

TEST(ContainerLabels, StayUntilTheLastRowIsGone) {
  ContainerLabels labels;
  labels.Take("host1", "Web.1");
  labels.Take("host1", "Web.1");
  std::string tail = labels.Take("host1", "web-1");
  EXPECT_EQ(labels.Release("host1", "Web.1"), "web-1");
  EXPECT_EQ(labels.Take("host1", "web.1"), discovery::HashedLabel("web-1", "web.1"));
  EXPECT_EQ(labels.Release("host1", "Web.1"), "web-1");
  EXPECT_EQ(labels.Take("host1", "web-1"), tail);  // its own name does not move because another went
  EXPECT_EQ(labels.Take("host1", "WEB-1"), "web-1");
  EXPECT_EQ(labels.Release("host1", "WEB-1"), "web-1");
  labels.Release("host1", "web.1");
  labels.Release("host1", "web-1");
  EXPECT_EQ(labels.Release("host1", "web-1"), tail);
  EXPECT_TRUE(labels.empty());
}

}  // namespace
}  // namespace fairlead::dns
