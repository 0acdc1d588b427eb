#include "app/daemon_json.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace fairlead::app {
namespace {

using Json = nlohmann::ordered_json;

// Reads and keeps nothing but where the fault is.
struct FaultFinder : nlohmann::json_sax<Json> {
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_object(size_t) override { return true; }
  bool key(string_t&) override { return true; }
  bool end_object() override { return true; }
  bool start_array(size_t) override { return true; }
  bool end_array() override { return true; }
  bool parse_error(size_t at, const std::string&, const nlohmann::detail::exception& error) override {
    position = at;
    why = error.what();
    return false;
  }
  size_t position = 0;
  std::string why;
};

bool IsBlank(std::string_view text) { return text.find_first_not_of(" \t\r\n") == text.npos; }

Status FaultIn(const std::string& text, const std::string& file) {
  FaultFinder finder;
  Json::sax_parse(text, &finder);
  size_t before = std::min(finder.position == 0 ? 0 : finder.position - 1, text.size());
  auto line = 1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(before), '\n');
  size_t reason = finder.why.find(" - ");  // the library's own prefix goes
  return InvalidArgument(file, ":", line, ": this is no JSON",
                         reason == finder.why.npos ? "" : Cat(": ", finder.why.substr(reason + 3)), "; nothing was changed");
}

StatusOr<Json> Parse(const std::string& text, const std::string& file) {
  if (IsBlank(text)) return Json(Json::object());
  Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) return FaultIn(text, file);
  if (!json.is_object()) return InvalidArgument(file, ":1: this is no JSON object; nothing was changed");
  return json;
}

// The list under `key`; null where there is none.
StatusOr<Json*> ListIn(Json& json, const std::string& file, const std::string& key) {
  auto found = json.find(key);
  if (found == json.end()) return nullptr;
  bool strings = found->is_array() && std::ranges::all_of(*found, [](const Json& item) { return item.is_string(); });
  if (!strings) return InvalidArgument(file, ": \"", key, "\" is no list of strings; nothing was changed");
  return &*found;
}

// As wide as the file is indented already; docker's own documents use 2.
int IndentOf(const std::string& text) {
  size_t line = text.find('\n');
  size_t first = line == text.npos ? text.npos : text.find_first_not_of(' ', line + 1);
  size_t width = first == text.npos ? 0 : first - line - 1;
  return width >= 1 && width <= 8 ? static_cast<int>(width) : 2;
}

std::string Write(const Json& json, const std::string& like) {
  return json.dump(IndentOf(like), ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace

StatusOr<std::string> AddToJsonList(const std::string& text, const std::string& file, const std::string& key,
                                    const std::string& value, ListEnd end) {
  ASSIGN_OR_RETURN(Json json, Parse(text, file));
  ASSIGN_OR_RETURN(Json * list, ListIn(json, file, key));
  if (list != nullptr && std::ranges::find(*list, Json(value)) != list->end()) return text;
  if (list == nullptr) list = &(json[key] = Json::array());
  list->insert(end == ListEnd::kFront ? list->begin() : list->end(), Json(value));
  return Write(json, text);
}

StatusOr<std::string> RemoveFromJsonList(const std::string& text, const std::string& file, const std::string& key,
                                         const std::string& value) {
  ASSIGN_OR_RETURN(Json json, Parse(text, file));
  ASSIGN_OR_RETURN(Json * list, ListIn(json, file, key));
  if (list == nullptr || std::ranges::find(*list, Json(value)) == list->end()) return text;
  Json kept = Json::array();
  for (const Json& item : *list)
    if (item != Json(value)) kept.push_back(item);
  if (kept.empty()) {
    json.erase(key);
  } else {
    *list = std::move(kept);
  }
  return Write(json, text);
}

StatusOr<std::string> JsonText(const std::string& text, const std::string& file, const std::string& key) {
  ASSIGN_OR_RETURN(Json json, Parse(text, file));
  auto found = json.find(key);
  return found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
}

bool SameJson(const std::string& a, const std::string& b) {
  auto parse = [](const std::string& text) {
    return IsBlank(text) ? nlohmann::json(nlohmann::json::object()) : nlohmann::json::parse(text, nullptr, false);
  };
  nlohmann::json left = parse(a), right = parse(b);
  return !left.is_discarded() && left == right;
}

}  // namespace fairlead::app
