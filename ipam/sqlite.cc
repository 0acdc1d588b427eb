#include "ipam/sqlite.h"

namespace fairlead::ipam {

Statement::Statement(sqlite3* db, std::string_view sql) {
  sqlite3_stmt* raw = nullptr;
  prepared_ = sqlite3_prepare_v3(db, sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT, &raw, nullptr);
  statement_.reset(raw);
}

void Statement::Bind(int index, std::string_view text) {
  int rc = sqlite3_bind_text(statement_.get(), index, text.data() != nullptr ? text.data() : "",
                             static_cast<int>(text.size()), SQLITE_TRANSIENT);
  if (bound_ == SQLITE_OK) bound_ = rc;
}

void Statement::Bind(int index, int64_t value) {
  int rc = sqlite3_bind_int64(statement_.get(), index, value);
  if (bound_ == SQLITE_OK) bound_ = rc;
}

int Statement::Step() {
  if (prepared_ != SQLITE_OK) return prepared_;
  if (bound_ != SQLITE_OK) return bound_;
  return sqlite3_step(statement_.get());
}

int Statement::Run() {
  int rc = Step();
  Reset();
  return rc == SQLITE_DONE || rc == SQLITE_ROW ? SQLITE_OK : rc;
}

void Statement::Reset() {
  sqlite3_reset(statement_.get());
  bound_ = SQLITE_OK;
}

std::string Statement::Text(int column) const {
  const unsigned char* text = sqlite3_column_text(statement_.get(), column);
  if (text == nullptr) return {};
  return {reinterpret_cast<const char*>(text), static_cast<size_t>(sqlite3_column_bytes(statement_.get(), column))};
}

}  // namespace fairlead::ipam
