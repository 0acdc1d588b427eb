#include "base/dns/host_book.h"

#include <algorithm>

#include "base/log.h"
#include "base/strings.h"

namespace fairlead::dns {

using Outcome = HostAnswer::Outcome;

HostBook::HostBook(io::Proactor& proactor, Resolver& resolver, Metrics& metrics)
    : proactor_(proactor), resolver_(resolver), metrics_(metrics), sooner_(proactor) {}

bool HostBook::Want(const std::string& host) {
  auto found = entries_.find(host);
  if (found == entries_.end()) {
    if (entries_.size() >= kMaxHosts) {
      metrics_.counter("fairlead_hostnames_refused_total", "Host names beyond the most that are kept", {}).Add();
      return false;
    }
    found = entries_.emplace(host, Entry()).first;
    found->second.generation = ++generations_;
    found->second.host.problem = std::string(kNotAsked);
    ++unlooked_;
    Schedule(host, found->second, proactor_.Now());
    CountStates();
  }
  ++found->second.users;
  return true;
}

void HostBook::Release(const std::string& host) {
  auto found = entries_.find(host);
  if (found == entries_.end() || --found->second.users != 0) return;
  due_.erase({found->second.due, host});
  if (!found->second.host.looked) --unlooked_;
  entries_.erase(found);
  CountStates();
}

const HostBook::Host* HostBook::Find(std::string_view host) const {
  auto found = entries_.find(host);
  return found == entries_.end() ? nullptr : &found->second.host;
}

void HostBook::Schedule(const std::string& host, Entry& entry, Nanos due) {
  entry.due = due;
  due_.emplace(due, host);
  sooner_.Set();
}

io::Task<void> HostBook::Run() {
  while (true) {
    while (!due_.empty() && due_.begin()->first <= proactor_.Now() && asking_ < kMaxAsking) {
      const std::string host = due_.begin()->second;
      due_.erase(due_.begin());
      Ask(host, entries_.find(host)->second);
    }
    const bool room = asking_ < kMaxAsking && !due_.empty();
    const io::IoResult woken = co_await sooner_.Wait(room ? due_.begin()->first : kNever);
    if (!woken.ok() && !woken.timed_out()) break;
  }
  co_await questions_.CancelAndJoin();
}

void HostBook::Ask(const std::string& host, const Entry& entry) {
  ++asking_;
  auto round = std::make_shared<Round>();
  round->host = host;
  round->generation = entry.generation;
  for (Family family : {Family::kV4, Family::kV6}) questions_.Spawn(AskFamily(round, family));
}

io::Task<void> HostBook::AskFamily(std::shared_ptr<Round> round, Family family) {
  round->answers[static_cast<size_t>(family)] = co_await resolver_.Resolve(round->host, family);
  if (--round->open != 0) co_return;
  --asking_;
  sooner_.Set();
  auto found = entries_.find(round->host);
  if (questions_.cancelled() || found == entries_.end() || found->second.generation != round->generation) co_return;
  Take(round->host, found->second, round->answers);
}

HostBook::Verdict HostBook::Judge(Entry& entry, HostAnswer answers[2]) {
  Verdict verdict;
  bool found = false;
  for (int i = 0; i < 2; i++) {
    const HostAnswer& answer = answers[i];
    found = found || answer.outcome == Outcome::kFound;
    if (answer.outcome == Outcome::kFound) {
      verdict.refresh = std::min(verdict.refresh, answer.ttl);
    } else if (verdict.reason.empty() || answer.outcome == Outcome::kFailed) {
      verdict.reason = answer.reason;
    }
    // A family that never had an address is not missed: many name servers are silent about AAAA.
    const bool missed = answer.outcome == Outcome::kFailed && !entry.by_family[i].empty();
    verdict.failed = verdict.failed || missed;
  }
  const bool any_failed = answers[0].outcome == Outcome::kFailed || answers[1].outcome == Outcome::kFailed;
  if (!found && any_failed) verdict.failed = true;
  verdict.gone = !found && !any_failed;
  if (!verdict.failed && !verdict.gone) verdict.reason.clear();
  if (verdict.failed || verdict.gone) verdict.refresh = kRetry;
  // Each family that said what it has; a name that is gone says so for both, and is given time.
  if (!verdict.gone)
    for (int i = 0; i < 2; i++)
      if (answers[i].outcome != Outcome::kFailed && (found || !any_failed)) entry.by_family[i] = std::move(answers[i].addresses);
  return verdict;
}

void HostBook::Take(const std::string& host, Entry& entry, HostAnswer answers[2]) {
  const Nanos now = proactor_.Now();
  Verdict verdict = Judge(entry, answers);
  metrics_.counter("fairlead_hostnames_answers_total", "Answers about host names of endpoints, by what they came to",
                   {{"result", verdict.failed ? "failed" : verdict.gone ? "gone" : "found"}}).Add();
  if (!verdict.gone) entry.gone_since = 0;
  if (verdict.gone && entry.gone_since == 0) entry.gone_since = now;
  if (verdict.gone && now - entry.gone_since >= kKeepGone) entry.by_family[0] = entry.by_family[1] = {};

  const Host before = std::exchange(entry.host, {.addresses = {}, .problem = std::move(verdict.reason), .looked = true});
  Host& host_now = entry.host;
  for (const std::vector<IpAddress>& family : entry.by_family) host_now.addresses.insert(host_now.addresses.end(), family.begin(), family.end());
  std::ranges::sort(host_now.addresses);
  host_now.addresses.erase(std::unique(host_now.addresses.begin(), host_now.addresses.end()), host_now.addresses.end());
  if (host_now.addresses.size() > kMaxAddresses) {
    host_now.problem = Cat("the name has ", host_now.addresses.size(), " addresses, the first ", kMaxAddresses, " are used");
    host_now.addresses.resize(kMaxAddresses);
  }
  if (!before.looked) --unlooked_;
  Schedule(host, entry, now + std::clamp(verdict.refresh, kMinRefresh, kMaxRefresh));
  if (before.looked && before.addresses == host_now.addresses && before.problem == host_now.problem) return;
  std::vector<std::string> texts;
  for (const IpAddress& ip : host_now.addresses) texts.push_back(ip.ToString());
  if (verdict.failed || verdict.gone) {
    LOG(kWarning, "host name is not resolved", {"host", host}, {"because", host_now.problem}, {"kept", Join(texts, " ")});
  } else {
    LOG(kInfo, "host name resolved", {"host", host}, {"addresses", Join(texts, " ")});
  }
  CountStates();
  for (Listener* listener : listeners_) listener->HostChanged(host);
}

void HostBook::CountStates() {
  size_t fresh = 0, kept = 0, none = 0;
  for (const auto& [name, entry] : entries_) ++(entry.host.addresses.empty() ? none : entry.host.problem.empty() ? fresh : kept);
  for (const auto& [state, count] : {std::pair("fresh", fresh), {"kept", kept}, {"unresolved", none}})
    metrics_.gauge("fairlead_hostnames", "Host names of endpoints: resolved, with addresses kept from before, with none",
                   {{"state", state}}).Set(static_cast<double>(count));
}

}  // namespace fairlead::dns
