// The objects of an HDF5 file of another program, read as if it were hostile.
//
// The subset that weight files use (specification 3.0): superblocks 0 to 3, object
// headers 1 and 2, groups as symbol tables, link messages or link heaps (hdf5_heap.h). What can
// lead out of the file is refused: external and soft links, external storage, drivers.
#pragma once

#include "ckpt/base/byte_reader.h"
#include "ckpt/base/bytes.h"

#include <cstdint>
#include <string_view>
#include <vector>

namespace reprise::container {

class Hdf5Image {
 public:
  struct Message {
    unsigned type;
    Bytes body;
  };
  struct Link {
    std::string_view name;  // in the file
    std::uint64_t object;   // address of an object header
  };
  static constexpr std::uint64_t kUndefined = ~std::uint64_t{0};

  // `file` must outlive it; the superblock lies at `superblock`.
  // Errors: kCorrupt, kUnsupported.
  Hdf5Image(Bytes file, std::uint64_t superblock);

  std::uint64_t root() const { return root_; }

  // The messages of an object header, continuations included. Version 2 checksums are compared.
  // Errors: kCorrupt; kUnsupported for shared messages.
  std::vector<Message> messages(std::uint64_t object) const;

  // The links of a group, in the file's order; empty for what is no group.
  // Errors: kCorrupt; kUnsupported for soft, external and user-defined links.
  std::vector<Link> links(const std::vector<Message>& messages) const;

  // Bytes at an address. All reads together are bounded by a multiple of the file's size, so that
  // structures which refer to themselves end in an error.
  // Errors: kCorrupt when they do not lie in the file.
  Bytes at(std::uint64_t address, std::uint64_t length) const;
  ByteReader reader(std::uint64_t address, std::uint64_t length) const;

 private:
  void read_version1(std::uint64_t object, std::vector<Message>& out) const;
  void read_version2(std::uint64_t object, std::vector<Message>& out) const;
  Link read_link(Bytes message) const;
  void walk_symbols(std::uint64_t node, Bytes names, unsigned depth, std::vector<Link>& out) const;
  void charge(std::uint64_t address, std::uint64_t length) const;

  Bytes file_;
  std::uint64_t base_ = 0;
  std::uint64_t root_ = 0;
  mutable std::uint64_t budget_;
};

}  // namespace reprise::container
