#include "ckpt/base/error.h"
#include "ckpt/container/hdf5.h"
#include "ckpt/container/hdf5_format.h"

#include <fcntl.h>

namespace reprise::container {

namespace {

bool holds(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

}  // namespace

void amend_hdf5(const std::filesystem::path& path, std::string_view placeholder,
                std::string_view text) {
  std::string manifest = Hdf5Reader::open(path).manifest();
  const File file = File::open_to_write(path);
  std::array<std::byte, kFirstBlockBytes> first;
  file.read(0, first);
  FirstBlock block = decode_first_block(first, file.size());

  // What the root says of itself stands in the HDF5 attributes, too, and is not to be changed here.
  std::string structures(block.structures.size_bytes, '\0');
  file.read(block.structures.offset_bytes, std::as_writable_bytes(std::span(structures)));
  const auto at = manifest.find(placeholder);
  if (at == std::string::npos || holds(std::string_view(manifest).substr(at + 1), placeholder) ||
      holds(structures, placeholder) || text.size() != placeholder.size()) {
    fail(Code::kInternal, "'{}' cannot take the place of '{}' in the manifest", printable(text),
         printable(placeholder));
  }
  manifest.replace(at, text.size(), text);

  block.manifest.sha256 = sha256(manifest);
  file.write(block.manifest.offset_bytes, as_bytes(manifest));
  file.write(0, encode_first_block(block));
  file.sync();
  // What is read from now on comes from the disk.
  posix_fadvise(file.descriptor(), 0, 0, POSIX_FADV_DONTNEED);
}

}  // namespace reprise::container
