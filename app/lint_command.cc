// lint FILE.
#include <cerrno>
#include <fstream>
#include <ostream>
#include <sstream>

#include "app/commands.h"
#include "app/lint.h"
#include "app/table.h"
#include "base/strings.h"

namespace fairlead::app {
namespace {

Status LintFile(Session& session, const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) return ErrnoStatus(errno, file);
  std::ostringstream text;
  text << in.rdbuf();
  ASSIGN_OR_RETURN(LintReport report, Lint(text.str(), file));
  for (const std::string& warning : report.warnings) session.out() << Printable(warning) << "\n";
  for (const std::string& fault : report.faults) session.out() << Printable(fault) << "\n";
  if (report.faults.empty()) {
    session.out() << file << ": " << report.kind << " without fault: " << report.summary << "\n";
  } else {
    session.err() << report.faults.size() << (report.faults.size() == 1 ? " fault" : " faults") << " in this " << report.kind << "\n";
    session.exit_code = 2;
  }
  return OkStatus();
}

}  // namespace

void AddLintCommand(CommandTree& tree) {
  auto file = std::make_shared<std::string>();
  CLI::App& verb = tree.Local(tree.root(), "lint", "check a configuration or a compose file; exit status 2: faults",
                              [file](Session& session) { return LintFile(session, *file); });
  verb.add_option("FILE", *file)->required();
}

}  // namespace fairlead::app
