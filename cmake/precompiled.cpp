// Holds the shared precompiled header (src/base/tensor.h); see EidolonLibrary.cmake.
