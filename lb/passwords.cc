#include "lb/passwords.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <cstring>

#include "lb/passwords_hash.h"

namespace fairlead::lb {

PasswordBook::PasswordBook(io::Proactor& proactor, io::Offload& thread, Random& random, Metrics& metrics)
    : proactor_(proactor),
      thread_(thread),
      computed_(metrics.counter("fairlead_lb_passwords_computed_total", "Hashes of passwords computed for basicauth")),
      busy_(metrics.counter("fairlead_lb_passwords_refused_total",
                            "Requests refused because too many hashes of passwords waited for the thread that computes them")) {
  for (size_t at = 0; at < secret_.size(); at += 8) {
    const uint64_t bytes = random.Next();
    std::memcpy(&secret_[at], &bytes, 8);
  }
}

PasswordQuestion::Key PasswordBook::KeyOf(std::string_view user, std::string_view password, std::string_view hash) const {
  std::string text;  // each with its length: "ab","c" is not "a","bc"
  for (std::string_view part : {user, password, hash}) {
    const uint32_t bytes = static_cast<uint32_t>(part.size());
    text.append(reinterpret_cast<const char*>(&bytes), sizeof bytes);
    text += part;
  }
  PasswordQuestion::Key key;
  unsigned bytes = 0;
  HMAC(EVP_sha256(), secret_.data(), static_cast<int>(secret_.size()), reinterpret_cast<const uint8_t*>(text.data()), text.size(),
       key.data(), &bytes);
  return key;
}

std::optional<bool> PasswordBook::Find(const PasswordQuestion::Key& key) {
  if (auto at = answers_.find(key); at != answers_.end()) return at->second;
  auto at = older_.find(key);
  if (at == older_.end()) return std::nullopt;
  const bool right = at->second;
  Keep(key, right);
  return right;
}

void PasswordBook::Keep(const PasswordQuestion::Key& key, bool right) {
  if (answers_.size() >= kKeptAnswers / 2) older_ = std::exchange(answers_, {});
  answers_[key] = right;
}

io::Task<PasswordVerdict> PasswordBook::Verify(PasswordQuestion question) {
  const PasswordQuestion::Key key = question.key;
  if (!waiting_.contains(key)) {
    if (thread_.queued() >= kMaxWaitingPasswords) {
      busy_.Add();
      co_return PasswordVerdict::kBusy;
    }
    waiting_[key];
    computing_.Spawn(Compute(std::move(question)));
  }
  io::Event answered(proactor_);
  if (auto at = waiting_.find(key); at != waiting_.end()) {
    at->second.push_back(&answered);
    const bool woken = (co_await answered.Wait()).ok();
    if (auto still = waiting_.find(key); !woken && still != waiting_.end()) std::erase(still->second, &answered);
    if (!woken) co_return PasswordVerdict::kBusy;  // the session ends
  }
  co_return Find(key).value_or(false) ? PasswordVerdict::kRight : PasswordVerdict::kWrong;
}

io::Task<void> PasswordBook::Compute(PasswordQuestion question) {
  const bool right = co_await io::OffloadTo(thread_, proactor_, [this, &question] {
    return !stopping_.load(std::memory_order_relaxed) && IsPasswordOf(question.hash, question.password);
  });
  computed_.Add();
  OPENSSL_cleanse(question.password.data(), question.password.size());
  Keep(question.key, right);
  for (io::Event* event : std::exchange(waiting_[question.key], {})) event->Set();
  waiting_.erase(question.key);
}

void PasswordBook::Stop() {
  stopping_ = true;
  computing_.Drain(proactor_);
}

}  // namespace fairlead::lb
