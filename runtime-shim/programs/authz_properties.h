// What holds for whatever dockerd, or anybody who may open the socket, sends: the fuzz target and authz_corpus_test.cc
// run the same function. A violated property aborts.
#pragma once

#include <string>
#include <string_view>

#include "base/check.h"
#include "base/strings.h"
#include "runtime-shim/programs/authz_connection.h"

namespace fairlead::programs {

// The answers to `bytes` that come in pieces of `piece`, and what is asked meanwhile.
inline std::string AuthzTranscript(std::string_view bytes, size_t piece) {
  AuthzConnection connection;
  std::string transcript;
  while (!bytes.empty()) {
    std::string_view part = bytes.substr(0, piece);
    bytes.remove_prefix(part.size());
    for (bool again = true; again && !part.empty();) {
      AuthzConnection::Need need = connection.Advance(part);
      CHECK(connection.kept_bytes() <=
            AuthzConnection::kMaxHead + AuthzScanner::kMaxCreateAnswer + 6 * AuthzScanner::kMaxText);
      if (need == AuthzConnection::Need::kContinue) {
        transcript += "continue\n";
        need = connection.Advance(part);
      }
      again = need == AuthzConnection::Need::kCall;
      if (!again) {
        CHECK(part.empty());
        continue;
      }
      AuthzCall call = connection.Take();
      CHECK(connection.idle());
      if (auto question = QuestionOf(call.moment, call.facts); question && call.kind == AuthzCall::Kind::kAuthorize)
        transcript += Cat("ask ", question->when, " ", question->container, "\n");
      transcript += AnswerTo(call) + "\n";
      if (call.close) return transcript;
    }
  }
  return transcript;
}

inline void CheckAuthz(std::string_view bytes) {
  std::string whole = AuthzTranscript(bytes, bytes.size() + 1);
  for (size_t piece : {size_t{1}, size_t{7}, size_t{4096}}) CHECK(AuthzTranscript(bytes, piece) == whole);
}

}  // namespace fairlead::programs
