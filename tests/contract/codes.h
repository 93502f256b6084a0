// SPDX-License-Identifier: Apache-2.0
// A row of the table of codes: a spoiled request and what it must get.
#ifndef FLETCH_TESTS_CONTRACT_CODES_H_
#define FLETCH_TESTS_CONTRACT_CODES_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "tests/contract/fixture.h"

namespace fletch {

using grpc::StatusCode;

inline constexpr StatusCode kInvalid = StatusCode::INVALID_ARGUMENT;
inline constexpr StatusCode kRange = StatusCode::OUT_OF_RANGE;
inline constexpr StatusCode kMissing = StatusCode::NOT_FOUND;
inline constexpr StatusCode kState = StatusCode::FAILED_PRECONDITION;
inline constexpr int64_t kFarFuture = 4'000'000'000'000'000;  // the year 2096

// `field` is the path that the error must name; "" that it need name none.
struct Row {
  std::string name;
  const char* method;
  std::string bytes;
  StatusCode code;
  std::string field;
  std::string reason;  // empty: the code's own name
};

// A good request with one thing spoiled.
template <class Message>
std::string Spoil(Message message, const std::function<void(Message*)>& spoil) {
  spoil(&message);
  return message.SerializeAsString();
}

// Sends each row, compares code, reason and field, and that nothing changed.
void Check(const std::vector<Row>& rows);

}  // namespace fletch

#endif  // FLETCH_TESTS_CONTRACT_CODES_H_
