#include "repro/snapshot/zip_archive.h"

#include "ckpt/base/error.h"

// The only file of this room that includes libzip.
#include <sys/stat.h>
#include <zip.h>

namespace reprise::snapshot {
namespace {

constexpr std::uint16_t kDosDate = (0 << 9) | (1 << 5) | 1;  // 1980-01-01, where DOS time begins
constexpr std::int64_t kEntryLimit = 1'000'000;

struct Discard {
  void operator()(zip_t* archive) const { zip_discard(archive); }
  void operator()(zip_file_t* file) const { zip_fclose(file); }
  void operator()(zip_source_t* source) const { zip_source_free(source); }
};
using Archive = std::unique_ptr<zip_t, Discard>;
using Stream = std::unique_ptr<zip_file_t, Discard>;
using Source = std::unique_ptr<zip_source_t, Discard>;

[[noreturn]] void fail_write(const char* reason) {
  fail(Code::kInternal, "writing a zip: {}", reason);
}

std::string error_text(int code) {
  if (code == ZIP_ER_EXISTS) return "one name stands for two entries";
  zip_error_t error;
  zip_error_init_with_code(&error, code);
  std::string text = zip_error_strerror(&error);
  zip_error_fini(&error);
  return text;
}

void add(zip_t* archive, const ZipItem& item) {
  zip_int64_t index = 0;
  if (item.name.ends_with('/')) {
    index = zip_dir_add(archive, item.name.c_str(), ZIP_FL_ENC_GUESS);
  } else {
    zip_source_t* source = zip_source_buffer(archive, item.content.data(), item.content.size(), 0);
    if (source == nullptr) fail_write(zip_strerror(archive));
    index = zip_file_add(archive, item.name.c_str(), source, ZIP_FL_ENC_GUESS);
    if (index < 0) zip_source_free(source);
  }
  if (index < 0) fail_write(zip_strerror(archive));
  const auto at = static_cast<zip_uint64_t>(index);
  const bool ok =
      zip_set_file_compression(archive, at, ZIP_CM_STORE, 0) == 0 &&
      zip_file_set_dostime(archive, at, 0, kDosDate, 0) == 0 &&
      zip_file_set_external_attributes(archive, at, 0, ZIP_OPSYS_UNIX, item.mode << 16) == 0 &&
      (item.comment.empty() ||
       zip_file_set_comment(archive, at, item.comment.data(),
                            static_cast<zip_uint16_t>(item.comment.size()), 0) == 0);
  if (!ok) fail_write(zip_strerror(archive));
}

}  // namespace

std::string write_zip(const std::vector<ZipItem>& items) {
  // libzip writes nothing for an archive without entries; this is what an empty zip file is.
  if (items.empty()) return std::string("PK\5\6", 4) + std::string(18, '\0');
  zip_error_t error;
  zip_error_init(&error);
  Source source(zip_source_buffer_create(nullptr, 0, 0, &error));
  if (!source) fail_write("out of memory");
  zip_source_keep(source.get());  // it outlives the archive, to be read
  Archive archive(zip_open_from_source(source.get(), ZIP_TRUNCATE, &error));
  if (!archive) {
    zip_source_free(source.get());
    fail_write(zip_error_strerror(&error));
  }
  for (const ZipItem& item : items) add(archive.get(), item);
  if (zip_close(archive.get()) != 0) fail_write(zip_strerror(archive.get()));
  archive.release();

  zip_stat_t status;
  zip_stat_init(&status);
  if (zip_source_stat(source.get(), &status) != 0 || zip_source_open(source.get()) != 0) {
    fail_write("reading back");
  }
  std::string out(status.size, '\0');
  std::size_t done = 0;
  while (done < out.size()) {
    const zip_int64_t n = zip_source_read(source.get(), out.data() + done, out.size() - done);
    if (n <= 0) fail_write("reading back");
    done += static_cast<std::size_t>(n);
  }
  zip_source_close(source.get());
  return out;
}

struct ZipReader::Handle {
  Archive archive;
};

ZipReader::ZipReader(std::unique_ptr<Handle> handle, std::filesystem::path path)
    : handle_(std::move(handle)), path_(std::move(path)) {}
ZipReader::ZipReader(ZipReader&&) noexcept = default;
ZipReader::~ZipReader() = default;

ZipReader ZipReader::open(const std::filesystem::path& path) {
  if (!std::filesystem::exists(path)) fail(Code::kNotFound, "{}: no such file", path.native());
  int code = 0;
  Archive archive(zip_open(path.c_str(), ZIP_RDONLY | ZIP_CHECKCONS, &code));
  if (!archive) {
    const bool system = code == ZIP_ER_OPEN || code == ZIP_ER_READ;
    fail(system ? Code::kIo : Code::kCorrupt, "{}: not a whole zip file: {}", path.native(),
         error_text(code));
  }
  const zip_int64_t count = zip_get_num_entries(archive.get(), 0);
  if (count > kEntryLimit) {
    fail(Code::kCorrupt, "{}: {} entries, over the limit of {}", path.native(), count, kEntryLimit);
  }
  auto handle = std::make_unique<Handle>();
  handle->archive = std::move(archive);
  ZipReader reader(std::move(handle), path);
  for (zip_uint64_t i = 0; i < static_cast<zip_uint64_t>(count); ++i) {
    zip_t* raw = reader.handle_->archive.get();
    const auto refuse = [&](std::string_view what) {
      fail(Code::kCorrupt, "{}: entry {}: {}", path.native(), i, what);
    };
    zip_stat_t status;
    zip_stat_init(&status);
    constexpr zip_uint64_t kNeeded =
        ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD;
    if (zip_stat_index(raw, i, ZIP_FL_ENC_RAW, &status) != 0 ||
        (status.valid & kNeeded) != kNeeded) {
      refuse("its description is damaged");
    }
    if (status.comp_method != ZIP_CM_STORE && status.comp_method != ZIP_CM_DEFLATE) {
      refuse("neither stored nor deflated");
    }
    if ((status.valid & ZIP_STAT_ENCRYPTION_METHOD) != 0 &&
        status.encryption_method != ZIP_EM_NONE) {
      refuse("encrypted");
    }
    ZipEntry entry{status.name, status.size, status.comp_size, 0, {}};
    zip_uint8_t system = 0;
    zip_uint32_t attributes = 0;
    if (zip_file_get_external_attributes(raw, i, 0, &system, &attributes) == 0 &&
        system == ZIP_OPSYS_UNIX) {
      entry.mode = attributes >> 16;
    }
    zip_uint32_t length = 0;
    const char* comment = zip_file_get_comment(raw, i, &length, ZIP_FL_ENC_RAW);
    if (comment != nullptr) entry.comment.assign(comment, length);
    reader.entries_.push_back(std::move(entry));
  }
  return reader;
}

std::string ZipReader::read(std::size_t index) const {
  const ZipEntry& entry = entries_[index];
  zip_t* raw = handle_->archive.get();
  const auto damaged = [&](std::string_view what) {
    fail(Code::kCorrupt, "{}: {}: {}", path_.native(), printable(entry.name), what);
  };
  const Stream stream(zip_fopen_index(raw, index, 0));
  if (!stream) damaged(zip_strerror(raw));
  std::string out(entry.size_bytes, '\0');
  std::size_t done = 0;
  while (done < out.size()) {
    const zip_int64_t n = zip_fread(stream.get(), out.data() + done, out.size() - done);
    if (n < 0) damaged(zip_file_strerror(stream.get()));
    if (n == 0) damaged("shorter than declared");
    done += static_cast<std::size_t>(n);
  }
  // One byte further: this is also where libzip checks the CRC.
  char more = 0;
  const zip_int64_t n = zip_fread(stream.get(), &more, 1);
  if (n < 0) damaged(zip_file_strerror(stream.get()));
  if (n > 0) damaged("longer than declared");
  return out;
}

}  // namespace reprise::snapshot
