// Verdicts: what the balancer's own checks found of endpoints (lb/health_checks.h), for the picture.
#pragma once

#include <string_view>

#include "discovery/row.h"

namespace fairlead::lb {

class Verdicts {
 public:
  // Of the endpoint with this uid in SERVICE.PROJECT; null: we do not look at it.
  virtual const discovery::CheckedHealth* Find(std::string_view service, std::string_view uid) const = 0;

 protected:
  ~Verdicts() = default;
};

}  // namespace fairlead::lb
