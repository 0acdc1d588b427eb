// What holds for every input: the fuzz targets and corpus_test.cc run the same functions. A violated property aborts.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "base/http/head.h"
#include "base/http/lenient.h"
#include "base/http/path.h"
#include "base/http/request_reader.h"
#include "base/http/writer.h"
#include "base/strings.h"

namespace fairlead::http {

// Prefixes to try: all of a short input, those around line ends of a long one.
template <class Try>
void ForPrefixes(std::string_view bytes, Try attempt) {
  for (size_t n = 0; n < bytes.size(); n++)
    if (n < 300 || bytes[n] == '\n' || bytes[n - 1] == '\n') attempt(std::string(bytes.substr(0, n)));
}

inline void CheckFieldsAddUp(std::string_view bytes, const Head& head) {
  CHECK(head.text.data() == bytes.data() && head.text.size() <= bytes.size());
  CHECK(head.text.ends_with("\r\n\r\n"));
  const char* at = head.fields_text.data();
  for (int i = 0; i < head.field_count; i++) {
    const Field& field = head.fields[i];
    CHECK(field.line.data() == at && field.line.ends_with("\r\n") && field.line.starts_with(field.name));
    CHECK(!field.name.empty() && field.line[field.name.size()] == ':');
    CHECK(field.value.find_first_of(std::string_view("\r\n\0", 3)) == field.value.npos);
    CHECK(field.value == Trim(field.value) && field.id == IdentifyField(field.name));
    CHECK(!head.IsHopByHop(field) || head.has_hop_by_hop);
    at += field.line.size();
  }
  CHECK(at == head.fields_text.data() + head.fields_text.size());
  CHECK(head.framing != Framing::kLength || head.content_length >= 0);
}

// The fields of `written` are those of `head` that do not end here.
inline void CheckSameFields(const Head& head, const Head& written, FieldSet but) {
  int w = 0;
  for (int i = 0; i < head.field_count; i++) {
    if (head.IsHopByHop(head.fields[i]) || (FieldBit(head.fields[i].id) & but) != 0) continue;
    while (w < written.field_count && (FieldBit(written.fields[w].id) & but) != 0) w++;
    CHECK(w < written.field_count && written.fields[w].line == head.fields[i].line);
    w++;
  }
  CHECK(!written.has_hop_by_hop);
}

inline void CheckRequestHead(std::string_view bytes) {
  RequestHead head, part, written;
  ParseResult result = ParseRequest(bytes, head);
  size_t consumed = result == ParseResult::kOk ? head.text.size() : bytes.size();
  ForPrefixes(bytes.substr(0, consumed), [&](const std::string& prefix) {
    ParseResult early = ParseRequest(prefix, part);
    CHECK(early == ParseResult::kNeedMore || (early == result && result != ParseResult::kOk));
  });
  if (result != ParseResult::kOk) return;
  CHECK(ParseRequest(head.text, part) == ParseResult::kOk);  // what follows a head changes nothing
  CheckFieldsAddUp(bytes, head);

  constexpr FieldSet kHostSet = FieldBit(FieldId::kHost);
  std::string out(head.text.size() + 64, '\0');
  HeadWriter writer(out.data(), out.size());
  std::string_view path = head.path.empty() ? head.target : head.path;
  writer.RequestLine(head.method, path);
  writer.Field("Host", head.host);
  writer.CopyFields(head, kHostSet);
  writer.EndHead();
  if (!writer.ok() || head.field_count == kMaxFields) return;  // a Host where there was none may not fit
  CHECK(ParseRequest(writer.text(), written) == ParseResult::kOk);
  CHECK(written.text == writer.text() && written.method == head.method && written.host == head.host);
  CHECK(written.target == (path.starts_with('?') ? Cat("/", path) : path));
  CHECK(written.framing == head.framing && written.content_length == head.content_length);
  CheckSameFields(head, written, kHostSet);
}

// A connection's worth of requests as the server takes them: the same in pieces of any size.
inline std::vector<std::string> RequestsOf(std::string_view bytes, size_t piece, bool* refused) {
  RequestReader reader(ServerLimits{.head_bytes = 1 << 20, .body_bytes = 1 << 20});
  std::vector<std::string> requests;
  std::string in;
  while (!bytes.empty()) {
    in += bytes.substr(0, piece);
    bytes.remove_prefix(std::min(piece, bytes.size()));
    for (;;) {
      RequestReader::Need need = reader.Advance(in);
      *refused = need == RequestReader::Need::kRefusal;
      if (*refused) return requests;
      if (need != RequestReader::Need::kNothing) break;
      Request request = reader.Take();
      requests.push_back(Cat(request.method, " ", request.target, " ", request.headers.size(), " ", request.body));
    }
  }
  return requests;
}

inline void CheckRequests(std::string_view bytes) {
  CheckRequestHead(bytes);
  bool whole_refused = false, part_refused = false;
  std::vector<std::string> whole = RequestsOf(bytes, bytes.size(), &whole_refused);
  for (size_t piece : {size_t{1}, size_t{7}}) {
    CHECK(RequestsOf(bytes, piece, &part_refused) == whole);
    CHECK(whole_refused || !part_refused);  // it waits for the line to end before it refuses
  }
}

inline void CheckResponse(std::string_view bytes, bool to_head_request) {
  ResponseHead head, part, written;
  ParseResult result = ParseResponse(bytes, to_head_request, head);
  size_t consumed = result == ParseResult::kOk ? head.text.size() : bytes.size();
  ForPrefixes(bytes.substr(0, consumed), [&](const std::string& prefix) {
    ParseResult early = ParseResponse(prefix, to_head_request, part);
    CHECK(early == ParseResult::kNeedMore || (early == result && result != ParseResult::kOk));
  });
  if (result != ParseResult::kOk) return;
  CheckFieldsAddUp(bytes, head);
  CHECK(head.status >= 100 && head.status <= 999);
  std::string out(head.text.size() + 64, '\0');
  HeadWriter writer(out.data(), out.size());
  writer.StatusLine(head.status, head.reason);
  writer.CopyFields(head);
  writer.EndHead();
  CHECK(writer.ok() && ParseResponse(writer.text(), to_head_request, written) == ParseResult::kOk);
  CHECK(written.text == writer.text() && written.status == head.status);
  CHECK(written.reason == head.reason);
  CHECK(written.framing == head.framing && written.content_length == head.content_length);
  CheckSameFields(head, written, 0);
}

inline void CheckResponses(std::string_view bytes) {
  CheckResponse(bytes, false);
  CheckResponse(bytes, true);
}

struct Dechunked {
  bool bad = false, done = false;
  size_t taken = 0;
  std::string content;
};

inline Dechunked Dechunk(std::string_view bytes, size_t piece) {
  ChunkedBody body;
  Dechunked result;
  auto append = [](void* context, std::string_view run) { static_cast<std::string*>(context)->append(run); };
  while (result.taken < bytes.size() && !body.done()) {
    std::string part(bytes.substr(result.taken, piece));
    int64_t taken = body.Feed(part, append, &result.content);
    if (taken < 0) {
      result.bad = true;
      break;
    }
    CHECK(taken == static_cast<int64_t>(part.size()) || body.done());
    result.taken += static_cast<size_t>(taken);
  }
  result.done = body.done();
  return result;
}

inline void CheckChunked(std::string_view bytes) {
  Dechunked whole = Dechunk(bytes, std::max<size_t>(bytes.size(), 1));
  for (size_t piece : {size_t{1}, size_t{2}, size_t{5}}) {
    Dechunked parts = Dechunk(bytes, piece);
    CHECK(parts.bad == whole.bad && parts.done == whole.done && parts.content == whole.content);
    CHECK(parts.taken == whole.taken || whole.bad);
  }
  if (!whole.done) return;
  char size[32];
  HeadWriter writer(size, sizeof size);
  writer.Hex(whole.content.size());
  std::string again = whole.content.empty() ? "" : Cat(writer.text(), "\r\n", whole.content, "\r\n");
  again += "0\r\n\r\n";
  Dechunked same = Dechunk(again, again.size());
  CHECK(same.done && same.taken == again.size() && same.content == whole.content);
}

inline void CheckLenient(std::string_view bytes) {
  std::string strict, again;
  size_t taken = 0, taken_again = 0;
  RequestHead head, plain;
  ParseResult made = MakeStrict(bytes, strict, taken);
  ForPrefixes(bytes.substr(0, made == ParseResult::kOk ? taken : bytes.size()), [&](const std::string& prefix) {
    std::string part;
    ParseResult early = MakeStrict(prefix, part, taken_again);
    CHECK(early == ParseResult::kNeedMore || (early == made && made != ParseResult::kOk));
  });
  if (ParseRequest(bytes, plain) == ParseResult::kOk)  // what is strict already stays as it is
    CHECK(made == ParseResult::kOk && taken == plain.text.size() && plain.text.ends_with(strict));
  if (made != ParseResult::kOk) return;
  CHECK(taken <= bytes.size() && strict.size() <= 2 * taken);
  CHECK(strict.find_first_of(std::string_view("\0", 1)) == strict.npos || ParseRequest(strict, head) != ParseResult::kOk);
  if (ParseRequest(strict, head) == ParseResult::kOk) {
    CHECK(head.text.size() == strict.size());
    CHECK(MakeStrict(strict, again, taken_again) == ParseResult::kOk && again == strict && taken_again == strict.size());
  } else {
    CHECK(ParseRequest(strict, head) != ParseResult::kNeedMore);
  }
}

inline void CheckPath(std::string_view bytes) {
  std::string path = Cat("/", bytes);
  std::string normal(path.size(), '\0'), again(path.size(), '\0');
  size_t size = NormalizePath(path, normal.data());
  CHECK(size <= path.size());
  normal.resize(size);
  CHECK(normal.starts_with('/') && IsNormalPath(normal) && IsNormalPath(path) == (normal == path));
  std::string dots = normal.substr(0, normal.find('?')) + "/";  // by a rule of its own: no empty, "." or ".." segment
  for (std::string_view dot : {"%2e", "%2E"})
    for (size_t at; (at = dots.find(dot)) != dots.npos;) dots.replace(at, 3, ".");
  for (std::string_view segment : {"/./", "/../"}) CHECK(dots.find(segment) == dots.npos);
  CHECK(dots.find("//") >= dots.size() - 2);
  CHECK(NormalizePath(normal, again.data()) == size && again.starts_with(normal));
  auto query_of = [](std::string_view of) { return of.substr(std::min(of.find('?'), of.size())); };
  CHECK(query_of(normal) == query_of(path));
}

}  // namespace fairlead::http
