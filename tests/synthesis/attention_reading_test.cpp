#include "synthesis/attention_reading.h"
#include "tests/places.h"

#include <array>
#include <map>

#include "tests/synthesis/small_teacher.h"

namespace eidolon {
namespace {

using testing::largest_difference;

constexpr int64_t batch = 2;

struct Pass {
  Network network;
  std::vector<AttentionReading> readings;
  std::map<NodeId, Tensor> nodes;
};

/// Windows of 4 x 4 in grids of 16, 8 and 4 tokens a side, every second block shifted.
Pass pass_of_swin() {
  Pass pass{
      .network = read_teacher(testing::test_data() / "model" / "families" / "timm_swin").model, .readings = {}, .nodes = {}};
  at::manual_seed(6);
  const AttentionParts all{.class_row = true, .query_and_key = true, .output = true};
  const Tap reading = reading_tap(pass.network, all, batch, pass.readings);
  const at::NoGradGuard no_gradients;
  forward(pass.network, at::randn({batch, 3, 32, 32}), [&](NodeId node, const Tensor& tensor) {
    pass.nodes[node] = tensor;
    return reading(node, tensor);
  });
  return pass;
}

/// Where token `place` of window `window` lies in the grid that was not rolled, row major.
int64_t place_in_grid(const Attention& attention, int64_t window, int64_t place) {
  const int64_t side = attention.windows.side, across = attention.grid / side;
  const int64_t row = window / across * side + place / side, column = window % across * side + place % side;
  return (row + attention.windows.shift) % attention.grid * attention.grid +
         (column + attention.windows.shift) % attention.grid;
}

/// Two tokens of a window see each other unless the roll brought them together: one is of the rows (or columns) that were
/// rolled around, the other is not.
bool see_each_other(const Attention& attention, int64_t window, int64_t a, int64_t b) {
  const auto rolled_around = [&](int64_t place) {
    const int64_t at = place_in_grid(attention, window, place), shift = attention.windows.shift;
    return std::array<bool, 2>{at / attention.grid < shift, at % attention.grid < shift};
  };
  return rolled_around(a) == rolled_around(b);
}

TEST(AttentionReading, OfATokenInWindowsIsTheMeanOverTheQueriesThatSeeIt) {
  const Pass pass = pass_of_swin();
  int64_t shifted = 0;
  for (size_t i = 0; i < pass.readings.size(); ++i) {
    const Attention& attention = pass.network.plan->attention[i];
    shifted += attention.windows.shift > 0 ? 1 : 0;
    const int64_t windows = attention.window_count(), tokens = attention.windows.side * attention.windows.side;
    const Tensor shown = pass.nodes.at(attention.probabilities).view({batch, windows, attention.heads, tokens, tokens});
    Tensor expected = at::zeros({batch, attention.heads, attention.grid * attention.grid});
    for (int64_t window = 0; window < windows; ++window) {
      for (int64_t key = 0; key < tokens; ++key) {
        Tensor sum = at::zeros({batch, attention.heads});
        int64_t queries = 0;
        for (int64_t query = 0; query < tokens; ++query) {
          if (!see_each_other(attention, window, query, key)) continue;
          sum += shown.select(1, window).select(2, query).select(2, key);
          ++queries;
        }
        expected.select(2, place_in_grid(attention, window, key)).copy_(sum / queries);
      }
    }
    EXPECT_LT(largest_difference(pass.readings[i].class_row, expected), 1e-6) << i;
  }
  EXPECT_EQ(pass.readings.size(), 6U);
  EXPECT_EQ(shifted, 2);  // the last grid is one window
}

TEST(AttentionReading, OfOutputsInWindowsIsWhatEachWindowsTokensGaveToTheProjection) {
  const Pass pass = pass_of_swin();
  for (size_t i = 0; i < pass.readings.size(); ++i) {
    const Attention& attention = pass.network.plan->attention[i];
    const Tensor whole = pass.nodes.at(pass.network.plan->products[attention.proj].input);
    const Tensor& reading = pass.readings[i].output;
    for (int64_t window = 0; window < attention.window_count(); ++window) {
      for (int64_t place = 0; place < attention.windows.side * attention.windows.side; ++place) {
        const Tensor found = reading.select(1, window).select(1, place).flatten(1);
        ASSERT_TRUE(at::equal(found, whole.select(1, place_in_grid(attention, window, place)))) << i << ' ' << window;
      }
    }
  }
}

TEST(AttentionReading, OfQueriesAndKeysInWindowsIsOneSetPerWindow) {
  const Pass pass = pass_of_swin();
  for (size_t i = 0; i < pass.readings.size(); ++i) {
    const Attention& attention = pass.network.plan->attention[i];
    EXPECT_TRUE(at::equal(pass.readings[i].query.flatten(0, 1), pass.nodes.at(attention.query))) << i;
    EXPECT_TRUE(at::equal(pass.readings[i].key.flatten(0, 1), pass.nodes.at(attention.key))) << i;
    EXPECT_EQ(pass.readings[i].query.size(1), attention.window_count());
  }
}

void expect_places_of_moderate_maps(const char* family) {
  SCOPED_TRACE(family);
  const auto folder = testing::test_data() / "model" / "families" / family;
  const Network network = read_teacher(folder).model.to(test_device(), at::kFloat);
  const Plan& plan = *network.plan;
  const std::vector<NodeId> nodes = map_nodes(plan);
  ASSERT_FALSE(nodes.empty());
  at::manual_seed(2);
  const Tensor images = at::randn({3, plan.channels, plan.image_size, plan.image_size}).to(test_device());
  std::vector<AttentionReading> readings;
  forward(network, images, reading_tap(network, {.output = true}, 2, readings));
  ASSERT_EQ(readings.size(), nodes.size());
  const std::vector<Tensor> sections = forward_outputs(network, images);
  for (size_t i = 0; i < nodes.size(); ++i) {
    const Tensor maps = sections[static_cast<size_t>(plan[nodes[i]].section) - 1].narrow(0, 0, 2);
    const int64_t places = maps.size(2) * maps.size(3);
    EXPECT_GE(places, 9);
    EXPECT_LE(places, 400);
    ASSERT_EQ(readings[i].output.sizes(), (std::vector<int64_t>{2, places, 1, maps.size(1)}));
    for (int64_t place = 0; place < places; ++place) {
      const Tensor expected = maps.select(2, place / maps.size(3)).select(2, place % maps.size(3));
      EXPECT_TRUE(at::equal(readings[i].output.select(1, place).squeeze(1), expected));
    }
  }
}

/// A ResNet of 64 x 64 pixels has maps of 16, 8, 4 and 2 places a side behind its blocks. One for CIFAR ends in maps of 8 x 8,
/// which its head pools before it multiplies.
TEST(MapReading, ShowsThePlacesOfModerateMapsWhereThereIsNoAttention) {
  expect_places_of_moderate_maps("timm_resnet_basic");
  expect_places_of_moderate_maps("cifar_resnet");
}

}  // namespace
}  // namespace eidolon
