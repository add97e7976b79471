# eidolon_test(NAME SOURCES a_test.cpp ... USES folders [RANKS 1 2 4] [LABELS ...] [TIMEOUT seconds] [LINKS targets]
#              [ON_DEVICE [DEVICE_ONLY]])
#
# One GoogleTest program per call. With RANKS it is registered once per rank count as NAME.<n>ranks and started by mpirun;
# a failing rank fails the test (tests/mpi_main.cpp). tests/places.h says where fixtures and real weights lie. With ON_DEVICE
# it is registered a second time as NAME.standin, whose tensors lie on the stand-in accelerator (tests/device), on the most
# ranks; with DEVICE_ONLY it is registered as that alone, as NAME.standin.<n>ranks for each rank count, and each rank has a
# device of its own.
#
# The label `quick` marks the tests that scripts/test also runs under the sanitizers; the target quick_tests builds them.
find_package(GTest REQUIRED)
add_custom_target(quick_tests)
add_library(test_places OBJECT ${CMAKE_SOURCE_DIR}/tests/places.cpp)
target_compile_definitions(test_places PRIVATE EIDOLON_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
target_include_directories(test_places PRIVATE ${CMAKE_SOURCE_DIR})

function(eidolon_test name)
  cmake_parse_arguments(ARG "ON_DEVICE;DEVICE_ONLY" "TIMEOUT" "SOURCES;USES;RANKS;LABELS;LINKS" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  if(EIDOLON_SANITIZE)
    math(EXPR ARG_TIMEOUT "3 * ${ARG_TIMEOUT}")
  endif()
  list(TRANSFORM ARG_USES PREPEND eidolon_)
  if(ARG_RANKS)
    add_executable(${name} ${ARG_SOURCES} ${CMAKE_SOURCE_DIR}/tests/mpi_main.cpp)
    target_link_libraries(${name} PRIVATE ${ARG_USES} test_places GTest::gtest MPI::MPI_C ${ARG_LINKS})
  else()
    add_executable(${name} ${ARG_SOURCES})
    target_link_libraries(${name} PRIVATE ${ARG_USES} test_places GTest::gtest GTest::gtest_main ${ARG_LINKS})
  endif()
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR} ${CMAKE_SOURCE_DIR}/src)
  target_precompile_headers(${name} REUSE_FROM eidolon_precompiled)
  eidolon_warnings(${name})
  # Tests are compiled once and run for seconds: full optimisation costs more than it gives back. The precompiled header rules
  # out none at all, and with so little GCC 12 sees uninitialised members where there are none.
  target_compile_options(${name} PRIVATE "$<$<CONFIG:Release>:-O1;-Wno-maybe-uninitialized>")
  if(ARG_ON_DEVICE)
    target_sources(${name} PRIVATE $<TARGET_OBJECTS:standin_accelerator>)
  endif()
  if("quick" IN_LIST ARG_LABELS)
    add_dependencies(quick_tests ${name})
  endif()

  set(environment OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMP_NUM_THREADS=1
      OMPI_MCA_mpi_yield_when_idle=1 OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_btl_base_warn_component_unused=0
      ${EIDOLON_SANITIZER_ENVIRONMENT})
  if(ARG_RANKS AND NOT ARG_DEVICE_ONLY)
    foreach(ranks ${ARG_RANKS})
      set(test ${name}.${ranks}ranks)
      add_test(NAME ${test}
               COMMAND ${MPIEXEC_EXECUTABLE} --bind-to none ${MPIEXEC_NUMPROC_FLAG} ${ranks} $<TARGET_FILE:${name}>)
      set_tests_properties(${test} PROPERTIES LABELS "mpi;${ARG_LABELS}" TIMEOUT ${ARG_TIMEOUT} PROCESSORS ${ranks}
                           ENVIRONMENT "${environment}")
    endforeach()
  elseif(NOT ARG_DEVICE_ONLY)
    add_test(NAME ${name} COMMAND ${name})
    set_tests_properties(${name} PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT ${ARG_TIMEOUT} ENVIRONMENT "${environment}")
  endif()

  if(ARG_ON_DEVICE AND ARG_RANKS)
    set(rank_counts ${ARG_RANKS})
    if(NOT ARG_DEVICE_ONLY)
      list(GET ARG_RANKS -1 rank_counts)
    endif()
    foreach(ranks ${rank_counts})
      set(test ${name}.standin)
      set(devices 1)
      if(ARG_DEVICE_ONLY)
        set(test ${name}.standin.${ranks}ranks)
        set(devices ${ranks})
      endif()
      add_test(NAME ${test} COMMAND ${MPIEXEC_EXECUTABLE} --bind-to none ${MPIEXEC_NUMPROC_FLAG} ${ranks} $<TARGET_FILE:${name}>)
      set_tests_properties(${test} PROPERTIES LABELS "device;${ARG_LABELS}" TIMEOUT ${ARG_TIMEOUT} PROCESSORS ${ranks}
                           ENVIRONMENT "${environment};EIDOLON_TEST_DEVICE=standin;EIDOLON_STANDIN_DEVICES=${devices}")
    endforeach()
  elseif(ARG_ON_DEVICE)
    add_test(NAME ${name}.standin COMMAND ${name})
    set_tests_properties(${name}.standin PROPERTIES LABELS "device;${ARG_LABELS}" TIMEOUT ${ARG_TIMEOUT}
                         ENVIRONMENT "${environment};EIDOLON_TEST_DEVICE=standin")
  endif()
endfunction()
