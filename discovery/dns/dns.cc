#include "discovery/dns/dns.h"

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

NameServer::NameServer(io::Proactor& proactor, Config config, const Clock& clock, Random& random, Metrics& metrics)
    : proactor_(proactor), config_(std::move(config)), clock_(clock), random_(random), metrics_(metrics),
      records_(metrics.gauge("fairlead_dns_records", "Records that are answered from.")) {}

NameServer::~NameServer() = default;

Status NameServer::Start() {
  ASSIGN_OR_RETURN(zone_, Zone::Make(config_.zone, clock_));
  rows_ = std::make_unique<discovery::FailOpenRows>(*zone_);
  RETURN_IF_ERROR(ReloadRecords());
  OnChanges(std::exchange(early_, {}));
  RETURN_IF_ERROR(ReadKeys());
  MakeAnswerer();
  const TsigKeys* keys = keys_.empty() ? nullptr : &keys_;
  transfers_ = std::make_unique<Transfers>(*zone_, metrics_, TransferOptions{config_.transfer.allow, keys});
  if (!config_.forward.empty()) {
    forwarder_ = std::make_unique<Forwarder>(proactor_, *zone_, random_, metrics_, config_.forward);
  }
  server_ = std::make_unique<Server>(proactor_, *answerer_, *transfers_, forwarder_.get(), metrics_);
  RETURN_IF_ERROR(server_->Start(config_.listen));
  for (const SocketAddress& target : config_.transfer.notify) {
    notifiers_.push_back(std::make_unique<Notifier>(proactor_, *zone_, random_, metrics_, target, keys));
    tasks_.Spawn(notifiers_.back()->Run());
  }
  Changed();  // what a secondary holds may be of an earlier run
  return OkStatus();
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

void NameServer::MakeAnswerer() {
  AnswerOptions options{.max_answers = config_.max_answers, .rate_limit = config_.rate_limit, .keys = &keys_,
                        .forwards = !config_.forward.empty()};
  for (uint8_t& byte : options.secret) byte = static_cast<uint8_t>(random_.Next());
  answerer_ = std::make_unique<Answerer>(*zone_, metrics_, options);
  answerer_->SetStale(stale_);
}

void NameServer::SetStale(bool stale) {
  stale_ = stale;
  if (answerer_ != nullptr) answerer_->SetStale(stale);
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
  RETURN_IF_ERROR(zone_->SetRecords(std::move(records), std::move(of_views)));
  Changed();
  return OkStatus();
}

void NameServer::Stop() {
  tasks_.Drain(proactor_);
  if (server_ != nullptr) server_->Stop();
  if (forwarder_ != nullptr) forwarder_->Stop();
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

bool NameServer::ready() const { return server_ != nullptr && server_->ready(); }
std::vector<SocketAddress> NameServer::addresses() const {
  return server_ != nullptr ? server_->addresses() : std::vector<SocketAddress>{};
}
const Zone& NameServer::zone() const { return *zone_; }

}  // namespace fairlead::dns
