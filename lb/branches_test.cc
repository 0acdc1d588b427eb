#include "lb/branches.h"

#include <gmock/gmock.h>

#include "base/strings.h"

namespace fairlead::lb {
namespace {

using testing::ElementsAre;
using testing::Pair;

discovery::EndpointRow Row(const std::string& branch, const std::vector<std::string>& services, bool published = true) {
  discovery::EndpointRow row;
  row.branch = branch;
  for (const std::string& service : services) {
    discovery::ServiceEntry entry;
    entry.service = service;
    entry.project = "shop";
    if (published) entry.ip = *IpAddress::Parse("10.0.0.1"), entry.port = 80;
    row.services.push_back(entry);
  }
  return row;
}

class BranchesTest : public testing::Test {
 protected:
  Branches::Hosts Set(const std::string& key, const discovery::EndpointRow& row) { return branches_.Set(key, &row); }
  Branches branches_{"ns.example.com"};
};

TEST_F(BranchesTest, TheOnlyServiceHasTheBareNameInBothForms) {
  EXPECT_THAT(Set("a", Row("feat-x", {"api"})),
              ElementsAre(Pair("*.feat-x.shop.ns.example.com", "api--feat-x.shop"), Pair("api--feat-x--shop.ns.example.com", "api--feat-x.shop"),
                          Pair("api.feat-x.shop.ns.example.com", "api--feat-x.shop"), Pair("feat-x--shop.ns.example.com", "api--feat-x.shop"),
                          Pair("feat-x.shop.ns.example.com", "api--feat-x.shop")));
}

TEST_F(BranchesTest, WebTakesTheBareNameFromTheOnlyOneAndGivesItBack) {
  Set("a", Row("b", {"api"}));
  Branches::Hosts with_web = Set("w", Row("b", {"web"}));
  EXPECT_EQ(with_web["b.shop.ns.example.com"], "web--b.shop");
  EXPECT_EQ(with_web["b--shop.ns.example.com"], "web--b.shop");
  EXPECT_FALSE(with_web.contains("api.b.shop.ns.example.com"));  // it goes on
  Branches::Hosts without = branches_.Set("w", nullptr);
  EXPECT_EQ(without["b.shop.ns.example.com"], "api--b.shop");
  EXPECT_EQ(without["web.b.shop.ns.example.com"], "");
}

TEST_F(BranchesTest, SeveralWithoutWebHaveNoBareName) {
  Set("a", Row("b", {"api"}));
  EXPECT_EQ(Set("c", Row("b", {"admin"}))["b.shop.ns.example.com"], "");
}

TEST_F(BranchesTest, ASecondContainerOfAServiceChangesNothingAndTheLastTakesTheNamesAway) {
  Branches::Hosts first = Set("a", Row("b", {"web"}));
  EXPECT_TRUE(Set("c", Row("b", {"web"})).empty());
  EXPECT_TRUE(branches_.Set("a", nullptr).empty());
  Branches::Hosts gone = branches_.Set("c", nullptr);
  EXPECT_EQ(gone.size(), first.size());
  for (const auto& [host, service] : gone) EXPECT_EQ(service, "") << host;
}

TEST_F(BranchesTest, WhatIsNotPublishedOrOfNoBranchHasNoNames) {
  EXPECT_TRUE(Set("a", Row("b", {"web"}, /*published=*/false)).empty());
  EXPECT_TRUE(Set("c", Row("", {"web"})).empty());
  EXPECT_TRUE(Branches("").Set("a", nullptr).empty());
}

TEST(ServiceName, OfABranchIsItsOwn) {
  discovery::EndpointRow row = Row("feat-x", {"web"}), main = Row("", {"web"});
  EXPECT_EQ(ServiceNameOf(row, row.services[0]), "web--feat-x.shop");
  EXPECT_EQ(ServiceNameOf(main, main.services[0]), "web.shop");
}

}  // namespace
}  // namespace fairlead::lb
