// HDF5 of other programs, attributes included: an Error, or a document that can be written down.
#include "ckpt/container/hdf5_foreign.h"
#include "ckpt/base/error.h"
#include "ckpt/container/canonical.h"
#include "tests/fuzz/memory_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace reprise;
  const MemoryFile file(data, size);
  try {
    const Document document = container::open_foreign_hdf5(file.path());
    container::write_canonical(document.root, [](std::string_view) {});
  } catch (const Error& error) {
    if (error.code() == Code::kInternal) std::abort();  // a bug of ours, not of the file
  }
  return 0;
}
