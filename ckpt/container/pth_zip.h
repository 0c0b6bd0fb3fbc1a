// Files of torch.save since 1.6, and TorchScript's, which are the same kind of archive.
#pragma once

#include "ckpt/base/file.h"
#include "ckpt/state/value.h"

#include <filesystem>
#include <memory>

namespace reprise::container {

// The content of `<root>/data.pkl`, its tensors over `<root>/data/<key>`. Reads the
// archive's directory and the pickle; storages are read, and their checksums compared,
// when their bytes are asked for. Data of big-endian machines is swapped then.
//
// A TorchScript archive (it has `constants.pkl`) gives an ordered dict from the dotted
// name of each tensor to the tensor, as its state_dict() would be; the dict's `attributes`
// hold the tree of script objects. Its code is not looked at.
//
// Errors: kNotFound, kIo; kCorrupt for what ZipDirectory and pickle::load refuse, several
// roots, a missing or wrongly sized storage, a pickle whose checksum differs;
// kUnsupported for a ZIP archive that is no PyTorch file.
Document open_pth_zip(const std::filesystem::path& path);
Document open_pth_zip(const std::shared_ptr<const MappedFile>& file);

// Whether the archive holds TorchScript. Errors: those of ZipDirectory::read().
bool is_torchscript(Bytes file);

}  // namespace reprise::container
