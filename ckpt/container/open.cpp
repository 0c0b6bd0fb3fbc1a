#include "ckpt/container/open.h"

#include "ckpt/base/error.h"
#include "ckpt/base/parallel.h"
#include "ckpt/container/hdf5_deep.h"
#include "ckpt/container/hdf5_foreign.h"
#include "ckpt/container/pth_legacy.h"
#include "ckpt/container/pth_tar.h"
#include "ckpt/container/pth_zip.h"
#include "ckpt/container/safetensors.h"
#include "ckpt/container/tensor_names.h"

#include <mutex>

namespace reprise::container {

std::string_view to_string(Format format) {
  switch (format) {
    case Format::kNative: return "hdf5";
    case Format::kForeignHdf5: return "hdf5-foreign";
    case Format::kSafetensors: return "safetensors";
    case Format::kPthZip: return "pth-zip";
    case Format::kTorchScript: return "torchscript";
    case Format::kPthLegacy: return "pth-legacy";
    case Format::kPthTar: return "pth-tar";
  }
  return "unknown";
}

Document open(const std::filesystem::path& path, const OpenOptions& options) {
  auto file = MappedFile::open(path, options.reads);
  const Format format = sniff(*file);
  switch (format) {
    case Format::kNative:
      return Hdf5Reader::open(std::move(file)).document(options.verify, options.jobs);
    case Format::kSafetensors: return open_safetensors(path);
    case Format::kPthZip:
    case Format::kTorchScript: return open_pth_zip(file);
    case Format::kPthLegacy: return open_pth_legacy(path);
    case Format::kPthTar: return open_pth_tar(path);
    case Format::kForeignHdf5: return open_foreign_hdf5(path);
  }
  fail(Code::kInternal, "{}: a format without a reader", path.string());
}

namespace {

// Formats without digests: that every tensor's bytes can be produced is all there is.
VerifyReport verify_by_reading(const std::filesystem::path& path, const VerifyOptions& options) {
  VerifyReport report;
  const Document document = open(path, {Verify::kAll, options.jobs});
  const std::vector<NamedTensor> tensors = name_tensors(document);
  std::mutex mutex;
  parallel_for(tensors.size(), options.jobs, [&](std::size_t i) {
    try {
      tensors[i].tensor.for_each_chunk(1u << 20, [&](Bytes piece) {
        if (options.on_bytes) options.on_bytes(piece.size());
        const std::lock_guard lock(mutex);
        report.bytes_read += piece.size();
      });
    } catch (const Error& error) {
      const std::lock_guard lock(mutex);
      report.problems.push_back({error.code(), tensors[i].name, 0, error.what()});
    }
  });
  return report;
}

}  // namespace

VerifyReport verify(const std::filesystem::path& path, const VerifyOptions& options) {
  try {
    if (sniff(path) != Format::kNative) return verify_by_reading(path, options);
    const Hdf5Reader reader = Hdf5Reader::open(path);
    VerifyReport report = reader.verify(options.jobs, options.on_bytes);
    // libhdf5 is shown only what our own checks have passed.
    if (!options.deep || !report.ok()) return report;
    VerifyReport deep = verify_deep(reader, options.on_bytes);
    report.bytes_read += deep.bytes_read;
    report.problems = std::move(deep.problems);
    return report;
  } catch (const Error& error) {
    if (error.code() == Code::kNotFound || error.code() == Code::kIo) throw;
    VerifyReport report;
    report.problems.push_back({error.code(), "", 0, error.what()});
    return report;
  }
}

}  // namespace reprise::container
