# SPDX-License-Identifier: Apache-2.0
# A room is a target whose include root holds that room alone, so that including a room it does not link to does
# not compile. The root is a folder in the build tree with one link: <build>/rooms/<target>/<path> -> <source>/<path>.

# -Wno-restrict: GCC 12 sees overlaps in std::string + that are not there (its bug 105651).
set(FLETCH_WARNINGS -Wall -Wextra -Werror -Wno-unused-parameter -ffp-contract=off)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  list(APPEND FLETCH_WARNINGS -Wno-restrict)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  list(APPEND FLETCH_WARNINGS -Wthread-safety)
endif()
if(FLETCH_SANITIZE)
  add_compile_options(-fsanitize=${FLETCH_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${FLETCH_SANITIZE})
endif()

# fletch_room(<target> <path> SOURCES … DEPS …): the library of one room, <path> relative to the project's root.
function(fletch_room target path)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS;PRIVATE_DEPS" ${ARGN})
  set(root ${CMAKE_BINARY_DIR}/rooms/${target})
  get_filename_component(parent ${root}/${path} DIRECTORY)
  file(MAKE_DIRECTORY ${parent})
  file(CREATE_LINK ${CMAKE_SOURCE_DIR}/${path} ${root}/${path} SYMBOLIC)
  add_library(${target} STATIC ${ARG_SOURCES})
  target_include_directories(${target} PUBLIC ${root})
  target_compile_options(${target} PRIVATE ${FLETCH_WARNINGS})
  target_link_libraries(${target} PUBLIC ${ARG_DEPS} PRIVATE ${ARG_PRIVATE_DEPS})
endfunction()

# fletch_test(<name> SOURCES … DEPS … [LABELS …]): a GoogleTest program run by ctest.
function(fletch_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS;LABELS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  target_compile_options(${name} PRIVATE ${FLETCH_WARNINGS})
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} GTest::gtest GTest::gmock GTest::gtest_main)
  add_test(NAME ${name} COMMAND ${name})
  set(seconds 120)
  if(FLETCH_SANITIZE)
    set(seconds 300)  # the slowest take over a minute there on an idle machine
  endif()
  set_tests_properties(${name} PROPERTIES TIMEOUT ${seconds} LABELS "unit;${ARG_LABELS}")
endfunction()
