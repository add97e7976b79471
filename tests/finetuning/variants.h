// The ways in which block-wise reconstruction can be told to train.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "job/job.h"

namespace eidolon {

struct Variant {
  std::string name;
  std::function<void(FinetuningJob&)> choose;
};

inline std::vector<Variant> variants() {
  const auto everything = [](FinetuningJob& job) {
    job.input_mix = 0.5;
    job.rounding = "adaround";
    job.adaround.learning_rate = 0.05;
    job.scales.activation_learning_rate = job.scales.weight_learning_rate = 1e-3;
    job.importance = "gradient";
    job.token_units = true;
  };
  return {{"plain", [](FinetuningJob&) {}},
          {"input_mix", [](FinetuningJob& job) { job.input_mix = 0.5; }},
          {"adaround",
           [](FinetuningJob& job) {
             job.rounding = "adaround";
             job.adaround.learning_rate = 0.05;
           }},
          {"scales", [](FinetuningJob& job) { job.scales.activation_learning_rate = job.scales.weight_learning_rate = 1e-3; }},
          {"gradient", [](FinetuningJob& job) { job.importance = "gradient"; }},
          {"token_units",
           [](FinetuningJob& job) {
             job.token_units = true;
             job.importance = "gradient";
           }},
          {"everything", everything}};
}

}  // namespace eidolon
