// PyTorch 0.1's tar archives: an Error, or a document whose every byte can be read.
#include "ckpt/base/error.h"
#include "ckpt/container/canonical.h"
#include "ckpt/container/pth_tar.h"
#include "tests/fuzz/memory_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace reprise;
  const MemoryFile file(data, size);
  try {
    const Document document = container::open_pth_tar(file.path());
    container::write_canonical(document.root, [](std::string_view) {});
  } catch (const Error& error) {
    if (error.code() == Code::kInternal) std::abort();  // a bug of ours, not of the file
  }
  return 0;
}
