// The fields of description.json, with which a user says what no other file does.
#include <array>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/error.h"
#include "model/loading/fields/readers.h"
#include "model/loading/fields/rows.h"

namespace eidolon {
namespace {

using nlohmann::json;
using namespace fields;

void read_head(const json& value, Reading& reading) {
  const std::string head = word(value);
  if (head != "classes" && head != "embedding") throw BadInput("is neither \"classes\" nor \"embedding\"");
  reading.config.gives_embedding = head == "embedding";
}

void read_pooling(const json& value, Reading& reading) {
  const std::string name = word(value);
  for (const char* built : {"token", "avg", "map", "none", "token and mean"}) {
    if (name == built) {
      reading.config.pooling = name;
      return;
    }
  }
  throw BadInput("is not built; token, avg, map, none and \"token and mean\" are");
}

/// {"kind": "cat", "temperature": 10000, "reference": 16, "offset": 0, "columns_first": false, "halves": false}
void read_rotation(const json& value, Reading& reading) {
  if (!value.is_object()) throw BadInput("is not an object");
  Rotation rotation;
  for (const auto& [name, field] : value.items()) {
    if (name == "kind") {
      for (const char* built : {"cat", "dinov3", "mixed"}) {
        if (word(field) == built) rotation.kind = built;
      }
    } else if (name == "temperature") {
      rotation.temperature = positive(field);
    } else if (name == "reference") {
      rotation.reference = number(field);
    } else if (name == "offset") {
      rotation.offset = number(field);
    } else if (name == "columns_first") {
      rotation.columns_first = flag(field);
    } else if (name == "halves") {
      rotation.halves = flag(field);
    } else {
      throw BadInput("has '" + name + "'; kind, temperature, reference, offset, columns_first and halves are known");
    }
  }
  if (rotation.kind.empty()) throw BadInput("has no kind that is built: \"cat\", \"dinov3\" or \"mixed\"");
  reading.config.rotation = rotation;
}

}  // namespace

void fields::add_description(std::vector<Field>& fields) {
  Rows rows{.list = fields, .form = Form::description};
  rows.honoured("heads", "the number of heads of every block", [](const json& v, Reading& r) { r.config.heads = whole(v); });
  rows.honoured("pooling_heads", "the number of heads of attention pooling",
                [](const json& v, Reading& r) { r.config.pooling_heads = whole(v); });
  rows.honoured("activation", "gelu, gelu_tanh, quick_gelu, silu, relu or relu6",
                [](const json& v, Reading& r) { r.config.activation = activation(v); });
  rows.honoured("epsilon", "of every norm", [](const json& v, Reading& r) { r.config.epsilon = positive(v); });
  rows.honoured("pooling", "token, avg, map, none or \"token and mean\"", read_pooling);
  rows.honoured("rotation", "of queries and keys: kind, temperature, reference, offset, columns_first, halves", read_rotation);
  rows.honoured("head", "what its outputs are: \"classes\" or \"embedding\"", read_head);
}

}  // namespace eidolon
