// Which way to round: a descent over the roundings of a row of weights, after "Wqer" of ERQ (Zhong et al., ICML 2024, arXiv
// 2407.06794) and AdaRound's quadratic form (Nagel et al., ICML 2020, arXiv 2004.10568).
#pragma once

#include "base/tensor.h"

namespace eidolon {

/// Every weight may go to the nearest or to the second nearest value of its row's grid. The result minimises d^T metric d, with
/// d = rounded - weight, as far as changes of single weights can: it is no larger than for the nearest values. The search of a
/// row ends after 8 n changes at the latest. Rows are independent; ties go to the lower column.
///  weight: m x n in steps of the row's grid; lowest, highest: m, the grid's ends; metric: n x n, positive semidefinite.
///  All float64. Returns the grid indices, float64 m x n holding integers, on weight's device.
Tensor refined_indices(const Tensor& weight, const Tensor& lowest, const Tensor& highest, const Tensor& metric);

}  // namespace eidolon
