// Scenario: what people, programs and fate do to a fleet, by its seed. First a calm part, in which no request may be lost
// although programs are killed and containers come and go; then a storm of everything; after each all must agree.
#pragma once

#include <string>
#include <vector>

#include "tests/sim/fleet.h"

namespace fairlead::fleet {

class Scenario {
 public:
  Scenario(Fleet& fleet, uint64_t seed) : fleet_(fleet), random_(seed ^ 0xac7) {}
  // Until the end, or the first finding.
  void Play();

 private:
  void SetUp();
  void CalmPart();
  void Storm();
  void CalmAction();
  void StormAction();

  void StartNew(int how_many);
  void StartStopped();
  void StopOne();
  void RemoveStopped();
  void Recreate();
  void RenameOne();
  void RestartEngine(bool live_restore);
  void CorruptState();
  void CrashWhileWriting();

  struct Service {
    std::string name, project;
  };
  std::string NewContainer(const Service& service, bool compose);
  bool MayStop(const Container& container) const;
  template <class Wanted>
  const Container* PickOne(Wanted wanted);
  Nanos UpTo(Nanos longest) { return static_cast<Nanos>(random_.Below(static_cast<uint64_t>(longest))); }
  size_t live() const;

  Fleet& fleet_;
  SeededRandom random_;
  int next_number_ = 1;
};

}  // namespace fairlead::fleet
