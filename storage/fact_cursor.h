// SPDX-License-Identifier: Apache-2.0
// A walk over stored facts, decoded in place. Private to this room.
#ifndef FLETCH_STORAGE_FACT_CURSOR_H_
#define FLETCH_STORAGE_FACT_CURSOR_H_

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "storage/fact_store.h"
#include "storage/fact_suffix.h"

namespace fletch {

// A fact under the cursor; views are valid until it moves.
struct FactView {
  FactSuffix at;
  FactForm form = FactForm::kRow;
  std::string_view row;
};

// Not thread-safe. Sees every fact written before its first Seek.
class FactCursor {
 public:
  explicit FactCursor(const KvStore* store) : store_(store) {}

  // Moves to the first fact whose key is >= `key`. Cheap when that is where it stands or a few
  // facts on.
  void Seek(std::string_view key);
  // REQUIRES: the last IsWithin was true.
  void Next();
  // Whether it stands at a key that begins with `prefix`. DATA_LOSS when a fault ended the walk.
  absl::StatusOr<bool> IsWithin(std::string_view prefix) const;
  // REQUIRES: the last IsWithin was true.
  std::string_view key() const { return iterator_->key(); }
  // The fact here, of which `prefix` is "view | entity". DATA_LOSS on damaged bytes.
  absl::StatusOr<FactView> Read(std::string_view prefix) const;

 private:
  const KvStore* const store_;
  std::unique_ptr<KvIterator> iterator_;
  // No key lies between this and the iterator's (this itself may be a key only when it was passed).
  std::string behind_;
  bool behind_is_key_ = false;
  bool near_ = true;  // the last question was a few steps on
};

// What a caller sees of `fact`.
FactRef ToFactRef(const FactView& fact, std::string_view entity_key);

}  // namespace fletch

#endif  // FLETCH_STORAGE_FACT_CURSOR_H_
