#include "app/install_host.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <optional>

#include "app/api_reply.h"
#include "app/whole_file.h"
#include "base/http/client.h"
#include "base/io/await.h"
#include "base/strings.h"

namespace fairlead::app {

using nlohmann::json;

namespace {

constexpr Nanos kLookInterval = 50 * kMillisecond;
constexpr char kReloadEvents[] = "%7B%22type%22%3A%5B%22daemon%22%5D%2C%22event%22%3A%5B%22reload%22%5D%7D";

io::Task<void> FetchInto(io::Proactor& proactor, SocketAddress address, http::Request request, Nanos deadline,
                         std::optional<StatusOr<http::Response>>* out) {
  out->emplace(co_await http::Fetch(proactor, std::move(address), std::move(request), deadline));
}

io::Task<void> PauseFor(io::Proactor& proactor, Nanos duration) { (void)co_await io::Sleep(proactor, duration); }

struct Ran {
  int code = -1;
  std::string said;   // on both outputs
};

StatusOr<Ran> RunProgram(std::vector<std::string> words) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return ErrnoStatus(errno, "make a pipe");
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  for (int fd : {STDOUT_FILENO, STDERR_FILENO}) posix_spawn_file_actions_adddup2(&actions, ends[1], fd);
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  pid_t child;
  int error = posix_spawnp(&child, arguments[0], &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  Ran ran;
  char piece[4096];
  for (ssize_t bytes; error == 0 && (bytes = read(ends[0], piece, sizeof piece)) > 0;) ran.said.append(piece, static_cast<size_t>(bytes));
  close(ends[0]);
  if (error != 0) return ErrnoStatus(error, Cat("run ", words[0]));
  int status = 0;
  waitpid(child, &status, 0);
  ran.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return ran;
}

// The words of a process' command line; none when it is gone.
std::vector<std::string> CommandLineOf(pid_t pid) {
  StatusOr<std::optional<std::string>> text = ReadWhole(Cat("/proc/", pid, "/cmdline"));
  std::vector<std::string> words;
  if (!text.ok() || !*text) return words;
  for (std::string_view word : Split(**text, '\0')) words.emplace_back(word);
  return words;
}

}  // namespace

StatusOr<std::unique_ptr<DockerHost>> DockerHost::Open(DockerdPlace place, const Clock& clock) {
  std::string note;
  ASSIGN_OR_RETURN(std::unique_ptr<io::Proactor> proactor, io::MakeProactor(io::IoBackend::kEpoll, clock, &note));
  return std::unique_ptr<DockerHost>(new DockerHost(std::move(place), std::move(proactor)));
}

DockerHost::DockerHost(DockerdPlace place, std::unique_ptr<io::Proactor> proactor)
    : place_(std::move(place)), proactor_(std::move(proactor)) {}

StatusOr<std::string> DockerHost::Ask(const std::string& socket, std::string method, std::string target, Nanos deadline) {
  ASSIGN_OR_RETURN(SocketAddress address, SocketAddress::Unix(socket));
  std::optional<StatusOr<http::Response>> fetched;
  io::TaskGroup group;
  group.Spawn(FetchInto(*proactor_, address, {.method = std::move(method), .target = target}, deadline, &fetched));
  while (group.live() > 0) proactor_->Turn(kSecond);
  RETURN_IF_ERROR(fetched->status());
  if ((*fetched)->status != 200) return Internal(socket, " answers ", target, " with status ", (*fetched)->status, ": ", (*fetched)->body);
  return std::move((*fetched)->body);
}

void DockerHost::Pause(Nanos duration) {
  io::TaskGroup group;
  group.Spawn(PauseFor(*proactor_, duration));
  while (group.live() > 0) proactor_->Turn(duration);
}

Status DockerHost::CheckPlugin() {
  StatusOr<std::string> answer = Ask(place_.plugin_socket, "POST", "/Plugin.Activate", proactor_->Now() + kPluginPatience);
  if (!answer.ok())
    return WithFix(Unavailable("the authorization plugin does not answer at ", place_.plugin_socket, ": ", Message(answer.status()),
                               "; dockerd would refuse every call. Nothing was changed"),
                   "systemctl enable --now fairlead-authz.socket, or for trial fairlead up");
  json said = json::parse(*answer, nullptr, /*allow_exceptions=*/false);
  json implements = said.is_object() && said.contains("Implements") ? said["Implements"] : json();
  if (implements != json::array({"authz"}))
    return FailedPrecondition("what answers at ", place_.plugin_socket, " is no authorization plugin; nothing was changed");
  return OkStatus();
}

Status DockerHost::Validate(const std::string& file) {
  StatusOr<Ran> ran = RunProgram({"dockerd", "--validate", "--config-file", file});
  // Before 23.0 there is no such flag; and a host may have dockerd where we do not find it.
  if (!ran.ok() || ran->said.find("unknown flag: --validate") != ran->said.npos)
    return Unimplemented("this dockerd cannot validate a file");
  if (ran->code != 0) return InvalidArgument("dockerd does not take it: ", Trim(ran->said));
  return OkStatus();
}

StatusOr<bool> DockerHost::Reload() {
  ASSIGN_OR_RETURN(std::optional<std::string> text, ReadWhole(place_.pid_file));
  std::optional<pid_t> pid = ParseNumber<pid_t>(Trim(Split(text.value_or(""), '\n')[0]));
  if (!pid || *pid <= 1) return false;
  std::vector<std::string> words = CommandLineOf(*pid);
  if (words.empty()) return false;
  std::string program = words[0].substr(words[0].rfind('/') + 1);
  if (program != "dockerd")
    return FailedPrecondition("process ", *pid, " of ", place_.pid_file, " is not dockerd but ", program,
                              "; name the right file by --pid-file");
  // The same key as flag and in the file keeps dockerd from starting the next time.
  if (std::ranges::any_of(words, [](const std::string& word) { return word.starts_with("--authorization-plugin"); }))
    return FailedPrecondition("dockerd has --authorization-plugin on its command line, which excludes the same in its file; "
                              "put the plugin there, or take the flag away");
  dockerd_ = *pid;
  asked_at_wall_ = proactor_->clock().WallNow();
  if (kill(*pid, SIGHUP) != 0) return ErrnoStatus(errno, Cat("send SIGHUP to dockerd (process ", *pid, ")"));
  return true;
}

// dockerd tells of a reload by an event (20.10 does not show a reloaded plugin in /info).
StatusOr<bool> DockerHost::HasReloaded() {
  auto seconds = [](Nanos wall) {
    std::string fraction = Cat(wall % kSecond);
    return Cat(wall / kSecond, ".", std::string(9 - fraction.size(), '0'), fraction);
  };
  Nanos now_wall = proactor_->clock().WallNow();
  ASSIGN_OR_RETURN(std::string events,
                   Ask(place_.api_socket, "GET", Cat("/events?since=", seconds(asked_at_wall_), "&until=", seconds(now_wall),
                                                     "&filters=", kReloadEvents), proactor_->Now() + kReloadPatience));
  return !events.empty();
}

Status DockerHost::WaitForReload() {
  Nanos deadline = proactor_->Now() + kReloadPatience;
  std::string seen = "it did not read its file";
  while (proactor_->Now() < deadline) {
    // First, so that the question does not meet a plugin that is away and is being taken out: that costs 32 s.
    Pause(kLookInterval);
    if (kill(dockerd_, 0) != 0 && errno == ESRCH) return Unavailable("dockerd ended; its log says why");
    StatusOr<bool> reloaded = HasReloaded();
    if (reloaded.ok() && *reloaded) return Ask(place_.api_socket, "GET", "/_ping", deadline).status();
    if (!reloaded.ok()) seen = Message(reloaded.status());
  }
  return Unavailable("dockerd at ", place_.api_socket, " did not come along within ", kReloadPatience / kSecond, " s: ", seen);
}

}  // namespace fairlead::app
