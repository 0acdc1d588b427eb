// In virtual time: endpoints that are registered, renewed, lapse, and outlive the agent.
#include "app/endpoint_book.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

#include "base/dns/scripted_resolver.h"
#include "base/sim/sim_files.h"
#include "base/sim/sim_offload.h"
#include "base/sim/sim_proactor.h"
#include "base/sim/sim_world.h"
#include "base/strings.h"

namespace fairlead::app {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Registration Db(const std::string& ttl = "30s", const std::string& more = "{}") {
  json body = {{"service", "db.shop"}, {"address", "10.0.0.5:3306"}, {"protocol", "tcp"}, {"ttl", ttl}};
  body.update(json::parse(more));
  auto parsed = Registration::Parse(body);
  CHECK(parsed.ok());
  return *parsed;
}

constexpr char kFile[] = "/agent/endpoints.json";

class Registering : public testing::Test, private EndpointBook::Sink {
 protected:
  Registering() { Start(); }
  ~Registering() override { End(); }

  // An agent over the same disk.
  void Start() {
    hosts_.emplace(proactor_, resolver_, metrics_);
    book_.emplace(proactor_, files_, offload_, *hosts_, kFile, "host1", static_cast<EndpointBook::Sink&>(*this));
    Status loaded = Await(book_->Load());
    EXPECT_TRUE(loaded.ok()) << loaded;
    group_.emplace();
    group_->Spawn(book_->Run());
    group_->Spawn(hosts_->Run());
  }
  void End() {
    group_->Cancel();
    world_.RunUntil([&] { return group_->live() == 0; }, kMinute);
    book_.reset();
    hosts_.reset();
    rows_.clear();
  }
  template <class T>
  T Await(io::Task<T> task) {
    std::optional<T> result;
    io::TaskGroup group;
    group.Spawn([](io::Task<T> inner, std::optional<T>* out) -> io::Task<void> { out->emplace(co_await inner); }(std::move(task), &result));
    EXPECT_TRUE(world_.RunUntil([&] { return result.has_value(); }, kMinute));
    return *std::move(result);
  }
  bool Put(Registration what) {
    auto renewed = Await(book_->Put(std::move(what)));
    EXPECT_TRUE(renewed.ok()) << renewed.status();
    return renewed.ok() && *renewed;
  }
  std::vector<std::string> Addresses() const {
    std::vector<std::string> addresses;
    for (const auto& [key, row] : rows_) addresses.push_back(SocketAddress(row.services[0].ip, row.services[0].port).ToString());
    return addresses;
  }
  void Registered(discovery::EndpointRow row) override {
    ++told_;
    const std::string key = discovery::KeyOf(row);
    rows_.insert_or_assign(key, std::move(row));
  }
  void Unregistered(const std::string& key) override { rows_.erase(key); }

