#include "app/completion.h"

#include <vector>

#include "base/strings.h"

namespace fairlead::app {
namespace {

// One command: "/ip/reserve", what may follow it and its flags, with what each is for.
struct Command {
  std::string path;
  std::vector<std::pair<std::string, std::string>> words, flags;
};

std::string FirstLine(std::string text) {
  std::erase(text, '\'');
  return text.substr(0, text.find('\n'));
}

void Collect(const CLI::App& app, const std::string& path, std::vector<Command>& all) {
  Command command{.path = path};
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) command.flags.push_back({"--" + name, FirstLine(option->get_description())});
    for (const std::string& name : option->get_snames()) command.flags.push_back({"-" + name, FirstLine(option->get_description())});
  }
  const auto children = app.get_subcommands([](const CLI::App*) { return true; });
  for (const CLI::App* child : children) command.words.push_back({child->get_name(), FirstLine(child->get_description())});
  all.push_back(std::move(command));
  for (const CLI::App* child : children) Collect(*child, path + "/" + child->get_name(), all);
}

std::string NamesOf(const Command& command) {
  std::string names;
  for (const auto* list : {&command.words, &command.flags})
    for (const auto& [name, about] : *list) names += Cat(names.empty() ? "" : " ", name);
  return names;
}

// Patterns of `case` and `switch`: every command but the root.
std::string PathsOf(const std::vector<Command>& all, std::string_view between) {
  std::string paths;
  for (const Command& command : all)
    if (!command.path.empty()) paths += Cat(paths.empty() ? "" : between, command.path);
  return paths;
}

// For bash and zsh. `before` are the words before the one that is being typed; flags and values are passed over.
std::string ShellBody(const std::vector<Command>& all) {
  std::string script = Cat("  local at= word offers=\n"
                           "  for word in \"${before[@]}\"; do\n"
                           "    case \"$at/$word\" in\n"
                           "      ", PathsOf(all, "|"), ") at=\"$at/$word\" ;;\n"
                           "    esac\n"
                           "  done\n"
                           "  case \"$at\" in\n");
  for (const Command& command : all) script += Cat("    '", command.path, "') offers='", NamesOf(command), "' ;;\n");
  return script + "  esac\n";
}

std::string Bash(const std::vector<Command>& all) {
  return Cat("# fairlead completion bash > /usr/share/bash-completion/completions/fairlead\n"
             "_fairlead() {\n"
             "  local before=(\"${COMP_WORDS[@]:1:COMP_CWORD-1}\")\n",
             ShellBody(all),
             "  COMPREPLY=($(compgen -W \"$offers\" -- \"${COMP_WORDS[COMP_CWORD]}\"))\n"
             "}\n"
             "complete -o default -F _fairlead fairlead\n");
}

std::string Zsh(const std::vector<Command>& all) {
  return Cat("#compdef fairlead\n"
             "# fairlead completion zsh > /usr/share/zsh/site-functions/_fairlead\n"
             "_fairlead() {\n"
             "  local -a before=(\"${(@)words[2,CURRENT-1]}\")\n"
             "  _fairlead_offers \"${(@)before}\" || _files\n"
             "}\n"
             "_fairlead_offers() {\n"
             "  local -a before=(\"$@\")\n",
             ShellBody(all),
             "  compadd -- ${=offers}\n"
             "}\n"
             "(( ${+functions[compdef]} )) && compdef _fairlead fairlead\n"
             // Read as a file of $fpath this is the function itself, called for the first time.
             "if [ \"${funcstack[1]}\" = _fairlead ]; then _fairlead \"$@\"; fi\n");
}

std::string Fish(const std::vector<Command>& all) {
  std::string script = Cat("# fairlead completion fish > /usr/share/fish/vendor_completions.d/fairlead.fish\n"
                           "function __fairlead_path\n"
                           "  set -l path ''\n"
                           "  for word in (commandline -opc)[2..-1]\n"
                           "    switch \"$path/$word\"\n"
                           "      case ", PathsOf(all, " "), "\n"
                           "        set path \"$path/$word\"\n"
                           "    end\n"
                           "  end\n"
                           "  echo \"$path\"\n"
                           "end\n");
  for (const Command& command : all) {
    const std::string here = Cat("complete -c fairlead -n 'test (__fairlead_path) = \"", command.path, "\"'");
    for (const auto& [name, about] : command.words) script += Cat(here, " -f -a ", name, " -d '", about, "'\n");
    for (const auto& [name, about] : command.flags)
      script += Cat(here, name.starts_with("--") ? " -l " : " -s ", name.substr(name.find_first_not_of('-')), " -d '", about, "'\n");
  }
  return script;
}

}  // namespace

StatusOr<std::string> CompletionScript(const CLI::App& root, std::string_view shell) {
  std::vector<Command> all;
  Collect(root, "", all);
  if (shell == "bash") return Bash(all);
  if (shell == "zsh") return Zsh(all);
  if (shell == "fish") return Fish(all);
  return InvalidArgument("completion for \"", shell, "\" is not there; say bash, zsh or fish");
}

}  // namespace fairlead::app
