// What the terms of synthesis read in the teacher's attention, or in the maps of a network without any. The one file of
// synthesis that asks for nodes of the network.
#pragma once

#include <vector>

#include "model/network.h"

namespace eidolon {

/// Which parts of each attention are read. Nothing else is kept of the B x H x N x N probabilities.
struct AttentionParts {
  bool class_row = false;
  bool query_and_key = false;
  bool output = false;

  bool any() const { return class_row || query_and_key || output; }
};

AttentionParts operator|(const AttentionParts& a, const AttentionParts& b);

/// What one attention showed of B images; only the parts that were asked for are defined. N tokens, of which P patches. Within
/// W windows each has its own N tokens, all of them patches.
struct AttentionReading {
  Tensor class_row;   ///< B x H x N, the probabilities of the first token's query; without prefix tokens the mean over queries;
                      ///< within windows B x H x S S, the mean over the queries that see the token
  Tensor query, key;  ///< B x H x P x D/H, of the patches; within windows B x W x H x N x D/H
  Tensor output;      ///< B x P x H x D/H, of the patches, head by head; within windows B x W x N x H x D/H; of maps B x P x
                      ///< 1 x D, their places
};

/// The nodes at which sections of convolutions are given maps of a moderate number of places: what stands for the heads'
/// outputs in a network without attention.
std::vector<NodeId> map_nodes(const Plan& plan);

/// A Tap that fills `readings`, one entry per attention of the network or, without any, per map_nodes(), from the first
/// `images` images of the batch. Both must outlive it. Empty where no part is asked for.
Tap reading_tap(const Network& network, const AttentionParts& parts, int64_t images, std::vector<AttentionReading>& readings);

}  // namespace eidolon
