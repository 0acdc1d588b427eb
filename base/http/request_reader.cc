#include "base/http/request_reader.h"

#include <utility>

#include "base/http/head.h"
#include "base/http/reply_writer.h"
#include "base/strings.h"

namespace fairlead::http {

RequestReader::Need RequestReader::Advance(std::string& in) {
  if (!in_body_) {
    Need head = TakeHead(in);
    if (head != Need::kNothing) return head;
  }
  if (!body_.Feed(in, request_.body)) return Refuse(400);
  if (request_.body.size() > limits_.body_bytes) return Refuse(413);
  if (body_.done()) return Need::kNothing;
  bool wait = std::exchange(wants_continue_, false) && request_.body.empty();  // else the client did not wait
  return wait ? Need::kContinue : Need::kMore;
}

RequestReader::Need RequestReader::TakeHead(std::string& in) {
  // Each parse starts at the front: without a new line end it can only fail to finish again.
  if (in.find('\n', parsed_bytes_) == in.npos) {
    parsed_bytes_ = in.size();
    return in.size() < limits_.head_bytes ? Need::kMore : Refuse(431);
  }
  RequestHead head;
  switch (ParseRequest(in, head)) {
    case ParseResult::kOk: break;
    case ParseResult::kNeedMore:
      parsed_bytes_ = in.size();
      return in.size() < limits_.head_bytes ? Need::kMore : Refuse(431);
    case ParseResult::kBad:
    case ParseResult::kNoHost: return Refuse(400);
    case ParseResult::kTooManyFields: return Refuse(431);
    case ParseResult::kTargetTooLong: return Refuse(414);
    case ParseResult::kBadVersion: return Refuse(505);
    case ParseResult::kUnsupportedCoding: return Refuse(501);
  }
  if (head.text.size() > limits_.head_bytes) return Refuse(431);
  if (head.framing == Framing::kLength && static_cast<uint64_t>(head.content_length) > limits_.body_bytes)
    return Refuse(413);
  request_.method = head.method;
  request_.target = Cat(head.path.starts_with('?') ? "/" : "", head.path.empty() ? head.target : head.path);
  for (int i = 0; i < head.field_count; i++)
    request_.headers.push_back({std::string(head.fields[i].name), std::string(head.fields[i].value)});
  body_ = BodyDecoder(head.framing, head.content_length);
  wants_continue_ = head.expect_continue;
  persistent_ = head.persistent();
  http10_ = head.minor_version == 0;
  in_body_ = true;
  in.erase(0, head.text.size());
  parsed_bytes_ = 0;
  return Need::kNothing;
}

Request RequestReader::Take() {
  in_body_ = false;
  return std::exchange(request_, Request());
}

RequestReader::Need RequestReader::Refuse(int status) {
  refused_ = status;
  return Need::kRefusal;
}

Reply RequestReader::refusal() const {
  switch (refused_) {
    case 413:
      return ErrorReply(413, StatusCode::kResourceExhausted, Cat("body of more than ", limits_.body_bytes, " bytes"));
    case 431:
      return ErrorReply(431, StatusCode::kResourceExhausted,
                        Cat("head of more than ", limits_.head_bytes, " bytes or ", kMaxFields, " fields"));
    case 501: return ErrorReply(501, StatusCode::kUnimplemented, "transfer coding other than chunked");
    case 505: return ErrorReply(505, StatusCode::kUnimplemented, "HTTP version other than 1.0 and 1.1");
    default: return ErrorReply(400, StatusCode::kInvalidArgument, "malformed request");
  }
}

}  // namespace fairlead::http
