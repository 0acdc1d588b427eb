// Containers that are given their name's own address by configuration, and every way in which that can break off.
#include "runtime-shim/pinner.h"

#include "runtime-shim/plugin_fixture.h"

namespace fairlead::runtime {
namespace {

class PinnerTest : public PluginFixture {
 protected:
  Status Pin(const std::string& container, const char* when = "create") {
    return worker_.Run(plugin_->PinContainer(Json{{"when", when}, {"container", container}})).status();
  }
  const NetworkAttachment& Place(const std::string& container) { return engine_.container(container).networks.at(0); }
  std::string Pinned(const std::string& container) { return Place(container).wanted.ToString(); }
  // Starts as dockerd does: it asks for what the configuration says.
  std::string StartPinned(const std::string& container) { return Address(RequestAddress(Pinned(container))); }
};

TEST_F(PinnerTest, AContainerThatWasJustMadeHasItsAddressBeforeItsFirstStart) {
  CreateNetwork();
  CreateContainer("c1", "web");
  engine_.container("c1").networks[0].aliases = {"www"};
  engine_.container("c1").networks[0].links = {"db:database"};
  engine_.container("c1").networks[0].driver_opts = {{"vlan", "12"}};
  engine_.container("c1").networks[0].mac = *MacAddress::Parse("02:00:00:00:00:07");
  ASSERT_TRUE(Pin("c1").ok());
  auto lease = ipam_->Find({"shopnet", "host1", "web"});
  ASSERT_TRUE(lease.has_value());
  EXPECT_FALSE(lease->attached);
  EXPECT_EQ(Place("c1").wanted, lease->ip);
  EXPECT_EQ(Place("c1").aliases, std::vector<std::string>{"www"});
  EXPECT_EQ(Place("c1").links, std::vector<std::string>{"db:database"});
  EXPECT_EQ(Place("c1").driver_opts, (Labels{{"vlan", "12"}}));
  EXPECT_EQ(Place("c1").mac, *MacAddress::Parse("02:00:00:00:00:07"));
}

TEST_F(PinnerTest, EightParallelStartsOfPinnedContainersGetTheirOwnWithoutAQuestionToTheEngine) {
  CreateNetwork();
  for (int i = 0; i < 8; i++) {
    CreateContainer(Cat("c", i), Cat("web-", i));
    ASSERT_TRUE(Pin(Cat("c", i)).ok());
    engine_.SetLocked(Cat("c", i), true);
  }
  plugin_->NetworkSeen(engine_.network("net1"));
  worker_.Settle();
  uint64_t asked = engine_.lists + engine_.inspections;
  for (int i = 7; i >= 0; i--) EXPECT_EQ(LeaseAt(StartPinned(Cat("c", i)))->key.name, Cat("web-", i));
  EXPECT_EQ(engine_.lists + engine_.inspections, asked);
  EXPECT_EQ(plugin_->stats().names.pinned, 8u);
}

TEST_F(PinnerTest, WhatIsPinnedAlreadyIsLeftAlone) {
  CreateNetwork();
  CreateContainer("c1", "web");
  ASSERT_TRUE(Pin("c1").ok());
  uint64_t disconnects = engine_.disconnects;
  ASSERT_TRUE(Pin("c1", "start").ok());
  EXPECT_EQ(engine_.disconnects, disconnects);
}

TEST_F(PinnerTest, ARunningContainerIsNeverTouched) {
  CreateNetwork();
  CreateContainer("c1", "web");
  for (const char* state : {"running", "paused", "restarting", "removing", "dead"}) {
    engine_.container("c1").state = state;
    ASSERT_TRUE(Pin("c1", "start").ok());
  }
  EXPECT_EQ(engine_.disconnects, 0u);
  EXPECT_EQ(plugin_->stats().pins.running, 5u);
}

TEST_F(PinnerTest, AnAddressOfTheUsersOwnIsLeftAlone) {
  CreateNetwork();
  CreateContainer("c1", "web");
  engine_.container("c1").networks[0].wanted = *IpAddress::Parse("10.50.0.77");
  ASSERT_TRUE(Pin("c1").ok());
  EXPECT_EQ(Pinned("c1"), "10.50.0.77");
  EXPECT_EQ(engine_.disconnects, 0u);
}

TEST_F(PinnerTest, ANetworkWithoutSubnetOptionIsLeftAloneForItsContainersCouldNotStart) {
  CreateNetwork("net1", "");
  CreateContainer("c1", "web");
  ASSERT_TRUE(Pin("c1").ok());
  EXPECT_EQ(engine_.disconnects, 0u);
  EXPECT_EQ(plugin_->stats().pins.unpinnable, 1u);
  // Its start is to find no other address of that name: the one that it is given becomes the name's own.
  EXPECT_FALSE(ipam_->Find({"shopnet", "host1", "web"}).has_value());
}

TEST_F(PinnerTest, AnotherDriversNetworkIsNotOurs) {
  CreateNetwork();
  CreateContainer("c1", "web");
  engine_.network("other") = {.id = "other", .name = "bridge", .driver = "bridge"};
  engine_.container("c1").networks = {{.network = "bridge"}};
  ASSERT_TRUE(Pin("c1").ok());
  EXPECT_EQ(engine_.disconnects, 0u);
}

TEST_F(PinnerTest, AContainerThatEndsWithItselfGetsNoLastingLease) {
  CreateNetwork();
  CreateContainer("c1", "once");
  engine_.container("c1").auto_remove = true;
  CreateContainer("c2", "shop-run-1", {{"com.docker.compose.project", "shop"}, {"com.docker.compose.oneoff", "True"}});
  ASSERT_TRUE(Pin("c1").ok());
  ASSERT_TRUE(Pin("c2").ok());
  EXPECT_TRUE(ipam_->Leases().empty());
  EXPECT_EQ(engine_.disconnects, 0u);
}

TEST_F(PinnerTest, ComposesNewContainerIsPinnedToTheAddressThatItsPredecessorStillUses) {
  CreateNetwork();
  Labels compose{{"com.docker.compose.project", "shop"}};
  CreateContainer("c1", "shop-web-1", compose);
  std::string address = StartContainer("c1", "ep1");
  CreateContainer("c2", "0123456789ab_shop-web-1", compose);
  ASSERT_TRUE(Pin("c2").ok());
  EXPECT_EQ(Cat(Pinned("c2"), "/24"), address);
  EXPECT_TRUE(LeaseAt(address)->attached);
  StopContainer("c1", "ep1", address);  // the order of compose v2: stop, remove, rename, start
  engine_.Remove("c1");
  plugin_->ContainerGone("c1");
  engine_.container("c2").name = "shop-web-1";
  plugin_->ContainerSeen(engine_.container("c2"));
  EXPECT_EQ(StartPinned("c2"), address);
}

TEST_F(PinnerTest, TheRecreatedContainerOfComposeV1IsPinnedToo) {
  CreateNetwork();
  Labels compose{{"com.docker.compose.project", "shop"}};
  CreateContainer("c1", "shop_web_1", compose);
  std::string address = StartContainer("c1", "ep1");
  StopContainer("c1", "ep1", address);  // the order of compose v1: stop, rename the old one, make the new one, start it
  engine_.container("c1").name = "0123456789ab_shop_web_1";
  plugin_->ContainerSeen(engine_.container("c1"));
  CreateContainer("c2", "shop_web_1", compose);
  ASSERT_TRUE(Pin("c2").ok());
  EXPECT_EQ(StartPinned("c2"), address);
}

TEST_F(PinnerTest, ARenamedContainerIsPinnedToTheAddressOfItsNewName) {
  CreateNetwork();
  CreateContainer("c1", "web");
  CreateContainer("c2", "shop");
  ASSERT_TRUE(Pin("c1").ok());
  ASSERT_TRUE(Pin("c2").ok());
  std::string shops = Pinned("c2");
  engine_.Remove("c2");
  plugin_->ContainerGone("c2");
  plugin_->ContainerSeen(engine_.container("c1"));
  engine_.container("c1").name = "shop";
  plugin_->ContainerSeen(engine_.container("c1"));
  worker_.Advance(kClaimTimeout);
  EXPECT_EQ(Pinned("c1"), shops);
}

TEST_F(PinnerTest, APinnedContainersLeaseOutlivesItsRetention) {
  CreateNetwork();
  CreateContainer("c1", "web");
  ASSERT_TRUE(Pin("c1").ok());
  plugin_->ContainerSeen(engine_.container("c1"));
  for (int hours = 0; hours < 200; hours += 50) {
    worker_.clock.Advance(50 * kHour);
    worker_.Advance(kClaimTimeout);
    ASSERT_TRUE(worker_.Run(ipam_->Expire()).ok());
  }
  auto lease = ipam_->Find({"shopnet", "host1", "web"});
  ASSERT_TRUE(lease.has_value());
  EXPECT_EQ(lease->ip.ToString(), Pinned("c1"));
  EXPECT_FALSE(lease->attached);
}

TEST_F(PinnerTest, AFullPoolTakesNoAddressFromAPinnedContainerThatExists) {
  CreateNetwork("net1", "10.50.0.0/29");  // five addresses
  for (int i = 0; i < 4; i++) {
    CreateContainer(Cat("c", i), Cat("web-", i));
    ASSERT_TRUE(Pin(Cat("c", i)).ok());
  }
  ASSERT_TRUE(worker_.Run(ipam_->Acquire({.pool = "10.50.0.0/29", .key = {"shopnet", "host1", "gone"}})).ok());
  const IpAddress free = ipam_->Find({"shopnet", "host1", "gone"})->ip;
  ASSERT_TRUE(worker_.Run(ipam_->Detach("10.50.0.0/29", free)).ok());
  worker_.Advance(2 * kMinute);
  CreateContainer("c4", "web-4");
  ASSERT_TRUE(Pin("c4").ok());
  EXPECT_EQ(Pinned("c4"), free.ToString()) << "the only one whose container is gone";
  CreateContainer("c5", "web-5");
  EXPECT_EQ(Pin("c5").code(), StatusCode::kResourceExhausted);
  for (int i = 0; i < 5; i++) EXPECT_EQ(Text(RequestAddress(Pinned(Cat("c", i))), "Error"), "") << i;
}

TEST_F(PinnerTest, AStoppedContainerKeepsTheAddressThatItsUserGaveItInAFullPool) {
  CreateNetwork("net1", "10.50.0.0/30");  // one address
  CreateContainer("c1", "web");
  engine_.container("c1").networks[0].wanted = *IpAddress::Parse("10.50.0.2");
  plugin_->ContainerSeen(engine_.container("c1"));
  ASSERT_EQ(Address(RequestAddress("10.50.0.2")), "10.50.0.2/30");
  ASSERT_TRUE(worker_.Run(ipam_->Detach("10.50.0.0/30", *IpAddress::Parse("10.50.0.2"))).ok());
  worker_.Advance(2 * kMinute);
  CreateContainer("c2", "thief");
  EXPECT_NE(Text(RequestAddress(), "Error").find("web"), std::string::npos);
  engine_.Remove("c1");
  plugin_->ContainerGone("c1");
  EXPECT_EQ(Address(RequestAddress()), "10.50.0.2/30");
}

TEST_F(PinnerTest, AFailureAtAnyStepIsFinishedByTheSameProcess) {
  for (auto fault : {ScriptedEngine::Fault::kRefused, ScriptedEngine::Fault::kAnswerLost}) {
    for (int step : {0, 1}) {  // disconnect, connect
      SCOPED_TRACE(Cat("step ", step, ", answer lost ", fault == ScriptedEngine::Fault::kAnswerLost));
      std::string id = Cat("c", step, static_cast<int>(fault));
      if (engine_.containers().empty()) CreateNetwork();
      CreateContainer(id, Cat("web-", id));
      engine_.container(id).networks[0].aliases = {"www"};
      engine_.FailChanges(fault, step);
      EXPECT_FALSE(Pin(id).ok());
      worker_.Advance(2 * kSecond);
      ASSERT_EQ(engine_.container(id).networks.size(), 1u);
      EXPECT_EQ(Pinned(id), ipam_->Find({"shopnet", "host1", Cat("web-", id)})->ip.ToString());
      EXPECT_EQ(Place(id).aliases, std::vector<std::string>{"www"});
    }
  }
}

TEST_F(PinnerTest, ACrashAtAnyStepIsFinishedByTheNextProcess) {
  CreateNetwork();
  for (auto fault : {ScriptedEngine::Fault::kRefused, ScriptedEngine::Fault::kAnswerLost}) {
    for (int step : {0, 1}) {
      SCOPED_TRACE(Cat("step ", step, ", answer lost ", fault == ScriptedEngine::Fault::kAnswerLost));
      std::string id = Cat("c", step, static_cast<int>(fault));
      CreateContainer(id, Cat("web-", id));
      engine_.container(id).networks[0].aliases = {"www"};
      engine_.FailChanges(fault, step, 1000);
      EXPECT_FALSE(Pin(id).ok());
      StopAgent();
      engine_.FailChanges(fault, 0, 0);
      engine_.SetDown(true);  // and the engine is away when the agent is back
      StartAgent();
      worker_.Advance(kSecond);
      engine_.SetDown(false);
      worker_.Advance(5 * kSecond);
      ASSERT_EQ(engine_.container(id).networks.size(), 1u);
      EXPECT_EQ(Pinned(id), ipam_->Find({"shopnet", "host1", Cat("web-", id)})->ip.ToString());
      EXPECT_EQ(Place(id).aliases, std::vector<std::string>{"www"});
      EXPECT_FALSE(store_->Load()->pins.back().under_way);
    }
  }
}

TEST_F(PinnerTest, AContainerThatStartedBeforeItWasPutBackGetsItsNetworkAgain) {
  CreateNetwork();
  CreateContainer("c1", "web");
  engine_.FailChanges(ScriptedEngine::Fault::kRefused, 1, 1000);  // taken from the network, not put back
  EXPECT_FALSE(Pin("c1").ok());
  engine_.container("c1").state = "running";
  engine_.FailChanges(ScriptedEngine::Fault::kRefused, 0, 0);
  worker_.Advance(2 * kSecond);
  ASSERT_EQ(engine_.container("c1").networks.size(), 1u);
  EXPECT_EQ(Pinned("c1"), ipam_->Find({"shopnet", "host1", "web"})->ip.ToString());
}

TEST_F(PinnerTest, NothingIsLeftOfAContainerThatIsGone) {
  CreateNetwork();
  CreateContainer("c1", "web");
  ASSERT_TRUE(Pin("c1").ok());
  EXPECT_EQ(store_->Load()->pins.size(), 1u);
  engine_.Remove("c1");
  plugin_->ContainerGone("c1");
  worker_.Settle();
  EXPECT_TRUE(store_->Load()->pins.empty());
}

TEST_F(PinnerTest, AThiefOfAPinnedAddressIsRefusedWithTheHoldersName) {
  CreateNetwork();
  CreateContainer("c1", "web");
  std::string address = StartContainer("c1", "ep1");
  CreateContainer("thief", "thief");
  engine_.container("thief").networks[0].wanted = InterfaceAddress::Parse(address)->address;
  Json refused = RequestAddress(address.substr(0, address.find('/')));
  EXPECT_NE(Text(refused, "Error").find("web"), std::string::npos) << refused;
}

TEST_F(PinnerTest, WhoHasLittlePatienceIsToldThatThePinIsUnderWay) {
  CreateNetwork();
  CreateContainer("c1", "web");
  engine_.SetSlow("c1", 200 * kMillisecond);
  auto told = worker_.Run(plugin_->PinContainer({{"container", "c1"}, {"patience_ms", 25}}));
  ASSERT_TRUE(told.ok());
  EXPECT_TRUE(told->contains("under_way"));
  EXPECT_EQ(Pinned("c1"), "");
  EXPECT_EQ(*worker_.Run(plugin_->PinContainer({{"container", "c1"}})), Json::object());
  EXPECT_NE(Pinned("c1"), "");
}

TEST_F(PinnerTest, AtMostEightAreUnderWayAtOnce) {
  CreateNetwork();
  for (int i = 0; i < 20; i++) {
    CreateContainer(Cat("c", i), Cat("web-", i));
    engine_.SetLocked(Cat("c", i), true);  // their inspections take their time
    plugin_->ContainerSeen(engine_.container(Cat("c", i)));
  }
  io::TaskGroup callers;
  for (int i = 0; i < 20; i++) {
    callers.Spawn([](DockerPlugin* plugin, std::string id) -> io::Task<void> {
      (void)co_await plugin->PinContainer(Json{{"when", "start"}, {"container", id}});
    }(plugin_.get(), Cat("c", i)));
  }
  worker_.Settle();
  EXPECT_EQ(engine_.inspections, kParallelPins);
  for (int i = 0; i < 20; i++) engine_.SetLocked(Cat("c", i), false);
  worker_.Advance(6 * kSecond);
  EXPECT_EQ(callers.live(), 0u) << "nobody waits longer than for the answer";
  worker_.Advance(30 * kSecond);
  for (int i = 8; i < 20; i++) EXPECT_NE(Pinned(Cat("c", i)), "") << i;
}

TEST_F(PinnerTest, WhoStartedBesideOthersIsPinnedWhenItHasStopped) {
  CreateNetwork();
  for (const char* id : {"c1", "c2"}) {
    CreateContainer(id, Cat("web-", id));
    engine_.SetLocked(id, true);
  }
  std::string address = StartContainer("c2", "ep2");
  worker_.Advance(kSecond);  // Join told the name
  engine_.SetLocked("c2", false);
  StopContainer("c2", "ep2", address);
  plugin_->ContainerSeen(engine_.container("c2"));
  worker_.Advance(kStopQuiet / 2);
  EXPECT_EQ(Pinned("c2"), "") << "it may just be restarting";
  worker_.Advance(kStopQuiet);
  EXPECT_EQ(Pinned("c2"), ipam_->Find({"shopnet", "host1", "web-c2"})->ip.ToString());
}

TEST_F(PinnerTest, ANameThatHadAnAddressKeepsItWhileAnotherStandsInAndHasItAgainAfterTheNextStop) {
  CreateNetwork();
  CreateContainer("c2", "web-c2");
  std::string own = StartContainer("c2", "ep1");
  worker_.Advance(kSecond);
  StopContainer("c2", "ep1", own);
  CreateContainer("c1", "web-c1");
  for (const char* id : {"c1", "c2"}) engine_.SetLocked(id, true);
  std::string guessed = StartContainer("c2", "ep2");  // beside c1
  EXPECT_NE(guessed, own);
  worker_.Advance(kSecond);
  EXPECT_EQ(LeaseAt(guessed)->stand_in_for, "web-c2");
  EXPECT_EQ(LeaseAt(own)->key.name, "web-c2");
  EXPECT_EQ(plugin_->stats().names.stand_ins, 1u);
  for (const char* id : {"c1", "c2"}) engine_.SetLocked(id, false);
  StopContainer("c2", "ep2", guessed);
  EXPECT_FALSE(LeaseAt(guessed).has_value());
  plugin_->ContainerSeen(engine_.container("c2"));
  worker_.Advance(2 * kStopQuiet);
  EXPECT_EQ(Cat(Pinned("c2"), "/24"), own);
  EXPECT_EQ(StartPinned("c2"), own);
}

// --- starts that the runtime wrapper announces

class GateTest : public PinnerTest {
 protected:
  void Announce(io::TaskGroup& runtimes, const std::string& id, std::vector<std::string>& passed) {
    runtimes.Spawn([](DockerPlugin* plugin, std::string container, std::vector<std::string>* told) -> io::Task<void> {
      EXPECT_TRUE((co_await plugin->StartingContainer(Json{{"container", container}, {"pid", 1}})).ok());
      told->push_back(container);
    }(plugin_.get(), id, &passed));
  }
};

TEST_F(GateTest, OfParallelAnnouncedStartsEachAsksInItsTurn) {
  engine_.version = {1, 45};
  CreateNetwork();
  for (int i = 0; i < 8; i++) {
    CreateContainer(Cat("c", i), Cat("web-", i));
    engine_.SetLocked(Cat("c", i), true);
  }
  io::TaskGroup runtimes;
  std::vector<std::string> passed;
  for (int i = 0; i < 8; i++) Announce(runtimes, Cat("c", i), passed);
  worker_.Settle();
  for (size_t i = 0; i < 8; i++) {
    ASSERT_EQ(passed.size(), i + 1);
    EXPECT_EQ(LeaseAt(Address(RequestAddress()))->key.name, engine_.container(passed[i]).name);
    worker_.Settle();
  }
  EXPECT_EQ(runtimes.live(), 0u);
  EXPECT_EQ(plugin_->stats().names.provisional, 0u);
}

TEST_F(GateTest, EnginesThatAskBeforeTheRuntimeOrTellTheNamePassAtOnce) {
  CreateNetwork();
  CreateContainer("c1", "web-1");
  CreateContainer("c2", "web-2");
  for (EngineVersion version : {EngineVersion{1, 41}, EngineVersion{1, 52}}) {
    engine_.version = version;
    io::TaskGroup runtimes;
    std::vector<std::string> passed;
    Announce(runtimes, "c1", passed);
    Announce(runtimes, "c2", passed);
    worker_.Settle();
    EXPECT_EQ(passed.size(), 2u);
  }
}

TEST_F(GateTest, AStartThatNeverAsksHoldsNobodyForLong) {
  engine_.version = {1, 45};
  CreateNetwork();
  CreateContainer("c1", "web-1");
  CreateContainer("c2", "web-2");
  io::TaskGroup runtimes;
  std::vector<std::string> passed;
  Announce(runtimes, "c1", passed);
  Announce(runtimes, "c2", passed);
  worker_.Settle();
  EXPECT_EQ(passed.size(), 1u);
  worker_.Advance(kGateHold + 10 * kMillisecond);
  EXPECT_EQ(passed.size(), 2u);
}

}  // namespace
}  // namespace fairlead::runtime
