// Documents, scratch folders and real Python for the tests of containers.
#pragma once

#include "ckpt/state/value.h"

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace reprise::container {

// A folder of its own, removed with everything in it.
class ScratchFolder {
 public:
  ScratchFolder() : ScratchFolder(std::filesystem::temp_directory_path()) {}
  explicit ScratchFolder(const std::filesystem::path& parent);
  ~ScratchFolder();
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  std::filesystem::path operator/(std::string_view name) const { return path_ / name; }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// Values that follow from `seed`, different in every byte position.
Tensor patterned(DType dtype, Shape shape, unsigned seed = 1);

// Three tensors and a few plain values.
Document small_document();
// Every element type, every kind of value, ties, views, odd names, recursion.
Document rich_document();

// What the tensors under `name` hold; fails the test when there is none.
Tensor tensor_at(const Document& document, std::string_view name);

std::string read_file(const std::filesystem::path& path);
void write_file(const std::filesystem::path& path, std::string_view bytes);

// Runs the interop environment's Python and returns its standard output; throws when
// it fails.
std::string run_python(std::string_view script, const std::vector<std::string>& arguments);
bool have_python();

}  // namespace reprise::container
