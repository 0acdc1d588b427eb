#include "runtime-shim/plugin_holder.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "base/log.h"
#include "base/net/socket_address.h"
#include "runtime-shim/json_fields.h"
#include "base/io/event.h"

namespace fairlead::runtime {
namespace {

// One byte with a descriptor beside it (unix(7), SCM_RIGHTS).
struct DescriptorMessage {
  DescriptorMessage() {
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
  }
  char byte = 'L';
  iovec piece{&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
};

bool SendDescriptor(int socket, int descriptor) {
  DescriptorMessage m;
  cmsghdr* header = CMSG_FIRSTHDR(&m.message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  std::memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
  return sendmsg(socket, &m.message, MSG_NOSIGNAL | MSG_DONTWAIT) == 1;
}

int ReceiveDescriptor(int socket) {
  DescriptorMessage m;
  if (recvmsg(socket, &m.message, MSG_CMSG_CLOEXEC) != 1) return -1;
  cmsghdr* header = CMSG_FIRSTHDR(&m.message);
  if (header == nullptr || header->cmsg_type != SCM_RIGHTS || header->cmsg_len != CMSG_LEN(sizeof(int))) return -1;
  int descriptor;
  std::memcpy(&descriptor, CMSG_DATA(header), sizeof descriptor);
  return descriptor;
}

}  // namespace

std::optional<std::string> ConstantReply(std::string_view call) {
  if (call == "Plugin.Activate") return R"({"Implements":["NetworkDriver","IpamDriver"]})";
  if (call == "NetworkDriver.GetCapabilities") return R"({"Scope":"local","ConnectivityScope":"local"})";
  if (call == "IpamDriver.GetCapabilities") return R"({"RequiresMACAddress":false,"RequiresRequestReplay":false})";
  if (call == "IpamDriver.GetDefaultAddressSpaces") {
    return R"({"LocalDefaultAddressSpace":"fairlead-local","GlobalDefaultAddressSpace":"fairlead-global"})";
  }
  return std::nullopt;
}

std::string ErrorReply(std::string_view call, std::string_view message) {
  const char* key = call.starts_with("IpamDriver.") ? "Error" : "Err";
  return Json{{key, Cat("fairlead: ", message)}}.dump(-1, ' ', false, Json::error_handler_t::replace);
}

PluginHolder::PluginHolder(io::Proactor& proactor, int plugin_listener, int control_listener)
    : proactor_(proactor), plugin_listener_(plugin_listener), control_listener_(control_listener),
      away_since_(proactor.Now()) {}

PluginHolder::~PluginHolder() {
  CHECK(agent_ < 0);
  close(plugin_listener_);
  if (control_listener_ >= 0) close(control_listener_);
}

io::Task<http::Reply> PluginHolder::Answer(const http::Request& request) {
  std::string_view call = request.path();
  if (call.starts_with('/')) call.remove_prefix(1);
  http::Reply reply;
  reply.headers = {{"Content-Type", "application/vnd.docker.plugins.v1.2+json"}};
  if (auto constant = ConstantReply(call)) {
    stats_.answered++;
    reply.body = *std::move(constant);
    co_return reply;
  }
  stats_.refused++;
  io::IoResult waited = co_await io::Sleep(proactor_, std::max<Nanos>(away_since_ + kHoldTime - proactor_.Now(), 0));
  reply.body = ErrorReply(call, waited.ok() ? "the agent is not running; start it (systemctl start fairlead-agent) and try again"
                                            : "the agent is just starting; try again");
  co_return reply;
}

// Serves on a copy of the descriptor: closing that one leaves the socket listening. Stopping the server ends dockerd's
// idle connections too: kept here, they would not reach the agent.
io::Task<void> PluginHolder::AnswerWhileAlone() {
  int copy = fcntl(plugin_listener_, F_DUPFD_CLOEXEC, 0);
  if (copy < 0) {
    LOG(kError, "plugin socket cannot be served", {"error", strerror(errno)});
    co_return;
  }
  auto listener = io::Listener::Adopt(proactor_, copy);
  if (!listener.ok()) {
    LOG(kError, "plugin socket cannot be served", {"error", Message(listener.status())});
    co_return;
  }
  http::Server server(proactor_, [this](const http::Request& request, const http::RequestContext&) { return Answer(request); });
  server.Serve(*std::move(listener));
  io::Event never(proactor_);
  io::IoResult cancelled = co_await never.Wait();
  CHECK(!cancelled.ok());
  co_await server.Stop();
}

// One agent after the other: the next one waits in the control socket's backlog until this one is gone.
io::Task<void> PluginHolder::ServeControl(int fd) {
  if (!SendDescriptor(fd, plugin_listener_)) {
    LOG(kWarning, "plugin socket not handed over", {"error", strerror(errno)});
    co_return;
  }
  stats_.agents++;
  io::IoResult gone = co_await io::ReadableOperation(proactor_, fd);  // the agent sends nothing: its end is what can be read
  if (gone.ok()) LOG(kWarning, "agent is gone; holding the plugin socket");
}

io::Task<void> PluginHolder::Run() {
  auto control = io::Listener::Adopt(proactor_, std::exchange(control_listener_, -1));
  if (!control.ok()) {
    LOG(kError, "control socket cannot be served", {"error", Message(control.status())});
    co_return;
  }
  for (;;) {
    io::TaskGroup alone;
    alone.Spawn(AnswerWhileAlone());
    io::IoResult agent = co_await control->Accept();
    co_await alone.CancelAndJoin();
    if (!agent.ok()) co_return;
    agent_ = agent.value();
    co_await ServeControl(agent_);
    close(std::exchange(agent_, -1));
    away_since_ = proactor_.Now();
  }
}

StatusOr<HeldListener> TakeListener(const std::string& control_path) {
  ASSIGN_OR_RETURN(SocketAddress address, SocketAddress::Unix(control_path));
  HeldListener held;
  held.control = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (held.control < 0) return ErrnoStatus(errno, "plugin holder: socket");
  if (connect(held.control, address.raw(), address.size()) != 0) {
    Status failed = ErrnoStatus(errno, Cat("plugin holder ", control_path));
    close(held.control);
    return failed;
  }
  held.listener = ReceiveDescriptor(held.control);
  if (held.listener < 0) {
    close(held.control);
    return Unavailable("plugin holder ", control_path, " handed no socket over; restart it");
  }
  return held;
}

}  // namespace fairlead::runtime
