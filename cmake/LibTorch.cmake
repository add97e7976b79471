# LibTorch as one imported target, `torch::torch`, made from the folders of the PyPI wheel (or a site's own LibTorch).
#
# find_package(Torch) is not used: the wheel's configuration insists on a CUDA toolkit with nvcc, while linking against the
# wheel needs none, since the CUDA runtime headers come with it (nvidia/cu13/include).
if(NOT EXISTS "${EIDOLON_TORCH_ROOT}/lib/libtorch_cpu.so")
  message(FATAL_ERROR "LibTorch is not at EIDOLON_TORCH_ROOT='${EIDOLON_TORCH_ROOT}'. Run scripts/setup and build with "
                      "scripts/build, or pass -DEIDOLON_TORCH_ROOT=<folder with include/ and lib/>.")
endif()

file(READ "${EIDOLON_TORCH_ROOT}/include/torch/headeronly/version.h" version_text)
foreach(part MAJOR MINOR PATCH)
  string(REGEX MATCH "define TORCH_VERSION_${part} ([0-9]+)" line "${version_text}")
  list(APPEND version_parts ${CMAKE_MATCH_1})
endforeach()
list(JOIN version_parts "." EIDOLON_TORCH_VERSION)
if(NOT EIDOLON_TORCH_VERSION VERSION_EQUAL 2.11.0)
  message(WARNING "LibTorch ${EIDOLON_TORCH_VERSION} found; Eidolon is built and tested against 2.11.0.")
endif()

get_filename_component(EIDOLON_SITE_PACKAGES "${EIDOLON_TORCH_ROOT}" DIRECTORY)
set(EIDOLON_CUDA_INCLUDE "${EIDOLON_SITE_PACKAGES}/nvidia/cu13/include" CACHE PATH "CUDA runtime headers")

add_library(torch::torch INTERFACE IMPORTED GLOBAL)
target_include_directories(torch::torch SYSTEM INTERFACE
  ${EIDOLON_TORCH_ROOT}/include ${EIDOLON_TORCH_ROOT}/include/torch/csrc/api/include)
target_link_directories(torch::torch INTERFACE ${EIDOLON_TORCH_ROOT}/lib)
target_link_options(torch::torch INTERFACE "LINKER:-rpath,${EIDOLON_TORCH_ROOT}/lib")
target_link_libraries(torch::torch INTERFACE torch_cpu c10)

# The CUDA half registers its kernels when it is loaded, so it must be linked although no symbol of it may be used.
if(EXISTS "${EIDOLON_TORCH_ROOT}/lib/libtorch_cuda.so" AND EXISTS "${EIDOLON_CUDA_INCLUDE}/cuda_runtime_api.h"
   AND EXISTS "${EIDOLON_CUDA_INCLUDE}/crt/host_defines.h")
  set(EIDOLON_WITH_CUDA ON)
  target_include_directories(torch::torch SYSTEM INTERFACE ${EIDOLON_CUDA_INCLUDE})
  target_link_libraries(torch::torch INTERFACE "-Wl,--push-state,--no-as-needed" torch_cuda c10_cuda "-Wl,--pop-state")
else()
  set(EIDOLON_WITH_CUDA OFF)
endif()
message(STATUS "LibTorch ${EIDOLON_TORCH_VERSION} (CUDA: ${EIDOLON_WITH_CUDA}): ${EIDOLON_TORCH_ROOT}")
