#include "discovery/dns/name.h"

namespace fairlead::dns {

namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// Takes one character of a label off the front of `text`; false for a broken escape.
bool TakeByte(std::string_view& text, char* byte) {
  if (text[0] != '\\') {
    *byte = text[0];
    text.remove_prefix(1);
    return true;
  }
  text.remove_prefix(1);
  if (text.empty()) return false;
  if (!IsDigit(text[0])) {
    *byte = text[0];
    text.remove_prefix(1);
    return true;
  }
  if (text.size() < 3 || !IsDigit(text[1]) || !IsDigit(text[2])) return false;
  int value = (text[0] - '0') * 100 + (text[1] - '0') * 10 + (text[2] - '0');
  if (value > 255) return false;
  *byte = static_cast<char>(value);
  text.remove_prefix(3);
  return true;
}

}  // namespace

StatusOr<std::string> ParseName(std::string_view text, std::string_view origin) {
  std::string_view whole = text;
  if (text.empty()) return InvalidArgument("a domain name is empty");
  if (text == "@") return std::string(origin);
  if (text == ".") return std::string(kRoot);
  std::string name;
  bool absolute = false;
  while (!text.empty()) {
    size_t length_at = name.size();
    name.push_back(0);
    while (!text.empty() && text[0] != '.') {
      char byte;
      if (!TakeByte(text, &byte)) return InvalidArgument("name ", whole, ": a backslash needs a character or three digits");
      name.push_back(LowerAscii(byte));
    }
    size_t length = name.size() - length_at - 1;
    if (length == 0) return InvalidArgument("name ", whole, " has an empty label");
    if (length > kMaxLabelBytes) return InvalidArgument("name ", whole, " has a label of ", length, " bytes; 63 is the most");
    name[length_at] = static_cast<char>(length);
    if (!text.empty()) {
      text.remove_prefix(1);
      absolute = text.empty();
    }
  }
  name.append(absolute ? kRoot : origin);
  if (name.size() > kMaxNameBytes) return InvalidArgument("name ", whole, " is longer than 255 bytes");
  return name;
}

std::string NameToText(std::string_view name) {
  if (IsRoot(name)) return ".";
  std::string text;
  for (; !IsRoot(name); name = ParentName(name)) {
    for (char c : name.substr(1, static_cast<uint8_t>(name[0]))) {
      auto byte = static_cast<uint8_t>(c);
      if (c == '.' || c == '\\' || c == '"' || c == ';' || c == '@' || c == '(' || c == ')') {
        text += '\\';
        text += c;
      } else if (byte <= 0x20 || byte >= 0x7f) {
        const char digits[] = {'\\', static_cast<char>('0' + byte / 100), static_cast<char>('0' + byte / 10 % 10),
                               static_cast<char>('0' + byte % 10)};
        text.append(digits, 4);
      } else {
        text += c;
      }
    }
    text += '.';
  }
  return text;
}

bool NameBuffer::Append(std::string_view bytes) {
  if (bytes.size() > kMaxNameBytes - size_) return false;
  std::memcpy(bytes_ + size_, bytes.data(), bytes.size());
  size_ += bytes.size();
  return true;
}

bool NameBuffer::Set(std::initializer_list<std::string_view> labels, std::string_view closing) {
  size_ = 0;
  bool fits = true;
  for (std::string_view label : labels) {
    char length = static_cast<char>(label.size());
    fits = fits && !label.empty() && label.size() <= kMaxLabelBytes && Append({&length, 1}) && Append(label);
  }
  Fold(reinterpret_cast<uint8_t*>(bytes_), reinterpret_cast<uint8_t*>(bytes_), size_);
  if (fits && Append(closing)) return true;
  size_ = 0;
  return false;
}

std::string Owner(std::initializer_list<std::string_view> labels, std::string_view closing) {
  NameBuffer name;
  name.Set(labels, closing);
  return std::string(name.view());
}

uint64_t HashBytes(std::string_view bytes) {
  constexpr uint64_t kMix = 0x9e3779b97f4a7c15;
  uint64_t h = bytes.size() * kMix;
  auto mix = [&h](uint64_t word) {
    auto product = static_cast<unsigned __int128>(h ^ word) * 0xd6e8feb86659fd93;
    h = static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
  };
  const char* p = bytes.data();
  size_t left = bytes.size();
  for (; left >= 8; left -= 8, p += 8) {
    uint64_t word;
    std::memcpy(&word, p, 8);
    mix(word);
  }
  uint64_t word = 0;
  std::memcpy(&word, p, left);
  mix(word ^ kMix);
  return h;
}

int LabelCount(std::string_view name) {
  int count = 0;
  for (; !IsRoot(name); name = ParentName(name)) ++count;
  return count;
}

bool IsWithin(std::string_view name, std::string_view zone) {
  while (name.size() > zone.size()) name = ParentName(name);
  return name == zone;
}

}  // namespace fairlead::dns
