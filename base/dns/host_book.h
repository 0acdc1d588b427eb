// HostBook keeps the addresses of host names that somebody needs: each is asked for again when its TTL ends, and who
// listens is told of every change. What is known stays while nobody can say more: a name server that is silent or fails
// takes no address away, ever; a name that is gone keeps its addresses for kKeepGone, since that is more often a
// slip than a wish. Belongs to one worker.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/dns/resolver.h"
#include "base/io/await.h"
#include "base/io/event.h"
#include "base/metrics.h"

namespace fairlead::dns {

class HostBook {
 public:
  static constexpr size_t kMaxHosts = 2'000;
  static constexpr size_t kMaxAddresses = 64;                  // of one name; more are left out, which is said
  static constexpr size_t kMaxAsking = 32;                     // names asked for at once
  static constexpr Nanos kMinRefresh = kSecond, kMaxRefresh = 5 * kMinute;  // whatever the TTL says
  static constexpr Nanos kRetry = 2 * kSecond;                 // after an answer that is none
  static constexpr Nanos kKeepGone = 30 * kSecond;

  static constexpr std::string_view kNotAsked = "its name is being asked for";  // the problem until then

  class Listener {
   public:
    virtual void HostChanged(const std::string& host) = 0;     // of any name in the book; see Find()

   protected:
    ~Listener() = default;
  };

  struct Host {
    std::vector<IpAddress> addresses;   // sorted; those that count now
    std::string problem;                // why they are none, old, or not all: "there is no such name (NXDOMAIN)"; "": nothing
    bool looked = false;                // asked for at least once
  };

  HostBook(io::Proactor& proactor, Resolver& resolver, Metrics& metrics);
  HostBook(const HostBook&) = delete;
  HostBook& operator=(const HostBook&) = delete;

  void AddListener(Listener& listener) { listeners_.push_back(&listener); }
  // A name is asked for as long as somebody wants it; one call each. False: the book is full.
  bool Want(const std::string& host);
  void Release(const std::string& host);
  const Host* Find(std::string_view host) const;               // null: nobody wants it
  bool first_look() const { return unlooked_ != 0; }           // some name was not asked for yet
  size_t size() const { return entries_.size(); }

  // Asks, until cancelled.
  io::Task<void> Run();

 private:
  struct Entry {
    Host host;
    std::vector<IpAddress> by_family[2];
    size_t users = 0;
    uint64_t generation = 0;            // of this stay in the book
    Nanos due = 0;
    Nanos gone_since = 0;               // 0: it is there
  };
  // What two answers come to.
  struct Verdict {
    bool failed = false, gone = false;
    std::string reason;
    Nanos refresh = kMaxRefresh;
  };

  // One look at a name: both families at once. It may leave the book, and come back, meanwhile.
  struct Round {
    std::string host;
    uint64_t generation = 0;
    HostAnswer answers[2];
    int open = 2;
  };

  void Ask(const std::string& host, const Entry& entry);
  io::Task<void> AskFamily(std::shared_ptr<Round> round, Family family);
  void Take(const std::string& host, Entry& entry, HostAnswer answers[2]);
  Verdict Judge(Entry& entry, HostAnswer answers[2]);
  void Schedule(const std::string& host, Entry& entry, Nanos due);
  void CountStates();

  io::Proactor& proactor_;
  Resolver& resolver_;
  Metrics& metrics_;
  std::vector<Listener*> listeners_;
  std::map<std::string, Entry, std::less<>> entries_;
  std::set<std::pair<Nanos, std::string>> due_;                // of those that are not being asked for
  size_t unlooked_ = 0, asking_ = 0;
  uint64_t generations_ = 0;
  io::TaskGroup questions_;
  io::Event sooner_;                                           // something is due, or there is room to ask
};

}  // namespace fairlead::dns
