#include "app/commands.h"

#include <algorithm>
#include <ostream>

#include "app/api_reply.h"
#include "app/config.h"
#include "app/programs.h"
#include "app/table.h"
#include "base/strings.h"

namespace fairlead::app {

using nlohmann::json;

int Complain(const Status& status, std::ostream& err) {
  err << "fairlead: " << Message(status) << "\n";
  if (std::string fix = FixOf(status); !fix.empty()) err << "  try: " << fix << "\n";
  return ExitCodeOf(status);
}

void Tell(Session& session, const std::string& line) { session.out() << Printable(line) << "\n"; }

// A fault in the configuration must not keep the operator from looking at an agent that runs.
StatusOr<ApiClient*> Session::Client() {
  if (client_) return &*client_;
  std::string address = options.api;
  if (address.empty()) {
    StatusOr<Config> config = LoadConfig({.file = options.config});
    if (!config.ok() && !options.config.empty()) return config.status();
    if (!config.ok()) err() << "fairlead: the configuration has faults; using its default for api.socket\n";
    address = Cat("unix:", config.ok() ? config->api_socket : Config().api_socket);
  }
  ASSIGN_OR_RETURN(SocketAddress parsed, ApiClient::ParseAddress(address));
  ASSIGN_OR_RETURN(ApiClient client, ApiClient::Open(std::move(parsed), clock_));
  client_.emplace(std::move(client));
  return &*client_;
}

StatusOr<json> Session::Get(std::string target) {
  ASSIGN_OR_RETURN(ApiClient * client, Client());
  return client->Get(std::move(target));
}

StatusOr<json> Session::Change(std::string method, std::string target, const json& body) {
  ASSIGN_OR_RETURN(ApiClient * client, Client());
  return client->Change(std::move(method), std::move(target), body);
}

Status Session::List(const Listing& listing, const std::string& target) {
  if (options.watch && options.output.format == "yaml")
    return InvalidArgument("--watch prints a table, names or json; there is no stream of yaml");
  ASSIGN_OR_RETURN(json rows, Get(target));
  if (!options.watch || options.output.format != "json") {
    PrintListing(listing, rows, options.output, now_wall(), terminal_);
  } else {
    PrintChanges(listing, json::array(), rows, options.output, now_wall(), terminal_);
  }
  while (options.watch) {
    out().flush();
    client_->Pause(kWatchInterval);
    ASSIGN_OR_RETURN(json next, Get(target));
    PrintChanges(listing, rows, next, options.output, now_wall(), terminal_);
    rows = std::move(next);
  }
  return OkStatus();
}

Status Session::Confirm(const std::string& question) {
  if (options.yes) return OkStatus();
  std::optional<bool> answer = terminal_.ask ? terminal_.ask(question) : std::nullopt;
  if (!answer) return InvalidArgument("nobody is there to be asked; -y does it without asking");
  return *answer ? OkStatus() : Error(StatusCode::kCancelled, "nothing was changed");
}

bool Session::PrintObject(const json& object) {
  if (PrintData(object, options.output, terminal_)) return true;
  if (!options.output.names()) return false;
  out() << Printable(FieldOf(object, "name")) << "\n";
  return true;
}

CLI::App& CommandTree::Noun(const char* name, const char* about) {
  CLI::App* noun = root_.add_subcommand(name, about);
  noun->require_subcommand(1);
  return *noun;
}

void CommandTree::AddOutputOptions(CLI::App& command) {
  CommandOptions& options = session_.options;
  command.add_option("-o,--output", options.output.format, "table, wide, json, yaml or name")
      ->check([](const std::string& format) {
        bool known = std::ranges::find(kFormats, format) != std::end(kFormats);
        return known ? std::string() : Cat("\"", format, "\" is none of table, wide, json, yaml, name");
      })
      ->type_name("FORMAT");
  command.add_flag("-q,--quiet", options.output.quiet, "names only");
}

void CommandTree::AddYes(CLI::App& command) {
  command.add_flag("-y,--yes", session_.options.yes, "do it without asking");
}

CLI::App& CommandTree::Local(CLI::App& noun, const char* name, const char* about, std::function<Status(Session&)> run) {
  CLI::App* verb = noun.add_subcommand(name, about);
  verb->callback([this, run = std::move(run)] {
    if (Status status = run(session_); !status.ok()) session_.exit_code = Complain(status, session_.err());
  });
  return *verb;
}

CLI::App& CommandTree::Verb(CLI::App& noun, const char* name, const char* about, std::function<Status(Session&)> run) {
  CLI::App& verb = Local(noun, name, about, std::move(run));
  CommandOptions& options = session_.options;
  verb.add_option("--api", options.api, "the agent: unix:PATH or http://IP:PORT")->type_name("ADDRESS");
  verb.add_option("-c,--config", options.config, "configuration that names the agent's socket")->type_name("FILE");
  return verb;
}

CLI::App& CommandTree::Ls(CLI::App& noun, const char* about, Listing listing, const char* target) {
  auto run = [listing = std::move(listing), target](Session& session) { return session.List(listing, target); };
  CLI::App& verb = Verb(noun, "ls", about, std::move(run));
  verb.alias("get");
  AddOutputOptions(verb);
  verb.add_flag("-w,--watch", session_.options.watch, "then print every change");
  return verb;
}

CLI::App& CommandTree::Inspect(CLI::App& noun, const char* about,
                               std::function<Status(Session&, const std::string& name)> run) {
  auto name = std::make_shared<std::string>();
  CLI::App& verb = Verb(noun, "inspect", about, [name, run = std::move(run)](Session& session) { return run(session, *name); });
  verb.alias("describe");
  verb.add_option("NAME", *name)->required();
  AddOutputOptions(verb);
  return verb;
}

}  // namespace fairlead::app
