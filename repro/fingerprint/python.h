// The Python interpreter and packages behind a command, told without importing anything.
#pragma once

#include "ckpt/base/json.h"

#include <filesystem>
#include <span>
#include <string>

namespace reprise::fingerprint {

// The file that a shell would run for `program`, or an empty path.
std::filesystem::path find_program(const std::string& program);

// {interpreter, version, environment, packages: {name: version}} when `command` runs Python: by
// name, or as a script whose first line names Python (torchrun, accelerate). {} otherwise.
// Packages are read from the names of *.dist-info and *.egg-info directories on the paths that the
// interpreter would search. Runs `python -VV` (a few ms; it imports nothing). Errors: none.
Json describe_python(std::span<const std::string> command);

}  // namespace reprise::fingerprint
