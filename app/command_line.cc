#include "app/command_line.h"

#include <algorithm>
#include <ostream>

#include "app/commands.h"
#include "app/completion.h"
#include "base/strings.h"

namespace fairlead::app {
namespace {

// Commands of the contract that this version does not have: refused by name, so that nobody looks for a typing error.
constexpr std::string_view kNotYet[] = {
    "endpoint drain", "endpoint undrain", "endpoint weight",
    "node drain", "node undrain", "node fence", "release", "stop",
    "events", "top", "doctor", "import", "reload", "xds", "lb upgrade"};

bool TakesValue(const CLI::App* command, const std::string& argument) {
  if (argument.find('=') != argument.npos) return false;
  for (; command != nullptr; command = command->get_parent())
    if (const CLI::Option* option = command->get_option_no_throw(argument)) return option->get_items_expected_max() > 0;
  return false;
}

std::vector<std::string_view> NamesOf(const CLI::App* command) {
  std::vector<std::string_view> names;
  for (const CLI::App* child : command->get_subcommands([](const CLI::App*) { return true; })) names.push_back(child->get_name());
  return names;
}

// What is wrong with the words before CLI11 reads the options; "": nothing. CLI11's own words for it tell too little.
std::string WrongWord(const CLI::App& root, const std::vector<std::string>& arguments) {
  const CLI::App* command = &root;
  std::string path;
  for (size_t i = 0; i < arguments.size(); i++) {
    const std::string& word = arguments[i];
    if (word == "-h" || word == "--help" || word == "--version") return "";
    if (word.starts_with('-')) {
      i += TakesValue(command, word);
      continue;
    }
    path += Cat(path.empty() ? "" : " ", word);
    if (std::ranges::find(kNotYet, path) != std::end(kNotYet)) return Cat(path, ": not yet: this version cannot do it");
    std::vector<std::string_view> names = NamesOf(command);
    if (names.empty()) return "";  // the rest is the verb's own
    std::vector<const CLI::App*> named =
        command->get_subcommands([&](const CLI::App* child) { return child->check_name(word); });
    const CLI::App* next = named.empty() ? nullptr : named.front();
    if (next == nullptr) {
      std::string_view nearest = Nearest(word, names);
      std::string hint = nearest.empty() ? "see fairlead --help" : Cat("did you mean ", nearest, "?");
      if (command == &root) return Cat("there is no command ", word, "; ", hint);
      std::string all;
      for (std::string_view name : names) all += Cat(all.empty() ? "" : ", ", name);
      return Cat(command->get_name(), " has no ", word, "; there is ", all);
    }
    command = next;
  }
  std::vector<std::string_view> names = NamesOf(command);
  if (command == &root || names.empty()) return "";
  std::string all;
  for (std::string_view name : names) all += Cat(all.empty() ? "" : ", ", name);
  return Cat("what about ", path, "? there is ", all);
}

void AddPrograms(CLI::App& root, const std::vector<Program>& programs, Session& session) {
  for (const Program& program : programs) {
    CLI::App* command = root.add_subcommand(program.name, program.about);
    command->add_option("-c,--config", session.options.config, "configuration (default: /etc/fairlead/fairlead.yaml and conf.d)")
        ->type_name("FILE");
    command->callback([&program, &session] {
      StatusOr<Config> config = LoadConfig({.file = session.options.config});
      session.exit_code = config.ok() ? program.run(*config) : Complain(config.status(), session.err());
    });
  }
}

void AddCompletionCommand(CommandTree& tree) {
  auto shell = std::make_shared<std::string>();
  CLI::App& root = tree.root();
  CLI::App& command = tree.Local(root, "completion", "what a shell needs to complete commands and flags",
                                 [shell, &root](Session& session) -> Status {
                                   ASSIGN_OR_RETURN(std::string script, CompletionScript(root, *shell));
                                   session.out() << script;
                                   return OkStatus();
                                 });
  command.add_option("SHELL", *shell, "bash, zsh or fish")->required();
}

}  // namespace

int RunCommandLine(const std::vector<std::string>& arguments, const std::vector<Program>& programs,
                   const std::string& version, const Terminal& terminal, const Clock& clock) {
  CLI::App root("Fairlead: addresses, names, routes and life-cycle of containers, from one catalog", "fairlead");
  Session session(terminal, clock);
  root.require_subcommand(1);
  root.set_version_flag("--version", Cat("fairlead ", version));
  root.add_option("--api", session.options.api, "the agent for commands: unix:PATH or http://IP:PORT")->type_name("ADDRESS");
  root.failure_message([](const CLI::App*, const CLI::Error& error) { return Cat("fairlead: ", error.what(), "\n"); });
  root.footer("Exit status: 0 done, 1 failed, 2 usage, 3 not found, 4 conflict or exhausted, 5 agent unreachable, 6 denied");
  AddPrograms(root, programs, session);
  CommandTree tree(root, session);
  AddStatusCommand(tree);
  AddServiceCommands(tree);
  AddIpCommands(tree);
  AddPoolCommands(tree);
  AddNetworkCommands(tree);
  AddAuditCommand(tree);
  AddVerifyCommand(tree);
  AddAdoptCommand(tree);
  AddNodeCommands(tree);
  AddEnvCommands(tree);
  AddWhyCommand(tree);
  AddLintCommand(tree);
  AddInstallCommands(tree);
  AddCaCommands(tree);
  AddCompletionCommand(tree);

  if (arguments.empty()) {
    terminal.err << root.help();
    return 2;
  }
  if (std::string wrong = WrongWord(root, arguments); !wrong.empty()) {
    terminal.err << "fairlead: " << wrong << "\n";
    return 2;
  }
  try {  // CLI11 throws on usage errors and on --help
    root.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
  } catch (const CLI::ParseError& error) {
    return root.exit(error, terminal.out, terminal.err) == 0 ? 0 : 2;
  }
  return session.exit_code;
}

}  // namespace fairlead::app
