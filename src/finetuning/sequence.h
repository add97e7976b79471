// One strategy after another.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "finetuning/strategy.h"

namespace eidolon {

class Sequence : public Strategy {
 public:
  Sequence(std::unique_ptr<Strategy> first, std::unique_ptr<Strategy> second)
      : first_phases_(first->phases()), first_(std::move(first)), second_(std::move(second)) {}
  int phases() const override { return first_phases_ + second_->phases(); }
  std::string phase_name(int phase) const override { return of(phase).phase_name(local(phase)); }
  int64_t iterations(int phase) const override { return of(phase).iterations(local(phase)); }
  std::vector<Trainable> begin(int phase) override {
    now_ = phase;
    return of(phase).begin(local(phase));
  }
  Tensor loss(const std::vector<int64_t>& images, int64_t step) override { return of(now_).loss(images, step); }
  void after_step(int64_t step) override { of(now_).after_step(step); }
  PhaseOutcome conclude(std::vector<Trainable>& trainables) override { return of(now_).conclude(trainables); }
  TensorMap state() const override { return of(now_).state(); }
  void restore(const TensorMap& state) override { of(now_).restore(state); }

 private:
  Strategy& of(int phase) const { return phase < first_phases_ ? *first_ : *second_; }
  int local(int phase) const { return phase < first_phases_ ? phase : phase - first_phases_; }

  int first_phases_;
  std::unique_ptr<Strategy> first_, second_;
  int now_ = 0;
};

}  // namespace eidolon
