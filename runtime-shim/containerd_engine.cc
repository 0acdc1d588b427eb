#include "runtime-shim/containerd_engine.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <utility>

#include "base/grpc/call.h"
#include "base/strings.h"
#include "containerd/containerd.pb.h"
#include "runtime-shim/cni_results.h"
#include "runtime-shim/containerd_image.h"
#include "runtime-shim/containerd_read.h"

namespace fairlead::runtime {
namespace {

constexpr const char* kListContainers = "/containerd.services.containers.v1.Containers/List";
constexpr const char* kGetContainer = "/containerd.services.containers.v1.Containers/Get";
constexpr const char* kListTasks = "/containerd.services.tasks.v1.Tasks/List";
constexpr const char* kGetTask = "/containerd.services.tasks.v1.Tasks/Get";
constexpr const char* kGetImage = "/containerd.services.images.v1.Images/Get";
constexpr const char* kReadContent = "/containerd.services.content.v1.Content/Read";
constexpr const char* kSubscribe = "/containerd.services.events.v1.Events/Subscribe";
constexpr const char* kNamespace = "containerd-namespace";

template <class Message>
StatusOr<Message> Decoded(const std::string& bytes, std::string_view what) {
  Message message;
  if (!message.ParseFromString(bytes)) return DataLoss(what, ": containerd's answer is no such message");
  return message;
}

Status NoNetworks() { return FailedPrecondition("containerd has no networks of its own: they are CNI's configuration files"); }

constexpr size_t kMaxImages = 4096;        // that are remembered
constexpr size_t kMaxBlobBytes = 4 << 20;  // of an index, manifest or configuration
constexpr int kBlobsOfImage = 4;           // an index may name another

bool MayPass(const Status& status) {
  return status.code() == StatusCode::kUnavailable || status.code() == StatusCode::kDeadlineExceeded || status.code() == StatusCode::kCancelled;
}

// containerd does not say when it has begun to tell: what happened while it had not is found by a second list, soon after.
constexpr Nanos kBegins = 200 * kMillisecond;

class ContainerdEvents final : public EventStream {
 public:
  ContainerdEvents(io::Proactor& proactor, std::unique_ptr<grpc::Call> call, std::vector<std::string> namespaces)
      : proactor_(proactor), call_(std::move(call)), namespaces_(std::move(namespaces)) {}

  io::Task<StatusOr<EngineEvent>> Next() override {
    if (!std::exchange(begun_, true)) {
      (void)co_await io::Sleep(proactor_, kBegins);
      co_return EngineEvent{.type = "network", .action = "create"};  // has everything listed
    }
    for (;;) {
      auto message = co_await call_->Next();
      if (!message.ok()) co_return WithContext(message.status(), "containerd's events: ");
      if (!*message) co_return Error(StatusCode::kOutOfRange, "containerd ended the event stream");
      CO_ASSIGN_OR_RETURN(auto envelope, Decoded<containerd::Envelope>(**message, "events"));
      if (auto event = ReadEvent(envelope, namespaces_)) co_return *std::move(event);
    }
  }

