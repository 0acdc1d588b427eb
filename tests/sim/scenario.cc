#include "tests/sim/scenario.h"

#include <set>

namespace fairlead::fleet {
namespace {

constexpr size_t kMostContainers = 10;
constexpr int kCalmActions = 12, kStormActions = 12;
constexpr Nanos kLongestPause = 1500 * kMillisecond;
constexpr Nanos kPatience = 120 * kSecond;

}  // namespace

void Scenario::Play() {
  SetUp();
  for (auto part : {&Scenario::CalmPart, &Scenario::Storm}) {
    if (!fleet_.verdict.findings().empty()) return;
    (this->*part)();
    if (!fleet_.verdict.findings().empty()) return;
    fleet_.CheckAll();
  }
}

void Scenario::SetUp() {
  fleet_.StartAgent();
  fleet_.StartDns();
  fleet_.StartLb();
  fleet_.engine.CreateNetwork();
  if (!fleet_.RunUntil([&] { return fleet_.engine.network_made(); }, kPatience)) return;
  bool at_once = random_.OneIn(2);  // as when dockerd boots
  for (const Service& service : {Service{"web", "shop"}, Service{"api", "shop"}, Service{"cart", "other"}}) {
    for (int i = 0; i < (service.name == "web" ? 3 : 2); i++) {
      fleet_.engine.Start(NewContainer(service, random_.OneIn(2)));
      if (!at_once) fleet_.RunUntil([&] { return fleet_.engine.idle(); }, kPatience);
    }
  }
  fleet_.RunUntil([&] { return fleet_.engine.idle() && fleet_.Disagreement().empty(); }, kPatience);
  fleet_.CheckAll();
  fleet_.clients.Run({"web.shop", "api.shop", "cart.other"});
}

// --- the calm part: programs that have nothing to do with a request may die, endpoints leave in order

void Scenario::CalmPart() {
  for (int i = 0; i < kCalmActions && fleet_.verdict.findings().empty(); i++) {
    CalmAction();
    fleet_.Run(UpTo(kLongestPause));
    for (auto [program, scope] : {std::pair<const discovery::Consumer*, const char*>{fleet_.dns ? &fleet_.dns->consumer() : nullptr, Calm::kDns},
                                  {fleet_.lb ? &fleet_.lb->consumer() : nullptr, Calm::kHttp}})
      if (program != nullptr && program->synced() && fleet_.calm.Open(scope)) fleet_.calm.End(scope, kSecond);
  }
}

void Scenario::CalmAction() {
  switch (random_.Below(15)) {
    case 0: return StartNew(1);
    case 1: return StartNew(2 + static_cast<int>(random_.Below(2)));
    case 2: case 3: return StartStopped();
    case 4: case 5: case 6: return StopOne();
    case 7: return RemoveStopped();
    case 8: return Recreate();
    case 9: return RenameOne();
    case 10: return fleet_.KillAgent(random_.OneIn(4) ? lb::HealthChecks::kAgentSilence + UpTo(4 * kSecond) : UpTo(4 * kSecond));
    case 11: return random_.OneIn(2) ? fleet_.KillDns(UpTo(2 * kSecond)) : fleet_.KillLb(UpTo(2 * kSecond));
    case 12: return RestartEngine(/*live_restore=*/true);
    case 13:
      fleet_.verdict.Tell("events are cut");
      return fleet_.engine.CutEvents();
    default:
      if (fleet_.relay == nullptr) return StopOne();
      fleet_.verdict.Tell("relay stands still");
      return fleet_.relay->StandStill(UpTo(3 * kSecond));
  }
}

// --- the storm

void Scenario::Storm() {
  fleet_.calm.Disturb(Calm::kHttp);
  fleet_.calm.Disturb(Calm::kDns);
  fleet_.verdict.Tell("storm");
  const sim::Faults before = fleet_.world.faults;
  if (fleet_.traits.rough_network) {
    fleet_.world.faults.resets = 3;
    fleet_.world.faults.stalls = 20;
    fleet_.world.faults.connects_refused = 20;
    fleet_.world.faults.connects_lost = 20;
    fleet_.world.faults.datagrams_lost = 50;
    fleet_.world.faults.datagrams_doubled = 20;
    fleet_.world.faults.datagrams_reordered = 50;
  }
  fleet_.engine.LoseEvents(random_.OneIn(2));
  for (int i = 0; i < kStormActions && fleet_.verdict.findings().empty(); i++) {
    StormAction();
    fleet_.Run(UpTo(kLongestPause));
  }
  fleet_.engine.LoseEvents(false);
  fleet_.world.faults = before;
  fleet_.ReviveAll();
  fleet_.clients.Pause();  // some services have nobody left
  fleet_.verdict.Tell("storm is over");
}

void Scenario::StormAction() {
  switch (random_.Below(12)) {
    case 0: return fleet_.KillAgent(UpTo(6 * kSecond));
    case 1:  // in the middle of a start
      StartNew(1 + static_cast<int>(random_.Below(3)));
      fleet_.Run(UpTo(15 * kMillisecond));
      return fleet_.KillAgent(UpTo(3 * kSecond));
    case 2: case 3:
      if (const Container* c = PickOne([](const Container& c) { return c.running(); })) fleet_.engine.Stop(c->details.id, random_.OneIn(2));
      return;
    case 4:
      if (const Container* c = PickOne([](const Container&) { return true; })) fleet_.engine.Remove(c->details.id);
      return;
    case 5: return RestartEngine(random_.OneIn(2));
    case 6: return fleet_.FillDisk(random_.OneIn(2));
    case 7: return CorruptState();
    case 8: return CrashWhileWriting();
    case 9: return StartStopped();
    case 10:
      if (const Container* c = PickOne([](const Container& c) { return c.running(); })) {  // in the middle of a stop
        fleet_.engine.Stop(c->details.id, true);
        fleet_.Run(UpTo(15 * kMillisecond));
        fleet_.KillAgent(UpTo(3 * kSecond));
      }
      return;
    default: return CalmAction();
  }
}

// --- what is done

size_t Scenario::live() const {
  size_t count = 0;
  for (const auto& [id, container] : fleet_.engine.containers()) count += container.running() || container.busy;
  return count;
}

template <class Wanted>
const Container* Scenario::PickOne(Wanted wanted) {
  std::vector<const Container*> candidates;
  for (const auto& [id, container] : fleet_.engine.containers())
    if (!container.busy && wanted(container)) candidates.push_back(&container);
  return candidates.empty() ? nullptr : candidates[random_.Below(candidates.size())];
}

// The balancer knows another one that serves, and none that does not: one detour is what it may cost.
bool Scenario::MayStop(const Container& container) const {
  if (fleet_.lb == nullptr || fleet_.calm.Open(Calm::kHttp)) return false;
  std::set<std::string> serving;
  for (const auto& [id, other] : fleet_.engine.containers())
    if (other.running() && !other.stopping && other.service == container.service) serving.insert(SocketAddress(other.ip, kContainerPort).ToString());
  size_t known = 0;
  for (const auto& endpoint : fleet_.lb->picture().Endpoints(container.service)) {
    if (!endpoint.ready) continue;
    if (!serving.contains(endpoint.view->address.ToString())) return false;
    known++;
  }
  return container.running() && known >= 2;
}

std::string Scenario::NewContainer(const Service& service, bool compose) {
  std::string name = Cat(service.project, "-", service.name, "-", next_number_++);
  return fleet_.engine.Create(name, name, service.name, service.project, compose, random_.OneIn(8));
}

void Scenario::StartNew(int how_many) {
  static const Service kServices[] = {{"web", "shop"}, {"api", "shop"}, {"cart", "other"}};
  if (!fleet_.engine.network_made()) return;
  for (; how_many > 0 && live() < kMostContainers; how_many--)
    fleet_.engine.Start(NewContainer(kServices[random_.Below(3)], random_.OneIn(2)));
}

void Scenario::StartStopped() {
  if (live() >= kMostContainers) return StopOne();
  const Container* container = PickOne([](const Container& c) { return !c.running(); });
  if (container != nullptr) fleet_.engine.Start(container->details.id);
}

void Scenario::StopOne() {
  const Container* container = PickOne([&](const Container& c) { return MayStop(c); });
  if (container != nullptr) fleet_.engine.Stop(container->details.id, /*by_kill=*/false);
}

void Scenario::RemoveStopped() {
  const Container* container = PickOne([](const Container& c) { return !c.running(); });
  if (container != nullptr) fleet_.engine.Remove(container->details.id);
}

// docker compose up with a new image: the new container has a temporary name until the old one is gone, and is renamed
// before or after its start.
void Scenario::Recreate() {
  const Container* old = PickOne([&](const Container& c) { return c.details.labels.contains("com.docker.compose.project") && !c.ephemeral && MayStop(c); });
  if (old == nullptr) return;
  const std::string id = old->details.id, name = old->details.name, canonical = old->canonical;
  if (name != canonical) return;
  size_t dot = old->service.find('.');
  std::string fresh = fleet_.engine.Create(Cat(id.substr(0, 12), "_", name), canonical, old->service.substr(0, dot), old->service.substr(dot + 1), true, false);
  auto idle = [&] { return fleet_.engine.idle(); };
  fleet_.engine.Stop(id, /*by_kill=*/false);
  if (!fleet_.RunUntil(idle, kPatience)) return;
  const bool rename_first = random_.OneIn(2);
  if (rename_first) {
    fleet_.engine.Remove(id);
    fleet_.RunUntil(idle, kPatience);
    fleet_.engine.Rename(fresh, name, canonical);
    fleet_.Run(UpTo(50 * kMillisecond));
  }
  fleet_.engine.Start(fresh);
  fleet_.RunUntil(idle, kPatience);
  if (rename_first) return;
  fleet_.engine.Remove(id);
  fleet_.RunUntil(idle, kPatience);
  fleet_.engine.Rename(fresh, name, canonical);
}

void Scenario::RenameOne() {
  const Container* container = PickOne([](const Container& c) { return !c.details.labels.contains("com.docker.compose.project"); });
  if (container == nullptr) return;
  std::string name = Cat("renamed-", next_number_++);
  fleet_.engine.Rename(container->details.id, name, name);
}

void Scenario::RestartEngine(bool live_restore) { fleet_.engine.Restart(UpTo(3 * kSecond), live_restore); }

void Scenario::CorruptState() {
  bool dns = random_.OneIn(2);
  dns ? fleet_.KillDns(kSecond) : fleet_.KillLb(kSecond);
  sim::SimFiles& disk = dns ? fleet_.dns_disk : fleet_.lb_disk;
  for (const auto& [path, bytes] : std::map(disk.files()))
    if (!bytes.empty()) disk.FlipByte(path);
  fleet_.verdict.Tell("state file is corrupt");
}

void Scenario::CrashWhileWriting() {
  using Point = sim::SimFiles::CrashPoint;
  static constexpr Point kPoints[] = {Point::kInTheTemporaryFile, Point::kBeforeRename, Point::kBeforeFolderSync, Point::kAfterwards};
  bool dns = random_.OneIn(2);
  sim::SimFiles& disk = dns ? fleet_.dns_disk : fleet_.lb_disk;
  disk.CrashAt(kPoints[random_.Below(4)]);
  fleet_.RunUntil([&] { return disk.down(); }, 2 * kSecond);
  disk.CrashAt(Point::kNone);
  dns ? fleet_.KillDns(UpTo(kSecond)) : fleet_.KillLb(UpTo(kSecond));
}

}  // namespace fairlead::fleet
