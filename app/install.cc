#include "app/install.h"

#include <unistd.h>

#include <cerrno>

#include "app/daemon_json.h"
#include "app/whole_file.h"

namespace fairlead::app {
namespace {

constexpr char kKey[] = "authorization-plugins";

Status Remove(const std::string& file) {
  if (unlink(file.c_str()) != 0 && errno != ENOENT) return ErrnoStatus(errno, Cat("remove ", file));
  return OkStatus();
}

// A change of daemon.json that can be undone.
class Change {
 public:
  Change(const DaemonJsonPlan& plan, InstallHost& host, std::ostream& out, std::optional<std::string> before)
      : plan_(plan), host_(host), out_(out), before_(std::move(before)) {}

  // Writes, validates, has dockerd read it and sees that it did; else puts back what was there. Nothing: no file.
  Status Make(const std::optional<std::string>& text, bool wanted) {
    RETURN_IF_ERROR(Put(text));
    Status status = Validate();
    if (status.ok()) status = Activate(wanted);
    if (status.ok()) return status;
    Status back = Put(before_);
    if (!back.ok()) return Internal(Message(status), "; and it could not be put back: ", Message(back), "; see ", BackupOf(plan_.file));
    if (reloaded_) (void)host_.Reload();
    return WithContext(status, Cat(plan_.file, " is as it was: "));
  }

 private:
  Status Put(const std::optional<std::string>& text) { return text ? WriteWhole(plan_.file, *text) : Remove(plan_.file); }

  Status Validate() {
    if (access(plan_.file.c_str(), F_OK) != 0) return OkStatus();
    Status valid = host_.Validate(plan_.file);
    if (valid.code() != StatusCode::kUnimplemented) return valid;
    // This dockerd cannot say; that the file can be read back is what there is.
    ASSIGN_OR_RETURN(std::optional<std::string> text, ReadWhole(plan_.file));
    return JsonText(text.value_or(""), plan_.file, kKey).status();
  }

  Status Activate(bool wanted) {
    ASSIGN_OR_RETURN(bool running, host_.Reload());
    if (!running) {
      out_ << "dockerd does not run; it reads the file when it starts\n";
      return OkStatus();
    }
    reloaded_ = true;
    RETURN_IF_ERROR(host_.WaitForReload());
    out_ << "dockerd has read it, without a restart: its API answers " << (wanted ? "through " : "without ") << plan_.plugin << "\n";
    return OkStatus();
  }

  const DaemonJsonPlan& plan_;
  InstallHost& host_;
  std::ostream& out_;
  const std::optional<std::string> before_;
  bool reloaded_ = false;
};

// Without what was added; the file before the installation, byte for byte, where nobody has changed anything else since.
StatusOr<std::optional<std::string>> Restored(const std::string& file, const std::string& without) {
  ASSIGN_OR_RETURN(std::optional<std::string> backup, ReadWhole(BackupOf(file)));
  if (backup && SameJson(*backup, without)) return backup;
  if (!backup && SameJson(without, "{}")) return std::optional<std::string>();  // there was no file
  return without;
}

}  // namespace

std::string BackupOf(const std::string& file) { return Cat(file, ".before-fairlead"); }

Status InstallAuthz(const DaemonJsonPlan& plan, InstallHost& host, std::ostream& out) {
  ASSIGN_OR_RETURN(std::optional<std::string> before, ReadWhole(plan.file));
  ASSIGN_OR_RETURN(std::string text, AddToJsonList(before.value_or(""), plan.file, kKey, plan.plugin));
  RETURN_IF_ERROR(host.CheckPlugin());
  if (before && text == *before) {
    out << plan.file << " names " << plan.plugin << " already\n";
    return Change(plan, host, out, before).Make(before, /*wanted=*/true);  // dockerd may not have read it yet
  }
  if (before) RETURN_IF_ERROR(WriteWhole(BackupOf(plan.file), *before));
  if (!before) RETURN_IF_ERROR(Remove(BackupOf(plan.file)));
  RETURN_IF_ERROR(Change(plan, host, out, before).Make(text, /*wanted=*/true));
  out << plan.file << ": " << kKey << " names " << plan.plugin;
  if (before) out << "; as it was: " << BackupOf(plan.file);
  out << "\n";
  return OkStatus();
}

Status UninstallAuthz(const DaemonJsonPlan& plan, InstallHost& host, std::ostream& out) {
  ASSIGN_OR_RETURN(std::optional<std::string> before, ReadWhole(plan.file));
  ASSIGN_OR_RETURN(std::string text, RemoveFromJsonList(before.value_or(""), plan.file, kKey, plan.plugin));
  if (!before || text == *before) {
    out << plan.file << " does not name " << plan.plugin << "\n";
    return OkStatus();
  }
  ASSIGN_OR_RETURN(std::optional<std::string> restored, Restored(plan.file, text));
  RETURN_IF_ERROR(Change(plan, host, out, before).Make(restored, /*wanted=*/false));
  RETURN_IF_ERROR(Remove(BackupOf(plan.file)));
  out << plan.file << (restored ? Cat(": ", plan.plugin, " is taken out of ", kKey) : " is gone: there was nothing else in it") << "\n";
  return OkStatus();
}

namespace {

constexpr char kDnsKey[] = "dns";
constexpr char kRestart[] = "dockerd reads that key only when it starts: restart it when it suits you (systemctl restart docker; with "
                            "live-restore containers run on, and those that are made or started afterwards use it)\n";

}  // namespace

Status InstallDns(const std::string& file, const std::string& address, std::ostream& out) {
  ASSIGN_OR_RETURN(std::optional<std::string> before, ReadWhole(file));
  ASSIGN_OR_RETURN(std::string text, AddToJsonList(before.value_or(""), file, kDnsKey, address, ListEnd::kFront));
  if (before && text == *before) {
    out << file << " names " << address << " already; " << kRestart;
    return OkStatus();
  }
  ASSIGN_OR_RETURN(std::optional<std::string> backup, ReadWhole(BackupOf(file)));
  if (before && !backup) RETURN_IF_ERROR(WriteWhole(BackupOf(file), *before));  // or it is that of --authz
  RETURN_IF_ERROR(WriteWhole(file, text));
  out << file << ": " << address << " is the first of " << kDnsKey << "; " << kRestart;
  return OkStatus();
}

Status UninstallDns(const std::string& file, const std::string& address, std::ostream& out) {
  ASSIGN_OR_RETURN(std::optional<std::string> before, ReadWhole(file));
  ASSIGN_OR_RETURN(std::string text, RemoveFromJsonList(before.value_or(""), file, kDnsKey, address));
  if (!before || text == *before) {
    out << file << " does not name " << address << "\n";
    return OkStatus();
  }
  ASSIGN_OR_RETURN(std::optional<std::string> restored, Restored(file, text));
  RETURN_IF_ERROR(restored ? WriteWhole(file, *restored) : Remove(file));
  if (!restored || *restored != text) RETURN_IF_ERROR(Remove(BackupOf(file)));
  out << file << ": " << address << " is taken out of " << kDnsKey << "; " << kRestart;
  return OkStatus();
}

}  // namespace fairlead::app
