# The kinds of target there are.

# reprise_room(NAME SOURCES a.cpp... [DEPENDS room...] [LIBS lib...] [PUBLIC_LIBS lib...] [TORCH])
# A static library. DEPENDS are rooms its headers use. LIBS are foreign libraries that its .cpp
# files alone include; PUBLIC_LIBS also appear in its headers. Includes start at the repository root.
# TORCH, here and below: uses LibTorch, with the shared precompiled header.
function(reprise_room name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "TORCH" "" "SOURCES;DEPENDS;LIBS;PUBLIC_LIBS")
  reprise_check_arguments(reprise_room ${name})
  add_library(${name} STATIC ${arg_SOURCES})
  target_include_directories(${name} PUBLIC "${PROJECT_SOURCE_DIR}")
  target_link_libraries(${name}
    PUBLIC ${arg_DEPENDS} ${arg_PUBLIC_LIBS} Threads::Threads
    PRIVATE ${arg_LIBS} $<BUILD_INTERFACE:reprise_warnings>)
  if(arg_TORCH)
    reprise_use_torch(${name} PUBLIC)
  endif()
endfunction()

# reprise_binary(NAME SOURCES a.cpp... DEPENDS room... [LIBS lib...] [TORCH])
# A program in build/<preset>/bin, installed as reprise-NAME.
function(reprise_binary name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "TORCH" "" "SOURCES;DEPENDS;LIBS")
  reprise_check_arguments(reprise_binary ${name})
  add_executable(${name} ${arg_SOURCES})
  target_include_directories(${name} PRIVATE "${PROJECT_SOURCE_DIR}")
  target_link_libraries(${name} PRIVATE ${arg_DEPENDS} ${arg_LIBS} reprise_warnings)
  if(arg_TORCH)
    reprise_use_torch(${name} PRIVATE)
  endif()
  install(PROGRAMS "$<TARGET_FILE:${name}>" DESTINATION "${CMAKE_INSTALL_BINDIR}"
          RENAME "reprise-${name}")
endfunction()

# reprise_test(NAME SOURCES a.cpp... DEPENDS room... [LIBS lib...] [LABELS label...]
#              [TIMEOUT seconds] [BINARIES program...] [TOGETHER] [TORCH])
# A GoogleTest program. Each TEST becomes a CTest of its own, or with TOGETHER the whole program is
# one CTest: use that where starting costs more than testing (LibTorch: half a second).
# BINARIES are programs under test, built before and passed as REPRISE_BIN_<NAME> definitions.
# LABELS: unit (default), interop, cli, slow, gpu.
function(reprise_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "TOGETHER;TORCH" "TIMEOUT"
                        "SOURCES;DEPENDS;LIBS;LABELS;BINARIES")
  reprise_check_arguments(reprise_test ${name})
  if(NOT BUILD_TESTING)
    return()
  endif()
  if(NOT arg_LABELS)
    set(arg_LABELS unit)
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 120)
  endif()
  add_executable(${name} ${arg_SOURCES})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/tests")
  target_include_directories(${name} PRIVATE "${PROJECT_SOURCE_DIR}")
  target_compile_definitions(${name} PRIVATE
    REPRISE_SOURCE_DIR="${PROJECT_SOURCE_DIR}" REPRISE_SHARED_DIR="${REPRISE_SHARED_DIR}"
    REPRISE_PYTHON="${REPRISE_PYTHON}")
  foreach(binary IN LISTS arg_BINARIES)
    string(TOUPPER ${binary} upper)
    add_dependencies(${name} ${binary})
    target_compile_definitions(${name} PRIVATE "REPRISE_BIN_${upper}=\"$<TARGET_FILE:${binary}>\"")
  endforeach()
  target_link_libraries(${name} PRIVATE ${arg_DEPENDS} ${arg_LIBS} GTest::gmock GTest::gtest_main
                        reprise_warnings)
  if(arg_TORCH)
    reprise_use_torch(${name} PRIVATE)
  endif()
  if(arg_TOGETHER)
    add_test(NAME ${name} COMMAND ${name})
    set_tests_properties(${name} PROPERTIES LABELS "${arg_LABELS}" TIMEOUT ${arg_TIMEOUT})
  else()
    # gtest_discover_tests cannot carry a list as a property: labels are set when CTest reads them.
    gtest_discover_tests(${name} TEST_PREFIX "${name}." TEST_LIST ${name}_list DISCOVERY_TIMEOUT 60
      PROPERTIES TIMEOUT ${arg_TIMEOUT})
    set(labels_script "${CMAKE_CURRENT_BINARY_DIR}/${name}_labels.cmake")
    file(CONFIGURE OUTPUT "${labels_script}" @ONLY CONTENT
      "set_tests_properties(\${@name@_list} PROPERTIES LABELS \"@arg_LABELS@\")\n")
    set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES "${labels_script}")
  endif()
endfunction()

# reprise_fuzz_target(NAME DEPENDS room...)
# tests/fuzz/NAME.cpp, which defines LLVMFuzzerTestOneInput. With REPRISE_FUZZ a libFuzzer program,
# bin/fuzz_NAME; without, a CTest that runs it over tests/fuzz/seeds/NAME: what fuzzing has found
# is put there and stays found.
function(reprise_fuzz_target name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "DEPENDS")
  reprise_check_arguments(reprise_fuzz_target ${name})
  add_executable(fuzz_${name} ${name}.cpp)
  target_include_directories(fuzz_${name} PRIVATE "${PROJECT_SOURCE_DIR}")
  target_link_libraries(fuzz_${name} PRIVATE ${arg_DEPENDS} reprise_warnings)
  if(REPRISE_FUZZ)
    target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
  else()
    target_sources(fuzz_${name} PRIVATE replay.cpp)
    set_target_properties(fuzz_${name} PROPERTIES
      RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/tests")
    add_test(NAME fuzz_seeds.${name}
      COMMAND fuzz_${name} "${CMAKE_CURRENT_SOURCE_DIR}/seeds/${name}")
    set_tests_properties(fuzz_seeds.${name} PROPERTIES LABELS unit TIMEOUT 120)
  endif()
endfunction()

# A misspelt keyword would otherwise join the list before it or vanish.
macro(reprise_check_arguments function target)
  if(arg_UNPARSED_ARGUMENTS OR arg_KEYWORDS_MISSING_VALUES)
    message(FATAL_ERROR "${function}(${target}): unknown '${arg_UNPARSED_ARGUMENTS}', "
                        "or no value for '${arg_KEYWORDS_MISSING_VALUES}'")
  endif()
endmacro()
