// What the operator's part of the API works with: leases and pools, the engine, and which host this is.
#pragma once

#include <string>

#include "base/clock.h"
#include "base/io/proactor.h"
#include "ipam/ipam.h"
#include "runtime-shim/engine.h"

namespace fairlead::app {

struct OperatorParts {
  io::Proactor& proactor;
  const Clock& clock;
  ipam::Ipam& ipam;
  runtime::Engine& engine;
  std::string node;
  std::string site;
  std::string driver = "fairlead";      // our drivers' name in the engine

  static constexpr Nanos kEngineTimeout = 10 * kSecond;
  static constexpr Nanos kNetworkTimeout = 30 * kSecond;  // the engine calls our own plugin back meanwhile
  Nanos Soon() const { return proactor.Now() + kEngineTimeout; }
};

}  // namespace fairlead::app
