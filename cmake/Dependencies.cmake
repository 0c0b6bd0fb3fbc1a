# Libraries of the distribution. Each becomes an imported target, whose headers are SYSTEM.
find_package(PkgConfig REQUIRED)
find_package(OpenSSL REQUIRED COMPONENTS Crypto)
find_package(fmt REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)
find_package(JPEG REQUIRED)
find_package(PNG REQUIRED)

# pkg-config where the distribution's CMake package is missing or asks for more than the library.
pkg_check_modules(hdf5 REQUIRED IMPORTED_TARGET hdf5)
# libhdf5 serves only as a second opinion (ckpt verify --deep). The shared one loads 30 other
# libraries, libcurl among them, into every process: 8 ms of each start.
find_library(REPRISE_STATIC_HDF5 libhdf5.a PATH_SUFFIXES hdf5/serial)
find_library(REPRISE_STATIC_SZ libsz.a)
find_library(REPRISE_STATIC_AEC libaec.a)
add_library(reprise_hdf5 INTERFACE)
target_link_libraries(reprise_hdf5 INTERFACE PkgConfig::hdf5)
if(REPRISE_STATIC_HDF5 AND REPRISE_STATIC_SZ AND REPRISE_STATIC_AEC)
  target_include_directories(reprise_hdf5 SYSTEM INTERFACE ${hdf5_INCLUDE_DIRS})
  set_target_properties(reprise_hdf5 PROPERTIES INTERFACE_LINK_LIBRARIES
    "${REPRISE_STATIC_HDF5};${REPRISE_STATIC_SZ};${REPRISE_STATIC_AEC};z;${CMAKE_DL_LIBS};m")
endif()
pkg_check_modules(libdeflate REQUIRED IMPORTED_TARGET libdeflate)
pkg_check_modules(libzip REQUIRED IMPORTED_TARGET libzip)
pkg_check_modules(libgit2 REQUIRED IMPORTED_TARGET libgit2)
pkg_check_modules(turbojpeg REQUIRED IMPORTED_TARGET libturbojpeg)
pkg_check_modules(tomlplusplus REQUIRED IMPORTED_TARGET tomlplusplus)

if(BUILD_TESTING)
  find_package(GTest REQUIRED)
  include(GoogleTest)
endif()
