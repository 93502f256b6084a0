// SPDX-License-Identifier: Apache-2.0
#include "storage/value.h"

#include "gtest/gtest.h"

namespace fletch {
namespace {

TEST(ValueTest, TypesAreNamedAsInTheWireContract) {
  EXPECT_EQ(DataTypeName({ValueType::kDouble}), "DOUBLE");
  EXPECT_EQ(DataTypeName({ValueType::kInt64, /*array=*/true}), "INT64[]");
  EXPECT_EQ(DataTypeName({ValueType::kFloatVector, false, 48}), "FLOAT_VECTOR(48)");
  EXPECT_EQ(ValueTypeName(ValueType::kJson), "JSON");
}

}  // namespace
}  // namespace fletch
