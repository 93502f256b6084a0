// SPDX-License-Identifier: Apache-2.0
// The values of a column as bytes, each cell by itself: what digests and bit-for-bit comparisons
// are made of (storage/FORMAT.md, Training sets).
#ifndef FLETCH_SERVER_ENGINE_CELL_BYTES_H_
#define FLETCH_SERVER_ENGINE_CELL_BYTES_H_

#include <cstddef>
#include <string>

#include "storage/value.h"

namespace fletch {

// Walks a column row by row, for the elements of arrays are found by running sums. `column`
// outlives it.
class CellBytes {
 public:
  explicit CellBytes(const Column& column) : column_(column) {}

  // Appends the value of the next row; with nullptr passes over it. REQUIRES: there is one.
  void Next(std::string* out);

 private:
  void Put(size_t first, size_t count, std::string* out) const;

  const Column& column_;
  size_t row_ = 0;
  size_t element_ = 0;
};

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_CELL_BYTES_H_
