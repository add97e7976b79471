#include "exporting/library_folders.h"

#include <nlohmann/json.hpp>
#include <string>

#include "exporting/compressed_tensors.h"
#include "exporting/model_card.h"
#include "exporting/torch_tensors.h"
#include "storage/atomic_file.h"
#include "storage/safetensors.h"

namespace eidolon {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

constexpr const char* load_student =
#include "load_student.inc"
    ;

void write_json(const fs::path& file, const ordered_json& json) {
  constexpr int indent = 2;
  write_text_atomically(file, json.dump(indent, ' ', false, ordered_json::error_handler_t::replace) + "\n");
}

PublishedFolder published(const Deployment& deployment, const ExportFacts& facts) {
  return published_folder(facts.teacher_config, deployment.plan->output.size, facts.preprocessing);
}

struct Content {
  const PublishedFolder& model;
  const TensorMap& tensors;
  std::string card;
};

void write_model(const fs::path& folder, const Content& content) {
  write_safetensors(folder / "model.safetensors", content.tensors, {{"format", "pt"}});  // transformers asks for this entry
  write_json(folder / "config.json", content.model.config);
  if (!content.model.processor.is_null()) write_json(folder / "preprocessor_config.json", content.model.processor);
  write_text_atomically(folder / "README.md", content.card);
}

CardText compressed_card(const ExportFacts& facts, const PublishedFolder& model) {
  const std::string format = model.config["quantization_config"]["format"], dtype = model.config["dtype"];
  CardText text;
  text.title = model.architecture + ", " + facts.recipe + ", for compressed-tensors";
  text.library = "transformers";
  text.tags = {"compressed-tensors"};
  text.what = "The linear layers of this vision transformer hold integers or small floating-point numbers in the format `" +
              format +
              "` of [compressed-tensors](https://github.com/vllm-project/compressed-tensors). Norms, biases and embeddings are "
              "float32. The embedding of the image is a convolution, which the package leaves alone: it has the values of its "
              "quantized weights in float32.";
  text.load =
      "```python\nfrom transformers import AutoModelForImageClassification\n\n"
      "model = AutoModelForImageClassification.from_pretrained(\"THIS FOLDER\")\n```\n\nThis needs `compressed-tensors` 0.20" +
      std::string(model.library == "timm" ? " and `timm`" : "") + ", and images in " + dtype +
      ". The package multiplies in floating point with the values of the weights and rounds inputs as `config.json` says.\n";
  if (format.starts_with("mxfp"))
    text.load +=
        "\nIt rounds the scale of an input's block up where the largest value is near the next power of two. The figures "
        "above are those of OCP MX 1.0, where scales are rounded down.\n";
  return text;
}

CardText torch_card(const ExportFacts& facts, const PublishedFolder& model) {
  CardText text;
  text.title = model.architecture + ", " + facts.recipe + ", as float32";
  text.library = model.library;
  text.tags = {"fake-quantized"};
  text.what =
      "**fake = true: these weights are float32.** They hold the values of the quantized weights, so that the network can be "
      "run, examined and trained on where integers cannot be read. Nothing is smaller or faster than the teacher. The network "
      "alone is the student with its inputs unrounded; `load_student.py` rounds them as `activations.json` says.";
  const std::string loading =
      model.library == "timm"
          ? "config = json.load(open(\"config.json\"))\nmodel = timm.create_model(config[\"architecture\"], "
            "num_classes=config[\"num_classes\"],\n                          **config.get(\"model_args\", "
            "{}))\nmodel.load_state_dict(safetensors.torch.load_file(\"model.safetensors\"))\n"
          : "model = transformers.AutoModelForImageClassification.from_pretrained(\"THIS FOLDER\")\n";
  text.load = "```python\n" + loading + "```\n\nWith rounded inputs, and top-1 of a folder of labelled images:\n\n" +
              "```\npython load_student.py IMAGES [CLASSES]\n```\n";
  return text;
}

}  // namespace

void check_compressed_folder(const Deployment& deployment, const ExportFacts& facts) {
  compression_config(deployment, published(deployment, facts));
}

void write_compressed_folder(const Deployment& deployment, const ExportFacts& facts, const fs::path& folder) {
  PublishedFolder model = published(deployment, facts);
  model.config["quantization_config"] = compression_config(deployment, model);
  if (decompresses_to_bfloat16(deployment)) model.config["dtype"] = "bfloat16";
  write_model(folder, {.model = model,
                       .tensors = compressed_tensors(deployment, model),
                       .card = model_card(facts, model, compressed_card(facts, model))});
}

void write_torch_folder(const Deployment& deployment, const ExportFacts& facts, const fs::path& folder) {
  const PublishedFolder model = published(deployment, facts);
  write_model(folder, {.model = model,
                       .tensors = torch_tensors(deployment, model),
                       .card = model_card(facts, model, torch_card(facts, model))});
  write_json(folder / "activations.json", rounded_inputs(deployment, model));
  write_text_atomically(folder / "load_student.py", load_student);
}

}  // namespace eidolon
