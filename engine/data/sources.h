// The formats of data on disk, one .cpp each, behind open_dataset.
#pragma once

#include "engine/data/dataset.h"
#include "engine/data/open.h"

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace reprise::engine {

// All of these: cost and errors as open_dataset says; sets are immutable and thread-safe.
using DatasetPtr = std::shared_ptr<const Dataset>;

// A folder a class (image_folder.cpp). Symbolic links to files are followed, links to folders
// are not, so that a loop cannot trap us.
DatasetPtr open_image_folder(const std::filesystem::path& root, const OpenOptions& options);
// Names of the folders inside, sorted bytewise, hidden ones left out.
std::vector<std::string> class_folders(const std::filesystem::path& root);
// root/train, or root/{val,validation,valid,test}: the first that there is. For
// Split::kTrain, nothing unless root/train holds folders.
std::optional<std::filesystem::path> split_folder(const std::filesystem::path& root, Split split);

// A CSV index (csv_set.cpp). Relative paths in it start at its folder.
DatasetPtr open_csv(const std::filesystem::path& path, Split split, const OpenOptions& options);
bool csv_has_validation(const std::filesystem::path& path);

// IDX (idx_set.cpp): Y. LeCun's format, unsigned bytes, images [count, rows, columns].
bool is_idx_name(const std::filesystem::path& path);
bool holds_idx(const std::filesystem::path& folder);
bool idx_has_validation(const std::filesystem::path& folder);
DatasetPtr open_idx_file(const std::filesystem::path& images, const OpenOptions& options);
DatasetPtr open_idx_folder(const std::filesystem::path& folder, Split split,
                           const OpenOptions& options);

// CIFAR binaries (cifar_set.cpp): records of 1 (CIFAR-10) or 2 (CIFAR-100: coarse, fine; the
// fine one is taken) label bytes and 3 planes of 32 x 32.
bool is_cifar_name(const std::filesystem::path& path);
bool holds_cifar(const std::filesystem::path& folder);
bool cifar_has_validation(const std::filesystem::path& folder);
DatasetPtr open_cifar_files(const std::vector<std::filesystem::path>& files,
                            const OpenOptions& options);
DatasetPtr open_cifar_folder(const std::filesystem::path& folder, Split split,
                             const OpenOptions& options);

}  // namespace reprise::engine
