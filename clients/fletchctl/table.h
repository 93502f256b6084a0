// SPDX-License-Identifier: Apache-2.0
// Tables for people: columns aligned, numbers to the right.
#ifndef FLETCH_CLIENTS_FLETCHCTL_TABLE_H_
#define FLETCH_CLIENTS_FLETCHCTL_TABLE_H_

#include <string>
#include <vector>

namespace fletch::ctl {

class Table {
 public:
  explicit Table(std::vector<std::string> header) : header_(std::move(header)) {}

  // REQUIRES: as many cells as the header has.
  void Add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }

  // Header and rows, a line each, two blanks between columns; cells longer than 60 characters are
  // cut with "…", control characters are shown as "?" (they could move the terminal's cursor).
  std::string ToText() const;

 private:
  std::vector<std::string> header_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace fletch::ctl

#endif  // FLETCH_CLIENTS_FLETCHCTL_TABLE_H_
