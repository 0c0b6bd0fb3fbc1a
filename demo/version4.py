#!/usr/bin/env python3
"""Rewrites a checkpoint of train as its predecessor would have saved it: version 4, whose optimizer
is a pickled object with the weights themselves as keys. No PyTorch needed: the tensors' bytes are
copied, and only the pickle that names them is written anew.

Usage: version4.py NEW.pth OLD.pth
"""

import pickle
import sys
import types
import uuid
import zipfile


class OldModule(types.ModuleType):
    """Stands for a module of PyTorch: has whatever class a pickle asks for."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        made = type(name, (), {"__module__": self.__name__})
        setattr(self, name, made)
        return made


for module in ("torch", "torch._utils", "torch.optim", "torch.optim.adamw"):
    sys.modules[module] = OldModule(module)


class Storage:
    def __init__(self, key):
        self.key = key


class Rebuilt:
    """What a function of torch._utils makes of `arguments`, pickled as that call."""

    def __init__(self, function, arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


def function(name):
    def rebuild(*arguments):
        return Rebuilt(rebuild, arguments)

    rebuild.__module__, rebuild.__qualname__ = "torch._utils", name
    setattr(sys.modules["torch._utils"], name, rebuild)
    return rebuild


function("_rebuild_tensor_v2")
rebuild_parameter = function("_rebuild_parameter")


class Reader(pickle.Unpickler):
    def persistent_load(self, key):
        return Storage(key)


class Writer(pickle._Pickler):  # in Python: the C one asks persistent_id of fewer objects
    def persistent_id(self, thing):
        return thing.key if isinstance(thing, Storage) else None


def optimizer_object(state_dict, parameters):
    """An AdamW as it lay in memory: parameters in place of their numbers."""
    adamw = sys.modules["torch.optim.adamw"].AdamW()
    adamw.defaults = {key: state_dict["param_groups"][0][key] for key in ("lr", "betas", "eps", "weight_decay")}
    adamw.state = {parameters[number]: state for number, state in state_dict["state"].items()}
    adamw.param_groups = [
        {**group, "params": [parameters[number] for number in group["params"]]} for group in state_dict["param_groups"]
    ]
    return adamw


def main():
    new, old = sys.argv[1:]
    with zipfile.ZipFile(new) as source, zipfile.ZipFile(old, "w") as target:
        for name in source.namelist():
            if not name.endswith("/data.pkl"):
                target.writestr(name, source.read(name))
                continue
            with source.open(name) as file:
                checkpoint = Reader(file).load()
            # A weight is decayed when it is a matrix, and those come first: the optimizer's numbers.
            weights = [t for part in ("backbone", "head") for n, t in checkpoint[part].items() if is_trained(n)]
            ordered = [t for t in weights if dimensions(t) > 1] + [t for t in weights if dimensions(t) <= 1]
            parameters = [Rebuilt(rebuild_parameter, (tensor, True, {})) for tensor in ordered]
            checkpoint["version"] = 4
            checkpoint["uuid"] = str(uuid.uuid4())
            checkpoint["optimizer"] = optimizer_object(checkpoint["optimizer"], parameters)
            checkpoint["config"] = {"epochs": checkpoint["epoch"]}
            for key in ("reprise", "progress", "parents", "ema"):
                checkpoint.pop(key, None)
            with target.open(name, "w") as file:
                Writer(file, protocol=2).dump(checkpoint)


def is_trained(name):
    return not name.endswith(("running_mean", "running_var", "num_batches_tracked"))


def dimensions(tensor):
    return len(tensor.arguments[2])


if __name__ == "__main__":
    main()
