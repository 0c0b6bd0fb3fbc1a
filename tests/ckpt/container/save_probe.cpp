// save_probe TARGET SEED [again]: saves a document, with `again` for ever with growing
// seeds. Exit code 0, or that of the error.
#include "ckpt/base/error.h"
#include "ckpt/container/hdf5.h"
#include "tests/ckpt/container/sample.h"

#include <cstdio>
#include <cstdlib>

using namespace reprise;

namespace {

Document seeded(unsigned seed) {
  Document document;
  Arena& arena = *document.arena;
  document.root = arena.dict();
  document.root.as_dict().append(arena, "seed", Value::integer(seed));
  for (unsigned i = 0; i < 3; ++i) {
    document.root.as_dict().append(
        arena, fmt::format("t{}", i),
        arena.tensor(container::patterned(DType::kUInt8, {1 << 20}, seed + i)));
  }
  return document;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  try {
    for (auto seed = static_cast<unsigned>(std::atoi(argv[2]));; ++seed) {
      container::write_hdf5(argv[1], seeded(seed));
      if (argc == 3) return 0;
    }
  } catch (const Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return error.exit_code();
  }
}
