// The little of SQLite's C interface that the lease store needs, with errors as Status. One thread at a time.
#pragma once

#include <sqlite3.h>

#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"

namespace fairlead::ipam {

struct CloseDatabase {
  void operator()(sqlite3* db) const { sqlite3_close_v2(db); }
};
struct FinalizeStatement {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using Database = std::unique_ptr<sqlite3, CloseDatabase>;

// A prepared statement, to be used again and again: Bind(1, …), …, then Run() or a loop of Step().
class Statement {
 public:
  // The first failure of preparing, binding or stepping sticks until Reset() and is what Run() and Step() give.
  Statement(sqlite3* db, std::string_view sql);

  void Bind(int index, std::string_view text);
  void Bind(int index, int64_t value);
  int Step();  // SQLITE_ROW, SQLITE_DONE or an error
  int Run();   // steps once and resets; SQLITE_OK or an error
  void Reset();

  int64_t Int(int column) const { return sqlite3_column_int64(statement_.get(), column); }
  std::string Text(int column) const;

 private:
  std::unique_ptr<sqlite3_stmt, FinalizeStatement> statement_;
  int prepared_ = SQLITE_OK;
  int bound_ = SQLITE_OK;
};

}  // namespace fairlead::ipam
