#include "app/install.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <sstream>

#include "app/daemon_json.h"
#include "app/install_podman.h"
#include "app/whole_file.h"

namespace fairlead::app {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr char kFile[] = R"({
    "zeta": {"b": 1, "a": [1, 2]},
    "authorization-plugins": ["opa"],
    "live-restore": true
}
)";
constexpr char kWithPlugin[] = R"({
    "zeta": {
        "b": 1,
        "a": [
            1,
            2
        ]
    },
    "authorization-plugins": [
        "opa",
        "fairlead-authz"
    ],
    "live-restore": true
}
)";

TEST(DaemonJson, AddsToAListAndKeepsOrderIndentAndUnknownKeys) {
  EXPECT_EQ(*AddToJsonList(kFile, "f", "authorization-plugins", "fairlead-authz"), kWithPlugin);
  EXPECT_EQ(*AddToJsonList("", "f", "k", "v"), "{\n  \"k\": [\n    \"v\"\n  ]\n}\n");
}

TEST(DaemonJson, ChangesNothingWhereNothingIsToChange) {
  EXPECT_EQ(*AddToJsonList(R"({ "k":["v"] })", "f", "k", "v"), R"({ "k":["v"] })");
  EXPECT_EQ(*RemoveFromJsonList(kFile, "f", "authorization-plugins", "fairlead-authz"), kFile);
  EXPECT_EQ(*RemoveFromJsonList("", "f", "k", "v"), "");
}

TEST(DaemonJson, TakesAnEmptiedListAway) {
  EXPECT_EQ(*RemoveFromJsonList(R"({"a":1,"k":["v"],"b":2})", "f", "k", "v"), "{\n  \"a\": 1,\n  \"b\": 2\n}\n");
  EXPECT_TRUE(SameJson(*RemoveFromJsonList(kWithPlugin, "f", "authorization-plugins", "fairlead-authz"), kFile));
}

