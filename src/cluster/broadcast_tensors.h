// Broadcast of named tensors from rank 0.
#pragma once

#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "base/tensor.h"
#include "cluster/communicator.h"

namespace eidolon {

/// Collective. Replaces `tensors` on all other ranks by those of rank 0. The names, shapes and dtypes are sent first,
/// so only rank 0 needs to know them. The result is contiguous and on the CPU, on rank 0 too.
inline void broadcast_tensors(TensorMap& tensors, const Communicator& communicator) {
  std::ostringstream header;
  if (communicator.rank() == 0) {
    for (auto& [name, tensor] : tensors) {
      tensor = tensor.detach().cpu().contiguous();
      header << name << '\n' << static_cast<int>(tensor.scalar_type()) << ' ' << tensor.dim();
      for (const int64_t size : tensor.sizes()) header << ' ' << size;
      header << '\n';
    }
  }
  std::istringstream lines(communicator.broadcast_text(header.str()));
  TensorMap received;
  for (std::string name; std::getline(lines, name);) {
    int dtype = 0, dimensions = 0;
    lines >> dtype >> dimensions;
    std::vector<int64_t> shape(static_cast<size_t>(dimensions));
    for (int64_t& size : shape) lines >> size;
    lines.ignore();
    received[name] = communicator.rank() == 0 ? tensors.at(name) : at::empty(shape, static_cast<at::ScalarType>(dtype));
    communicator.broadcast(received[name]);
  }
  tensors = std::move(received);
}

}  // namespace eidolon
