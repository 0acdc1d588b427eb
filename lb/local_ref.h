// LocalRef: a counted reference within one worker. The count is a plain integer: sharing it between threads is what it
// avoids (a shared count costs 100 ns and more at two threads, a local one two).
#pragma once

#include <cstdint>
#include <utility>

namespace fairlead::lb {

template <class T>
class LocalRef {
 public:
  LocalRef() = default;
  explicit LocalRef(T* object) : object_(object) { Add(); }
  LocalRef(const LocalRef& other) : object_(other.object_) { Add(); }
  LocalRef(LocalRef&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  LocalRef& operator=(LocalRef other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~LocalRef() {
    if (object_ != nullptr && --object_->references == 0) delete object_;
  }

  T* get() const { return object_; }
  T* operator->() const { return object_; }
  T& operator*() const { return *object_; }
  explicit operator bool() const { return object_ != nullptr; }
  friend bool operator==(const LocalRef&, const LocalRef&) = default;

 private:
  void Add() {
    if (object_ != nullptr) ++object_->references;
  }
  T* object_ = nullptr;
};

// Base of what LocalRef counts.
struct LocalCounted {
  uint32_t references = 0;
};

}  // namespace fairlead::lb
