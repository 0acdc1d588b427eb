#include "lb/dynamic_ports.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/strings.h"

namespace fairlead::lb {
namespace {

using discovery::EndpointRow;
using discovery::RunState;
using testing::ElementsAre;
using testing::IsEmpty;

// A container of service NAME that asks for port 25432, as old as it says.
EndpointRow Asks(std::string service, Nanos created, uint16_t port = 25432) {
  EndpointRow row;
  row.node = "host1";
  row.name = Cat(service, "-1");
  row.state = RunState::kRunning;
  row.created_wall = created;
  discovery::ServiceEntry entry;
  entry.service = std::move(service);
  entry.project = "demo";
  entry.protocol = "tcp";
  entry.ip = *IpAddress::Parse("10.40.0.10");
  entry.port = 5432;
  entry.listen = port;
  row.services.push_back(entry);
  return row;
}

class DynamicPortsTest : public testing::Test {
 protected:
  DynamicPortsTest() { ports_.SetFile(File(20000, 29999)); }
  static Config File(uint16_t low, uint16_t high) {
    Config config;
    config.dynamic_ports.low = low;
    config.dynamic_ports.high = high;
    return config;
  }
  void Set(const std::string& key, const EndpointRow& row) { ports_.SetRow(key, &row); }
  std::string Holder(uint16_t port = 25432) const { return ports_.Wanted(port).second; }
  std::string Fault(const std::string& service, uint16_t port = 25432) const { return ports_.FaultOf(port, service); }

  DynamicPorts ports_;
};

TEST_F(DynamicPortsTest, APortIsOpenWhileAnyContainerOfItsServiceAsksForIt) {
  Set("a", Asks("db", 1));
  Set("b", Asks("db", 2));
  EXPECT_EQ(ports_.Wanted(25432), std::pair(*SocketAddress::Parse("0.0.0.0:25432"), std::string("db.demo")));
  ports_.SetRow("a", nullptr);
  EXPECT_EQ(Holder(), "db.demo");
  ports_.TakeChanged();
  ports_.SetRow("b", nullptr);
  EXPECT_EQ(Holder(), "");
  EXPECT_THAT(ports_.TakeChanged(), ElementsAre(25432));
}

TEST_F(DynamicPortsTest, WhoHasNoAddressOrHasExitedAsksForNothing) {
  EndpointRow row = Asks("db", 1);
  for (RunState state : {RunState::kCreated, RunState::kExited}) {
    row.state = state;
    Set("a", row);
    EXPECT_EQ(Holder(), "");
  }
  row.state = RunState::kRunning;
  row.services[0].ip = {};
  Set("a", row);
  EXPECT_EQ(Holder(), "");
  EXPECT_EQ(Fault("db.demo"), "");
}

TEST_F(DynamicPortsTest, ADrainOrAFailedCheckLeavesThePortOpen) {
  EndpointRow row = Asks("db", 1);
  row.draining = true;
  row.health = discovery::HealthState::kUnhealthy;
  Set("a", row);
  EXPECT_EQ(Holder(), "db.demo");
}

TEST_F(DynamicPortsTest, TheOlderContainerHoldsAPortThatTwoServicesWant) {
  Set("young", Asks("new", 20));
  EXPECT_EQ(Holder(), "new.demo");
  Set("old", Asks("db", 10));
  EXPECT_EQ(Holder(), "db.demo");
  EXPECT_EQ(Fault("db.demo"), "");
  EXPECT_EQ(Fault("new.demo"), "label fairlead.listen: port 25432 is not opened: service db.demo has it, by the older container db-1");
  ports_.SetRow("old", nullptr);
  EXPECT_EQ(Holder(), "new.demo");
  EXPECT_EQ(Fault("new.demo"), "");
}

TEST_F(DynamicPortsTest, PortsOutsideOfTheRangeOrOfTheFilesListenersAreRefused) {
  Set("a", Asks("db", 1, 19999));
  EXPECT_EQ(Holder(19999), "");
  EXPECT_EQ(Fault("db.demo", 19999), "label fairlead.listen: port 19999 is not opened: outside of lb.dynamic_ports 20000-29999");
  Config config = File(20000, 29999);
  config.listeners.resize(2);
  config.listeners[0].name = "pg";
  config.listeners[0].bind = *SocketAddress::Parse("127.0.0.1:25432");
  Set("b", Asks("db", 1));
  ports_.SetFile(config);
  EXPECT_EQ(Holder(), "");
  EXPECT_EQ(Fault("db.demo"), "label fairlead.listen: port 25432 is not opened: listener pg of the file has it");
  config.dynamic_ports.ip = *IpAddress::Parse("192.0.2.1");  // another address: both have room
  ports_.SetFile(config);
  EXPECT_EQ(Holder(), "db.demo");
}

TEST_F(DynamicPortsTest, ANewRangeIsSeenByThoseWhoAsk) {
  Set("a", Asks("db", 1));
  ports_.TakeChanged();
  ports_.SetFile({});
  EXPECT_THAT(ports_.TakeChanged(), ElementsAre(25432));
  EXPECT_EQ(Holder(), "");
  EXPECT_EQ(Fault("db.demo"), "label fairlead.listen: port 25432 is not opened: lb.dynamic_ports is empty, so labels open no port here");
}

TEST_F(DynamicPortsTest, WhatWasTakenByOthersIsSaidAndAskedForAgain) {
  Set("a", Asks("db", 1));
  ports_.TakeChanged();
  ports_.SetTaken(25432, "it is in use");
  EXPECT_EQ(Fault("db.demo"), "label fairlead.listen: port 25432 is not opened: it is in use");
  EXPECT_THAT(ports_.TakeChanged(), IsEmpty());
  ports_.AskAgain();
  EXPECT_THAT(ports_.TakeChanged(), ElementsAre(25432));
}

}  // namespace
}  // namespace fairlead::lb
