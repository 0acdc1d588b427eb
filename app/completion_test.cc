#include "app/completion.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>

#include "app/agent_fixture.h"

namespace fairlead::app {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsSupersetOf;

std::string Script(const std::string& shell) {
  TestAgent::Ran ran = TestAgent::RunAlone({"completion", shell});
  EXPECT_EQ(ran.code, 0) << ran.err;
  return ran.out;
}

// What bash offers after these words, with the script as it is.
std::vector<std::string> Offers(const std::string& words, int at) {
  const std::string path = testing::TempDir() + Cat("fairlead-completion-", getpid());
  std::ofstream(path) << Script("bash") << "COMP_WORDS=(fairlead " << words << ")\nCOMP_CWORD=" << at
                      << "\n_fairlead\nprintf '%s\\n' \"${COMPREPLY[@]}\"\n";
  FILE* bash = popen(Cat("bash --norc ", path).c_str(), "r");
  std::vector<std::string> offers;
  char line[256];
  while (fgets(line, sizeof(line), bash) != nullptr) offers.push_back(std::string(line, strcspn(line, "\n")));
  EXPECT_EQ(pclose(bash), 0);
  remove(path.c_str());
  return offers;
}

void ExpectAll(const CLI::App& app, const std::string& script, const std::string& shell) {
  for (const CLI::Option* option : app.get_options())
    for (const std::string& name : option->get_lnames())
      EXPECT_THAT(script, HasSubstr(Cat(shell == "fish" ? "-l " : "--", name))) << shell << " " << app.get_name();
  for (const CLI::App* child : app.get_subcommands([](const CLI::App*) { return true; })) {
    EXPECT_THAT(script, HasSubstr(Cat("/", child->get_name()))) << shell;
    ExpectAll(*child, script, shell);
  }
}

TEST(Completion, HasEveryCommandAndFlagInEveryShell) {
  CLI::App root("a program", "fairlead");
  std::string value;
  root.add_option("--api", value);
  CLI::App* deep = root.add_subcommand("ip", "leases")->add_subcommand("reserve", "it's a name's address\nmore");
  deep->add_option("NAME", value);
  deep->add_option("-p,--pool", value, "of this pool");
  for (std::string_view shell : kShells) ExpectAll(root, *CompletionScript(root, shell), std::string(shell));
  EXPECT_THAT(*CompletionScript(root, "fish"), HasSubstr("-f -a reserve -d 'its a name"));
  EXPECT_THAT(*CompletionScript(root, "fish"), HasSubstr("= \"/ip/reserve\"' -s p -d 'of this pool'"));
}

TEST(Completion, BashOffersWhatMayFollow) {
  EXPECT_THAT(Offers("ip re", 2), ElementsAre("reserve", "release", "reclaim"));
  EXPECT_THAT(Offers("ip reserve web --p", 4), ElementsAre("--pool", "--project"));
  EXPECT_THAT(Offers("--api unix:/x pool \"\"", 4), IsSupersetOf({"ls", "inspect", "create", "update", "rm"}));
  EXPECT_THAT(Offers("\"\"", 1), IsSupersetOf({"status", "ip", "pool", "network", "verify", "adopt", "completion", "--api"}));
}

TEST(Completion, TheRealCommandLineIsInAllScripts) {
  for (std::string_view shell : kShells)
    for (const char* command : {"/ip/history", "/pool/create", "/network/rm", "/verify", "/adopt", "/completion", "/install/docker"})
      EXPECT_THAT(Script(std::string(shell)), HasSubstr(command)) << shell;
}

TEST(Completion, AnUnknownShellIsAUsageError) {
  TestAgent::Ran ran = TestAgent::RunAlone({"completion", "tcsh"});
  EXPECT_EQ(ran.code, 2);
  EXPECT_THAT(ran.err, HasSubstr("completion for \"tcsh\" is not there; say bash, zsh or fish"));
}

}  // namespace
}  // namespace fairlead::app
