// fleet_sim: the fleet in simulation. Agent, balancer, name server and a scripted engine run in one process under a seed, with
// virtual time; checkers that know only the rules judge what comes out.
//
//   fleet_sim --seeds 1000           seeds 1 to 1000, after those of regressions.txt; two processes
//   fleet_sim --seed 42              replays one, and tells its story when it fails (--story: always)
//   fleet_sim --seed 42 --bug NAME   with a planted bug
//   fleet_sim --planted              each planted bug must be found
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <fstream>
#include <set>

#include "base/io/frame_pool.h"
#include "base/log.h"
#include "tests/sim/scenario.h"

namespace fairlead::fleet {
namespace {

constexpr int kWorkers = 2;
constexpr uint64_t kMostPlantedSeeds = 200;   // a bug that none of these shows is not found
constexpr uint64_t kReplayed = 20;            // seeds that are run twice: the same seed must give the same run

struct Result {
  std::vector<Finding> findings;
  std::deque<std::string> story;
  uint64_t trace = 0, requests = 0, judged = 0, queries = 0;
  Nanos virtual_time = 0;
  uint64_t steps = 0;
};

Result Play(uint64_t seed, Bug bug) {
  Result result;
  {
    Fleet fleet(seed, bug);
    Scenario(fleet, seed).Play();
    result.trace = fleet.world.trace();
    fleet.Shutdown();
    result.findings = fleet.verdict.findings();
    result.story = fleet.verdict.story();
    result.requests = fleet.clients.requests();
    result.judged = fleet.clients.judged();
    result.queries = fleet.clients.queries();
    result.virtual_time = fleet.world.Now();
    result.steps = fleet.world.steps();
  }
  if (result.findings.empty() && io::FramePool::live() != 0)
    result.findings.push_back({"nothing is left over", Cat(io::FramePool::live(), " coroutine frames"), result.virtual_time});
  return result;
}

// What a worker process tells: in memory that it shares with the parent.
struct Share {
  uint64_t passed, failed, requests, judged, queries, virtual_ms, current;
  uint64_t failed_seeds[64];
  uint64_t found_seed;
  char text[256];
};

Share* MakeShares() {
  void* memory = mmap(nullptr, sizeof(Share) * kWorkers, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  CHECK(memory != MAP_FAILED);
  return static_cast<Share*>(memory);
}

void Silence() {
  int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
  if (null >= 0) dup2(null, STDERR_FILENO);
}

std::string Command(uint64_t seed, std::string_view bug = "") {
  return bug.empty() ? Cat("fleet_sim --seed ", seed) : Cat("fleet_sim --seed ", seed, " --bug ", bug);
}

void RunSeeds(const std::vector<uint64_t>& seeds, int worker, Share& share) {
  Silence();  // the programs' logs: --seed shows them
  for (size_t i = static_cast<size_t>(worker); i < seeds.size(); i += kWorkers) {
    share.current = seeds[i];
    Result result = Play(seeds[i], Bug::kNone);
    bool same = i >= kReplayed || Play(seeds[i], Bug::kNone).trace == result.trace;
    if (!same) result.findings.push_back({"one seed, one run", "a second run went another way", 0});
    share.requests += result.requests;
    share.judged += result.judged;
    share.queries += result.queries;
    share.virtual_ms += static_cast<uint64_t>(result.virtual_time / kMillisecond);
    if (result.findings.empty()) {
      share.passed++;
      continue;
    }
    if (share.failed < std::size(share.failed_seeds)) share.failed_seeds[share.failed] = seeds[i];
    share.failed++;
    const Finding& first = result.findings[0];
    std::printf("FAILED %s: %s\n       %s\n", first.checker.c_str(), first.what.c_str(), Command(seeds[i]).c_str());
    std::fflush(stdout);
  }
  share.current = 0;
}

std::vector<uint64_t> Regressions() {
  std::vector<uint64_t> seeds;
  std::ifstream file(FAIRLEAD_SIM_REGRESSIONS);
  for (std::string line; std::getline(file, line);)
    if (auto seed = ParseNumber<uint64_t>(Trim(std::string_view(line).substr(0, line.find('#'))))) seeds.push_back(*seed);
  return seeds;
}

// Runs `work` in kWorkers processes. A process that dies counts as a failed seed.
template <class F>
uint64_t InWorkers(Share* shares, F work) {
  pid_t children[kWorkers];
  std::fflush(stdout);
  for (int i = 0; i < kWorkers; i++) {
    children[i] = fork();
    CHECK(children[i] >= 0);
    if (children[i] != 0) continue;
    work(i, shares[i]);
    std::fflush(stdout);
    _exit(0);
  }
  uint64_t died = 0;
  for (int i = 0; i < kWorkers; i++) {
    int status = 0;
    waitpid(children[i], &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) continue;
    died++;
    std::printf("FAILED a CHECK or a crash\n       %s\n", Command(shares[i].current, shares[i].text).c_str());
  }
  return died;
}

int Seeds(uint64_t count, uint64_t first) {
  std::vector<uint64_t> seeds = Regressions();
  for (uint64_t seed = first; seed < first + count; seed++) seeds.push_back(seed);
  Share* shares = MakeShares();
  uint64_t failed = InWorkers(shares, [&](int worker, Share& share) { RunSeeds(seeds, worker, share); });
  Share sum{};
  for (int i = 0; i < kWorkers; i++) {
    sum.passed += shares[i].passed;
    failed += shares[i].failed;
    sum.requests += shares[i].requests;
    sum.judged += shares[i].judged;
    sum.queries += shares[i].queries;
    sum.virtual_ms += shares[i].virtual_ms;
  }
  std::printf("%lu requests (%lu had to succeed), %lu queries, %lu s of virtual time\n", sum.requests, sum.judged, sum.queries,
              sum.virtual_ms / 1000);
  std::printf("%lu seeds passed, %lu failed\n", sum.passed, failed);
  return failed == 0 ? 0 : 1;
}

// The seeds of a bug are shared out; each worker stops at its first finding.
void Hunt(const PlantedBug& planted, int worker, Share& share) {
  Silence();
  planted.name.copy(share.text, sizeof share.text - 1);
  for (uint64_t seed = 1 + static_cast<uint64_t>(worker); seed <= kMostPlantedSeeds; seed += kWorkers) {
    share.current = seed;
    Result result = Play(seed, planted.bug);
    if (result.findings.empty()) continue;
    share.found_seed = seed;
    std::snprintf(share.text, sizeof share.text, "%s: %s", result.findings[0].checker.c_str(), result.findings[0].what.c_str());
    return;
  }
}

int Planted(std::string_view only) {
  int found = 0, missed = 0;
  for (const PlantedBug& planted : kPlantedBugs) {
    if (!only.empty() && planted.name != only) continue;
    Share* shares = MakeShares();
    uint64_t died = InWorkers(shares, [&](int worker, Share& share) { Hunt(planted, worker, share); });
    const Share* best = nullptr;
    for (int i = 0; i < kWorkers; i++)
      if (shares[i].found_seed != 0 && (best == nullptr || shares[i].found_seed < best->found_seed)) best = &shares[i];
    (best != nullptr && died == 0 ? found : missed)++;
    std::printf("%-28s %s%s\n", std::string(planted.name).c_str(), best != nullptr ? Cat("seed ", best->found_seed, "  ").c_str() : "NOT FOUND",
                best != nullptr ? best->text : "");
    std::fflush(stdout);
    munmap(shares, sizeof(Share) * kWorkers);
  }
  std::printf("%d planted bugs found, %d missed\n", found, missed);
  return missed == 0 && found > 0 ? 0 : 1;
}

int One(uint64_t seed, Bug bug, bool story, bool log) {
  if (!log) SetLogLevel(LogLevel::kError);
  Result result = Play(seed, bug);
  if (story || !result.findings.empty())
    for (const std::string& line : result.story) std::fprintf(stderr, "%s\n", line.c_str());
  for (const Finding& finding : result.findings) std::printf("FAILED %s: %s\n", finding.checker.c_str(), finding.what.c_str());
  std::printf("seed %lu: %lu requests (%lu had to succeed), %lu queries, %lu s of virtual time, %lu steps, trace %016lx\n", seed,
              result.requests, result.judged, result.queries, static_cast<uint64_t>(result.virtual_time / kSecond), result.steps,
              result.trace);
  std::printf("%d passed, %d failed\n", result.findings.empty() ? 1 : 0, result.findings.empty() ? 0 : 1);
  return result.findings.empty() ? 0 : 1;
}

int Usage() {
  std::fprintf(stderr, "fleet_sim --seeds COUNT [--first SEED] | --seed SEED [--bug NAME] [--story] [--log] | --planted [--bug NAME]\n");
  for (const PlantedBug& planted : kPlantedBugs)
    std::fprintf(stderr, "  %-28s %s\n", std::string(planted.name).c_str(), std::string(planted.what).c_str());
  return 2;
}

int Main(int argc, char** argv) {
  std::optional<uint64_t> seeds, seed, first = 1;
  std::string_view bug_name;
  bool planted = false, story = false, log = false;
  for (int i = 1; i < argc; i++) {
    std::string_view arg = argv[i], value = i + 1 < argc ? argv[i + 1] : "";
    if (arg == "--seeds" && (seeds = ParseNumber<uint64_t>(value))) i++;
    else if (arg == "--seed" && (seed = ParseNumber<uint64_t>(value))) i++;
    else if (arg == "--first" && (first = ParseNumber<uint64_t>(value))) i++;
    else if (arg == "--bug" && !value.empty()) bug_name = argv[++i];
    else if (arg == "--planted") planted = true;
    else if (arg == "--story") story = true;
    else if (arg == "--log") log = true;
    else return Usage();
  }
  Bug bug = Bug::kNone;
  for (const PlantedBug& known : kPlantedBugs)
    if (known.name == bug_name) bug = known.bug;
  if (!bug_name.empty() && bug == Bug::kNone) return Usage();
  if (planted) return Planted(bug_name);
  if (seed) return One(*seed, bug, story, log);
  return seeds ? Seeds(*seeds, *first) : Usage();
}

}  // namespace
}  // namespace fairlead::fleet

int main(int argc, char** argv) { return fairlead::fleet::Main(argc, argv); }
