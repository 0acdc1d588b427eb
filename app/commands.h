// The operator's commands: `fairlead NOUN VERB …` (contract, "Commands"). One file per noun declares its verbs to CLI11
// through CommandTree and runs them on a Session.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "app/client.h"
#include "app/output.h"

namespace fairlead::app {

struct CommandOptions {
  std::string api;              // "": api.socket of the configuration
  std::string config;
  OutputOptions output;
  bool watch = false;
  bool yes = false;             // destructive verbs do not ask
};

// One run of a command: the agent, the terminal, the options.
class Session {
 public:
  static constexpr Nanos kWatchInterval = kSecond;

  Session(const Terminal& terminal, const Clock& clock) : terminal_(terminal), clock_(clock) {}

  StatusOr<nlohmann::json> Get(std::string target);
  // POST, PUT or DELETE; `body` null: none.
  StatusOr<nlohmann::json> Change(std::string method, std::string target, const nlohmann::json& body = nullptr);
  // Prints the rows of a page; with --watch, then every change, until the agent goes away.
  Status List(const Listing& listing, const std::string& target);
  // OK when a destructive verb may go on.
  Status Confirm(const std::string& question);
  // Prints json, yaml or the name, whatever was asked for; false when it is for the caller to print for people.
  bool PrintObject(const nlohmann::json& object);

  std::ostream& out() { return terminal_.out; }
  std::ostream& err() { return terminal_.err; }
  const Terminal& terminal() const { return terminal_; }
  Nanos now_wall() const { return clock_.WallNow(); }

  CommandOptions options;
  int exit_code = 0;

 private:
  StatusOr<ApiClient*> Client();
  const Terminal& terminal_;
  const Clock& clock_;
  std::optional<ApiClient> client_;
};

class CommandTree {
 public:
  CommandTree(CLI::App& root, Session& session) : root_(root), session_(session) {}

  CLI::App& Noun(const char* name, const char* about);
  // A verb whose error is printed and becomes the exit code.
  CLI::App& Local(CLI::App& noun, const char* name, const char* about, std::function<Status(Session&)> run);
  // A verb that talks to the agent.
  CLI::App& Verb(CLI::App& noun, const char* name, const char* about, std::function<Status(Session&)> run);
  // `ls` with -o, -q and --watch.
  CLI::App& Ls(CLI::App& noun, const char* about, Listing listing, const char* target);
  // `inspect NAME`, told for people by `print`.
  CLI::App& Inspect(CLI::App& noun, const char* about, std::function<Status(Session&, const std::string& name)> run);
  CLI::App& root() { return root_; }
  CommandOptions& options() { return session_.options; }
  void AddOutputOptions(CLI::App& command);
  void AddYes(CLI::App& command);  // -y of a verb that calls Session::Confirm

 private:
  CLI::App& root_;
  Session& session_;
};

void AddStatusCommand(CommandTree& tree);
void AddServiceCommands(CommandTree& tree);   // service, endpoint, route
void AddIpCommands(CommandTree& tree);
void AddPoolCommands(CommandTree& tree);
void AddNetworkCommands(CommandTree& tree);
void AddAuditCommand(CommandTree& tree);
void AddVerifyCommand(CommandTree& tree);
void AddAdoptCommand(CommandTree& tree);
void AddNodeCommands(CommandTree& tree);
void AddEnvCommands(CommandTree& tree);
void AddWhyCommand(CommandTree& tree);
void AddLintCommand(CommandTree& tree);
void AddInstallCommands(CommandTree& tree);   // install, uninstall
void AddCaCommands(CommandTree& tree);

// "-" and the like are for tables: what a change did is one line, without what could steer the terminal.
void Tell(Session& session, const std::string& line);

// Columns of endpoints, for `endpoint ls` and `service inspect`; of routes.
Listing EndpointListing();
Listing RouteListing();

// The message of an error and the way out, on stderr; gives the exit code.
int Complain(const Status& status, std::ostream& err);

}  // namespace fairlead::app
