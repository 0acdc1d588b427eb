// MiddlewareBook: the definitions that the file and the rows of the catalog give, and the chains that routes' references
// mean. Two rows that define one id differently: the one that said it first holds, the other is kept, shown, and takes
// over when the first is gone. Belongs to the control thread.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "discovery/middleware.h"
#include "discovery/rule_match.h"
#include "lb/middleware.h"

namespace fairlead::lb {

// What a route's references come to.
struct ResolvedMiddlewares {
  std::shared_ptr<const MiddlewareChain> chain;  // null: requests go on as they are
  std::string fault;                             // not empty: the chain answers 503 to everything, and why
  std::vector<std::string> notes;                // "compress@docker: not yet supported: requests pass without it"
};

class MiddlewareBook {
 public:
  // Whoever only explains what routes do reads no file of users, least of all as root: their paths may come from labels.
  explicit MiddlewareBook(bool reads_users_files = false) : reads_users_files_(reads_users_files) {}

  using Ids = std::set<std::string>;
  // The file's definitions, whole. Gives the ids ("auth@file") that mean something else now, chains of theirs among them,
  // and those of labels with a file of users: it is read again.
  Ids SetFile(const std::vector<discovery::Middleware>& definitions);
  // Those of a row, whole; none when it is gone. `holder` is the container's name.
  Ids SetRow(const std::string& row, const std::string& holder, const std::vector<discovery::Middleware>& definitions);

  // By references "id@provider". As long as nothing changes the same references give the same chain.
  const ResolvedMiddlewares& Resolve(const std::vector<std::string>& references);

  struct Info {
    std::string id, kind, holder;  // holder: "file", or the container that said it first
    std::string what;              // "stripprefix /api"; of a chain its members
    std::string fault;             // why it cannot be used; "rejected: differs from container web-1's"
  };
  std::vector<Info> List() const;

 private:
  struct Said {
    discovery::Middleware definition;
    std::string holder;
    std::set<std::string> rows;    // none of the file's
  };
  class Flattening;

  const bool reads_users_files_;
  Ids Forget(Ids changed);         // with the chains that lead to them: what was resolved is so no more

  std::map<std::string, std::vector<Said>, std::less<>> by_id_;
  std::map<std::string, Ids> of_row_;
  std::map<std::vector<std::string>, ResolvedMiddlewares> resolved_;
  discovery::RegexCache regexes_;
};

}  // namespace fairlead::lb
