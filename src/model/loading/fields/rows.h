// How each form of a model folder adds its rows to the list of fields.
#pragma once

#include <functional>
#include <initializer_list>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "model/loading/fields/fields.h"

namespace eidolon::fields {

/// One field, or several that mean the same.
struct Names {
  std::vector<const char*> all;

  Names(const char* name) : all{name} {}
  Names(std::initializer_list<const char*> names) : all(names) {}
};

/// The rows of one form, in the order of the reference. Each function adds a row for every name.
struct Rows {
  std::vector<Field>& list;
  Form form;
  const char* where = "";  ///< stands in front of a field's name where the weights contradict it: "model_args."

  void honoured(const Names& names, const char* text, void (*read)(const nlohmann::json&, Reading&));

  /// A number, or whether there is something, that the weights must have; `what` as in StatedNumber.
  void compared(const Names& names, const std::function<int64_t(const nlohmann::json&)>& read, const char* what);
  void compared_side(const char* name, const char* what);  ///< the same of the side of a square

  void told_by_weights(const Names& names);  ///< the parameters' names and shapes say the same

  /// `text` says what another value than these would ask for.
  void restricted(const Names& names, const std::vector<std::string>& values, const char* text);

  void silent(const Names& names);
};

void add_timm(std::vector<Field>& fields);
void add_pretrained_cfg(std::vector<Field>& fields);
void add_model_args(std::vector<Field>& fields);
void add_hugging_face(std::vector<Field>& fields);
void add_processor(std::vector<Field>& fields);
void add_description(std::vector<Field>& fields);

}  // namespace eidolon::fields