 private:
  io::Proactor& proactor_;
  std::unique_ptr<grpc::Call> call_;
  const std::vector<std::string> namespaces_;
  bool begun_ = false;
};

std::string ReadSmall(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

constexpr Nanos kClockSlack = 2 * kSecond;  // the kernel tells the time of boot in seconds

// What only the host knows of a container.
struct HostFacts {
  std::vector<CniResult> networks;
  uint64_t start_ticks = 0;
  Nanos started_wall = 0;
};

HostFacts ReadHostFacts(const ContainerdOptions& options, const std::string& cni_id, uint32_t pid) {
  HostFacts facts{.networks = ReadCniResults(options.cni_results, cni_id)};
  if (pid == 0) return facts;
  facts.start_ticks = StartTicks(ReadSmall(Cat(options.proc, "/", pid, "/stat")));
  const std::string stat = ReadSmall(options.proc + "/stat");
  constexpr std::string_view kBootTime = "\nbtime ";
  const size_t at = stat.find(kBootTime);
  if (at == stat.npos || facts.start_ticks == 0) return facts;
  const std::string_view rest = std::string_view(stat).substr(at + kBootTime.size());
  const int64_t boot = ParseNumber<int64_t>(rest.substr(0, rest.find('\n'))).value_or(0);
  facts.started_wall = boot * kSecond + static_cast<Nanos>(facts.start_ticks) * (kSecond / sysconf(_SC_CLK_TCK));
  // A container that was not taken from its networks when it ended: what is written there is its earlier run's.
  std::erase_if(facts.networks, [&](const CniResult& result) { return result.written_wall + kClockSlack < facts.started_wall; });
  return facts;
}

// "default/web": namespace and id.
std::pair<std::string, std::string> Parts(const std::string& id) {
  const size_t slash = id.find('/');
  return slash == id.npos ? std::pair(std::string(), id) : std::pair(id.substr(0, slash), id.substr(slash + 1));
}

}  // namespace

io::Task<StatusOr<std::string>> ContainerdEngine::Ask(std::string method, std::string name_space, std::string message, Nanos deadline) {
  grpc::Request request{.method = std::move(method), .metadata = {{kNamespace, std::move(name_space)}}, .message = std::move(message)};
  const std::string what = request.method;
  auto answer = co_await grpc::Ask(proactor_, options_.socket, std::move(request), deadline);
  if (!answer.ok()) co_return WithContext(answer.status(), Cat("containerd: ", what, ": "));
  co_return answer;
}

// An image that was removed, pulled for another architecture, or is broken is no reason not to know its container.
io::Task<StatusOr<ContainerdEngine::Ports>> ContainerdEngine::ExposedBy(std::string image, std::string name_space, Nanos deadline) {
  if (image.empty()) co_return Ports();
  auto ports = co_await ReadImage(std::move(image), std::move(name_space), deadline);
  if (ports.ok() || MayPass(ports.status())) co_return ports;
  co_return Ports();
}

io::Task<StatusOr<ContainerdEngine::Ports>> ContainerdEngine::ReadImage(std::string image, std::string name_space, Nanos deadline) {
  containerd::GetImageRequest wanted;
  wanted.set_name(image);
  CO_ASSIGN_OR_RETURN(std::string bytes, co_await Ask(kGetImage, name_space, wanted.SerializeAsString(), deadline));
  CO_ASSIGN_OR_RETURN(auto found, Decoded<containerd::GetImageResponse>(bytes, "image"));
  const std::string digest = found.image().target().digest();
  if (auto known = images_.find(digest); known != images_.end()) co_return known->second;
  ImageBlob blob{.next = digest};
  for (int i = 0; i < kBlobsOfImage && !blob.next.empty(); i++) {
    CO_ASSIGN_OR_RETURN(std::string text, co_await ReadBlob(blob.next, name_space, deadline));
    blob = ReadImageBlob(text);
  }
  if (images_.size() >= kMaxImages) images_.clear();
  images_[digest] = blob.exposed;
  co_return std::move(blob.exposed);
}

io::Task<StatusOr<std::string>> ContainerdEngine::ReadBlob(std::string digest, std::string name_space, Nanos deadline) {
  containerd::ReadContentRequest wanted;
  wanted.set_digest(digest);
  grpc::Request request{.method = kReadContent, .metadata = {{kNamespace, std::move(name_space)}}, .message = wanted.SerializeAsString()};
  CO_ASSIGN_OR_RETURN(std::unique_ptr<grpc::Call> call, co_await grpc::Call::Open(proactor_, options_.socket, std::move(request), deadline));
  call->SetDeadline(deadline);
  std::string text;
  for (;;) {
    CO_ASSIGN_OR_RETURN(std::optional<std::string> message, co_await call->Next());
    if (!message) co_return text;
    CO_ASSIGN_OR_RETURN(auto piece, Decoded<containerd::ReadContentResponse>(*message, "content"));
    text += piece.data();
    if (text.size() > kMaxBlobBytes) co_return DataLoss("blob ", digest, " of an image is longer than ", kMaxBlobBytes, " bytes");
  }
}

io::Task<StatusOr<std::vector<ContainerSummary>>> ContainerdEngine::ListContainers(Nanos deadline) {
  std::vector<ContainerSummary> list;
  std::set<std::string, std::less<>> present;
  for (const std::string& name_space : options_.namespaces) {
    CO_ASSIGN_OR_RETURN(std::string bytes, co_await Ask(kListContainers, name_space, "", deadline));
    CO_ASSIGN_OR_RETURN(auto containers, Decoded<containerd::ListContainersResponse>(bytes, "containers"));
    CO_ASSIGN_OR_RETURN(bytes, co_await Ask(kListTasks, name_space, "", deadline));
    CO_ASSIGN_OR_RETURN(auto tasks, Decoded<containerd::ListTasksResponse>(bytes, "tasks"));
    std::map<std::string, const containerd::Process*> by_id;
    for (const containerd::Process& task : tasks.tasks()) by_id[task.container_id().empty() ? task.id() : task.container_id()] = &task;
    for (const containerd::Container& container : containers.containers()) {
      auto task = by_id.find(container.id());
      const std::string id = Cat(name_space, "/", container.id());
      if (task != by_id.end()) started_.insert(id);
      present.insert(id);
      ContainerSummary& summary = list.emplace_back();
      summary.id = id;
      summary.state = TaskState(task == by_id.end() ? nullptr : task->second, started_.contains(id));
      if (task != by_id.end()) summary.status = Cat("(pid ", task->second->pid(), ")");
      for (const auto& [key, value] : container.labels()) summary.labels.emplace(key, value);
      auto name = summary.labels.find("nerdctl/name");
      summary.name = name == summary.labels.end() ? container.id() : name->second;
    }
  }
  std::erase_if(started_, [&](const std::string& id) { return !present.contains(id); });
  co_return list;
}

io::Task<StatusOr<ContainerDetails>> ContainerdEngine::InspectContainer(std::string id, Nanos deadline) {
  const auto [name_space, own_id] = Parts(id);
  containerd::GetContainerRequest wanted;
  wanted.set_id(own_id);
  CO_ASSIGN_OR_RETURN(std::string bytes, co_await Ask(kGetContainer, name_space, wanted.SerializeAsString(), deadline));
  CO_ASSIGN_OR_RETURN(auto container, Decoded<containerd::GetContainerResponse>(bytes, "container"));
  containerd::GetTaskRequest its;
  its.set_container_id(own_id);
  auto answer = co_await Ask(kGetTask, name_space, its.SerializeAsString(), deadline);
  if (!answer.ok() && answer.status().code() != StatusCode::kNotFound) co_return answer.status();
  containerd::GetTaskResponse task;
  if (answer.ok()) {
    CO_ASSIGN_OR_RETURN(task, Decoded<containerd::GetTaskResponse>(*answer, "task"));
    started_.insert(id);
  }
  const uint32_t pid = task.process().status() == containerd::Process::STOPPED ? 0 : task.process().pid();
  const std::string cni_id = Cat(name_space, "-", own_id);
  const ContainerdOptions& options = options_;
  const HostFacts facts =
      co_await io::OffloadTo(disk_, proactor_, [&options, &cni_id, pid] { return ReadHostFacts(options, cni_id, pid); });
  ContainerDetails details = ReadContainer(name_space, container.container(), answer.ok() ? &task.process() : nullptr,
                                           started_.contains(id), facts.start_ticks, facts.started_wall, facts.networks);
  CO_ASSIGN_OR_RETURN(Ports exposed, co_await ExposedBy(container.container().image(), name_space, deadline));
  details.exposed.insert(details.exposed.end(), exposed.begin(), exposed.end());  // a published one may stand there already
  std::ranges::sort(details.exposed);
  details.exposed.erase(std::ranges::unique(details.exposed).begin(), details.exposed.end());
  co_return details;
}

io::Task<StatusOr<std::vector<NetworkDetails>>> ContainerdEngine::ListNetworks(Nanos) {
  const std::string& folder = options_.cni_results;
  const std::vector<CniResult> results = co_await io::OffloadTo(disk_, proactor_, [&folder] { return ReadCniResults(folder, ""); });
  std::map<std::string, NetworkDetails> networks;
  for (const CniResult& result : results) {
    NetworkDetails& network = networks[result.network];
    network.id = network.name = result.network;
    for (const std::string& plugin : result.plugins)
      if (network.driver.empty() || plugin == "fairlead-cni") network.driver = plugin;
  }
  std::vector<NetworkDetails> list;
  for (auto& [name, network] : networks) list.push_back(std::move(network));
  co_return list;
}

io::Task<StatusOr<std::unique_ptr<EventStream>>> ContainerdEngine::Events(Nanos, Nanos deadline) {
  grpc::Request request{.method = kSubscribe, .metadata = {{kNamespace, options_.namespaces.front()}}};
  containerd::SubscribeRequest filters;  // an exec's events and other programs' containers stay away
  for (const std::string& name_space : options_.namespaces) filters.add_filters(Cat("namespace==", name_space));
  request.message = filters.SerializeAsString();
  CO_ASSIGN_OR_RETURN(std::unique_ptr<grpc::Call> call, co_await grpc::Call::Open(proactor_, options_.socket, std::move(request), deadline));
  call->SetDeadline(kNever);
  co_return std::unique_ptr<EventStream>(std::make_unique<ContainerdEvents>(proactor_, std::move(call), options_.namespaces));
}

io::Task<StatusOr<EngineVersion>> ContainerdEngine::Version(Nanos) { co_return EngineVersion{1, 0}; }
io::Task<StatusOr<NetworkDetails>> ContainerdEngine::InspectNetwork(std::string, Nanos) { co_return NoNetworks(); }
io::Task<Status> ContainerdEngine::DisconnectNetwork(std::string, std::string, Nanos) { co_return NoNetworks(); }
io::Task<Status> ContainerdEngine::ConnectNetwork(std::string, std::string, EndpointSettings, Nanos) { co_return NoNetworks(); }
io::Task<Status> ContainerdEngine::CreateNetwork(NetworkDetails, Nanos) { co_return NoNetworks(); }
io::Task<Status> ContainerdEngine::RemoveContainer(std::string, Nanos) {
  co_return FailedPrecondition("containers of containerd are removed by who made them, as nerdctl rm -f");
}

io::Task<Status> ContainerdEngine::RemoveNetwork(std::string, Nanos) { co_return NoNetworks(); }

}  // namespace fairlead::runtime
