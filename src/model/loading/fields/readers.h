// How one field's JSON is read. Each throws BadInput with the cause alone: the field's name is put in front by the reader.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "model/loading/fields/fields.h"

namespace eidolon::fields {

int64_t whole(const nlohmann::json& value);          ///< 1 to 2^24
int64_t whole_or_none(const nlohmann::json& value);  ///< 0 to 2^24
double number(const nlohmann::json& value);
double positive(const nlohmann::json& value);
bool flag(const nlohmann::json& value);
std::string word(const nlohmann::json& value);
int64_t square(const nlohmann::json& value);  ///< a side, or [height, width] of a square
std::vector<double> numbers(const nlohmann::json& value);
std::vector<double> per_channel(const nlohmann::json& value);  ///< one number for all channels is allowed
std::vector<double> all_positive(std::vector<double> values);

/// Names by class index, of a list or of an object {"0": name}; empty unless there is a text for each of 0 ... n - 1.
std::vector<std::string> class_names(const nlohmann::json& labels);

/// An activation by any of the names that timm and transformers have for it, as VitFacts names it.
std::string activation(const nlohmann::json& value);

/// A number that the weights must have.
void state(Reading& reading, const char* what, int64_t value, const std::string& field);

/// Whether the weights must have it.
void state(Reading& reading, const char* what, bool value, const std::string& field);

/// A list that the weights must have; true if the value is one.
bool state_list(Reading& reading, const char* what, const nlohmann::json& value, const char* field);

}  // namespace eidolon::fields
