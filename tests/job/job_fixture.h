// A temporary folder to write jobs into, and jobs that differ from the default one.
#pragma once

#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "gtest/gtest.h"
#include "job/job.h"
#include "job/schema.h"
#include "job/synthesis_methods.h"

namespace eidolon {

class JobFolder : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    folder = std::filesystem::canonical(std::filesystem::temp_directory_path()) /
             ("eidolon-" + std::string(test->test_suite_name()) + "-" + test->name() + "-" + std::to_string(getpid()));
    std::filesystem::create_directories(folder);
  }
  void TearDown() override { std::filesystem::remove_all(folder); }

  std::filesystem::path write(const std::string& name, std::string_view text) const {
    const std::filesystem::path path = folder / name;
    std::ofstream(path, std::ios::binary) << text;
    return path;
  }

  std::filesystem::path folder;
};

/// Another value that the key accepts. Numbers only grow, by the same map for all keys, so that pairs of keys stay in order.
/// False where the key has a single choice.
inline bool change(const Key&, bool& field) {
  field = !field;
  return true;
}

inline bool change(const Key& key, int64_t& field) {
  field += static_cast<double>(field) < key.allowed.high ? 1 : -1;
  return true;
}

inline bool change(const Key&, uint64_t& field) {
  field += 1;
  return true;
}

inline bool change(const Key&, double& field) {
  field = field * 1.1 + 0.1;
  return true;
}

inline bool change(const Key& key, std::string& field) {
  if (key.allowed.choices.empty()) {
    field += "head.*: 8";
    return true;
  }
  for (const std::string_view choice : key.allowed.choices) {
    if (choice != field) {
      field = choice;
      return true;
    }
  }
  return false;
}

inline bool change(const Key& key, std::filesystem::path& field) {
  field = "/elsewhere/" + std::string(key.name);
  return true;
}

template <class Value>
bool change(const Key& key, std::optional<Value>& field) {
  Value value = field.value_or(Value{});
  const bool changed = change(key, value);
  field = value;
  return changed;
}

/// The default job with a teacher and without any "auto".
inline Job resolved_job() {
  Job job;
  job.teacher.weights = "/models/teacher";
  visit_keys(job, [](const Key& key, auto& field) {
    if constexpr (can_be_auto<std::decay_t<decltype(field)>>) {
      change(key, field);
    }
  });
  return job;
}

/// The same for each method that optimises, with every part of fine-tuning switched on, so that every key has an effect in one
/// of these jobs.
inline std::vector<Job> jobs_that_use_every_key() {
  std::vector<Job> jobs;
  for (const char* method : {"views", "sardfq", "psaq", "psaq_v2", "generator"}) {
    Job job = resolved_job();
    job.quantization.recipe = std::string_view(method) == "sardfq" ? "w4a8" : "research";
    job.synthesis = synthesis_method(method).defaults();
    job.synthesis.precision = "fp32";
    job.synthesis.enlargement = 2;
    if (std::string_view(method) == "generator") job.synthesis.optimised_share = 0.5;  // so that starts are used
    job.synthesis.variation_weight = 1;
    job.synthesis.batchnorm_weight = 1;
    job.synthesis.sardfq.prior_weight = 2;
    job.finetuning.rounding = "adaround";
    if (std::string_view(method) == "psaq_v2") job.quantization.correction = "low_rank";
    job.finetuning.distill.iterations = 10;
    jobs.push_back(job);
  }
  return jobs;
}

/// `job` with the one key changed; nothing if it has a single choice.
inline std::optional<Job> with_changed(const Job& job, const std::string& name) {
  Job result = job;
  bool changed = false;
  visit_keys(result, [&](const Key& key, auto& field) {
    if (full_name(key) == name) {
      changed = change(key, field);
    }
  });
  return changed ? std::optional(result) : std::nullopt;
}

}  // namespace eidolon