TEST(DaemonJson, RefusesWhatIsNoJsonAndNamesTheLine) {
  Status error = AddToJsonList("{\n  \"a\": 1,\n  oops\n}\n", "/etc/docker/daemon.json", "k", "v").status();
  EXPECT_EQ(error.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(Message(error), testing::StartsWith("/etc/docker/daemon.json:3: this is no JSON: "));
  EXPECT_THAT(Message(AddToJsonList("{\"a\": 1", "f", "k", "v").status()), testing::StartsWith("f:1: "));
  EXPECT_THAT(Message(AddToJsonList("[]", "f", "k", "v").status()), HasSubstr("no JSON object"));
  for (const char* other : {R"({"k":"v"})", R"({"k":[1]})", R"({"k":{}})"})
    EXPECT_EQ(Message(AddToJsonList(other, "f", "k", "v").status()), "f: \"k\" is no list of strings; nothing was changed");
}

// A dockerd that does as the test says, and what was asked of it.
struct ScriptedHost final : InstallHost {
  Status CheckPlugin() override { return Step("plugin", plugin); }
  Status Validate(const std::string& file) override {
    StatusOr<std::optional<std::string>> text = ReadWhole(file);
    validated = text->value_or("");
    return Step("validate", valid);
  }
  StatusOr<bool> Reload() override {
    RETURN_IF_ERROR(Step("reload", reload));
    return running;
  }
  Status WaitForReload() override { return Step("wait", wait); }
  Status Step(const char* name, const Status& status) {
    steps.push_back(name);
    return status;
  }
  Status plugin, valid, reload, wait;
  bool running = true;
  std::string validated;
  std::vector<std::string> steps;
};

class InstallTest : public testing::Test {
 protected:
  InstallTest() {
    std::string name = "/tmp/fairlead-install-XXXXXX";
    folder_ = mkdtemp(name.data());
    plan_ = {.file = Cat(folder_, "/docker/daemon.json"), .plugin = "fairlead-authz"};
  }
  ~InstallTest() override { std::filesystem::remove_all(folder_); }

  void Write(const std::string& text) { ASSERT_TRUE(WriteWhole(plan_.file, text).ok()); }
  std::optional<std::string> Read() { return *ReadWhole(plan_.file); }
  size_t FilesThere() {
    std::error_code none;
    std::filesystem::directory_iterator files(folder_ + "/docker", none);
    return static_cast<size_t>(std::distance(begin(files), end(files)));
  }
  Status Install() { return InstallAuthz(plan_, host_, out_); }
  Status Uninstall() { return UninstallAuthz(plan_, host_, out_); }

  std::string folder_;
  DaemonJsonPlan plan_;
  ScriptedHost host_;
  std::ostringstream out_;
};

TEST_F(InstallTest, NamesThePluginAndHasDockerdReadIt) {
  Write(kFile);
  ASSERT_TRUE(Install().ok());
  EXPECT_EQ(Read(), kWithPlugin);
  EXPECT_EQ(*ReadWhole(BackupOf(plan_.file)), kFile);
  EXPECT_EQ(host_.validated, kWithPlugin);
  EXPECT_THAT(host_.steps, ElementsAre("plugin", "validate", "reload", "wait"));
  EXPECT_EQ(out_.str(), Cat("dockerd has read it, without a restart: its API answers through fairlead-authz\n", plan_.file,
                            ": authorization-plugins names fairlead-authz; as it was: ", plan_.file, ".before-fairlead\n"));
}

TEST_F(InstallTest, PutsTheNameServerInFrontAndSaysThatDockerdMustBeRestarted) {
  const std::string file = "{\n  \"dns\": [\"10.0.0.2\"],\n  \"debug\":   true\n}\n";
  Write(file);
  ASSERT_TRUE(InstallDns(plan_.file, "169.254.53.53", out_).ok());
  EXPECT_TRUE(SameJson(*Read(), R"({"dns": ["169.254.53.53", "10.0.0.2"], "debug": true})")) << *Read();
  EXPECT_THAT(out_.str(), HasSubstr("169.254.53.53 is the first of dns; dockerd reads that key only when it starts"));
  EXPECT_THAT(host_.steps, testing::IsEmpty()) << "nothing is reloaded: it would do nothing";
  ASSERT_TRUE(InstallDns(plan_.file, "169.254.53.53", out_).ok());
  EXPECT_THAT(out_.str(), HasSubstr("names 169.254.53.53 already"));
  ASSERT_TRUE(UninstallDns(plan_.file, "169.254.53.53", out_).ok());
  EXPECT_EQ(Read(), file);
  EXPECT_EQ(FilesThere(), 1u);
  ASSERT_TRUE(UninstallDns(plan_.file, "169.254.53.53", out_).ok());
  EXPECT_THAT(out_.str(), HasSubstr("does not name 169.254.53.53"));
}

TEST_F(InstallTest, AFileThatWasMadeForTheNameServerGoesWithIt) {
  ASSERT_TRUE(InstallDns(plan_.file, "169.254.53.53", out_).ok());
  EXPECT_TRUE(SameJson(*Read(), R"({"dns": ["169.254.53.53"]})"));
  ASSERT_TRUE(UninstallDns(plan_.file, "169.254.53.53", out_).ok());
  EXPECT_EQ(Read(), std::nullopt);
}

TEST_F(InstallTest, UninstallLeavesTheFileByteForByteAsItWas) {
  Write(kFile);
  ASSERT_TRUE(Install().ok());
  ASSERT_TRUE(Uninstall().ok());
  EXPECT_EQ(Read(), kFile);
  EXPECT_EQ(FilesThere(), 1u);
}

TEST_F(InstallTest, UninstallLeavesNoFileWhereThereWasNone) {
  ASSERT_TRUE(Install().ok());
  EXPECT_TRUE(Read().has_value());
  ASSERT_TRUE(Uninstall().ok());
  EXPECT_EQ(FilesThere(), 0u);
}

TEST_F(InstallTest, UninstallKeepsWhatOthersHaveChangedSince) {
  Write("{}");
  ASSERT_TRUE(Install().ok());
  Write(R"({"authorization-plugins": ["fairlead-authz", "opa"], "debug": true})");
  ASSERT_TRUE(Uninstall().ok());
  EXPECT_TRUE(SameJson(*Read(), R"({"authorization-plugins": ["opa"], "debug": true})"));
}

TEST_F(InstallTest, BothAreSafeToRepeat) {
  Write(kFile);
  ASSERT_TRUE(Install().ok());
  ASSERT_TRUE(Install().ok());
  EXPECT_EQ(Read(), kWithPlugin);
  EXPECT_EQ(*ReadWhole(BackupOf(plan_.file)), kFile) << "the backup is of the file without the plugin";
  ASSERT_TRUE(Uninstall().ok());
  host_.steps.clear();
  ASSERT_TRUE(Uninstall().ok());
  EXPECT_EQ(Read(), kFile);
  EXPECT_TRUE(host_.steps.empty());
}

TEST_F(InstallTest, ChangesNothingWhileThePluginDoesNotAnswer) {
  Write(kFile);
  host_.plugin = Unavailable("nobody there");
  EXPECT_EQ(Install().code(), StatusCode::kUnavailable);
  EXPECT_EQ(Read(), kFile);
  EXPECT_EQ(FilesThere(), 1u);
}

TEST_F(InstallTest, PutsTheFileBackWhenDockerdDoesNotTakeIt) {
  std::vector<std::string> steps;
  for (Status ScriptedHost::*failing : {&ScriptedHost::valid, &ScriptedHost::reload, &ScriptedHost::wait}) {
    Write(kFile);
    ScriptedHost host;
    host.*failing = FailedPrecondition("no");
    Status error = InstallAuthz(plan_, host, out_);
    steps = host.steps;
    EXPECT_EQ(error.code(), StatusCode::kFailedPrecondition);
    EXPECT_EQ(Message(error), Cat(plan_.file, " is as it was: no"));
    EXPECT_EQ(Read(), kFile);
  }
  EXPECT_THAT(steps, ElementsAre("plugin", "validate", "reload", "wait", "reload")) << "dockerd reads the old one again";
}

TEST_F(InstallTest, TakesAFileBackThatWasNotThere) {
  host_.wait = Unavailable("no");
  EXPECT_FALSE(Install().ok());
  EXPECT_EQ(FilesThere(), 0u);
}

TEST_F(InstallTest, DoesWithoutValidationWhereDockerdHasNone) {
  host_.valid = Unimplemented("20.10");
  EXPECT_TRUE(Install().ok());
}

TEST_F(InstallTest, WritesTheFileForADockerdThatDoesNotRun) {
  host_.running = false;
  ASSERT_TRUE(Install().ok());
  EXPECT_THAT(out_.str(), HasSubstr("dockerd does not run; it reads the file when it starts\n"));
  EXPECT_THAT(host_.steps, ElementsAre("plugin", "validate", "reload"));
}

TEST_F(InstallTest, KeepsThePermissionsAndALink) {
  Write("{}");
  ASSERT_EQ(chmod(plan_.file.c_str(), 0640), 0);
  std::string real = plan_.file;
  plan_.file = Cat(folder_, "/link.json");
  std::filesystem::create_symlink(real, plan_.file);
  ASSERT_TRUE(Install().ok());
  EXPECT_TRUE(std::filesystem::is_symlink(plan_.file));
  struct stat now;
  ASSERT_EQ(stat(real.c_str(), &now), 0);
  EXPECT_EQ(now.st_mode & 0777, 0640u);
}

TEST_F(InstallTest, RefusesAFileThatIsNoJson) {
  Write("{\n oops");
  EXPECT_EQ(Install().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(Uninstall().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(Read(), "{\n oops");
  EXPECT_TRUE(host_.steps.empty());
}

class InstallPodmanTest : public InstallTest {
 protected:
  InstallPodmanTest() {
    podman_ = {.conf = Cat(folder_, "/containers/containers.conf"), .plugin_dir = folder_};
    for (const char* program : {"fairlead-cni", "fairlead-netavark"}) {
      std::string path = Cat(folder_, "/", program);
      EXPECT_TRUE(WriteWhole(path, "").ok());
      EXPECT_EQ(chmod(path.c_str(), 0755), 0);
    }
  }
  PodmanPlan podman_;
};

TEST_F(InstallPodmanTest, AddsItsFolderToTheUsualOnesAndGoesAgain) {
  ASSERT_TRUE(InstallPodman(podman_, out_).ok());
  std::string text = **ReadWhole(PodmanDropIn(podman_));
  EXPECT_THAT(text, HasSubstr(Cat("\"/usr/lib/cni\", \"/opt/cni/bin\", \"", folder_, "\"]\nnetavark_plugin_dirs = [")));
  ASSERT_TRUE(InstallPodman(podman_, out_).ok());
  EXPECT_THAT(out_.str(), HasSubstr("is there already\n"));
  ASSERT_TRUE(UninstallPodman(podman_, out_).ok());
  EXPECT_FALSE(ReadWhole(PodmanDropIn(podman_))->has_value());
  EXPECT_TRUE(UninstallPodman(podman_, out_).ok());
}

TEST_F(InstallPodmanTest, ReplacesNoListOfTheOperators) {
  ASSERT_TRUE(WriteWhole(podman_.conf, "[network]\n#cni_plugin_dirs = []\n  cni_plugin_dirs = [\"/opt\"]\n").ok());
  Status error = InstallPodman(podman_, out_);
  EXPECT_EQ(error.code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(Message(error), testing::StartsWith(Cat(podman_.conf, ":3: cni_plugin_dirs is set already")));
  EXPECT_FALSE(ReadWhole(PodmanDropIn(podman_))->has_value());
}

TEST_F(InstallPodmanTest, NamesAProgramThatIsNotThere) {
  podman_.plugin_dir = "/nowhere";
  Status error = InstallPodman(podman_, out_);
  EXPECT_EQ(error.code(), StatusCode::kNotFound);
  EXPECT_THAT(Message(error), HasSubstr("/nowhere/fairlead-cni"));
}

}  // namespace
}  // namespace fairlead::app
