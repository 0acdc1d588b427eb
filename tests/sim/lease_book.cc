#include "tests/sim/lease_book.h"

namespace fairlead::fleet {
namespace {

std::string List(const std::set<IpAddress>& addresses) {
  std::string text;
  for (const IpAddress& ip : addresses) text += Cat(text.empty() ? "" : " or ", ip.ToString());
  return text;
}

}  // namespace

void LeaseBook::Granted(const std::string& container, const std::string& name, const IpAddress& ip, bool certain) {
  auto [holder, fresh] = holders_.emplace(ip, container);
  if (!fresh && holder->second != container)
    verdict_.Fail("unique addresses", Cat(ip.ToString(), " is given to ", name, " while container ",
                                          holder->second.substr(0, 6), " has it"));
  auto due = due_.find(name);
  if (sticky_ && certain && due != due_.end() && !due->second.contains(ip))
    verdict_.Fail("acknowledged lease", Cat(name, " had ", List(due->second), " and is given ", ip.ToString()));
  auto last = last_.find(ip);
  bool known = due != due_.end() && due->second.contains(ip);
  if (last != last_.end() && last->second.name != name && !known && clock_.Now() - last->second.left < quarantine_)
    verdict_.Fail("quarantine", Cat(ip.ToString(), " is given to ", name, " ", (clock_.Now() - last->second.left) / kMillisecond,
                                    " ms after ", last->second.name, " left it"));
  due_.erase(name);  // of a guess nothing is due: it may stay the name's, or the name goes back to what it had
  if (certain) due_[name] = {ip};
  last_[ip] = {name, kNever / 2};
}

void LeaseBook::Released(const std::string& container, const IpAddress& ip) {
  auto holder = holders_.find(ip);
  if (holder == holders_.end() || holder->second != container) return;
  holders_.erase(holder);
  last_[ip].left = clock_.Now();
}

void LeaseBook::Renamed(const std::string& from, const std::string& to, bool live) {
  if (from == to) return;
  for (auto& [ip, last] : last_)
    if (last.name == from) last.name = to;
  auto moved = due_.extract(from);
  if (live && !moved.empty()) {
    due_[to].merge(moved.mapped());  // until the agent has heard of it, the new name has what it had
  } else {
    due_.erase(to);  // a stopped container's lease follows only where somebody watched
  }
}

}  // namespace fairlead::fleet
