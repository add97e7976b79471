#include <gtest/gtest.h>

#include "cluster/communicator.h"

namespace eidolon {
namespace {

// Values whose sum depends on the order of addition, different on each rank and the same on each run.
std::vector<Tensor> buckets(const Communicator& communicator) {
  std::vector<Tensor> result;
  for (const int64_t length : {5, 1000, 65537, 300001}) {
    const Tensor index = at::arange(length, at::kFloat).add(1 + 17 * communicator.rank());
    result.push_back(at::sin(index.mul(12.9898)).mul(43758.5453).frac().mul(at::exp(index.remainder(13))));
  }
  return result;
}

void expect_same_bits(const std::vector<Tensor>& left, const std::vector<Tensor>& right) {
  for (std::size_t i = 0; i < left.size(); ++i) {
    EXPECT_TRUE(at::equal(left[i].view(at::kInt), right[i].view(at::kInt))) << "bucket " << i;
  }
}

TEST(Overlap, GivesTheBitsOfTheBlockingSum) {
  const Communicator communicator = Communicator::world();
  std::vector<Tensor> blocking = buckets(communicator);
  for (Tensor& tensor : blocking) communicator.all_reduce_sum(tensor);

  std::vector<Tensor> overlapped = buckets(communicator);
  std::vector<PendingReduction> pending;
  double work = 0;
  for (Tensor& tensor : overlapped) {
    pending.push_back(communicator.start_all_reduce_sum(tensor));
    work += at::ones({64, 64}).mm(at::ones({64, 64})).sum().item<double>();
    for (PendingReduction& earlier : pending) earlier.test();
  }
  for (PendingReduction& reduction : pending) reduction.wait();
  EXPECT_EQ(work, 4 * 64.0 * 64 * 64);
  expect_same_bits(blocking, overlapped);
}

TEST(Overlap, FinishesByTestingAlone) {
  const Communicator communicator = Communicator::world();
  Tensor tensor = at::full({1000}, communicator.rank() + 1.0);
  PendingReduction pending = communicator.start_all_reduce_sum(tensor);
  while (!pending.test()) continue;
  EXPECT_TRUE(pending.test());
  pending.wait();
  EXPECT_EQ(tensor[999].item<double>(), communicator.size() * (communicator.size() + 1) / 2.0);
}

TEST(Overlap, WaitsWhenDestroyedUnfinished) {
  const Communicator communicator = Communicator::world();
  Tensor tensor = at::full({300001}, 1.0);
  { const PendingReduction dropped = communicator.start_all_reduce_sum(tensor); }
  EXPECT_EQ(tensor.sum().item<double>(), 300001.0 * communicator.size());
}

}  // namespace
}  // namespace eidolon
