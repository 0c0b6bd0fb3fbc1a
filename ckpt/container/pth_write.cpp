#include "ckpt/container/pth_write.h"

#include "ckpt/base/file.h"
#include "ckpt/container/zip_writer.h"

#include <string>

namespace reprise::container {

namespace {

// Any folder name will do for torch.load; a fixed one keeps the bytes free of the path.
constexpr std::string_view kRoot = "archive/";

}  // namespace

WriteReport write_pth(const std::filesystem::path& target, const Document& document,
                      const WriteOptions& options, pickle::Loadable loadable) {
  const pickle::Pickled pickled = pickle::write(document.root, loadable);
  DurableFile durable = create(target, options.publish);
  ZipWriter archive(durable.file());
  const std::string root(kRoot);
  WriteReport report;
  archive.add(root + "data.pkl", as_bytes(pickled.bytes));
  archive.add(root + ".format_version", as_bytes(std::string_view("1")));
  archive.add(root + ".storage_alignment", as_bytes(std::string_view("64")));
  archive.add(root + "byteorder", as_bytes(std::string_view("little")));
  for (std::size_t key = 0; key < pickled.storages.size(); ++key) {
    archive.add(root + "data/" + std::to_string(key), pickled.storages[key], options.on_bytes);
    report.tensor_bytes += pickled.storages[key].size_bytes();
  }
  archive.add(root + "version", as_bytes(std::string_view("3\n")));
  report.file_bytes = archive.finish();
  report.tensors = pickled.storages.size();
  publish(durable, options.publish);
  return report;
}

}  // namespace reprise::container
