#include "runtime-shim/name_finder.h"

#include <algorithm>
#include <deque>

#include "base/io/await.h"

namespace fairlead::runtime {
namespace {

// Could this container be the one that asks? It is on the network by its configuration, has no live endpoint there
// (after a crash of dockerd a stopped one still shows its last), and wants the address that is asked for: a container with
// an address of its own asks for exactly that one.
bool IsCandidate(const ContainerSummary& container, const std::string& network, const IpAddress& wanted) {
  if (container.state == "removing" || container.state == "dead") return false;
  bool live = container.state == "running" || container.state == "paused";
  return std::ranges::any_of(container.networks, [&](const NetworkAttachment& at) {
    return at.network == network && (!live || at.endpoint_id.empty()) && at.wanted == wanted;
  });
}

}  // namespace

// Whether its inspection is silent until the deadline: its lock is held, something is under way with it.
io::Task<void> NameFinder::Probe(std::string id, Nanos deadline, bool& starting) {
  auto answer = co_await engine_.InspectContainer(std::move(id), deadline);
  starting = !answer.ok() && answer.status().code() != StatusCode::kNotFound;
}

io::Task<std::optional<Asker>> NameFinder::Find(std::string network, IpAddress wanted, Nanos deadline) {
  if (proactor_.Now() < silent_until_) {
    stats_.silent++;
    co_return std::nullopt;
  }
  auto list = co_await engine_.ListContainers(std::min(deadline, proactor_.Now() + kListPatience));
  if (!list.ok()) {
    stats_.errors++;
    if (list.status().code() == StatusCode::kDeadlineExceeded) silent_until_ = proactor_.Now() + kSilence;
    co_return std::nullopt;
  }
  std::erase_if(*list, [&](const ContainerSummary& c) { return !IsCandidate(c, network, wanted); });
  if (list->size() > kMaxProbes) {
    stats_.ambiguous++;
    co_return std::nullopt;
  }
  if (list->size() > 1) {
    std::deque<bool> starting(list->size());
    io::TaskGroup probes;
    Nanos until = std::min(deadline, proactor_.Now() + kProbeTimeout);
    for (size_t i = 0; i < list->size(); i++) probes.Spawn(Probe((*list)[i].id, until, starting[i]));
    co_await probes.Join();
    stats_.probes += list->size();
    size_t kept = 0;
    for (size_t i = 0; i < starting.size(); i++) {
      if (starting[i]) std::swap((*list)[kept++], (*list)[i]);
    }
    list->resize(kept);
  }
  if (list->size() != 1) {
    (list->empty() ? stats_.none : stats_.ambiguous)++;
    co_return std::nullopt;
  }
  stats_.certain++;
  co_return Asker{list->front().name, list->front().labels};
}

}  // namespace fairlead::runtime
