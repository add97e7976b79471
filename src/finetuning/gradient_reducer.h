// Sums gradients over ranks, overlapped with the backward pass.
#pragma once

#include <memory>
#include <vector>

#include "base/tensor.h"
#include "cluster/communicator.h"

namespace eidolon {

enum class Reduction {
  overlapped,  ///< a bucket's all-reduce starts when its last gradient is ready
  plain,       ///< all buckets after the backward pass, one by one: the oracle that the other must match bit for bit
};

/// Gradients live in flat buckets, filled in reverse order of the parameters (roughly the order in which backward makes them);
/// each parameter's grad is a view into its bucket. Buckets start in index order on every rank, whatever order they complete
/// in, and both reductions make the same calls on the same buckets. A parameter that a rank's backward pass did not reach
/// counts as zero.
///
/// Per step: zero(); backward on this rank's share of the loss, if any, in one pass; finish(). With `plain`, in any number of
/// passes.
class GradientReducer {
 public:
  /// `parameters`: float32 leaves that require gradients, the same on every rank. The communicator must outlive the reducer.
  GradientReducer(std::vector<Tensor> parameters, const Communicator& communicator, Reduction reduction,
                  int64_t bucket_bytes = 25 << 20);
  ~GradientReducer();
  GradientReducer(const GradientReducer&) = delete;
  GradientReducer& operator=(const GradientReducer&) = delete;

  void zero();
  void finish();  ///< afterwards every grad holds the sum over ranks

 private:
  struct Bucket;
  void ready(size_t bucket);
  void start_next();

  std::vector<Tensor> parameters_;
  const Communicator& communicator_;
  Reduction reduction_;
  std::vector<Bucket> buckets_;
  size_t started_ = 0;
};

}  // namespace eidolon
