// Fields of other people's JSON, read with forgiveness: what is missing or of another kind is the default.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace fairlead::runtime {

using Json = nlohmann::json;

// A member of an object, or null.
inline const Json& Member(const Json& object, const char* name) {
  static const Json kNull;
  if (!object.is_object()) return kNull;
  auto found = object.find(name);
  return found == object.end() ? kNull : *found;
}
inline std::string Text(const Json& object, const char* name) {
  const Json& value = Member(object, name);
  return value.is_string() ? value.get<std::string>() : "";
}
inline int64_t Integer(const Json& object, const char* name, int64_t fallback = 0) {
  const Json& value = Member(object, name);
  return value.is_number_integer() ? value.get<int64_t>() : fallback;
}
// What others wrote may hold bytes that are no UTF-8: they become U+FFFD.
inline std::string DumpJson(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }
inline bool Flag(const Json& object, const char* name) {
  const Json& value = Member(object, name);
  return value.is_boolean() && value.get<bool>();
}

}  // namespace fairlead::runtime
