// RowChecks: between the engines and the catalog of one host. A row that comes in goes out with what its checks know, and
// again whenever that changes. Belongs to the agent's worker.
//
// A row goes out at once, but that of a start is kept back for its first look (kPatience at most): most are answered within
// a fraction of a millisecond, and every consumer hears of one change then instead of two.
//
// Rows are kept once, where they are published (the catalog): here stands only what is looked at. An endpoint that nobody
// asked a check for is left alone once it was reached, and the published row alone remembers it.
//
// An agent that starts knows nothing of what its predecessor had found healthy. So until FirstLook() has ended, rows
// that nobody could look at yet are kept back: consumers stay with the former agent's.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/io/await.h"
#include "base/io/event.h"
#include "discovery/health/monitor.h"
#include "discovery/row.h"

namespace fairlead::health {

// Where and how an endpoint's part in a service is looked at.
Monitor::Subject SubjectOf(const discovery::EndpointRow& row, const discovery::ServiceEntry& entry);

class RowChecks {
 public:
  using RowPtr = std::shared_ptr<const discovery::EndpointRow>;
  using Publish = std::function<void(discovery::EndpointRow row)>;
  using Published = std::function<RowPtr(std::string_view key)>;  // as it was last published; null: it was not

  static constexpr Nanos kPatience = 50 * kMillisecond;
  static constexpr Nanos kFirstLook = 4 * kSecond;  // Verdict needs three silences of a second to say "unknown"

  RowChecks(io::Proactor& proactor, Random& random, Publish publish, Published published);

  void Upsert(discovery::EndpointRow row);        // the health of its entries is ours to say
  void Remove(std::string_view key);              // of the row; nothing is published
  RowPtr Find(std::string_view key) const;        // the last one, published or kept back; null: none
  // After the first whole list: until all of it was looked at, or for kFirstLook. Then everything is published. False at
  // once when it was begun before: an engine may be listed again meanwhile.
  io::Task<bool> FirstLook();
  io::Task<void> Stop();

  const Monitor::Stats& stats() const { return monitor_.stats(); }
  size_t watched() const { return monitor_.watched(); }

 private:
  bool Look(const std::string& key, const discovery::EndpointRow* before, discovery::EndpointRow& row);
  void Tell(const std::string& key, discovery::EndpointRow row);
  void HealthChanged(const std::string& id);
  bool LookedAt(const std::string& key, const discovery::EndpointRow& row) const;
  bool Keeps(const std::string& key, const discovery::EndpointRow* before) const;
  io::Task<void> LosePatience();
  void TellKept(Nanos until);            // those that are kept until then, or not so long

  io::Proactor& proactor_;
  Publish publish_;
  Published published_;
  bool first_look_ = true, first_look_begun_ = false;
  struct Kept {
    RowPtr row;
    Nanos until;
  };
  std::map<std::string, Kept, std::less<>> kept_back_;  // by key
  io::Event looked_;
  Monitor monitor_;
  io::TaskGroup patience_;               // LosePatience(), while something is kept back
};

}  // namespace fairlead::health
