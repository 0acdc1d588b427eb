#include "runtime-shim/name_finder.h"

#include <algorithm>
#include <deque>

#include "base/io/await.h"
#include "base/io/event.h"

namespace fairlead::runtime {
namespace {

// Could this container be the one that asks? It is on the network by its configuration, has no live endpoint there
// (after a crash of dockerd a stopped one still shows its last), and wants the address that is asked for: a container with
// an address of its own asks for exactly that one.
bool IsCandidate(const ContainerSummary& container, const ExpectedRequest& request) {
  if (container.state == "removing" || container.state == "dead") return false;
  bool live = container.state == "running" || container.state == "paused";
  return std::ranges::any_of(container.networks, [&](const NetworkAttachment& at) {
    return at.network == request.network && (!live || at.endpoint_id.empty()) && at.Wanted(request.v6) == request.wanted;
  });
}

}  // namespace

struct NameFinder::Probes {
  io::Event answered;
  size_t open = 0;
  Nanos deadline = kNever;
};

// One that does not answer is being started: its lock is held until we have answered.
io::Task<void> NameFinder::Probe(std::string id, Probes& probes, bool& starting) {
  auto answer = co_await engine_.InspectContainer(std::move(id), probes.deadline);
  starting = !answer.ok() && answer.status().code() != StatusCode::kNotFound;
  probes.open--;
  probes.answered.Set();
}

io::Task<void> NameFinder::KeepStarting(std::vector<ContainerSummary>& candidates, Nanos deadline) {
  const Nanos start = proactor_.Now();
  const Nanos first = std::min(deadline, start + kProbeTimeout), last = std::min(deadline, start + kProbePatience);
  Probes probes{io::Event(proactor_), candidates.size(), last};
  std::deque<bool> starting(candidates.size(), true);
  io::TaskGroup group;
  for (size_t i = 0; i < candidates.size(); i++) group.Spawn(Probe(candidates[i].id, probes, starting[i]));
  stats_.probes += candidates.size();
  while (probes.open > 0 && (probes.open > 1 || proactor_.Now() < first)) {
    io::IoResult woken = co_await probes.answered.Wait(probes.open > 1 ? last : first);
    if (!woken.ok()) break;
  }
  co_await group.CancelAndJoin();
  size_t kept = 0;
  for (size_t i = 0; i < candidates.size(); i++) {
    if (starting[i]) std::swap(candidates[kept++], candidates[i]);
  }
  candidates.resize(kept);
}

io::Task<StatusOr<Asker>> NameFinder::Find(ExpectedRequest request, Nanos deadline) {
  if (EngineSilent()) {
    stats_.silent++;
    co_return Unavailable("the engine has not answered lately");
  }
  auto list = co_await engine_.ListContainers(std::min(deadline, proactor_.Now() + kListPatience));
  if (!list.ok()) {
    stats_.errors++;
    silent_until_ = proactor_.Now() + kSilence;
    co_return Unavailable("the engine does not list its containers: ", Message(list.status()));
  }
  std::erase_if(*list, [&](const ContainerSummary& c) { return !IsCandidate(c, request); });
  const size_t candidates = list->size();
  if (candidates > 1 && candidates <= kMaxProbes) co_await KeepStarting(*list, deadline);
  if (list->empty()) {
    stats_.none++;
    co_return NotFound("no container of the network waits for such an address (", candidates, " answered that they do not)");
  }
  if (list->size() > 1) {
    stats_.ambiguous++;
    co_return FailedPrecondition("it can be one of ", list->size(), " containers, ", list->front().name, " and ", (*list)[1].name,
                                 " among them");
  }
  stats_.certain++;
  co_return Asker{list->front().name, list->front().labels};
}

}  // namespace fairlead::runtime
