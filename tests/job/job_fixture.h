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

#include "gtest/gtest.h"
#include "job/job.h"
#include "job/schema.h"

namespace eidolon {

class JobFolder : public testing::Test {
 protected:
  void SetUp() override {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
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

/// The same with every term and every part of fine-tuning switched on, so that every key has an effect.
inline Job job_that_uses_every_key() {
  Job job = resolved_job();
  job.synthesis.crops = 3;
  job.synthesis.soft_labels = true;
  job.synthesis.variation_weight = 1;
  job.synthesis.entropy_weight = 1;
  job.quantization.correction = "ridge";
  job.finetuning.rounding = "adaround";
  job.finetuning.distill_iterations = 10;
  return job;
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
