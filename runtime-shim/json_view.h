// JSON of engines, read where it lies: one pass over the text and no tree of objects, for answers that come with every
// event. Read with forgiveness as in json_fields.h: what is missing or of another kind is the default. What is written,
// and small JSON, is nlohmann's.
#pragma once

#include <simdjson.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace fairlead::runtime {

// A value of a JsonDocument; it and its texts live as long as that.
class JsonView {
 public:
  JsonView() = default;                      // missing
  explicit JsonView(simdjson::dom::element element) : element_(element) {}

  bool IsObject() const { return element_ && element_->is_object(); }
  bool IsArray() const { return element_ && element_->is_array(); }

  // A member of an object, or what is missing. Of two with one name the first.
  JsonView operator[](std::string_view name) const {
    simdjson::dom::element member;
    return element_ && element_->at_key(name).get(member) == simdjson::SUCCESS ? JsonView(member) : JsonView();
  }
  std::optional<std::string_view> Text() const {
    std::string_view text;
    return element_ && element_->get(text) == simdjson::SUCCESS ? std::optional(text) : std::nullopt;
  }
  std::string Text(std::string_view name) const { return std::string((*this)[name].Text().value_or("")); }
  int64_t Integer(std::string_view name, int64_t fallback = 0) const {
    int64_t number = 0;
    const JsonView member = (*this)[name];
    return member.element_ && member.element_->get(number) == simdjson::SUCCESS ? number : fallback;
  }
  bool Flag(std::string_view name) const {
    bool flag = false;
    const JsonView member = (*this)[name];
    return member.element_ && member.element_->get(flag) == simdjson::SUCCESS && flag;
  }

  // see(std::string_view name, JsonView value) for the members of an object, in the order of the text.
  template <class See>
  void ForEachMember(See see) const {
    simdjson::dom::object object;
    if (!element_ || element_->get(object) != simdjson::SUCCESS) return;
    for (const auto& [name, value] : object) see(name, JsonView(value));
  }
  // see(JsonView item) for the items of an array.
  template <class See>
  void ForEachItem(See see) const {
    simdjson::dom::array array;
    if (!element_ || element_->get(array) != simdjson::SUCCESS) return;
    for (simdjson::dom::element item : array) see(JsonView(item));
  }

 private:
  std::optional<simdjson::dom::element> element_;
};

// Owns what the views look at.
class JsonDocument {
 public:
  // False: it is no JSON (RFC 8259), nested deeper than 1,024, or has a number beyond 64 bits.
  bool Parse(std::string_view text) {
    simdjson::dom::element root;
    if (parser_->parse(text.data(), text.size()).get(root) != simdjson::SUCCESS) return false;
    root_ = JsonView(root);
    return true;
  }
  const JsonView& root() const { return root_; }

 private:
  std::unique_ptr<simdjson::dom::parser> parser_ = std::make_unique<simdjson::dom::parser>();  // views point into it
  JsonView root_;
};

}  // namespace fairlead::runtime