  sim::SimWorld world_{3};
  sim::SimProactor proactor_{world_, *IpAddress::Parse("10.0.0.1")};
  sim::SimOffload offload_{world_};
  sim::SimFiles files_{world_.random()};
  std::map<std::string, discovery::EndpointRow> rows_;
  int told_ = 0;
  Metrics metrics_;
  dns::ScriptedResolver resolver_{proactor_};
  std::optional<dns::HostBook> hosts_;
  std::optional<EndpointBook> book_;
  std::optional<io::TaskGroup> group_;
};

TEST_F(Registering, OneThatIsNotRenewedLapses) {
  EXPECT_FALSE(Put(Db("30s")));
  EXPECT_THAT(Addresses(), ElementsAre("10.0.0.5:3306"));
  world_.Run(29 * kSecond);
  EXPECT_THAT(Addresses(), ElementsAre("10.0.0.5:3306"));
  world_.Run(2 * kSecond);
  EXPECT_THAT(Addresses(), IsEmpty());
  EXPECT_EQ(book_->size(), 0u);
}

TEST_F(Registering, RenewalsKeepItAndTellNobody) {
  Put(Db("30s"));
  const std::string uid = rows_.begin()->second.uid;
  for (int i = 0; i < 10; i++) {
    world_.Run(20 * kSecond);
    EXPECT_TRUE(Put(Db("30s")));
  }
  EXPECT_EQ(told_, 1);
  EXPECT_EQ(rows_.begin()->second.uid, uid);
}

TEST_F(Registering, AnotherWeightIsAChangeOfTheSameEndpoint) {
  Put(Db("30s"));
  const std::string uid = rows_.begin()->second.uid;
  EXPECT_FALSE(Put(Db("30s", R"({"weight": 5})")));
  ASSERT_EQ(rows_.size(), 1u);
  EXPECT_EQ(rows_.begin()->second.services[0].weight, 5u);
  EXPECT_EQ(rows_.begin()->second.uid, uid);
}

TEST_F(Registering, WhatComesBackAfterItLapsedIsAnother) {
  Put(Db("1s"));
  const std::string uid = rows_.begin()->second.uid;
  world_.Run(2 * kSecond);
  Put(Db("1s"));
  EXPECT_NE(rows_.begin()->second.uid, uid) << "its connections and its health are nobody's any more";
}

TEST_F(Registering, ARestartGoesOnWithTheRestOfTheTime) {
  Put(Db("10m", R"({"host": ["db.example.com"], "check": "tcp", "weight": 3, "name": "db1", "branch": "b"})"));
  Put(Registration(Db("forever", R"({"address": "10.0.0.6:3306"})")));
  const auto before = rows_;
  world_.Run(4 * kMinute);
  End();
  world_.Run(4 * kMinute);
  Start();
  EXPECT_EQ(rows_, before);
  world_.Run(kMinute);
  EXPECT_THAT(Addresses(), testing::SizeIs(2));
  world_.Run(2 * kMinute);
  EXPECT_THAT(Addresses(), ElementsAre("10.0.0.6:3306"));
}

TEST_F(Registering, WhoCouldNotRenewWhileTheAgentWasAwayIsGivenTimeTo) {
  Put(Db("30s"));
  End();
  world_.Run(kHour);
  Start();
  EXPECT_THAT(Addresses(), ElementsAre("10.0.0.5:3306"));
  world_.Run(EndpointBook::kGrace - kSecond);
  EXPECT_TRUE(Put(Db("30s")));
  world_.Run(29 * kSecond);
  EXPECT_THAT(Addresses(), ElementsAre("10.0.0.5:3306"));
}

TEST_F(Registering, ItIsAsOldAsItsRegistrationAlsoAfterARestart) {  // of those that disagree the oldest holds
  Put(Db());
  ASSERT_EQ(rows_.size(), 1u);
  const Nanos created = rows_.begin()->second.created_wall;
  EXPECT_GT(created, 0);
  End();
  world_.Run(kSecond);
  Start();
  ASSERT_EQ(rows_.size(), 1u);
  EXPECT_EQ(rows_.begin()->second.created_wall, created);
}

TEST_F(Registering, RemovedIsRemovedAlsoAfterARestart) {
  Put(Db());
  EXPECT_TRUE(Await(book_->Remove("db.shop", *HostPort::Parse("10.0.0.5:3306"))).ok());
  EXPECT_THAT(Addresses(), IsEmpty());
  EXPECT_EQ(Await(book_->Remove("db.shop", *HostPort::Parse("10.0.0.5:3306"))).code(), StatusCode::kNotFound);
  End();
  Start();
  EXPECT_THAT(Addresses(), IsEmpty());
}

TEST_F(Registering, NothingIsSaidThatTheDiskDoesNotHave) {
  files_.SetFull(true);
  EXPECT_FALSE(Await(book_->Put(Db())).ok());
  EXPECT_THAT(Addresses(), IsEmpty());
  EXPECT_EQ(book_->size(), 0u);
  files_.SetFull(false);
  EXPECT_FALSE(Put(Db()));
}

TEST_F(Registering, ABurstIsWrittenInAFewPieces) {
  const uint64_t writes = files_.writes();
  io::TaskGroup group;
  int done = 0;
  for (int i = 0; i < 200; i++) {
    group.Spawn([](EndpointBook* book, Registration what, int* count) -> io::Task<void> {
      if ((co_await book->Put(std::move(what))).ok()) ++*count;
    }(&*book_, Db("30s", Cat(R"({"address": "10.2.0.)", i, R"(:80"})")), &done));
  }
  EXPECT_TRUE(world_.RunUntil([&] { return group.live() == 0; }, kMinute));
  EXPECT_EQ(done, 200);
  EXPECT_LT(files_.writes() - writes, 20u);
  End();
  Start();
  EXPECT_EQ(rows_.size(), 200u);
}

TEST_F(Registering, ThereIsAMost) {
  Put(Db("1h"));
  End();
  EndpointFile file(files_, kFile);  // not one by one
  json entry = json::parse(file.Read()->begin()->second);
  uint64_t change = file.Add({"db.shop", "10.0.0.5:3306"}, "");
  for (size_t i = 0; i < EndpointBook::kMaxEndpoints; i++) {
    const std::string address = Cat("10.1.", i / 250, ".", i % 250, ":80");
    entry["what"]["address"] = address;
    entry["uid"] = Cat("api/", i);
    change = file.Add({"db.shop", address}, entry.dump());
  }
  ASSERT_TRUE(file.Flush(change).ok());
  Start();
  EXPECT_EQ(rows_.size(), EndpointBook::kMaxEndpoints);
  auto refused = Await(book_->Put(Db()));
  EXPECT_EQ(refused.status().code(), StatusCode::kResourceExhausted);
  EXPECT_TRUE(Put(Db("1h", R"({"address": "10.1.0.1:80"})"))) << "those that are there go on";
}

TEST_F(Registering, OneWithAHostNameIsARowForEachOfItsAddresses) {
  resolver_.v4["db.example.com"] = dns::Found({"10.0.0.7", "10.0.0.8"}, 5 * kSecond);
  Put(Db("forever", R"({"address": "DB.example.com:3306"})"));
  ASSERT_EQ(rows_.size(), 1u);
  EXPECT_FALSE(rows_.begin()->second.services[0].published());
  EXPECT_THAT(rows_.begin()->second.services[0].problems, ElementsAre("db.example.com: its name is being asked for"));
  world_.Run(kSecond);
  EXPECT_THAT(Addresses(), ElementsAre("10.0.0.7:3306", "10.0.0.8:3306"));
  EXPECT_THAT(rows_.begin()->second.services[0].problems, IsEmpty());
  const std::string stays = rows_.rbegin()->second.uid;
  EXPECT_EQ(book_->FindUid(stays), book_->Find("db.shop", *HostPort::Parse("db.example.com:3306")));
  resolver_.v4["db.example.com"] = dns::Found({"10.0.0.8", "10.0.0.9"}, 5 * kSecond);
  world_.Run(5 * kSecond);
  EXPECT_THAT(Addresses(), ElementsAre("10.0.0.8:3306", "10.0.0.9:3306"));
  EXPECT_EQ(rows_.begin()->second.uid, stays);
  EXPECT_TRUE(Await(book_->Remove("db.shop", *HostPort::Parse("db.example.com:3306"))).ok());
  EXPECT_THAT(Addresses(), IsEmpty());
  EXPECT_EQ(hosts_->size(), 0u);
}

TEST_F(Registering, AHostNameThatCannotBeResolvedKeepsItsAddressesAndSaysWhy) {
  resolver_.v4["db.example.com"] = dns::Found({"10.0.0.7"}, 5 * kSecond);
  Put(Db("forever", R"({"address": "db.example.com:3306"})"));
  world_.Run(kSecond);
  resolver_.Both("db.example.com", dns::Says(dns::HostAnswer::Outcome::kFailed, "no name server answered in time"));
  world_.Run(kMinute);
  EXPECT_THAT(Addresses(), ElementsAre("10.0.0.7:3306"));
  EXPECT_THAT(rows_.begin()->second.services[0].problems, ElementsAre("db.example.com: no name server answered in time"));
}

TEST_F(Registering, AHostNameComesBackWithTheAgent) {
  resolver_.v4["db.example.com"] = dns::Found({"10.0.0.7"}, 5 * kSecond);
  Put(Db("forever", R"({"address": "db.example.com:3306"})"));
  world_.Run(kSecond);
  const std::string uid = rows_.begin()->second.uid;
  End();
  Start();
  world_.Run(kSecond);
  EXPECT_THAT(Addresses(), ElementsAre("10.0.0.7:3306"));
  EXPECT_EQ(rows_.begin()->second.uid, uid);
}

TEST_F(Registering, AHostNameThatLapsesIsAskedForNoMore) {
  resolver_.v4["db.example.com"] = dns::Found({"10.0.0.7"}, kSecond);
  Put(Db("10s", R"({"address": "db.example.com:3306"})"));
  world_.Run(11 * kSecond);
  EXPECT_THAT(Addresses(), IsEmpty());
  EXPECT_EQ(hosts_->size(), 0u);
}

TEST(Registration, SaysWhatItDoesNotTake) {
  auto fault = [](const std::string& more) {
    json body = {{"service", "db"}, {"address", "10.0.0.5:80"}};
    body.update(json::parse(more));
    auto parsed = Registration::Parse(body);
    return parsed.ok() ? "" : std::string(Message(parsed.status()));
  };
  EXPECT_EQ(fault("{}"), "");
  EXPECT_THAT(fault(R"({"service": ""})"), HasSubstr("service: is missing"));
  EXPECT_THAT(fault(R"({"service": "a.b", "project": "c"})"), HasSubstr("project: stands in service already"));
  EXPECT_THAT(fault(R"({"address": "10.0.0.5"})"), HasSubstr("address: "));
  EXPECT_THAT(fault(R"({"address": "unix:/x"})"), HasSubstr("is no address and port"));
  EXPECT_THAT(fault(R"({"ttl": "10ms"})"), HasSubstr("ttl: is neither forever nor a time from 1s to 168h"));
  EXPECT_THAT(fault(R"({"check": "ping"})"), HasSubstr("check: \"ping\" is none of http:/PATH"));
  EXPECT_THAT(fault(R"({"weigth": 3})"), HasSubstr("did you mean weight?"));
  EXPECT_THAT(fault(R"({"path": "/x"})"), HasSubstr("path and listener belong to a host or a rule"));
  EXPECT_THAT(fault(R"x({"rule": "Hots(`a`)"})x"), HasSubstr("rule: "));
  EXPECT_THAT(fault(R"({"host": ["a:80"]})"), HasSubstr("is no host"));
}

}  // namespace
}  // namespace fairlead::app
