#include "storage/safetensors_header.h"

#include <algorithm>
#include <array>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "base/error.h"

namespace eidolon {

namespace {

using Json = nlohmann::json;

constexpr const char* metadata_key = "__metadata__";
constexpr std::size_t largest_rank = 64;  // of LibTorch's kernels

constexpr std::array<std::pair<const char*, at::ScalarType>, 15> dtypes{{
    {"F64", at::kDouble},
    {"F32", at::kFloat},
    {"F16", at::kHalf},
    {"BF16", at::kBFloat16},
    {"I64", at::kLong},
    {"I32", at::kInt},
    {"I16", at::kShort},
    {"I8", at::kChar},
    {"U64", at::kUInt64},
    {"U32", at::kUInt32},
    {"U16", at::kUInt16},
    {"U8", at::kByte},
    {"BOOL", at::kBool},
    {"F8_E4M3", at::kFloat8_e4m3fn},
    {"F8_E5M2", at::kFloat8_e5m2},
}};

/// A name from an untrusted file, fit for one line of a message.
std::string quoted(const std::string& name) {
  constexpr std::size_t longest = 100;
  const std::string text = Json(name).dump(-1, ' ', /*ensure_ascii=*/true, Json::error_handler_t::replace);
  return text.size() <= longest ? text : text.substr(0, longest) + "...\"";
}

/// nlohmann keeps the last of two equal keys without a word and nests without bound; both are refused here.
Json parse_strictly(std::string_view text) {
  constexpr int deepest = 4;
  std::vector<std::set<std::string>> keys;
  const auto watch = [&](int depth, Json::parse_event_t event, Json& value) {
    if (depth > deepest) throw BadInput("its header nests deeper than the format allows");
    if (event == Json::parse_event_t::object_start) keys.emplace_back();
    if (event == Json::parse_event_t::object_end) keys.pop_back();
    if (event == Json::parse_event_t::key && !keys.back().insert(value.get<std::string>()).second) {
      throw BadInput("its header has the key " + quoted(value.get<std::string>()) + " twice");
    }
    return true;
  };
  try {
    return Json::parse(text, watch);
  } catch (const Json::parse_error& error) {
    throw BadInput("its header is not JSON (byte " + std::to_string(error.byte) + ")");
  } catch (const Json::exception&) {  // such as a number out of range
    throw BadInput("its header is not JSON");
  }
}

std::map<std::string, std::string> parse_metadata(const Json& json) {
  const bool is_text = json.is_object() && std::ranges::all_of(json, [](const Json& value) { return value.is_string(); });
  if (!is_text) throw BadInput("its __metadata__ is not a map from text to text");
  return json.get<std::map<std::string, std::string>>();
}

at::ScalarType parse_dtype(const Json& json, const std::string& tensor) {
  const auto found = std::ranges::find_if(dtypes, [&](const auto& known) { return json == known.first; });
  if (found != dtypes.end()) return found->second;
  throw BadInput("tensor " + tensor + " has the unknown dtype " + quoted(json.is_string() ? json.get<std::string>() : ""));
}

uint64_t parse_count(const Json& json, const std::string& tensor, const char* what) {
  const bool fits =
      json.is_number_unsigned() && json.get<uint64_t>() <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
  if (!fits) throw BadInput("tensor " + tensor + " has a " + what + " that is not a count");
  return json.get<uint64_t>();
}

/// Sizes of 0 count as 1, so that strides cannot overflow either; the caller handles the empty tensor.
uint64_t checked_bytes(const StoredTensor& tensor, const std::string& name) {
  int64_t bytes = static_cast<int64_t>(at::elementSize(tensor.dtype));
  for (const int64_t size : tensor.shape) {
    if (__builtin_mul_overflow(bytes, std::max<int64_t>(size, 1), &bytes)) {
      throw BadInput("tensor " + name + " has a shape whose size overflows");
    }
  }
  const bool is_empty = std::ranges::find(tensor.shape, 0) != tensor.shape.end();
  return is_empty ? 0 : static_cast<uint64_t>(bytes);
}

const Json& field(const Json& json, const char* key, const std::string& tensor) {
  if (json.is_object() && json.contains(key)) return json.at(key);
  throw BadInput("tensor " + tensor + " has no " + key);
}

StoredTensor parse_tensor(const std::string& key, const Json& json) {
  const std::string name = quoted(key);
  const Json& shape = field(json, "shape", name);
  const Json& offsets = field(json, "data_offsets", name);
  if (!shape.is_array() || shape.size() > largest_rank) throw BadInput("tensor " + name + " has no usable shape");
  if (!offsets.is_array() || offsets.size() != 2) throw BadInput("tensor " + name + " has no pair of data_offsets");

  StoredTensor tensor{key, parse_dtype(field(json, "dtype", name), name), {}, 0, 0};
  for (const Json& size : shape) tensor.shape.push_back(static_cast<int64_t>(parse_count(size, name, "size")));
  tensor.begin = parse_count(offsets[0], name, "data offset");
  tensor.end = parse_count(offsets[1], name, "data offset");
  if (tensor.begin > tensor.end || tensor.end - tensor.begin != checked_bytes(tensor, name)) {
    throw BadInput("tensor " + name + " has data_offsets that contradict its shape and dtype");
  }
  return tensor;
}

void require_exact_cover(const std::vector<StoredTensor>& tensors, uint64_t data_size) {
  uint64_t covered = 0;
  for (const StoredTensor& tensor : tensors) {
    const std::string name = "tensor " + quoted(tensor.name);
    if (tensor.begin < covered) throw BadInput(name + " overlaps the one before it");
    if (tensor.begin > covered) throw BadInput("there is a gap before " + name);
    if (tensor.end > data_size) throw BadInput(name + " ends behind the end of the file, which is truncated");
    covered = tensor.end;
  }
  if (covered != data_size) throw BadInput(std::to_string(data_size - covered) + " bytes at its end belong to no tensor");
}

}  // namespace

SafetensorsHeader parse_safetensors_header(std::string_view json, uint64_t data_size) {
  const Json root = parse_strictly(json);
  if (!root.is_object()) throw BadInput("its header is not a JSON object");
  SafetensorsHeader header;
  for (const auto& [key, value] : root.items()) {
    if (key == metadata_key) {
      header.metadata = parse_metadata(value);
    } else {
      header.tensors.push_back(parse_tensor(key, value));
    }
  }
  std::ranges::sort(header.tensors, {}, [](const StoredTensor& tensor) { return std::pair(tensor.begin, tensor.end); });
  require_exact_cover(header.tensors, data_size);
  return header;
}

std::string format_safetensors_header(const SafetensorsHeader& header) {
  nlohmann::ordered_json root = nlohmann::ordered_json::object();
  if (!header.metadata.empty()) root[metadata_key] = header.metadata;
  for (const StoredTensor& tensor : header.tensors) {
    if (tensor.name == metadata_key) throw BadInput("a tensor cannot be called __metadata__, which the format reserves");
    root[tensor.name] = {
        {"dtype", safetensors_dtype(tensor.dtype)}, {"shape", tensor.shape}, {"data_offsets", {tensor.begin, tensor.end}}};
  }
  try {
    std::string text = root.dump();
    text.append((8 - text.size() % 8) % 8, ' ');
    return text;
  } catch (const nlohmann::json::exception&) {
    throw BadInput("a tensor's name or a metadata text is not UTF-8");
  }
}

std::string safetensors_dtype(at::ScalarType dtype) {
  const auto found = std::ranges::find(dtypes, dtype, [](const auto& known) { return known.second; });
  if (found != dtypes.end()) return found->first;
  throw BadInput(std::string("safetensors has no name for the dtype ") + at::toString(dtype));
}

}  // namespace eidolon
