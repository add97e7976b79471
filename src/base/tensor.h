// The narrow set of LibTorch headers that the program is written against. It is also the precompiled header: including
// torch/torch.h instead triples the compile time of a file.
#pragma once

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/variable.h>

#include <map>
#include <string>

namespace eidolon {

using at::Tensor;

/// Tensors by name, in the order of their names (so that every rank walks them alike).
using TensorMap = std::map<std::string, Tensor>;

}  // namespace eidolon
