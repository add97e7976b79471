#include "exporting/onnx_writer.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <protozero/pbf_builder.hpp>
#include <string>
#include <system_error>
#include <type_traits>
#include <variant>

#include "base/error.h"
#include "base/pulse.h"
#include "storage/atomic_file.h"
#include "storage/posix_file.h"

namespace eidolon::onnx {
namespace {

using Path = std::filesystem::path;

// The fields of onnx.proto, in the order of their numbers. They are written in this order, as other writers do.
using Tag = protozero::pbf_tag_type;
enum class ModelField : Tag {
  ir_version = 1,
  producer_name = 2,
  producer_version = 3,
  doc_string = 6,
  graph = 7,
  opset_import = 8,
  metadata_props = 14,
};
enum class GraphField : Tag { node = 1, name = 2, initializer = 5, input = 11, output = 12 };
enum class NodeField : Tag { input = 1, output = 2, name = 3, op_type = 4, attribute = 5, domain = 7 };
enum class AttributeField : Tag { name = 1, f = 2, i = 3, s = 4, t = 5, floats = 7, ints = 8, type = 20 };
enum class TensorField : Tag { dims = 1, data_type = 2, name = 8, raw_data = 9, external_data = 13, data_location = 14 };
enum class ValueField : Tag { name = 1, type = 2 };
enum class TypeField : Tag { tensor_type = 1 };
enum class TensorTypeField : Tag { elem_type = 1, shape = 2 };
enum class ShapeField : Tag { dim = 1 };
enum class DimensionField : Tag { dim_value = 1, dim_param = 2 };
enum class EntryField : Tag { key = 1, value = 2 };
enum class OpsetField : Tag { domain = 1, version = 2 };

constexpr int32_t external_location = 1;              // TensorProto.DataLocation.EXTERNAL
constexpr uint64_t largest_message = (1U << 31) - 1;  // of protobuf, in bytes

/// Where a tensor lies in the data file.
struct Place {
  uint64_t offset = 0;
  uint64_t length = 0;
};

/// A part of the file: text, then the bytes of a tensor if there is one.
struct Piece {
  std::string text;
  const TensorData* data = nullptr;
};

template <typename Field>
void add_text(protozero::pbf_builder<Field>& message, Field field, const std::string& text) {
  try {
    static_cast<void>(nlohmann::json(text).dump());
  } catch (const nlohmann::json::type_error&) {
    const auto replace = nlohmann::json::error_handler_t::replace;
    throw BadInput("the text " + nlohmann::json(text).dump(-1, ' ', true, replace) + " is not UTF-8; write it in UTF-8");
  }
  message.add_string(field, text);
}

/// The tag and length of a field whose bytes follow.
template <typename Field>
std::string head_of(Field field, uint64_t length) {
  std::string head;
  protozero::add_varint_to_buffer(&head, static_cast<Tag>(field) << 3U | uint32_t(protozero::pbf_wire_type::length_delimited));
  protozero::add_varint_to_buffer(&head, length);
  return head;
}

std::string entry_text(const std::string& key, const std::string& value) {
  std::string text;
  protozero::pbf_builder<EntryField> message(text);
  add_text(message, EntryField::key, key);
  add_text(message, EntryField::value, value);
  return text;
}

void add_sizes_and_type(protozero::pbf_builder<TensorField>& message, const TensorData& data) {
  for (const int64_t size : data.dims) message.add_int64(TensorField::dims, size);
  message.add_int32(TensorField::data_type, static_cast<int32_t>(data.type));
}

/// Of an attribute, which is small: the bytes are copied into the text.
std::string tensor_text(const TensorData& data) {
  std::string text;
  protozero::pbf_builder<TensorField> message(text);
  add_sizes_and_type(message, data);
  const auto bytes = bytes_of(data);
  message.add_bytes(TensorField::raw_data, reinterpret_cast<const char*>(bytes.data()), bytes.size());
  return text;
}

void add_value(protozero::pbf_builder<AttributeField>& message, const Attribute& attribute) {
  // The number of AttributeProto.AttributeType stands last.
  const auto finish = [&](int32_t type) { message.add_enum(AttributeField::type, type); };
  if (const auto* f = std::get_if<float>(&attribute.value)) {
    message.add_float(AttributeField::f, *f);
    finish(1);
  } else if (const auto* i = std::get_if<int64_t>(&attribute.value)) {
    message.add_int64(AttributeField::i, *i);
    finish(2);
  } else if (const auto* s = std::get_if<std::string>(&attribute.value)) {
    add_text(message, AttributeField::s, *s);
    finish(3);
  } else if (const auto* t = std::get_if<TensorData>(&attribute.value)) {
    message.add_message(AttributeField::t, tensor_text(*t));
    finish(4);
  } else if (const auto* floats = std::get_if<std::vector<float>>(&attribute.value)) {
    for (const float number : *floats) message.add_float(AttributeField::floats, number);
    finish(6);
  } else if (const auto* ints = std::get_if<std::vector<int64_t>>(&attribute.value)) {
    for (const int64_t number : *ints) message.add_int64(AttributeField::ints, number);
    finish(7);
  }
}

std::string attribute_text(const Attribute& attribute) {
  std::string text;
  protozero::pbf_builder<AttributeField> message(text);
  add_text(message, AttributeField::name, attribute.name);
  add_value(message, attribute);
  return text;
}

std::string node_text(const Node& node) {
  std::string text;
  protozero::pbf_builder<NodeField> message(text);
  for (const std::string& input : node.inputs) add_text(message, NodeField::input, input);
  for (const std::string& output : node.outputs) add_text(message, NodeField::output, output);
  add_text(message, NodeField::name, node.name);
  add_text(message, NodeField::op_type, node.op);
  for (const Attribute& attribute : node.attributes) message.add_message(NodeField::attribute, attribute_text(attribute));
  if (!node.domain.empty()) add_text(message, NodeField::domain, node.domain);
  return text;
}

/// Every message is made as text of its own: protozero leaves out empty nested messages, but a shape without sizes is
/// that of a scalar, while no shape is an unknown one.
std::string value_text(const Value& value) {
  std::string shape;
  protozero::pbf_builder<ShapeField> shape_message(shape);
  for (const auto& dim : value.dims) {
    std::string text;
    protozero::pbf_builder<DimensionField> message(text);
    if (const auto* size = std::get_if<int64_t>(&dim)) message.add_int64(DimensionField::dim_value, *size);
    if (const auto* name = std::get_if<std::string>(&dim)) add_text(message, DimensionField::dim_param, *name);
    shape_message.add_message(ShapeField::dim, text);
  }
  std::string tensor;
  protozero::pbf_builder<TensorTypeField> tensor_message(tensor);
  tensor_message.add_int32(TensorTypeField::elem_type, static_cast<int32_t>(value.type));
  tensor_message.add_message(TensorTypeField::shape, shape);
  std::string type;
  protozero::pbf_builder<TypeField>(type).add_message(TypeField::tensor_type, tensor);
  std::string text;
  protozero::pbf_builder<ValueField> message(text);
  add_text(message, ValueField::name, value.name);
  message.add_message(ValueField::type, type);
  return text;
}

/// The initializer as a field of the graph. With a place only the place is named, else the tensor's bytes follow.
Piece initializer_piece(const Initializer& initializer, const std::optional<Place>& place, const std::string& location) {
  std::string text;
  protozero::pbf_builder<TensorField> message(text);
  add_sizes_and_type(message, initializer.data);
  add_text(message, TensorField::name, initializer.name);
  if (place) {
    message.add_message(TensorField::external_data, entry_text("location", location));
    message.add_message(TensorField::external_data, entry_text("offset", std::to_string(place->offset)));
    message.add_message(TensorField::external_data, entry_text("length", std::to_string(place->length)));
    message.add_enum(TensorField::data_location, external_location);
    return {.text = head_of(GraphField::initializer, text.size()) + text};
  }
  const uint64_t length = bytes_of(initializer.data).size();
  text += head_of(TensorField::raw_data, length);
  return {.text = head_of(GraphField::initializer, text.size() + length) + text, .data = &initializer.data};
}

uint64_t size_of(const std::vector<Piece>& pieces) {
  uint64_t size = 0;
  for (const Piece& piece : pieces) size += piece.text.size() + (piece.data == nullptr ? 0 : bytes_of(*piece.data).size());
  return size;
}

using Places = std::vector<std::optional<Place>>;

std::vector<Piece> graph_pieces(const Model& model, const Places& places, const std::string& location) {
  std::vector<Piece> pieces(1);
  protozero::pbf_builder<GraphField> begin(pieces.front().text);
  for (const Node& node : model.nodes) begin.add_message(GraphField::node, node_text(node));
  add_text(begin, GraphField::name, model.graph_name);
  for (std::size_t i = 0; i < model.initializers.size(); ++i) {
    pieces.push_back(initializer_piece(model.initializers[i], places[i], location));
  }
  std::string rest;
  protozero::pbf_builder<GraphField> end(rest);
  for (const Value& input : model.inputs) end.add_message(GraphField::input, value_text(input));
  for (const Value& output : model.outputs) end.add_message(GraphField::output, value_text(output));
  pieces.push_back({.text = rest});
  return pieces;
}

std::string opset_text(const std::string& domain, int64_t version) {
  std::string text;
  protozero::pbf_builder<OpsetField> message(text);
  add_text(message, OpsetField::domain, domain);
  message.add_int64(OpsetField::version, version);
  return text;
}

std::vector<Piece> model_pieces(const Model& model, const Places& places, const std::string& location) {
  std::vector<Piece> pieces = graph_pieces(model, places, location);
  std::string begin;
  protozero::pbf_builder<ModelField> head(begin);
  head.add_int64(ModelField::ir_version, model.ir_version);
  if (!model.producer_name.empty()) add_text(head, ModelField::producer_name, model.producer_name);
  if (!model.producer_version.empty()) add_text(head, ModelField::producer_version, model.producer_version);
  if (!model.doc_string.empty()) add_text(head, ModelField::doc_string, model.doc_string);
  pieces.insert(pieces.begin(), {.text = begin + head_of(ModelField::graph, size_of(pieces))});

  std::string rest;
  protozero::pbf_builder<ModelField> end(rest);
  end.add_message(ModelField::opset_import, opset_text("", model.opset));
  for (const auto& [domain, version] : model.other_opsets)
    end.add_message(ModelField::opset_import, opset_text(domain, version));
  for (const auto& [key, value] : model.metadata) end.add_message(ModelField::metadata_props, entry_text(key, value));
  pieces.push_back({.text = rest});
  return pieces;
}

/// A place for every initializer that moves out of the model, in their order.
Places lay_out(const Model& model, const ExternalData& external) {
  uint64_t total = 0;
  for (const Initializer& initializer : model.initializers) total += bytes_of(initializer.data).size();
  Places places(model.initializers.size());
  if (total <= external.above) return places;
  uint64_t end = 0;
  for (std::size_t i = 0; i < places.size(); ++i) {
    const uint64_t length = bytes_of(model.initializers[i].data).size();
    if (length < external.smallest || length == 0) continue;
    const uint64_t offset = (end + external.alignment - 1) / external.alignment * external.alignment;
    places[i] = Place{.offset = offset, .length = length};
    end = offset + length;
  }
  return places;
}

void write_pieces(const Path& path, const std::vector<Piece>& pieces) {
  PosixFile file = PosixFile::create(path);
  for (const Piece& piece : pieces) {
    file.write(piece.text);
    if (piece.data != nullptr) file.write(bytes_of(*piece.data));
    pulse();
  }
  file.close();
}

void write_data(const Path& path, const Model& model, const Places& places) {
  PosixFile file = PosixFile::create(path);
  uint64_t end = 0;
  for (std::size_t i = 0; i < places.size(); ++i) {
    const std::optional<Place>& place = places[i];
    if (!place) continue;
    file.write(std::string(place->offset - end, '\0'));
    file.write(bytes_of(model.initializers[i].data));
    end = place->offset + place->length;
    pulse();
  }
  file.close();
}

void remove_file(const Path& path) {
  std::error_code error;
  std::filesystem::remove(path, error);
  if (error) throw_system_error("remove", path, error.value());
}

}  // namespace

std::vector<Path> write_model(const Model& model, const Path& path, const ExternalData& external) try {
  check_model(model);
  Path data = path;
  data += ".data";
  const Places places = lay_out(model, external);
  const bool beside = std::ranges::any_of(places, [](const auto& place) { return place.has_value(); });
  const std::vector<Piece> pieces = model_pieces(model, places, data.filename().string());
  if (const uint64_t size = size_of(pieces); size > largest_message) {
    throw BadInput("it would take " + std::to_string(size) +
                   " bytes, and an ONNX file can have 2147483647; let its weights go into a data file beside it");
  }
  bool data_is_new = false;
  try {
    write_atomically(path, [&](const Path& part) {
      write_pieces(part, pieces);
      if (!beside) return;
      write_atomically(data, [&](const Path& data_part) {
        write_data(data_part, model, places);
        remove_file(path);
      });
      data_is_new = true;
    });
  } catch (...) {  // weights without their model are of no use to anybody
    std::error_code ignored;
    if (data_is_new) std::filesystem::remove(data, ignored);
    throw;
  }
  return beside ? std::vector{path, data} : std::vector{path};
} catch (const BadInput& error) {
  throw BadInput("cannot write " + path.string() + ": " + error.what());
}

}  // namespace eidolon::onnx
