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

Status Why(Session& session, const std::string& target) {
  ASSIGN_OR_RETURN(json answer, session.Get(Cat("/v1/why?target=", PercentEncode(target))));
  if (FieldOf(answer, "ok") != "yes") session.exit_code = 1;
  if (PrintData(answer, session.options.output, session.terminal())) return OkStatus();
  for (const json& hop : ListIn(answer, "hops")) session.out() << HopLine(hop, session.now_wall()) << "\n";
  return OkStatus();
}

}  // namespace

void AddWhyCommand(CommandTree& tree) {
  auto target = std::make_shared<std::string>();
  CLI::App& verb = tree.Verb(tree.root(), "why", "hop by hop, where a URL, a name or an address leads; exit status 1: nowhere",
                             [target](Session& session) { return Why(session, *target); });
  verb.add_option("TARGET", *target, "http://HOST/PATH, SERVICE[.PROJECT], container, DNS name, IP or IP:PORT")->required();
  tree.AddOutputOptions(verb);
}

}  // namespace fairlead::app
