#!/usr/bin/env python3
"""Each rule of check_layering.py catches a tree that breaks it, and a good tree passes."""

import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import check_layering  # noqa: E402

GOOD = {
    "ckpt/base/error.h": "#include <string>\n",
    "ckpt/base/command_line.cpp": "#include <CLI/CLI.hpp>\n",
    "ckpt/container/hdf5_reader.cpp": '#include <hdf5.h>\n#include "ckpt/base/error.h"\n',
    "ckpt/state/tensor.h": '#include "ckpt/base/error.h"\n',
    "engine/bridge.h": '#include <ATen/core/Tensor.h>\n#include "ckpt/state/tensor.h"\n',
    "engine/CMakeLists.txt": "reprise_room(engine_bridge SOURCES bridge.cpp TORCH)\n",
    "train/main.cpp": '#include "engine/bridge.h"\n',
    "tests/ckpt/a_test.cpp": '#include <hdf5.h>\n#include <torch/torch.h>\n'
                             '#include "train/loop.h"\n',
    "train/loop.h": "",
    "build/default/generated.cpp": '#include "nowhere.h"\n',
}


class CheckLayering(unittest.TestCase):
    def violations(self, changes):
        with tempfile.TemporaryDirectory() as root:
            for path, text in {**GOOD, **changes}.items():
                full = os.path.join(root, path)
                os.makedirs(os.path.dirname(full), exist_ok=True)
                with open(full, "w", encoding="utf-8") as file:
                    file.write(text)
            return check_layering.check(root)

    def assert_caught(self, changes, *words):
        found = self.violations(changes)
        self.assertEqual(len(found), 1, found)
        for word in words:
            self.assertIn(word, found[0])

    def test_good_tree_passes(self):
        self.assertEqual(self.violations({}), [])

    def test_table_names_only_rooms_that_stand_before(self):
        seen = set()
        for room, uses in check_layering.ROOMS.items():
            self.assertLessEqual(set(uses), seen, room)
            seen.add(room)

    def test_reaching_down_is_caught(self):
        self.assert_caught({"ckpt/base/file.cpp": '#include "ckpt/state/tensor.h"\n'},
                           "ckpt/base/file.cpp:1", "ckpt/base may not use ckpt/state")
        self.assert_caught({"train/loop.cpp": '#include "eval/table.h"\n', "eval/table.h": ""},
                           "train/loop.cpp:1", "train may not use eval")

    def test_reaching_sideways_is_caught(self):
        self.assert_caught({"migrate/cli/main.cpp": '\n#include "ckpt/cli/show.h"\n',
                            "ckpt/cli/show.h": ""},
                           "migrate/cli/main.cpp:2", "migrate/cli may not use ckpt/cli")

    def test_torch_in_a_torch_free_room_is_caught(self):
        for header in ("torch/nn.h", "c10/util/Half.h", "ATen/ATen.h", "cuda_runtime.h",
                       "nccl.h", "cuda.h"):
            self.assert_caught({"repro/ledger/digest.cpp": f"#  include <{header}>\n"},
                               "repro/ledger/digest.cpp:1", "without LibTorch", header)

    def test_linking_torch_in_a_torch_free_room_is_caught(self):
        self.assert_caught({"ckpt/store/CMakeLists.txt": "reprise_room(s SOURCES a.cpp TORCH)\n"},
                           "ckpt/store/CMakeLists.txt", "links it")

    def test_second_file_with_a_wrapped_library_is_caught(self):
        for library, header in (("HDF5", "hdf5.h"), ("CLI11", "CLI/App.hpp")):
            self.assert_caught({"ckpt/container/other.cpp": f"#include <{header}>\n"},
                               f"{library} is included by 2 files", "ckpt/container/other.cpp:1")

    def test_wrapped_library_in_a_header_is_caught(self):
        for header in ("zip.h", "git2.h", "turbojpeg.h", "png.h", "toml++/toml.h"):
            self.assert_caught({"repro/snapshot/archive.h": f"#include <{header}>\n"},
                               "repro/snapshot/archive.h:1", "a header includes")

    def test_relative_include_is_caught(self):
        self.assert_caught({"ckpt/state/dtype.cpp": '#include "tensor.h"\n'},
                           "not a path from the repository root")

    def test_own_header_in_angle_brackets_is_caught(self):
        self.assert_caught({"ckpt/state/dtype.cpp": "#include <ckpt/base/error.h>\n"},
                           "in quotes")

    def test_file_outside_every_room_is_caught(self):
        self.assert_caught({"utils/strings.h": ""}, "utils/strings.h", "in no room")


if __name__ == "__main__":
    unittest.main()
