// containerd's messages as it sends them; tests/engines/containerd_test.py has a real one.
#include "runtime-shim/containerd_read.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "containerd/containerd.pb.h"

namespace fairlead::runtime {
namespace {

using testing::ElementsAre;

containerd::Container Nerdctl() {
  containerd::Container container;
  container.set_id("c0ffee");
  auto& labels = *container.mutable_labels();
  labels["nerdctl/name"] = "web-1";
  labels["nerdctl/networks"] = R"(["bridge"])";
  labels["nerdctl/ports"] = R"([{"HostPort":8080,"ContainerPort":80,"Protocol":"tcp","HostIP":"0.0.0.0"},{"ContainerPort":"x"}])";
  labels["io.containerd.image.config.stop-signal"] = "SIGQUIT";
  labels["fairlead.host"] = "web.example.com";
  container.mutable_created_at()->set_seconds(1000);
  container.mutable_spec()->set_value(R"({"process":{"env":["VIRTUAL_HOST=x","SECRET=y"]},"linux":{"namespaces":[{"type":"pid"},{"type":"network"}]}})");
  return container;
}

containerd::Process Task(containerd::Process::Status status) {
  containerd::Process task;
  task.set_id("c0ffee");
  task.set_pid(77);
  task.set_status(status);
  return task;
}

const std::vector<CniResult> kNetworks = {{.network = "bridge", .container_id = "default-c0ffee", .interface = "eth0", .plugins = {"bridge"},
                                           .addresses = {*InterfaceAddress::Parse("10.4.0.5/24"), *InterfaceAddress::Parse("fd00:4::5/64")},
                                           .mac = *MacAddress::Parse("02:00:00:00:00:05")}};

TEST(ContainerdRead, ANerdctlContainerIsWhatItsLabelsAndCniSay) {
  const containerd::Process task = Task(containerd::Process::RUNNING);
  const ContainerDetails read = ReadContainer("default", Nerdctl(), &task, true, 4711, 5 * kSecond, kNetworks);
  EXPECT_EQ(read.id, "default/c0ffee");
  EXPECT_EQ(read.name, "web-1");
  EXPECT_EQ(read.state, "running");
  EXPECT_EQ(read.pid, 77);
  EXPECT_EQ(read.run, "default/c0ffee-4711");
  EXPECT_EQ(read.created_wall, 1000 * kSecond);
  EXPECT_EQ(read.started_wall, 5 * kSecond);
  EXPECT_EQ(read.stop_signal, "SIGQUIT");
  EXPECT_EQ(read.labels.at("fairlead.host"), "web.example.com");
  EXPECT_EQ(read.environment, (Labels{{"VIRTUAL_HOST", "x"}}));
  ASSERT_EQ(read.published.size(), 1u);
  EXPECT_EQ(read.published[0].host_port, 8080);
  EXPECT_THAT(read.exposed, ElementsAre(ContainerPort{80, "tcp"}));
  ASSERT_EQ(read.networks.size(), 1u);
  EXPECT_EQ(read.networks[0].ipv4.ToString(), "10.4.0.5/24");
  EXPECT_EQ(read.networks[0].ipv6.ToString(), "fd00:4::5/64");
  EXPECT_FALSE(read.host_network);
}

TEST(ContainerdRead, WithoutANetworkNamespaceOfItsOwnItIsOnTheHosts) {
  containerd::Container container;
  container.set_id("plain");
  container.mutable_spec()->set_value(R"({"linux":{"namespaces":[{"type":"pid"}]}})");
  const ContainerDetails read = ReadContainer("default", container, nullptr, false, 0, 0, {});
  EXPECT_TRUE(read.host_network);
  EXPECT_EQ(read.name, "plain");
  container.mutable_spec()->set_value("no json");
  EXPECT_FALSE(ReadContainer("default", container, nullptr, false, 0, 0, {}).host_network) << "nothing is known";
}

TEST(ContainerdRead, AStateComesFromTheTask) {
  const std::pair<containerd::Process::Status, std::string> kStates[] = {
      {containerd::Process::CREATED, "created"}, {containerd::Process::RUNNING, "running"}, {containerd::Process::PAUSED, "paused"},
      {containerd::Process::PAUSING, "paused"}, {containerd::Process::STOPPED, "exited"}};
  for (const auto& [status, state] : kStates) {
    const containerd::Process task = Task(status);
    EXPECT_EQ(TaskState(&task, true), state);
  }
  EXPECT_EQ(TaskState(nullptr, false), "created");
  EXPECT_EQ(TaskState(nullptr, true), "exited");
}

TEST(ContainerdRead, WhatHasEndedHasNoAddress) {
  const containerd::Process task = Task(containerd::Process::STOPPED);
  const ContainerDetails read = ReadContainer("default", Nerdctl(), &task, true, 0, 0, kNetworks);
  EXPECT_TRUE(read.networks.empty());
  EXPECT_EQ(read.pid, 0);
}

template <class Message>
containerd::Envelope Event(const std::string& topic, const Message& message, const std::string& name_space = "default") {
  containerd::Envelope envelope;
  envelope.set_namespace_(name_space);
  envelope.set_topic(topic);
  envelope.mutable_timestamp()->set_seconds(7);
  envelope.mutable_event()->set_value(message.SerializeAsString());
  return envelope;
}

TEST(ContainerdRead, EventsAreInTheWordsOfTheOthers) {
  containerd::ContainerEvent of;
  of.set_id("c1");
  auto action = [&](const std::string& topic) {
    auto event = ReadEvent(Event(topic, of), {"default"});
    return event ? event->action : "";
  };
  const std::pair<std::string, std::string> kActions[] = {
      {"/containers/create", "create"}, {"/containers/update", "update"}, {"/containers/delete", "destroy"}, {"/tasks/create", "update"},
      {"/tasks/start", "start"}, {"/tasks/paused", "pause"}, {"/tasks/resumed", "unpause"}, {"/tasks/oom", "oom"},
      {"/tasks/exec-added", ""}, {"/tasks/exec-started", ""}, {"/snapshot/prepare", ""}};
  for (const auto& [topic, ours] : kActions) EXPECT_EQ(action(topic), ours) << topic;
  const EngineEvent event = *ReadEvent(Event("/tasks/start", of), {"default"});
  EXPECT_EQ(event.type, "container");
  EXPECT_EQ(event.id, "default/c1");
  EXPECT_EQ(event.time_wall, 7 * kSecond);
  EXPECT_FALSE(ReadEvent(Event("/tasks/start", of, "moby"), {"default"}));
}

TEST(ContainerdRead, TheEndOfAnExecIsNotTheContainers) {
  containerd::TaskExit exit;
  exit.set_container_id("c1");
  exit.set_id("probe-1");
  EXPECT_FALSE(ReadEvent(Event("/tasks/exit", exit), {"default"}));
  exit.set_id("c1");
  EXPECT_EQ(ReadEvent(Event("/tasks/exit", exit), {"default"})->action, "die");
  containerd::TaskDelete deleted;
  deleted.set_container_id("c1");
  deleted.set_id("probe-1");
  EXPECT_FALSE(ReadEvent(Event("/tasks/delete", deleted), {"default"}));
}

TEST(ContainerdRead, TheStartOfAProcessIsField22WhateverItsName) {
  EXPECT_EQ(StartTicks("77 (a) b) c) S 1 77 77 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4711 99 1"), 4711u);
  EXPECT_EQ(StartTicks(""), 0u);
  EXPECT_EQ(StartTicks("77 (a) S 1"), 0u);
}

}  // namespace
}  // namespace fairlead::runtime
