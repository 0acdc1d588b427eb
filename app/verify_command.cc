// verify [--repair]: exit status 0 when nothing differs, 1 when something does (after the repairs, with --repair).
#include <ostream>

#include "app/commands.h"
#include "base/strings.h"

namespace fairlead::app {

using nlohmann::json;

namespace {

Listing DriftListing() {
  return {.what = "drifts",
          .columns = {Field("DRIFT", "kind"), Field("WHERE", "where"), Field("WHAT", "what"), Age("SINCE", "since"), Field("REPAIR", "repair")},
          .key = {"kind", "where"},
          .name = "where"};
}

Listing RepairListing() {
  return {.what = "repairs",
          .columns = {Field("DRIFT", "kind"), Field("WHERE", "where"), Field("REPAIR", "repair"), Field("OUTCOME", "outcome")},
          .key = {"kind", "where"},
          .name = "where"};
}

Status Verify(Session& session, bool repair) {
  const OutputOptions& options = session.options.output;
  if (!repair) {
    ASSIGN_OR_RETURN(json drifts, session.Get("/v1/verify"));
    PrintListing(DriftListing(), drifts, options, session.now_wall(), session.terminal());
    session.exit_code = drifts.empty() ? 0 : 1;
    return OkStatus();
  }
  ASSIGN_OR_RETURN(json done, session.Change("POST", "/v1/verify"));
  const json& left = ListIn(done, "left");
  if (!PrintData(done, options, session.terminal())) {
    PrintListing(RepairListing(), ListIn(done, "repairs"), options, session.now_wall(), session.terminal());
    if (!left.empty()) session.out() << "\nleft:\n" << TableOf(DriftListing(), left, options.wide(), session.now_wall());
  }
  session.exit_code = left.empty() ? 0 : 1;
  return OkStatus();
}

}  // namespace

void AddVerifyCommand(CommandTree& tree) {
  auto repair = std::make_shared<bool>(false);
  CLI::App& verb = tree.Verb(tree.root(), "verify", "leases, engine, kernel and records side by side: what differs",
                             [repair](Session& session) { return Verify(session, *repair); });
  verb.add_flag("--repair", *repair, "repair what is safe; nothing is freed");
  tree.AddOutputOptions(verb);
}

}  // namespace fairlead::app
