#include "discovery/dns/dns.h"

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <iterator>

#include "discovery/dns/answer.h"
#include "discovery/dns/forwarder.h"
#include "discovery/dns/master_file.h"
#include "discovery/dns/notifier.h"
#include "discovery/dns/server.h"
#include "discovery/dns/transfer.h"

namespace fairlead::dns {

namespace {

StatusOr<std::string> ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return ErrnoStatus(errno, Cat("read ", path));
  return std::string{std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

// What a worker has for itself. Not the zone; and not what askers would see the difference of: the secret of cookies and the
// count of dns.rate_limit, since one asker's questions come to any of them.
struct NameServer::Worker {
  io::Proactor& proactor;
  Random& random;
  Metrics& metrics;
  WorkerThread* thread = nullptr;                  // null: the thread of the name server
  std::unique_ptr<Answerer> answerer = {};
  std::unique_ptr<Forwarder> forwarder = {};
  std::unique_ptr<Server> server = {};
};

NameServer::NameServer(io::Proactor& proactor, Config config, const Clock& clock, Random& random, Metrics& metrics)
    : proactor_(proactor), config_(std::move(config)), clock_(clock), random_(random), metrics_(metrics),
      records_(metrics.gauge("fairlead_dns_records", "Records that are answered from.")) {
  workers_.push_back(std::make_unique<Worker>(proactor, random, metrics));
}

NameServer::~NameServer() = default;

void NameServer::AddWorker(WorkerThread& thread) {
  workers_.push_back(std::make_unique<Worker>(thread.proactor(), thread.random(), thread.metrics(), &thread));
}

void NameServer::OnThread(Worker& worker, const std::function<void()>& what) {
  if (worker.thread == nullptr) return what();
  worker.thread->Run(what);
}

Status NameServer::Start() {
  lock_ = std::make_unique<ZoneLock>(workers_.size());
  config_.zone.workers = workers_.size();
  ASSIGN_OR_RETURN(zone_, Zone::Make(config_.zone, clock_));
  changes_ = std::make_unique<ChangesAlone>(*lock_, *zone_);
  rows_ = std::make_unique<discovery::FailOpenRows>(*changes_);
  RETURN_IF_ERROR(ReloadRecords());
  OnChanges(std::exchange(early_, {}));
  RETURN_IF_ERROR(ReadKeys());
  const TsigKeys* keys = keys_.empty() ? nullptr : &keys_;
  transfers_ = std::make_unique<Transfers>(*zone_, *lock_, metrics_, TransferOptions{config_.transfer.allow, keys});
  MakeWorkers();
  std::vector<SocketAddress> addresses = config_.listen;
  for (auto& worker : workers_) {
    RETURN_IF_ERROR(Listen(*worker, addresses));
    addresses = this->addresses();                 // the ports that 0 became
  }
  for (const SocketAddress& target : config_.transfer.notify) {
    notifiers_.push_back(std::make_unique<Notifier>(proactor_, *zone_, random_, metrics_, target, keys));
    tasks_.Spawn(notifiers_.back()->Run());
  }
  Changed();  // what a secondary holds may be of an earlier run
  return OkStatus();
}

void NameServer::MakeWorkers() {
  AnswerOptions options{.max_answers = config_.max_answers, .keys = &keys_, .forwards = !config_.forward.empty()};
  for (uint8_t& byte : options.secret) byte = static_cast<uint8_t>(random_.Next());
  if (config_.rate_limit != 0) options.limit = std::make_shared<RateLimit>(config_.rate_limit, options.secret);
  for (auto& worker : workers_) {
    worker->answerer = std::make_unique<Answerer>(*zone_, worker->metrics, options);
    worker->answerer->SetStale(stale_);
    if (!config_.forward.empty()) {
      worker->forwarder = std::make_unique<Forwarder>(worker->proactor, *zone_, worker->random, worker->metrics, config_.forward);
    }
    Server::Parts parts{*worker->answerer, worker->forwarder.get(), *transfers_, *lock_, options.worker++};
    worker->server = std::make_unique<Server>(worker->proactor, parts, worker->metrics);
  }
}

Status NameServer::Listen(Worker& worker, const std::vector<SocketAddress>& addresses) {
  Status status;
  OnThread(worker, [&] { status = worker.server->Start(addresses, workers_.size() > 1); });
  return status;
}

Status NameServer::ReadKeys() {
  const std::string& path = config_.transfer.tsig_key_file;
  if (path.empty()) return OkStatus();
  auto text = ReadFile(path);
  auto keys = text.ok() ? TsigKeys::Parse(*text, path) : text.status();
  if (!keys.ok()) return WithContext(keys.status(), "dns.transfer.tsig_key_file: ");
  keys_ = *std::move(keys);
  return OkStatus();
}

void NameServer::SetStale(bool stale) {
  stale_ = stale;
  if (lock_ == nullptr) return;
  ZoneLock::Alone alone(*lock_);
  for (auto& worker : workers_) {
    if (worker->answerer != nullptr) worker->answerer->SetStale(stale);
  }
}

void NameServer::Changed() {
  records_.Set(static_cast<double>(zone_->records()));
  for (auto& notifier : notifiers_) notifier->Changed();
}

StatusOr<std::vector<StaticRecord>> NameServer::ReadRecords(const std::vector<std::string>& paths, std::string_view key) const {
  std::vector<StaticRecord> all;
  for (const std::string& path : paths) {
    auto text = ReadFile(path);
    if (!text.ok()) return WithContext(text.status(), Cat(key, ": "));
    ASSIGN_OR_RETURN(auto records, ParseMasterFile(*text, path, {std::string(zone_->name()), config_.zone.ttl_s}));
    all.insert(all.end(), std::make_move_iterator(records.begin()), std::make_move_iterator(records.end()));
  }
  return all;
}

Status NameServer::ReloadRecords() {
  ASSIGN_OR_RETURN(auto records, ReadRecords(config_.records, "dns.records"));
  std::vector<std::vector<StaticRecord>> of_views;
  for (const auto& paths : config_.view_records) {
    ASSIGN_OR_RETURN(auto of_view, ReadRecords(paths, "dns.views.records"));
    of_views.push_back(std::move(of_view));
  }
  {
    ZoneLock::Alone alone(*lock_);
    RETURN_IF_ERROR(zone_->SetRecords(std::move(records), std::move(of_views)));
  }
  Changed();
  return OkStatus();
}

// What lives on a thread's loop ends there.
void NameServer::Stop() {
  tasks_.Drain(proactor_);
  for (auto& worker : workers_) {
    OnThread(*worker, [&] {
      if (worker->server != nullptr) worker->server->Stop();
      if (worker->forwarder != nullptr) worker->forwarder->Stop();
      worker->server.reset();
      worker->forwarder.reset();
    });
  }
}

void NameServer::OnChanges(const std::vector<discovery::Change>& changes) {
  if (zone_ == nullptr) {
    early_.insert(early_.end(), changes.begin(), changes.end());
    return;
  }
  if (changes.empty()) return;  // only the stream's state is another
  rows_->OnChanges(changes);
  Changed();
}

bool NameServer::ready() const {
  return std::ranges::all_of(workers_, [](const auto& worker) { return worker->server != nullptr && worker->server->ready(); });
}
std::vector<SocketAddress> NameServer::addresses() const {
  return workers_[0]->server != nullptr ? workers_[0]->server->addresses() : std::vector<SocketAddress>{};
}
const Zone& NameServer::zone() const { return *zone_; }

}  // namespace fairlead::dns
