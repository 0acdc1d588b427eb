// PasswordBook: are these a user's name and password? A hash takes as long as it is meant to (bcrypt: 50 ms to a second),
// so it is computed on a thread of its own, once for all who ask at the same time, and the answer is kept. One worker
// only; the thread is shared by all of them.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/io/event.h"
#include "base/io/offload.h"
#include "base/io/task.h"
#include "base/metrics.h"
#include "base/random.h"

namespace fairlead::lb {

enum class PasswordVerdict : uint8_t { kRight, kWrong, kBusy };  // kBusy: kMaxWaitingPasswords others wait

// What is asked. The key stands for all three: a keyed hash, so that nobody can prepare two with one key, and the
// password is not kept.
struct PasswordQuestion {
  using Key = std::array<uint8_t, 32>;
  Key key{};
  std::string password, hash;
};

class PasswordBook {
 public:
  static constexpr size_t kMaxWaitingPasswords = 64;  // of all workers; beyond: 503
  static constexpr size_t kKeptAnswers = 2048;        // of a worker; the least used go first

  PasswordBook(io::Proactor& proactor, io::Offload& thread, Random& random, Metrics& metrics);

  PasswordQuestion::Key KeyOf(std::string_view user, std::string_view password, std::string_view hash) const;
  std::optional<bool> Find(const PasswordQuestion::Key& key);  // nothing: it must be computed
  io::Task<PasswordVerdict> Verify(PasswordQuestion question);

  // What waits for the thread is not computed any more. Turns the loop until nothing is under way.
  void Stop();

 private:
  using Answers = std::map<PasswordQuestion::Key, bool>;
  io::Task<void> Compute(PasswordQuestion question);
  void Keep(const PasswordQuestion::Key& key, bool right);

  io::Proactor& proactor_;
  io::Offload& thread_;
  Counter& computed_;
  Counter& busy_;
  std::array<uint8_t, 32> secret_;
  Answers answers_, older_;           // two generations: what was asked since the last one moves on
  std::map<PasswordQuestion::Key, std::vector<io::Event*>> waiting_;  // for what is being computed
  std::atomic<bool> stopping_ = false;  // read on the thread
  io::TaskGroup computing_;
};

}  // namespace fairlead::lb
