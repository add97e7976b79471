#include "numerics/transfer.h"

#include <gtest/gtest.h>

#include "tests/device/test_device.h"

namespace eidolon {
namespace {

TEST(SentTo, GivesTheNumbersOnTheDevice) {
  const Tensor here = at::arange(6, at::kFloat).view({2, 3});
  const Tensor there = sent_to(test_device(), here);
  EXPECT_EQ(there.device(), test_device());
  EXPECT_TRUE(at::equal(there.cpu(), here));
  EXPECT_TRUE(at::equal(sent_to(at::kCPU, there), here)) << "and back";
  EXPECT_EQ(sent_to(test_device(), at::empty({0, 3})).numel(), 0);
}

TEST(SentTo, LeavesWhatLiesThereWhereItIs) {
  const Tensor there = at::arange(6, at::TensorOptions(at::kFloat).device(test_device()));
  EXPECT_EQ(sent_to(test_device(), there).data_ptr(), there.data_ptr());
}

}  // namespace
}  // namespace eidolon
