// Which bytes may stand where in a head (RFC 9110 §5.6.2, RFC 9112 §3 and §4, RFC 3986 §3.2.2), and skipping over them
// sixteen at a time.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace fairlead::http {

enum CharClass : uint8_t {
  kTokenChar = 1,    // method, field name, coding
  kTargetChar = 2,   // all but controls, space, DEL and '#'
  kValueChar = 4,    // all but controls other than HTAB, and DEL
  kHostChar = 8,     // unreserved and sub-delims of RFC 3986
  kHexDigit = 16,
  kDigit = 32,
};

inline constexpr std::array<uint8_t, 256> kCharClass = [] {
  std::array<uint8_t, 256> table{};
  auto add = [&table](std::string_view chars, uint8_t bit) {
    for (char c : chars) table[static_cast<uint8_t>(c)] |= bit;
  };
  for (int c = 0; c < 256; c++) {
    bool digit = c >= '0' && c <= '9';
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (digit) table[c] |= kDigit | kHexDigit;
    if (digit || letter) table[c] |= kTokenChar | kHostChar;
    if (c > 0x20 && c != 0x7f && c != '#') table[c] |= kTargetChar;
    if (c == '\t' || (c >= 0x20 && c != 0x7f)) table[c] |= kValueChar;
  }
  add("abcdefABCDEF", kHexDigit);
  add("!#$%&'*+-.^_`|~", kTokenChar);
  add("-._~!$&'()*+,;=", kHostChar);
  return table;
}();

inline bool Is(char c, uint8_t classes) { return (kCharClass[static_cast<uint8_t>(c)] & classes) != 0; }

inline const char* SkipTokenChars(const char* p, const char* end) {
  while (p < end && Is(*p, kTokenChar)) p++;
  return p;
}

inline const char* SkipValueChars(const char* p, const char* end) {
#ifdef __SSE2__
  const __m128i last_control = _mm_set1_epi8(0x1f), tab = _mm_set1_epi8('\t'), del = _mm_set1_epi8(0x7f);
  for (; end - p >= 16; p += 16) {
    __m128i v = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    __m128i control = _mm_andnot_si128(_mm_cmpeq_epi8(v, tab), _mm_cmpeq_epi8(_mm_min_epu8(v, last_control), v));
    int stop = _mm_movemask_epi8(_mm_or_si128(control, _mm_cmpeq_epi8(v, del)));
    if (stop != 0) return p + __builtin_ctz(static_cast<unsigned>(stop));
  }
#endif
  while (p < end && Is(*p, kValueChar)) p++;
  return p;
}

inline const char* SkipTargetChars(const char* p, const char* end) {
#ifdef __SSE2__
  const __m128i space = _mm_set1_epi8(0x20), hash = _mm_set1_epi8('#'), del = _mm_set1_epi8(0x7f);
  for (; end - p >= 16; p += 16) {
    __m128i v = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(v, space), v);
    int stop = _mm_movemask_epi8(_mm_or_si128(low, _mm_or_si128(_mm_cmpeq_epi8(v, hash), _mm_cmpeq_epi8(v, del))));
    if (stop != 0) return p + __builtin_ctz(static_cast<unsigned>(stop));
  }
#endif
  while (p < end && Is(*p, kTargetChar)) p++;
  return p;
}

}  // namespace fairlead::http
