// The list behind `ckpt scan`: which globals do what when Python imports or calls them.
#include "ckpt/pickle/globals.h"
#include "ckpt/pickle/scan.h"

#include <algorithm>
#include <array>

namespace reprise::pickle {

namespace {

struct Row {
  std::string_view name;  // "module.name", or "module." for all of a module and below it
  std::string_view reason;
};

constexpr std::string_view kRuns = "runs commands or code";
constexpr std::string_view kFiles = "reads, writes or removes files";
constexpr std::string_view kNetwork = "talks to the network";
constexpr std::string_view kLoads = "loads code or another pickle";
constexpr std::string_view kReaches = "reaches any attribute, and so any function";

constexpr std::array kDangerous = std::to_array<Row>({
    {"__main__.", "is whatever the loading program happens to define"},
    {"_aix_support.", kRuns},
    {"_bootsubprocess.", kRuns},
    {"_io.", kFiles},
    {"_osx_support.", kRuns},
    {"_pickle.", kLoads},
    {"_posixsubprocess.", kRuns},
    {"_pyrepl.", kRuns},
    {"_socket.", kNetwork},
    {"_thread.", kRuns},
    {"_winapi.", kRuns},
    {"aiohttp.", kNetwork},
    {"asyncio.", kRuns},
    {"atexit.", kRuns},
    {"bdb.", kRuns},
    {"builtins.__build_class__", kRuns},
    {"builtins.__import__", kLoads},
    {"builtins.breakpoint", kRuns},
    {"builtins.compile", kRuns},
    {"builtins.delattr", kReaches},
    {"builtins.dir", kReaches},
    {"builtins.eval", kRuns},
    {"builtins.exec", kRuns},
    {"builtins.execfile", kRuns},
    {"builtins.file", kFiles},
    {"builtins.filter", kRuns},
    {"builtins.getattr", kReaches},
    {"builtins.globals", kReaches},
    {"builtins.hasattr", kReaches},
    {"builtins.input", kRuns},
    {"builtins.locals", kReaches},
    {"builtins.map", kRuns},
    {"builtins.open", kFiles},
    {"builtins.reload", kLoads},
    {"builtins.setattr", kReaches},
    {"builtins.type", "makes classes with methods of its own"},
    {"builtins.vars", kReaches},
    {"cProfile.", kRuns},
    {"cffi.", kLoads},
    {"cloudpickle.", kLoads},
    {"code.", kRuns},
    {"codeop.", kRuns},
    {"commands.", kRuns},
    {"concurrent.", kRuns},
    {"ctypes.", kLoads},
    {"dbm.", kFiles},
    {"dill.", kLoads},
    {"distutils.", kRuns},
    {"doctest.", kRuns},
    {"ensurepip.", kRuns},
    {"fcntl.", kFiles},
    {"fileinput.", kFiles},
    {"ftplib.", kNetwork},
    {"functools.reduce", kRuns},
    {"gc.", kReaches},
    {"glob.", kFiles},
    {"http.", kNetwork},
    {"httplib.", kNetwork},
    {"idlelib.", kRuns},
    {"imaplib.", kNetwork},
    {"imp.", kLoads},
    {"importlib.", kLoads},
    {"inspect.", kReaches},
    {"io.FileIO", kFiles},
    {"io.open", kFiles},
    {"io.open_code", kFiles},
    {"ipaddress.summarize_address_range", "takes unbounded time"},
    {"itertools.", kRuns},
    {"joblib.", kLoads},
    {"keras.models.load_model", kLoads},
    {"lib2to3.", kRuns},
    {"linecache.", kFiles},
    {"logging.", kLoads},
    {"mailcap.", kRuns},
    {"marshal.", kLoads},
    {"mmap.", kFiles},
    {"multiprocessing.", kRuns},
    {"netrc.", kFiles},
    {"nntplib.", kNetwork},
    {"nt.", kRuns},
    {"ntpath.", kFiles},
    {"numpy.core.multiarray.fromfile", kFiles},
    {"numpy.distutils.", kRuns},
    {"numpy.f2py.", kRuns},
    {"numpy.fromfile", kFiles},
    {"numpy.genfromtxt", kFiles},
    {"numpy.lib.", kFiles},
    {"numpy.load", kLoads},
    {"numpy.loadtxt", kFiles},
    {"numpy.memmap", kFiles},
    {"numpy.save", kFiles},
    {"numpy.savetxt", kFiles},
    {"numpy.testing.", kRuns},
    {"operator.", kReaches},
    {"os.", kRuns},
    {"pandas.", kLoads},
    {"pathlib.Path", kFiles},
    {"pdb.", kRuns},
    {"pickle.", kLoads},
    {"pickletools.", kLoads},
    {"pip.", kRuns},
    {"pkg_resources.", kLoads},
    {"pkgutil.", kLoads},
    {"platform.", kRuns},
    {"poplib.", kNetwork},
    {"posix.", kRuns},
    {"posixpath.", kFiles},
    {"profile.", kRuns},
    {"pty.", kRuns},
    {"py_compile.", kRuns},
    {"pydoc.", kLoads},
    {"requests.", kNetwork},
    {"resource.", "changes limits of the process"},
    {"runpy.", kRuns},
    {"sched.", kRuns},
    {"select.", kNetwork},
    {"setuptools.", kRuns},
    {"shelve.", kLoads},
    {"shutil.", kFiles},
    {"signal.", kRuns},
    {"site.", kLoads},
    {"smtplib.", kNetwork},
    {"socket.", kNetwork},
    {"socketserver.", kNetwork},
    {"sqlite3.", kFiles},
    {"ssl.", kNetwork},
    {"subprocess.", kRuns},
    {"sys.", kReaches},
    {"sysconfig.", kFiles},
    {"tarfile.", kFiles},
    {"telnetlib.", kNetwork},
    {"tempfile.", kFiles},
    {"test.", kRuns},
    {"threading.", kRuns},
    {"timeit.", kRuns},
    {"tkinter.", kRuns},
    {"torch._dynamo.", kRuns},
    {"torch._inductor.", kRuns},
    {"torch.classes", kLoads},
    {"torch.compile", kRuns},
    {"torch.distributed.", kNetwork},
    {"torch.fx.", kRuns},
    {"torch.hub.", kLoads},
    {"torch.jit.load", kLoads},
    {"torch.load", kLoads},
    {"torch.multiprocessing.", kRuns},
    {"torch.ops", kLoads},
    {"torch.package.", kLoads},
    {"torch.save", kFiles},
    {"torch.serialization.load", kLoads},
    {"torch.serialization.save", kFiles},
    {"torch.storage._load_from_bytes", kLoads},
    {"torch.utils.", kRuns},
    {"torch.UntypedStorage.from_file", kFiles},
    {"torch.from_file", kFiles},
    {"trace.", kRuns},
    {"types.CodeType", kRuns},
    {"types.FunctionType", kRuns},
    {"types.MethodType", kReaches},
    {"urllib.", kNetwork},
    {"uuid._get_command_stdout", kRuns},
    {"venv.", kRuns},
    {"webbrowser.", kRuns},
    {"winreg.", kRuns},
    {"xmlrpc.", kNetwork},
    {"zipfile.", kFiles},
    {"zipimport.", kLoads},
    {"zipapp.", kFiles},
});

// Beyond what the reader gives a meaning to.
constexpr std::array kHarmless = std::to_array<std::string_view>({
    "argparse.Namespace",
    "builtins.Ellipsis",
    "builtins.NotImplemented",
    "builtins.bool",
    "builtins.float",
    "builtins.int",
    "builtins.len",
    "builtins.object",
    "builtins.range",
    "builtins.slice",
    "builtins.str",
    "builtins.tuple",
    "collections.deque",
    "copyreg.__newobj__",
    "datetime.timezone",
    "decimal.Decimal",
    "fractions.Fraction",
    "numpy.ndarray",
    "numpy.random._pickle.__bit_generator_ctor",
    "numpy.random._pickle.__generator_ctor",
    "numpy.random._pickle.__randomstate_ctor",
    "torch.Tensor",
    "torch._C.Generator",
    "torch._utils._rebuild_device_tensor_from_numpy",
    "torch.nn.parameter.Buffer",
    "torch.per_channel_affine",
    "torch.per_tensor_affine",
    "torch.contiguous_format",
    "torch.channels_last",
    "torch.preserve_format",
    "types.SimpleNamespace",
    "uuid.UUID",
});

constexpr std::array kHarmlessModules = std::to_array<std::string_view>({
    "torch.nn.modules.",
    "torch.optim.",
    "numpy.random._",
    "numpy.random.bit_generator.",
    "numpy.random.mtrand.",
    "numpy.dtypes.",
});

bool names(std::string_view row, std::string_view full_name) {
  return row.ends_with('.')
             ? full_name.starts_with(row)
             : full_name == row || (full_name.starts_with(row) && full_name[row.size()] == '.');
}

}  // namespace

std::string_view to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::kKnown: return "known";
    case Verdict::kUnknown: return "unknown";
    case Verdict::kDangerous: return "dangerous";
  }
  return "unknown";
}

Judgement judge(std::string_view full_name) {
  if (known_global(full_name) != Known::kNothing)
    return {Verdict::kKnown, "part of what checkpoints are made of"};
  if (std::ranges::find(kHarmless, full_name) != kHarmless.end()) {
    return {Verdict::kKnown, "builds a value and does nothing else"};
  }
  for (const Row& row : kDangerous) {
    if (names(row.name, full_name)) return {Verdict::kDangerous, row.reason};
  }
  // A dotted name walks through attributes of a class, where anything may be found.
  for (const std::string_view module : kHarmlessModules) {
    if (full_name.starts_with(module) &&
        full_name.find("__", module.size()) == std::string_view::npos) {
      return {Verdict::kKnown, "a class of PyTorch or numpy that saved objects have"};
    }
  }
  if (full_name.starts_with("builtins."))
    return {Verdict::kDangerous, "a built-in function that no checkpoint needs"};
  return {Verdict::kUnknown, "imports a package: what that runs is up to the package"};
}

}  // namespace reprise::pickle
