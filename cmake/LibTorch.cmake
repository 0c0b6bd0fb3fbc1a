# LibTorch as imported targets of our own, from the PyPI wheel or an unpacked LibTorch 2.x. The
# package's own TorchConfig.cmake insists on a CUDA toolkit and does not get along with C++20.
#
#   reprise::torch       CPU library and headers. Programs that link it start without loading CUDA,
#                        and get CUDA by dlopen("libtorch_cuda.so") when a device is asked for.
#   reprise::torch_cuda  adds libtorch_cuda (NCCL process groups are in there) and the CUDA and NCCL
#                        headers that the wheel's companions bring. Only where both exist; for
#                        modules alone (engine/distributed), since loading it takes a second.
#   reprise::gloo        headers of Debian's libgloo-dev: the wheel has ProcessGroupGloo without the
#                        headers its declaration includes. No library: the code is in libtorch_cpu.

set(REPRISE_LIBTORCH "$ENV{REPRISE_LIBTORCH}" CACHE PATH
    "LibTorch 2.x: a folder with include/ and lib/ (empty: the wheel beside REPRISE_PYTHON)")

set(torch_root "${REPRISE_LIBTORCH}")
if(NOT torch_root)
  cmake_path(GET REPRISE_PYTHON PARENT_PATH python_bin)
  file(GLOB torch_root "${python_bin}/../lib/python3*/site-packages/torch")
elseif(NOT EXISTS "${torch_root}/lib" AND EXISTS "${torch_root}/torch/lib")
  set(torch_root "${torch_root}/torch")  # a site-packages folder
endif()
if(NOT EXISTS "${torch_root}/lib/libtorch_cpu.so")
  message(FATAL_ERROR
    "LibTorch not found: no lib/libtorch_cpu.so in '${torch_root}'. Either './run build', which "
    "installs it, or REPRISE_LIBTORCH=/path/to/libtorch, or the preset 'tools', which needs none.")
endif()
cmake_path(NORMAL_PATH torch_root)

set(torch_api "${torch_root}/include/torch/csrc/api/include")
set(torch_version "")
foreach(header "${torch_root}/include/torch/headeronly/version.h" "${torch_api}/torch/version.h")
  if(EXISTS "${header}" AND NOT torch_version)
    file(STRINGS "${header}" lines REGEX "define TORCH_VERSION_(MAJOR|MINOR|PATCH) ")
    string(REGEX REPLACE "[^0-9;]" "" numbers "${lines}")
    list(JOIN numbers "." torch_version)
  endif()
endforeach()
if(NOT torch_version MATCHES "^2\\.")
  message(FATAL_ERROR "${torch_root} is LibTorch '${torch_version}'; this project needs 2.x")
endif()

# std::string in the library's symbols tells which of GCC's two ABIs it was built with.
file(STRINGS "${torch_root}/lib/libc10.so" cxx11_symbols REGEX "__cxx1112basic_string" LIMIT_COUNT 1)
if(cxx11_symbols)
  set(torch_cxx11_abi 1)
else()
  set(torch_cxx11_abi 0)
  message(FATAL_ERROR
    "${torch_root} was built with the pre-C++11 string ABI, the distribution's libraries with the "
    "new one; they cannot share a program. Use the wheel, or LibTorch's cxx11-abi variant.")
endif()
message(STATUS "LibTorch ${torch_version}: ${torch_root}")

foreach(part c10 torch_cpu)
  add_library(reprise_${part} SHARED IMPORTED)
  set_target_properties(reprise_${part} PROPERTIES
    IMPORTED_LOCATION "${torch_root}/lib/lib${part}.so" IMPORTED_SONAME "lib${part}.so")
endforeach()

# After the system's folders: the wheel carries its own fmt and protobuf headers, and the
# distribution's must win in files that include both. They are system headers either way.
add_library(reprise_torch INTERFACE)
target_compile_options(reprise_torch INTERFACE
  "SHELL:-idirafter ${torch_root}/include" "SHELL:-idirafter ${torch_api}")
