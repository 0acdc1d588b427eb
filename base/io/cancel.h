// Cancellation. A suspended logical thread of tasks waits on exactly one Waiter, its leaf; the innermost CancelScope
// points at it. Cancel() only requests: it frees nothing and resumes nobody on the caller's stack. The leaf then
// completes from the loop with its own result (success beats cancel) or with the reason. An await in a cancelled scope
// completes at once with the reason and submits nothing, so unwinding starts no new work.
// The rules and their proof: docs/decisions/0001-cancellation.md.
#pragma once

#include "base/check.h"

namespace fairlead::io {

// What a suspended coroutine waits for.
class Waiter {
 public:
  virtual void Cancel(int why) = 0;  // `why` is a positive errno: ECANCELED or ETIMEDOUT

 protected:
  ~Waiter() = default;
};

// Scopes form a tree: a Task inherits its parent's; WithDeadline, Race and the children of a TaskGroup add one.
class CancelScope {
 public:
  CancelScope() = default;
  CancelScope(const CancelScope&) = delete;
  CancelScope& operator=(const CancelScope&) = delete;
  ~CancelScope() {
    CHECK(leaf == nullptr && child_ == nullptr);
    Detach();
  }

  void Attach(CancelScope* parent) {
    parent_ = parent;
    if (parent == nullptr) return;
    next_ = parent->child_;
    if (next_ != nullptr) next_->prev_ = this;
    prev_ = nullptr;
    parent->child_ = this;
    why_ = parent->why_;
  }

  void Detach() {
    if (parent_ == nullptr) return;
    (prev_ != nullptr ? prev_->next_ : parent_->child_) = next_;
    if (next_ != nullptr) next_->prev_ = prev_;
    parent_ = nullptr;
  }

  // The first reason wins. The list of children cannot change under the loop: leaves only post or queue.
  void Cancel(int why) {
    if (why_ != 0) return;
    why_ = why;
    if (leaf != nullptr) leaf->Cancel(why);
    for (CancelScope* child = child_; child != nullptr; child = child->next_) child->Cancel(why);
  }

  int why() const { return why_; }  // 0, or the errno it was cancelled with

  Waiter* leaf = nullptr;           // set by awaiters while suspended

 private:
  CancelScope* parent_ = nullptr;
  CancelScope* child_ = nullptr;
  CancelScope* next_ = nullptr;
  CancelScope* prev_ = nullptr;
  int why_ = 0;
};

}  // namespace fairlead::io
