#include "base/dns/ares_resolver.h"

#include <netdb.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "base/io/event.h"
#include "base/log.h"
#include "base/strings.h"

namespace fairlead::dns {
namespace {

// Tells one state of a file from the next; 0: it is not there.
uint64_t StateOf(const std::string& path) {
  struct stat file;
  if (stat(path.c_str(), &file) != 0) return 0;
  const uint64_t nanos = static_cast<uint64_t>(file.st_mtim.tv_sec) * kSecond + static_cast<uint64_t>(file.st_mtim.tv_nsec);
  return nanos ^ (file.st_ino << 20) ^ static_cast<uint64_t>(file.st_size) ^ 1;
}

HostAnswer::Outcome OutcomeOf(int status) {
  switch (status) {
    case ARES_SUCCESS: return HostAnswer::Outcome::kFound;
    case ARES_ENODATA: return HostAnswer::Outcome::kNone;
    case ARES_ENOTFOUND: return HostAnswer::Outcome::kGone;
    default: return HostAnswer::Outcome::kFailed;
  }
}

std::string ReasonOf(int status) {
  switch (status) {
    case ARES_ENODATA: return "the name has no address";
    case ARES_ENOTFOUND: return "there is no such name (NXDOMAIN)";
    case ARES_ESERVFAIL: return "the name server failed (SERVFAIL)";
    case ARES_EREFUSED: return "the name server refused to answer (REFUSED)";
    case ARES_ETIMEOUT: return "no name server answered in time";
    case ARES_ECONNREFUSED: return "no name server could be reached";
    case ARES_ECANCELLED:
    case ARES_EDESTRUCTION: return "it was no longer asked";
    default: return ares_strerror(status);
  }
}

// Signed seconds on the wire; c-ares leaves 0 where /etc/hosts told.
void Shorten(Nanos& ttl, int seconds) { ttl = std::min(ttl, std::max(seconds, 0) * kSecond); }

void ReadAnswer(const ares_addrinfo& found, HostAnswer& answer) {
  answer.ttl = kNever;
  for (const ares_addrinfo_node* node = found.nodes; node != nullptr; node = node->ai_next) {
    answer.addresses.push_back(SocketAddress::FromKernel(node->ai_addr, node->ai_addrlen).ip());
    Shorten(answer.ttl, node->ai_ttl);
  }
  for (const ares_addrinfo_cname* alias = found.cnames; alias != nullptr; alias = alias->next) Shorten(answer.ttl, alias->ttl);
}

std::string ServersText(const std::vector<SocketAddress>& servers) {
  std::vector<std::string> texts;
  for (const SocketAddress& server : servers) texts.push_back(server.ToString());
  return Join(texts, ",");
}

}  // namespace

// Shared by the coroutine that asks and by c-ares: either may be the first to let go.
struct AresResolver::Question {
  Question(AresResolver& asked, Family wanted) : resolver(asked), family(wanted), done(asked.proactor_) {}
  AresResolver& resolver;
  const Family family;
  HostAnswer answer;
  io::Event done;
  bool answered = false;
};

StatusOr<std::unique_ptr<AresResolver>> AresResolver::Make(io::Proactor& proactor, AresOptions options) {
  std::unique_ptr<AresResolver> resolver(new AresResolver(proactor, std::move(options)));
  RETURN_IF_ERROR(resolver->Open());
  return resolver;
}

Status AresResolver::Open() {
  epoll_ = epoll_create1(EPOLL_CLOEXEC);
  wake_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (epoll_ < 0 || wake_ < 0) return ErrnoStatus(errno, "open what the resolver waits with");
  epoll_event event{.events = EPOLLIN, .data = {.fd = wake_}};
  if (epoll_ctl(epoll_, EPOLL_CTL_ADD, wake_, &event) != 0) return ErrnoStatus(errno, "open what the resolver waits with");
  resolv_conf_ = StateOf(options_.resolv_conf);
  ASSIGN_OR_RETURN(channel_, OpenChannel());
  return OkStatus();
}

AresResolver::~AresResolver() {
  if (channel_ != nullptr) ares_destroy(channel_);
  if (wake_ >= 0) close(wake_);
  if (epoll_ >= 0) proactor_.Close(epoll_);
}

StatusOr<ares_channel> AresResolver::OpenChannel() {
  ares_options options{};
  options.timeout = static_cast<int>(options_.timeout / kMillisecond);
  options.tries = options_.tries;
  options.sock_state_cb = &OnSocket;
  options.sock_state_cb_data = this;
  options.resolvconf_path = const_cast<char*>(options_.resolv_conf.c_str());  // c-ares copies it
  const int mask = ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB | ARES_OPT_RESOLVCONF;
  ares_channel channel = nullptr;
  int status = ares_init_options(&channel, &options, mask);
  if (status == ARES_SUCCESS && !options_.servers.empty()) {
    status = ares_set_servers_ports_csv(channel, ServersText(options_.servers).c_str());
    if (status != ARES_SUCCESS) ares_destroy(channel);
  }
  if (status != ARES_SUCCESS)
    return Internal("the resolver cannot be set up with ", options_.resolv_conf, ": ", ares_strerror(status));
  ++channels_;
  return channel;
}

// A channel keeps what it read; its open questions would be lost with it.
void AresResolver::FollowResolvConf() {
  if (asking_ != 0 || !options_.servers.empty()) return;
  const uint64_t now = StateOf(options_.resolv_conf);
  if (now == resolv_conf_) return;
  resolv_conf_ = now;
  StatusOr<ares_channel> channel = OpenChannel();
  if (!channel.ok()) return LOG(kWarning, "resolv.conf is not read again", {"because", Message(channel.status())});
  ares_destroy(channel_);
  channel_ = *channel;
}

void AresResolver::OnSocket(void* self, ares_socket_t fd, int readable, int writable) {
  const int epoll = static_cast<AresResolver*>(self)->epoll_;
  if (readable == 0 && writable == 0) {
    epoll_ctl(epoll, EPOLL_CTL_DEL, fd, nullptr);
    return;
  }
  epoll_event event{.events = (readable != 0 ? EPOLLIN : 0u) | (writable != 0 ? EPOLLOUT : 0u), .data = {.fd = fd}};
  if (epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &event) != 0) epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

void AresResolver::OnAnswer(void* question, int status, int, ares_addrinfo* found) {
  const std::unique_ptr<std::shared_ptr<Question>> owner(static_cast<std::shared_ptr<Question>*>(question));
  Question& asked = **owner;
  asked.answered = true;
  --asked.resolver.asking_;
  HostAnswer& answer = asked.answer;
  if (found != nullptr && status == ARES_SUCCESS) ReadAnswer(*found, answer);
  if (found != nullptr) ares_freeaddrinfo(found);
  // Of names that it knows itself (localhost) c-ares gives both families.
  std::erase_if(answer.addresses, [&](const IpAddress& ip) { return ip.is_v6() != (asked.family == Family::kV6); });
  answer.outcome = OutcomeOf(status == ARES_SUCCESS && answer.addresses.empty() ? ARES_ENODATA : status);
  if (answer.outcome != HostAnswer::Outcome::kFound) answer.reason = ReasonOf(status == ARES_SUCCESS ? ARES_ENODATA : status);
  asked.done.Set();
}

io::Task<HostAnswer> AresResolver::Resolve(std::string host, Family family) {
  FollowResolvConf();
  auto question = std::make_shared<Question>(*this, family);
  ares_addrinfo_hints hints{};
  hints.ai_family = family == Family::kV6 ? AF_INET6 : AF_INET;
  hints.ai_flags = ARES_AI_NOSORT;  // sorting would connect to each of them
  ++asking_;
  ares_getaddrinfo(channel_, host.c_str(), nullptr, &hints, &OnAnswer, new std::shared_ptr<Question>(question));
  if (!question->answered && eventfd_write(wake_, 1) != 0) LOG(kError, "the resolver was not woken", {"errno", errno});
  if (!question->answered && !(co_await question->done.Wait()).ok() && !question->answered)
    co_return HostAnswer{.outcome = HostAnswer::Outcome::kFailed, .addresses = {}, .ttl = 0, .reason = ReasonOf(ARES_ECANCELLED)};
  co_return std::move(question->answer);
}

io::Task<io::IoResult> AresResolver::Readable() { co_return co_await io::ReadableOperation(proactor_, epoll_); }

Nanos AresResolver::NextTimeout() const {
  timeval room;
  const timeval* wait = ares_timeout(channel_, nullptr, &room);
  return wait == nullptr ? kNever : wait->tv_sec * kSecond + wait->tv_usec * kMicrosecond;
}

void AresResolver::Process() {
  epoll_event events[kMaxEvents];
  const int ready = epoll_wait(epoll_, events, kMaxEvents, 0);
  for (int i = 0; i < ready; i++) {
    const int fd = events[i].data.fd;
    eventfd_t ignored;
    if (fd == wake_) {
      eventfd_read(wake_, &ignored);
      continue;
    }
    const bool in = (events[i].events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0, out = (events[i].events & EPOLLOUT) != 0;
    ares_process_fd(channel_, in ? fd : ARES_SOCKET_BAD, out ? fd : ARES_SOCKET_BAD);
  }
  ares_process_fd(channel_, ARES_SOCKET_BAD, ARES_SOCKET_BAD);  // what timed out
}

io::Task<void> AresResolver::Run() {
  while (true) {
    const Nanos wait = NextTimeout();
    const io::IoResult woken = co_await io::WithDeadline(proactor_, wait == kNever ? kNever : proactor_.Now() + wait, Readable());
    if (!woken.ok() && !woken.timed_out()) break;
    Process();
  }
  ares_cancel(channel_);
}

}  // namespace fairlead::dns
