// For tests: a layer under SQLite that fails the n-th write, sync or truncation and, as after a crash, every one that
// follows. A failing write may leave its first half in the file.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <string>

#include "base/strings.h"

namespace fairlead::ipam {

class FaultyVfs {
 public:
  FaultyVfs();
  ~FaultyVfs();
  FaultyVfs(const FaultyVfs&) = delete;

  const std::string& name() const { return name_; }
  // The n-th change of a file from now (1: the next) fails with `error` (SQLITE_FULL, SQLITE_IOERR_WRITE…).
  // `for_good`: all that follow too, until Heal().
  void FailFrom(int n, int error, bool for_good) {
    left_ = n;
    error_ = error;
    for_good_ = for_good;
    broken_ = false;
  }
  void Heal() { left_ = 0, broken_ = false; }
  bool met() const { return left_ == 0; }  // the fault has happened
  int Change();                            // called by the files: SQLITE_OK or the error to give

 private:
  std::string name_;
  sqlite3_vfs vfs_;
  int left_ = 0;
  int error_ = SQLITE_OK;
  bool for_good_ = false;
  bool broken_ = false;
};

namespace faulty_vfs {

// A file of this layer is a header in front of the real file, which lives in the same memory.
struct File {
  sqlite3_file base;
  FaultyVfs* owner;
  sqlite3_file* real() { return reinterpret_cast<sqlite3_file*>(this + 1); }
};
inline File* Of(sqlite3_file* f) { return reinterpret_cast<File*>(f); }
inline sqlite3_file* Real(sqlite3_file* f) { return Of(f)->real(); }

inline int Close(sqlite3_file* f) { return Real(f)->pMethods->xClose(Real(f)); }
inline int Read(sqlite3_file* f, void* to, int n, sqlite3_int64 at) { return Real(f)->pMethods->xRead(Real(f), to, n, at); }
inline int Write(sqlite3_file* f, const void* from, int n, sqlite3_int64 at) {
  int error = Of(f)->owner->Change();
  if (error == SQLITE_OK) return Real(f)->pMethods->xWrite(Real(f), from, n, at);
  Real(f)->pMethods->xWrite(Real(f), from, n / 2, at);  // torn
  return error;
}
inline int Truncate(sqlite3_file* f, sqlite3_int64 size) {
  int error = Of(f)->owner->Change();
  return error == SQLITE_OK ? Real(f)->pMethods->xTruncate(Real(f), size) : error;
}
inline int Sync(sqlite3_file* f, int flags) {
  int error = Of(f)->owner->Change();
  return error == SQLITE_OK ? Real(f)->pMethods->xSync(Real(f), flags) : error;
}
inline int FileSize(sqlite3_file* f, sqlite3_int64* size) { return Real(f)->pMethods->xFileSize(Real(f), size); }
inline int Lock(sqlite3_file* f, int level) { return Real(f)->pMethods->xLock(Real(f), level); }
inline int Unlock(sqlite3_file* f, int level) { return Real(f)->pMethods->xUnlock(Real(f), level); }
inline int CheckReserved(sqlite3_file* f, int* out) { return Real(f)->pMethods->xCheckReservedLock(Real(f), out); }
inline int Control(sqlite3_file* f, int op, void* arg) { return Real(f)->pMethods->xFileControl(Real(f), op, arg); }
inline int SectorSize(sqlite3_file* f) { return Real(f)->pMethods->xSectorSize(Real(f)); }
inline int Characteristics(sqlite3_file* f) { return Real(f)->pMethods->xDeviceCharacteristics(Real(f)); }
inline int ShmMap(sqlite3_file* f, int page, int size, int extend, void volatile** out) {
  return Real(f)->pMethods->xShmMap(Real(f), page, size, extend, out);
}
inline int ShmLock(sqlite3_file* f, int offset, int n, int flags) { return Real(f)->pMethods->xShmLock(Real(f), offset, n, flags); }
inline void ShmBarrier(sqlite3_file* f) { Real(f)->pMethods->xShmBarrier(Real(f)); }
inline int ShmUnmap(sqlite3_file* f, int remove) { return Real(f)->pMethods->xShmUnmap(Real(f), remove); }

inline constexpr sqlite3_io_methods kMethods = {
    2,    Close,         Read,    Write,      Truncate,        Sync,   FileSize, Lock,       Unlock,
    CheckReserved, Control, SectorSize, Characteristics, ShmMap, ShmLock,  ShmBarrier, ShmUnmap, nullptr, nullptr};

inline sqlite3_vfs* System() { return sqlite3_vfs_find("unix"); }

inline int OpenFile(sqlite3_vfs* vfs, const char* name, sqlite3_file* f, int flags, int* out) {
  File* file = Of(f);
  file->owner = static_cast<FaultyVfs*>(vfs->pAppData);
  int rc = System()->xOpen(System(), name, file->real(), flags, out);
  file->base.pMethods = rc == SQLITE_OK ? &kMethods : nullptr;
  return rc;
}

}  // namespace faulty_vfs

inline FaultyVfs::FaultyVfs() : vfs_(*faulty_vfs::System()) {
  name_ = Cat("faulty", reinterpret_cast<uintptr_t>(this));
  vfs_.zName = name_.c_str();
  vfs_.pAppData = this;
  vfs_.pNext = nullptr;
  vfs_.szOsFile = static_cast<int>(sizeof(faulty_vfs::File)) + faulty_vfs::System()->szOsFile;
  vfs_.xOpen = faulty_vfs::OpenFile;
  sqlite3_vfs_register(&vfs_, 0);
}

inline FaultyVfs::~FaultyVfs() { sqlite3_vfs_unregister(&vfs_); }

inline int FaultyVfs::Change() {
  if (broken_) return error_;
  if (left_ == 0 || --left_ != 0) return SQLITE_OK;
  broken_ = for_good_;
  return error_;
}

}  // namespace fairlead::ipam
