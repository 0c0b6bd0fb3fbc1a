# Language level, warnings, sanitizers and where outputs go: the same for every target.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_CXX_SCAN_FOR_MODULES OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/bin")

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "" FORCE)
endif()

# Every bit of a computation has to be the same on every x86-64 machine that runs the binary, so
# nothing may contract a * b + c behind our back and nothing may be tuned to the building machine.
add_compile_options(-ffp-contract=off)

# Debug information and __FILE__ name files from the repository root: builds in two checkouts give
# the same bytes, and share compiler-cache hits.
add_compile_options("-ffile-prefix-map=${PROJECT_SOURCE_DIR}=.")

find_package(Threads REQUIRED)

add_library(reprise_warnings INTERFACE)
# GCC has to be told of -Wsign-conversion, which clang counts into -Wconversion.
target_compile_options(reprise_warnings INTERFACE
  -Wall -Wextra -Wshadow -Wconversion -Wsign-conversion -Wnon-virtual-dtor -Wundef
  $<$<BOOL:${REPRISE_WERROR}>:-Werror>)

if(REPRISE_SANITIZE)
  add_compile_options(-fsanitize=${REPRISE_SANITIZE} -fno-sanitize-recover=all
                      -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${REPRISE_SANITIZE})
endif()
