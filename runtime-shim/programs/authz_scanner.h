// Takes out of the JSON of an authorization request what fairlead-authz acts upon, while the bytes come: a request may
// hold megabytes of somebody's body in base64, which pass by and are kept nowhere. No I/O.
//
// The object is that of moby's pkg/authorization/api.go, in this order: User, UserAuthNMethod, RequestMethod, RequestUri,
// RequestBody, RequestHeaders, RequestPeerCertificates, ResponseStatusCode, ResponseBody, ResponseHeaders.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace fairlead::programs {

struct AuthzFacts {
  std::string method;         // RequestMethod
  std::string uri;            // RequestUri
  std::string mark;           // RequestHeaders["X-Fairlead"]
  std::string status;         // ResponseStatusCode, as digits
  std::string response_body;  // ResponseBody in base64; of the answer to a create only
};

class AuthzScanner {
 public:
  // What is longer is as if it were not there.
  static constexpr size_t kMaxText = 4096;           // key, method, URI, header value
  static constexpr size_t kMaxCreateAnswer = 16384;  // base64 of {"Id": …, "Warnings": […]}
  static constexpr int kMaxDepth = 64;

  void Feed(std::string_view bytes);
  // Once everything was fed. Of what is no JSON object as expected: nothing at all.
  AuthzFacts Take();
  // Bytes kept at the moment.
  size_t kept_bytes() const;

 private:
  void Step(char c);
  void StepOutside(char c);
  void StepInString(char c);
  void Open(bool object);
  void Close(bool object);
  void BeginString();
  void EndString();
  void Put(char c);
  void PutCodePoint(uint32_t code);
  std::string* Wanted();      // where the value that begins now is kept; null: nowhere
  bool in_object() const { return depth_ > 0 && (objects_ >> (depth_ - 1) & 1) != 0; }

  AuthzFacts facts_;
  std::string key_;           // the last key of depth 1
  std::string header_;        // the last key of an object in it
  std::string* into_ = nullptr;
  size_t limit_ = 0;
  uint64_t objects_ = 0;      // a bit per level: object or array
  int depth_ = 0;
  uint32_t code_ = 0;         // of \uXXXX
  uint8_t escape_ = 0;        // 1: behind a backslash; 2 to 5: digits to come, plus 1
  bool in_string_ = false, string_is_key_ = false, expect_key_ = false;
  bool begun_ = false, ended_ = false, bad_ = false;
};

}  // namespace fairlead::programs
