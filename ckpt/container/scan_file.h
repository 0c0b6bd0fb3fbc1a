// Every pickle in a file, whatever it is called and however it is wrapped.
#pragma once

#include "ckpt/pickle/scan.h"

#include <filesystem>
#include <string>
#include <vector>

namespace reprise::container {

// A pickle that was found.
struct ScannedPickle {
  std::string
      place;  // "archive/data.pkl", "inner.zip: archive/data.pkl"; empty for the file itself
  pickle::PickleScan scan;  // offsets are in the file where nothing is compressed around it
};

struct FileScan {
  std::vector<ScannedPickle> pickles;
  std::vector<std::string> problems;  // what could not be looked into, and why

  pickle::Verdict worst() const;
};

// Looks for pickles at the start of the file, one after the other as torch.save wrote them
// before 1.6; in the entries of ZIP and tar archives, also where the archive's headers are
// damaged; and in archives inside archives. An entry counts as a pickle by its content, not its
// name. Nothing is unpickled. Broken pickles are reported with what they would have
// imported first.
// Errors: kNotFound, kIo.
FileScan scan_file(const std::filesystem::path& path);

}  // namespace reprise::container
