// A connection between two processes of one machine, over which letters and open files go.
#pragma once

#include "ckpt/base/bytes.h"
#include "ckpt/base/file.h"

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace reprise::container {

// One end of a connected stream socket of the local kind. Both processes belong to one user and run
// this program; lengths are bounded all the same. One thread at a time.
// Errors of all: kIo naming the other process: it has ended or closed its end, or was silent for
// longer than `patience`.
class CrewLink {
 public:
  struct Letter {
    std::vector<std::byte> bytes;
    std::optional<File> file;  // a descriptor of this process for what the other one sent
  };

  // `name`: of the process at the other end, as messages call it.
  CrewLink(File socket, std::string name);
  // Takes ownership of `socket`.
  CrewLink(int socket, const std::string& name) : CrewLink(File(socket, name), name) {}

  const std::string& name() const { return name_; }
  int descriptor() const { return socket_.descriptor(); }

  // `file_descriptor`: -1, or an open file that the other process gets a descriptor for.
  void send(Bytes bytes, std::chrono::milliseconds patience, int file_descriptor = -1);
  // Waits for a whole letter.
  Letter receive(std::chrono::milliseconds patience);
  // Whether a letter has begun to arrive, or the other end is closed.
  bool has_news() const;

 private:
  // Errors: kIo when it is not ready by then.
  void await(short events, std::chrono::milliseconds patience) const;
  File socket_;
  std::string name_;
};

}  // namespace reprise::container
