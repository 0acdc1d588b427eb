// LeaseBook: what the rules say of addresses, from nothing but what the engine asked and was answered. No address at two
// live containers; a name gets the address again that it was given; nobody else gets it during its quarantine.
#pragma once

#include <map>
#include <set>
#include <string>

#include "base/net/ip_address.h"
#include "base/time.h"
#include "tests/sim/verdict.h"

namespace fairlead::fleet {

class LeaseBook {
 public:
  // `sticky`: the pool has room for every name and keeps its addresses, so that a name never loses one.
  LeaseBook(const Clock& clock, Verdict& verdict, bool sticky, Nanos quarantine)
      : clock_(clock), verdict_(verdict), sticky_(sticky), quarantine_(quarantine) {}

  // RequestAddress was answered. `certain`: the agent could know whose request it was, so the name's own is due.
  void Granted(const std::string& container, const std::string& name, const IpAddress& ip, bool certain);
  // Nobody uses it any more.
  void Released(const std::string& container, const IpAddress& ip);
  // The lease ended by rule (--rm, one-off): the name has no claim any more.
  void Forget(const std::string& name) { due_.erase(name); }
  // `from` is `to` from now on: compose's temporary names, docker rename.
  void Renamed(const std::string& from, const std::string& to, bool live);
  // The catalog says, after all is quiet, which address the name has.
  void Settled(const std::string& name, const IpAddress& ip) { due_[name] = {ip}; }

 private:
  struct Last {
    std::string name;
    Nanos left = 0;
  };
  const Clock& clock_;
  Verdict& verdict_;
  const bool sticky_;
  const Nanos quarantine_;
  std::map<IpAddress, std::string> holders_;                 // live containers
  std::map<IpAddress, Last> last_;                           // who had it last
  std::map<std::string, std::set<IpAddress>> due_;           // addresses that the name may be given; several after a guess
};

}  // namespace fairlead::fleet
