// SPDX-License-Identifier: Apache-2.0
// Keys as bytes: injective, ordered as the values are, and self-delimiting, so (1, 23) never meets
// (12, 3).
//   INT64: 8 bytes, big-endian, sign bit flipped.
//   STRING: its bytes with 00 written as 00 FF, then 00 01.
#ifndef FLETCH_STORAGE_ENTITY_KEY_H_
#define FLETCH_STORAGE_ENTITY_KEY_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "storage/schema.h"
#include "storage/value.h"

namespace fletch {

void AppendInt64Key(int64_t value, std::string* out);
void AppendStringKey(std::string_view value, std::string* out);

// Appends row `row` of `columns` (one a key field, in order, each INT64 or STRING as the schema
// says). REQUIRES: the columns were checked by CheckKeyColumn.
void AppendKey(absl::Span<const Column* const> columns, size_t row, std::string* out);

// OK, or INVALID_ARGUMENT with field path `path` (and the row): wrong type, a null row, an empty or
// over-long (1,024 bytes) STRING.
//
// bad UTF-8. INT32 columns are accepted for INT64 keys after CoerceColumn.
absl::Status CheckKeyColumn(const KeyFieldSchema& field, const Column& column, size_t row_count,
                            std::string_view path);

// The values of an encoded key. DATA_LOSS when the bytes are not one whole key of `fields`.
absl::StatusOr<std::vector<KeyValue>> DecodeKey(absl::Span<const KeyFieldSchema> fields,
                                                std::string_view encoded);

// The length of the first whole key of `fields` in `bytes`. DATA_LOSS as above.
absl::StatusOr<size_t> KeyLength(absl::Span<const KeyFieldSchema> fields, std::string_view bytes);

}  // namespace fletch

#endif  // FLETCH_STORAGE_ENTITY_KEY_H_
