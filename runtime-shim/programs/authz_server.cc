#include "runtime-shim/programs/authz_server.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "base/strings.h"
#include "runtime-shim/programs/agent_call.h"
#include "runtime-shim/programs/authz_connection.h"

namespace fairlead::programs {
namespace {

constexpr size_t kReadBytes = 64 << 10;
constexpr size_t kStackBytes = 512 << 10;

bool SendAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t sent = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

// In time that does not depend on where they differ.
bool SameBytes(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  unsigned char difference = 0;
  for (size_t i = 0; i < a.size(); i++) difference |= static_cast<unsigned char>(a[i] ^ b[i]);
  return difference == 0;
}

void AskIfNeeded(const AuthzCall& call, const AuthzRules& rules, Nanos first_byte) {
  if (call.kind != AuthzCall::Kind::kAuthorize) return;
  std::optional<PinQuestion> question = QuestionOf(call.moment, call.facts);
  if (!question || (!call.facts.mark.empty() && rules.secret.Matches(call.facts.mark))) return;
  rules.ask(*question, first_byte + AuthzRules::kPatience);
}

// Answers what is whole in `bytes`. False: the connection is to end.
bool Answer(int fd, AuthzConnection& connection, std::string_view bytes, const AuthzRules& rules, Nanos& first_byte) {
  while (!bytes.empty()) {
    if (connection.idle()) first_byte = MonotonicNow();
    AuthzConnection::Need need = connection.Advance(bytes);
    if (need == AuthzConnection::Need::kContinue && !SendAll(fd, "HTTP/1.1 100 Continue\r\n\r\n")) return false;
    if (need == AuthzConnection::Need::kContinue) need = connection.Advance(bytes);
    if (need != AuthzConnection::Need::kCall) continue;
    AuthzCall call = connection.Take();
    AskIfNeeded(call, rules, first_byte);
    if (!SendAll(fd, AnswerTo(call)) || call.close) return false;
  }
  return true;
}

}  // namespace

AuthzSecret::AuthzSecret(std::string path) : path_(std::move(path)) { Read(); }

void AuthzSecret::Read() {
  int fd = open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  char text[kMaxBytes];
  ssize_t bytes = read(fd, text, sizeof text);
  close(fd);
  std::string_view read(text, bytes > 0 ? static_cast<size_t>(bytes) : 0);
  if (read.ends_with('\n')) read.remove_suffix(1);
  secret_ = read.size() >= kMinBytes ? read : "";
}

bool AuthzSecret::Matches(std::string_view mark) {
  std::scoped_lock held(lock_);
  auto same = [&] { return !secret_.empty() && SameBytes(mark, secret_); };
  if (same()) return true;
  Read();
  return same();
}

void AskAgent(const std::string& socket_path, const PinQuestion& question, Nanos deadline) {
  nlohmann::json request{{"when", question.when}, {"container", question.container}};
  request["patience_ms"] = std::max<Nanos>(deadline - MonotonicNow(), 0) / 2 / kMillisecond;
  StatusOr<nlohmann::json> answer = CallAgent(socket_path, "pin", request, deadline);
  if (!answer.ok() || !answer->contains("under_way")) return;
  request["patience_ms"] = AuthzRules::kUnderWay / kMillisecond;
  (void)CallAgent(socket_path, "pin", request, deadline + AuthzRules::kUnderWay);
}

void ServeAuthz(int fd, const AuthzRules& rules) {
  AuthzConnection connection;
  Nanos first_byte = 0;
  char piece[kReadBytes];
  for (;;) {
    ssize_t received = recv(fd, piece, sizeof piece, 0);
    if (received < 0 && errno == EINTR) continue;
    if (received <= 0) break;
    if (!Answer(fd, connection, {piece, static_cast<size_t>(received)}, rules, first_byte)) break;
  }
  close(fd);
}

namespace {

std::atomic<int> live_connections{0};

struct ThreadArgument {
  int fd;
  const AuthzRules* rules;
};

void* ServeInThread(void* argument) {
  std::unique_ptr<ThreadArgument> own(static_cast<ThreadArgument*>(argument));
  ServeAuthz(own->fd, *own->rules);
  live_connections--;
  live_connections.notify_one();
  return nullptr;
}

void StartThread(int fd, const AuthzRules& rules, const pthread_attr_t& attributes) {
  live_connections++;
  auto* argument = new ThreadArgument{fd, &rules};
  pthread_t thread;
  int error = pthread_create(&thread, &attributes, ServeInThread, argument);
  if (error == 0) return;
  fprintf(stderr, "fairlead-authz: start a thread: %s; dockerd tries again\n", strerror(error));
  delete argument;
  close(fd);
  live_connections--;
}

// Waits until there is room for one more.
void WaitForRoom() {
  int live = live_connections;
  if (live < kMaxConnections) return;
  fprintf(stderr, "fairlead-authz: %d connections, the limit; further ones wait\n", live);
  for (; live >= kMaxConnections; live = live_connections) live_connections.wait(live);
}

}  // namespace

void ServeAllAuthz(int listener, const AuthzRules& rules, const std::function<void()>& heartbeat) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, kStackBytes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  for (;;) {
    heartbeat();
    WaitForRoom();
    pollfd wait{listener, POLLIN, 0};
    if (poll(&wait, 1, static_cast<int>(kHeartbeat / kMillisecond)) <= 0) continue;
    int fd = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd >= 0) StartThread(fd, rules, attributes);
  }
}

}  // namespace fairlead::programs
