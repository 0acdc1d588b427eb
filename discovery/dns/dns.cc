#include "discovery/dns/dns.h"

#include <cerrno>
#include <fstream>
#include <iterator>

#include "discovery/dns/answer.h"
#include "discovery/dns/master_file.h"
#include "discovery/dns/server.h"

namespace fairlead::dns {

NameServer::NameServer(io::Proactor& proactor, Config config, const Clock& clock, Metrics& metrics)
    : proactor_(proactor), config_(std::move(config)), clock_(clock), metrics_(metrics),
      records_(metrics.gauge("fairlead_dns_records", "Records that are answered from.")) {}

NameServer::~NameServer() = default;

Status NameServer::Start() {
  ASSIGN_OR_RETURN(zone_, Zone::Make(config_.zone, clock_));
  RETURN_IF_ERROR(ReloadRecords());
  OnChanges(std::exchange(early_, {}));
  answerer_ = std::make_unique<Answerer>(*zone_, metrics_);
  server_ = std::make_unique<Server>(proactor_, *answerer_, metrics_);
  return server_->Start(config_.listen);
}

Status NameServer::ReloadRecords() {
  std::vector<StaticRecord> all;
  for (const std::string& path : config_.records) {
    std::ifstream file(path, std::ios::binary);
    if (!file) return ErrnoStatus(errno, Cat("dns.records: read ", path));
    std::string text{std::istreambuf_iterator<char>(file), {}};
    ASSIGN_OR_RETURN(auto records, ParseMasterFile(text, path, {std::string(zone_->name()), config_.zone.ttl_s}));
    all.insert(all.end(), std::make_move_iterator(records.begin()), std::make_move_iterator(records.end()));
  }
  RETURN_IF_ERROR(zone_->SetRecords(std::move(all)));
  records_.Set(static_cast<double>(zone_->records()));
  return OkStatus();
}

void NameServer::Stop() {
  if (server_ != nullptr) server_->Stop();
}

void NameServer::OnChanges(const std::vector<discovery::Change>& changes) {
  if (zone_ == nullptr) {
    early_.insert(early_.end(), changes.begin(), changes.end());
    return;
  }
  zone_->OnChanges(changes);
  records_.Set(static_cast<double>(zone_->records()));
}

bool NameServer::ready() const { return server_ != nullptr && server_->ready(); }
std::vector<SocketAddress> NameServer::addresses() const {
  return server_ != nullptr ? server_->addresses() : std::vector<SocketAddress>{};
}
const Zone& NameServer::zone() const { return *zone_; }

}  // namespace fairlead::dns
