#include "base/http/path.h"

#include <algorithm>

namespace fairlead::http {
namespace {

// How many dots the segment is made of and nothing else: 0 when there is more to it.
int DotsOf(std::string_view segment) {
  int dots = 0;
  while (!segment.empty()) {
    bool encoded = segment.size() >= 3 && segment[0] == '%' && segment[1] == '2' && (segment[2] | 0x20) == 'e';
    if (!encoded && segment[0] != '.') return 0;
    segment.remove_prefix(encoded ? 3 : 1);
    dots++;
  }
  return dots;
}

// Calls see(segment, is_last) for what stands between the slashes of a path without its query.
template <class See>
void ForEachSegment(std::string_view path, See see) {
  for (size_t at = 0; at < path.size();) {
    size_t end = std::min(path.find('/', at + 1), path.size());
    see(path.substr(at + 1, end - at - 1), end == path.size());
    at = end;
  }
}

}  // namespace

bool IsNormalPath(std::string_view path) {
  bool normal = true;
  ForEachSegment(path.substr(0, path.find('?')), [&](std::string_view segment, bool is_last) {
    if (segment.empty()) {
      normal &= is_last;
    } else if (segment[0] == '.' || segment[0] == '%') {
      int dots = DotsOf(segment);
      normal &= dots != 1 && dots != 2;
    }
  });
  return normal;
}

size_t NormalizePath(std::string_view path, char* out) {
  size_t size = 0;
  size_t query = std::min(path.find('?'), path.size());
  ForEachSegment(path.substr(0, query), [&](std::string_view segment, bool is_last) {
    int dots = DotsOf(segment);
    if (dots == 2)
      while (size > 0 && out[--size] != '/') {}
    if (segment.empty() || dots == 1 || dots == 2) {
      if (is_last) out[size++] = '/';  // it named a folder
      return;
    }
    out[size++] = '/';
    size += segment.copy(out + size, segment.size());
  });
  return size + path.substr(query).copy(out + size, path.size() - query);
}

}  // namespace fairlead::http
