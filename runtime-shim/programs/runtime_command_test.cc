#include "runtime-shim/programs/runtime_command.h"

#include <gtest/gtest.h>

namespace fairlead::programs {

bool operator==(const RuntimeCommand& a, const RuntimeCommand& b) { return a.verb == b.verb && a.container == b.container; }
std::ostream& operator<<(std::ostream& out, const RuntimeCommand& c) { return out << c.verb << " of " << c.container; }

namespace {

using Command = RuntimeCommand;

TEST(RuntimeCommand, FindsTheContainerAsContainerdsShimWritesIt) {
  EXPECT_EQ(ParseRuntimeCommand({"--root", "/run/docker/runtime-runc/moby", "--log", "/run/log.json", "--log-format", "json",
                                 "--systemd-cgroup", "create", "--bundle", "/run/b", "--pid-file", "/run/b/init.pid",
                                 "--console-socket", "/tmp/pty.sock", "c0ffee"}),
            (Command{"create", "c0ffee"}));
}

TEST(RuntimeCommand, FindsTheContainerAsConmonWritesIt) {
  EXPECT_EQ(ParseRuntimeCommand({"--systemd-cgroup", "--root=/run/crun", "create", "--bundle", "/b", "--pid-file", "/p",
                                 "--no-pivot", "--preserve-fds=2", "c0ffee"}),
            (Command{"create", "c0ffee"}));
}

TEST(RuntimeCommand, KnowsTheGlobalFlagsOfRuncAndCrun) {
  for (const char* flag : {"--log", "--log-format", "--root", "--criu", "--rootless", "--cgroup-manager", "--log-level", "-root"}) {
    EXPECT_EQ(ParseRuntimeCommand({flag, "create", "create", "c0ffee"}), (Command{"create", "c0ffee"})) << flag;
    std::string joined = std::string(flag) + "=x";
    EXPECT_EQ(ParseRuntimeCommand({joined, "create", "c0ffee"}), (Command{"create", "c0ffee"})) << flag;
  }
  for (const char* flag : {"--debug", "--systemd-cgroup", "--new-in-some-release"})
    EXPECT_EQ(ParseRuntimeCommand({flag, "create", "c0ffee"}), (Command{"create", "c0ffee"})) << flag;
}

TEST(RuntimeCommand, KnowsTheFlagsOfCreate) {
  for (const char* flag : {"-b", "--bundle", "--console-socket", "--pid-file", "--pidfd-socket", "--preserve-fds", "-f", "--config"})
    EXPECT_EQ(ParseRuntimeCommand({"create", flag, "value", "c0ffee"}), (Command{"create", "c0ffee"})) << flag;
  for (const char* flag : {"--no-pivot", "--no-new-keyring", "--no-subreaper"})
    EXPECT_EQ(ParseRuntimeCommand({"create", flag, "c0ffee"}), (Command{"create", "c0ffee"})) << flag;
}

TEST(RuntimeCommand, TellsOfNoContainerButTheOneThatIsCreated) {
  EXPECT_EQ(ParseRuntimeCommand({"--root", "/r", "start", "c0ffee"}), (Command{"start", ""}));
  EXPECT_EQ(ParseRuntimeCommand({"delete", "create"}), (Command{"delete", ""}));
  EXPECT_EQ(ParseRuntimeCommand({"--root", "create"}), (Command{"", ""}));
  EXPECT_EQ(ParseRuntimeCommand({"create"}), (Command{"create", ""}));
  EXPECT_EQ(ParseRuntimeCommand({"create", "--bundle"}), (Command{"create", ""}));
  EXPECT_EQ(ParseRuntimeCommand({"--version"}), (Command{"", ""}));
  EXPECT_EQ(ParseRuntimeCommand({}), (Command{"", ""}));
}

TEST(RuntimeCommand, TakesADoubleDashForTheEndOfFlags) {
  EXPECT_EQ(ParseRuntimeCommand({"create", "--", "--odd"}), (Command{"create", "--odd"}));
}

TEST(FindRuntime, TakesTheChosenOneUnseen) { EXPECT_EQ(FindRuntime("/opt/kata"), "/opt/kata"); }

TEST(FindRuntime, FindsDebiansRunc) {
  std::string found = FindRuntime("");  // /usr/sbin, or /usr/bin where both are one folder
  EXPECT_TRUE(found == "/usr/sbin/runc" || found == "/usr/bin/runc") << found;
}

}  // namespace
}  // namespace fairlead::programs
