#include "model/families/vit_places.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "base/error.h"
#include "cluster/log.h"
#include "model/families/position_tables.h"
#include "model/families/required.h"
#include "model/families/vit_parameters.h"
#include "model/shape_text.h"

namespace eidolon {
namespace {

int64_t square_root(int64_t number) {
  return static_cast<int64_t>(std::llround(std::sqrt(static_cast<double>(std::max<int64_t>(number, 0)))));
}

bool is_square(int64_t number) {
  return number > 0 && square_root(number) * square_root(number) == number;
}

/// Where positions stand, and the patches a side that the file has.
struct Positions {
  std::string on = "none";
  int64_t grid = 0;
};

Positions positions_of(const TensorMap& tensors, const VitFacts& f, std::optional<int64_t> stated_grid,
                       const std::string& file) {
  const int64_t rows = required(tensors, "pos_embed", 3, file).size(1), prefix = f.class_tokens + f.registers;
  // Of small grids both may be squares; then the grid that the config states decides.
  if (stated_grid && rows == *stated_grid * *stated_grid && prefix > 0) return {"patches", *stated_grid};
  if (is_square(rows - prefix)) return {"all", square_root(rows - prefix)};
  if (is_square(rows)) return {"patches", square_root(rows)};
  throw BadInput(file + ": pos_embed has " + std::to_string(rows) + " tokens, which is not a square grid of patches, with or " +
                 "without the " + std::to_string(prefix) + " token" + (prefix == 1 ? "" : "s") + " in front");
}

/// Meta's and transformers' DINOv2 adds a position to the class token before the registers come in between.
void move_class_position(TensorMap& tensors, const VitFacts& f) {
  const auto positions = tensors.find("pos_embed"), token = tensors.find("cls_token");
  if (f.registers == 0 || f.class_tokens != 1 || positions == tensors.end() || token == tensors.end()) return;
  Tensor& all = positions->second;
  const bool has_class_position = all.dim() == 3 && is_square(all.size(1) - 1) && !is_square(all.size(1)) &&
                                  token->second.sizes() == all.narrow(1, 0, 1).sizes();
  if (!has_class_position) return;
  token->second = token->second + all.narrow(1, 0, 1);
  all = all.narrow(1, 1, all.size(1) - 1).contiguous();
}

/// The image size: the job's, what the config states if its library resamples positions, or what the positions have.
int64_t image_size_of(const ModelConfig& config, const Positions& positions, int64_t patch_size, const std::string& file) {
  if (config.image_size > 0) return config.image_size;
  const auto said = stated(config, "image size");
  if (positions.grid == 0) {
    if (!said) throw BadInput(file + ": no position says how large images are, and no field of config.json");
    return *said;
  }
  if (said && config.resamples_positions) return *said;
  return positions.grid * patch_size;
}

int64_t grid_of(const VitFacts& f) {
  return f.image_size / f.patch_size;
}

/// Of these timm resamples positions without antialiasing (timm/models/vision_transformer.py, checkpoint filters).
bool resamples_otherwise(const std::string& architecture) {
  return architecture.find("flexivit") != std::string::npos || architecture.find("radio") != std::string::npos;
}

/// Brings pos_embed from the file's grid of patches to that of the image size.
void resample_positions(TensorMap& tensors, const ModelConfig& config, int64_t stored_grid, const VitFacts& f,
                        const std::string& file) {
  if (config.library == "timm" && resamples_otherwise(config.architecture)) {
    throw BadInput(file + ": timm resamples the positions of '" + config.architecture +
                   "' by other rules, which are not built; " + "leave teacher.image_size at " +
                   std::to_string(stored_grid * f.patch_size));
  }
  const int64_t grid = grid_of(f), prefix = f.positions == "all" ? f.class_tokens + f.registers : 0;
  tensors["pos_embed"] = resampled_positions(tensors["pos_embed"], prefix, grid, config.antialiases_positions);
  log::info(file + ": positions of " + std::to_string(stored_grid) + " x " + std::to_string(stored_grid) +
            " patches were resampled to " + std::to_string(grid) + " x " + std::to_string(grid));
}

/// The tables of a rotation whose frequencies are learned, and others in every block and head.
void settle_learned_rotation(TensorMap& tensors, const Rotation& rotation, const VitFacts& f, const std::string& file) {
  const int64_t head = f.width / f.heads;
  const Tensor frequencies = required(tensors, "rope.freqs", 4, file);
  if (frequencies.sizes() != at::IntArrayRef{2, f.depth, f.heads, head / 2}) {
    throw BadInput(file + ": 'rope.freqs' has shape " + shape_text(frequencies.sizes()) +
                   ", which is not 2 x blocks x heads x " + std::to_string(head / 2));
  }
  for (int64_t block = 0; block < f.depth; ++block) {
    tensors[block_name(block) + ".attn.rope"] =
        rotation_table(frequencies.select(1, block), rotation.columns_first, grid_of(f));
  }
  tensors.erase("rope.freqs");
}

}  // namespace

void settle_positions(TensorMap& tensors, const ModelConfig& config, const std::string& file, VitFacts& f) {
  move_class_position(tensors, f);
  Positions positions;
  const bool needs_positions = f.rotation == "none" && !f.attention_bias;
  if (needs_positions || tensors.contains("pos_embed")) {
    const auto side = stated(config, "image size");
    positions = positions_of(tensors, f, side ? std::optional(*side / f.patch_size) : std::nullopt, file);
  }
  f.positions = positions.on;
  f.image_size = image_size_of(config, positions, f.patch_size, file);
  if (f.image_size % f.patch_size != 0 || grid_of(f) == 0) {
    throw BadInput(file + ": images of side " + std::to_string(f.image_size) + " do not divide into patches of side " +
                   std::to_string(f.patch_size));
  }
  if (positions.grid != 0 && positions.grid != grid_of(f)) resample_positions(tensors, config, positions.grid, f, file);
}

void settle_rotation(TensorMap& tensors, const Rotation& rotation, const VitFacts& f, const std::string& file) {
  if (f.rotation == "shared by all blocks") tensors["rope"] = rotation_table(rotation, grid_of(f), f.width / f.heads);
  if (f.rotation == "of each block") settle_learned_rotation(tensors, rotation, f, file);
}

void settle_attention_bias(TensorMap& tensors, const VitFacts& f, const std::string& file) {
  if (!f.attention_bias) return;
  const int64_t grid = grid_of(f), rows = (2 * grid - 1) * (2 * grid - 1) + 3;
  for (int64_t block = 0; block < f.depth; ++block) {
    const std::string name = block_name(block) + ".attn.relative_position_bias_table";
    const Tensor table = required(tensors, name, 2, file);
    if (f.class_tokens != 1 || f.registers != 0 || table.size(0) != rows || table.size(1) != f.heads) {
      throw BadInput(file + ": '" + name + "' has shape " + shape_text(table.sizes()) + ", which is not " +
                     std::to_string(rows) + " x " + std::to_string(f.heads) +
                     "; tables for other image sizes are not resampled");
    }
    tensors[block_name(block) + ".attn.bias"] = relative_bias(table, grid, /*class_token=*/true);
    tensors.erase(name);
  }
}

}  // namespace eidolon
