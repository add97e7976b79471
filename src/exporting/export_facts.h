// What an export says of itself beside the numbers.
#pragma once

#include <string>
#include <vector>

#include "model/preprocessing.h"

namespace eidolon {

struct ExportFacts {
  std::string target;         ///< exporting/targets.h
  std::string program;        ///< version
  std::string recipe;         ///< quantization.recipe
  std::string student_id;     ///< job/identity.h
  std::string student_facts;  ///< the canonical JSON behind it: every key that decided the student
  std::string image_facts;    ///< the canonical JSON of what decided the images
  std::string teacher_hash;
  std::string teacher_config;  ///< the text of its config.json
  bool data_free = true;       ///< no real image had a part in it
  Preprocessing preprocessing;
  std::vector<std::string> class_names;  ///< empty if the teacher names none
  std::string figures;  ///< JSON as `eidolon evaluate --json` gives it of this student; empty: nothing was measured yet
};

}  // namespace eidolon