target_compile_definitions(reprise_torch INTERFACE
  _GLIBCXX_USE_CXX11_ABI=${torch_cxx11_abi} USE_C10D USE_DISTRIBUTED)
target_link_libraries(reprise_torch INTERFACE reprise_torch_cpu reprise_c10)
# The wheel's libraries find each other through their own rpath. Ours must not be as-needed: a
# program whose only use of the CPU library is through inline code would drop its registrations.
target_link_options(reprise_torch INTERFACE "LINKER:--no-as-needed,-rpath,${torch_root}/lib")
add_library(reprise::torch ALIAS reprise_torch)

find_path(REPRISE_GLOO_INCLUDE gloo/transport/device.h REQUIRED)
add_library(reprise_gloo INTERFACE)
target_include_directories(reprise_gloo SYSTEM INTERFACE "${REPRISE_GLOO_INCLUDE}")
target_compile_definitions(reprise_gloo INTERFACE USE_C10D_GLOO)
target_link_libraries(reprise_gloo INTERFACE reprise_torch)
add_library(reprise::gloo ALIAS reprise_gloo)

# The headers come with the wheel's companions, or with a toolkit of the machine.
file(GLOB cuda_includes "${torch_root}/../nvidia/*/include")
find_path(REPRISE_CUDA_INCLUDE cuda_runtime_api.h HINTS ${cuda_includes} PATHS /usr/local/cuda/include)
find_path(REPRISE_NCCL_INCLUDE nccl.h HINTS ${cuda_includes} PATHS /usr/local/cuda/include)
mark_as_advanced(REPRISE_CUDA_INCLUDE REPRISE_NCCL_INCLUDE)
if(EXISTS "${torch_root}/lib/libtorch_cuda.so" AND REPRISE_CUDA_INCLUDE AND REPRISE_NCCL_INCLUDE)
  foreach(part c10_cuda torch_cuda)
    add_library(reprise_lib${part} SHARED IMPORTED)
    set_target_properties(reprise_lib${part} PROPERTIES
      IMPORTED_LOCATION "${torch_root}/lib/lib${part}.so" IMPORTED_SONAME "lib${part}.so")
  endforeach()
  add_library(reprise_torch_cuda INTERFACE)
  target_link_libraries(reprise_torch_cuda INTERFACE
    reprise_torch reprise_libc10_cuda reprise_libtorch_cuda)
  foreach(folder IN LISTS cuda_includes REPRISE_CUDA_INCLUDE REPRISE_NCCL_INCLUDE)
    cmake_path(NORMAL_PATH folder)
    target_compile_options(reprise_torch_cuda INTERFACE "SHELL:-idirafter ${folder}")
  endforeach()
  target_compile_definitions(reprise_torch_cuda INTERFACE USE_C10D_NCCL)
  add_library(reprise::torch_cuda ALIAS reprise_torch_cuda)
else()
  message(STATUS "LibTorch without CUDA, or no headers of CUDA and NCCL: GPUs of several processes "
                 "exchange through the CPU")
endif()

# One precompiled header for everything that uses LibTorch: 11 s a file become 5 s.
file(CONFIGURE OUTPUT "${PROJECT_BINARY_DIR}/torch_pch.cpp" CONTENT "" @ONLY)
add_library(reprise_torch_pch OBJECT "${PROJECT_BINARY_DIR}/torch_pch.cpp")
target_include_directories(reprise_torch_pch PRIVATE "${PROJECT_SOURCE_DIR}")
target_link_libraries(reprise_torch_pch PRIVATE reprise_torch Threads::Threads)
target_precompile_headers(reprise_torch_pch PRIVATE <cmake/torch_pch.h>)

function(reprise_use_torch target visibility)
  target_link_libraries(${target} ${visibility} reprise_torch)
  target_precompile_headers(${target} REUSE_FROM reprise_torch_pch)
endfunction()
