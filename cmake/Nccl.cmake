# NCCL as `nccl::nccl`, from the wheel's nvidia/nccl folder or -DEIDOLON_NCCL_ROOT. Without it (or without CUDA) the program
# is built with cluster/nccl/absent.cpp, which says so when a GPU is asked for.
set(EIDOLON_NCCL_ROOT "${EIDOLON_SITE_PACKAGES}/nvidia/nccl" CACHE PATH "Folder that holds include/nccl.h and lib/libnccl.so*")
file(GLOB nccl_library "${EIDOLON_NCCL_ROOT}/lib/libnccl.so*")
if(EIDOLON_WITH_CUDA AND nccl_library AND EXISTS "${EIDOLON_NCCL_ROOT}/include/nccl.h")
  list(GET nccl_library 0 nccl_library)
  set(EIDOLON_WITH_NCCL ON)
  file(GLOB cuda_runtime "${EIDOLON_SITE_PACKAGES}/nvidia/cu13/lib/libcudart.so*")
  add_library(nccl::nccl INTERFACE IMPORTED GLOBAL)
  target_include_directories(nccl::nccl SYSTEM INTERFACE ${EIDOLON_NCCL_ROOT}/include)
  target_link_libraries(nccl::nccl INTERFACE ${nccl_library} ${cuda_runtime})
  target_link_options(nccl::nccl INTERFACE "LINKER:-rpath,${EIDOLON_NCCL_ROOT}/lib"
                      "LINKER:-rpath,${EIDOLON_SITE_PACKAGES}/nvidia/cu13/lib")
else()
  set(EIDOLON_WITH_NCCL OFF)
endif()
message(STATUS "NCCL: ${EIDOLON_WITH_NCCL}")
