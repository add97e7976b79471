#include "finetuning/gradient_reducer.h"

#include <functional>
#include <utility>

namespace eidolon {

struct GradientReducer::Bucket {
  Tensor flat;
  int64_t parameters = 0;
  int64_t outstanding = 0;  ///< gradients of this step that are not there yet
  PendingReduction pending;
};

namespace {

class WhenGradientIsReady : public torch::autograd::PostAccumulateGradHook {
 public:
  explicit WhenGradientIsReady(std::function<void()> action) : action_(std::move(action)) {}
  void operator()(const torch::autograd::Variable&) override { action_(); }

 private:
  std::function<void()> action_;
};

}  // namespace

GradientReducer::GradientReducer(std::vector<Tensor> parameters, const Communicator& communicator, Reduction reduction,
                                 int64_t bucket_bytes)
    : parameters_(std::move(parameters)), communicator_(communicator), reduction_(reduction) {
  const int64_t capacity = bucket_bytes / static_cast<int64_t>(sizeof(float));
  for (size_t end = parameters_.size(); end > 0;) {
    size_t begin = end;
    int64_t elements = 0;
    while (begin > 0 && (begin == end || elements + parameters_[begin - 1].numel() <= capacity)) {
      elements += parameters_[--begin].numel();
    }
    Bucket bucket;
    bucket.flat = at::zeros({elements}, parameters_[begin].options().requires_grad(false));
    bucket.parameters = static_cast<int64_t>(end - begin);
    int64_t offset = 0;
    for (size_t i = end; i-- > begin;) {
      Tensor& parameter = parameters_[i];
      parameter.mutable_grad() = bucket.flat.narrow(0, offset, parameter.numel()).view(parameter.sizes());
      offset += parameter.numel();
      torch::autograd::impl::set_post_acc_grad_hooks(
          parameter, std::make_unique<WhenGradientIsReady>([this, index = buckets_.size()] { ready(index); }));
    }
    buckets_.push_back(std::move(bucket));
    end = begin;
  }
}

GradientReducer::~GradientReducer() {
  for (Tensor& parameter : parameters_) {
    torch::autograd::impl::set_post_acc_grad_hooks(parameter, nullptr);
    parameter.mutable_grad() = Tensor();
  }
}

void GradientReducer::zero() {
  started_ = 0;
  for (Bucket& bucket : buckets_) {
    bucket.flat.zero_();
    bucket.outstanding = bucket.parameters;
  }
}

void GradientReducer::ready(size_t bucket) {
  --buckets_[bucket].outstanding;
  if (reduction_ == Reduction::plain) return;
  while (started_ < buckets_.size() && buckets_[started_].outstanding == 0) start_next();
  // Open MPI moves data only inside its own calls.
  for (size_t i = 0; i < started_; ++i) buckets_[i].pending.test();
}

void GradientReducer::start_next() {
  Bucket& bucket = buckets_[started_++];
  bucket.pending = communicator_.start_all_reduce_sum(bucket.flat);
}

void GradientReducer::finish() {
  while (started_ < buckets_.size()) {
    start_next();
    if (reduction_ == Reduction::plain) buckets_[started_ - 1].pending.wait();
  }
  for (Bucket& bucket : buckets_) bucket.pending.wait();
}

}  // namespace eidolon
