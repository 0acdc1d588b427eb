// why TARGET.
#include <ostream>

#include "app/api_reply.h"
#include "app/commands.h"
#include "app/table.h"
#include "base/strings.h"

namespace fairlead::app {

using nlohmann::json;

namespace {

std::string HopLine(const json& hop, Nanos now_wall) {
  auto ok = hop.find("ok");
  std::string mark = ok == hop.end() || !ok->is_boolean() ? "·" : ok->get<bool>() ? "✔" : "✖";
  auto depth = ParseNumber<size_t>(FieldOf(hop, "depth")).value_or(0);
  std::string line = Cat(std::string(2 * std::min<size_t>(depth, 8), ' '), mark, " ", FieldOf(hop, "hop"), ": ", FieldOf(hop, "text"));
  std::string source = FieldOf(hop, "source"), age = AgeOf(hop, "since", now_wall);
  if (!source.empty() || !age.empty()) line += Cat("  (", source, source.empty() || age.empty() ? "" : ", ", age.empty() ? "" : Cat("for ", age), ")");
  return Printable(line);
}

struct WhyOptions {
  std::string target, method, client;
  std::vector<std::string> headers;
};

Status Why(Session& session, const WhyOptions& options) {
  std::string page = Cat("/v1/why?target=", PercentEncode(options.target));
  if (!options.method.empty()) page += Cat("&method=", PercentEncode(options.method));
  if (!options.headers.empty()) page += Cat("&header=", PercentEncode(Join(options.headers, "\n")));
  if (!options.client.empty()) page += Cat("&client=", PercentEncode(options.client));
  ASSIGN_OR_RETURN(json answer, session.Get(page));
  if (FieldOf(answer, "ok") != "yes") session.exit_code = 1;
  if (PrintData(answer, session.options.output, session.terminal())) return OkStatus();
  for (const json& hop : ListIn(answer, "hops")) session.out() << HopLine(hop, session.now_wall()) << "\n";
  return OkStatus();
}

}  // namespace

void AddWhyCommand(CommandTree& tree) {
  auto options = std::make_shared<WhyOptions>();
  CLI::App& verb = tree.Verb(tree.root(), "why", "hop by hop, where a URL, a name or an address leads; exit status 1: nowhere",
                             [options](Session& session) { return Why(session, *options); });
  verb.add_option("TARGET", options->target, "http://HOST/PATH, SERVICE[.PROJECT], container, DNS name, IP or IP:PORT")->required();
  verb.add_option("--method", options->method, "of the request to a URL, for rules that ask for it (default GET)");
  verb.add_option("--header", options->headers, "a field of that request, as in 'X-Version: 2'; may be repeated");
  verb.add_option("--client", options->client, "address that it comes from");
  tree.AddOutputOptions(verb);
}

}  // namespace fairlead::app
