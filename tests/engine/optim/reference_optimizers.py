"""torch.optim as the peer of ours.

usage: reference_optimizers.py steps FOLDER    saves FOLDER/steps.pth: per case 100 updates of three
                                               parameters, the state after 50, the end
       reference_optimizers.py load FOLDER     loads the states in FOLDER/ours.json into torch.optim,
                                               makes one step, saves FOLDER/loaded.pth
"""
import json
import sys

import torch

SHAPES = {"a.weight": (7, 5), "a.bias": (7,), "b.weight": (3, 7, 2)}
CASES = {
    "sgd": (torch.optim.SGD, dict(lr=0.05)),
    "sgd_momentum": (torch.optim.SGD, dict(lr=0.05, momentum=0.9, weight_decay=0.01)),
    "sgd_dampening": (torch.optim.SGD, dict(lr=0.05, momentum=0.8, dampening=0.3)),
    "sgd_nesterov": (torch.optim.SGD, dict(lr=0.05, momentum=0.9, weight_decay=0.01, nesterov=True)),
    "adam": (torch.optim.Adam, dict(lr=0.003, weight_decay=0.01)),
    "adamw": (torch.optim.AdamW, dict(lr=0.003, betas=(0.8, 0.99), eps=1e-6, weight_decay=0.05)),
    "adamw_groups": (torch.optim.AdamW, dict(lr=0.003, weight_decay=0.05, factors={"b.": 0.125})),
}


def make(kind, params, options):
    """The optimizer; factors on the learning rate give weights a group of their own."""
    options = dict(options)
    groups = {}
    for start, factor in {"": 1, **options.pop("factors", {})}.items():
        for name in params:
            if name.startswith(start):
                groups[name] = factor
    return kind([{"params": [p for n, p in params.items() if groups[n] == factor],
                  "lr": options["lr"] * factor} for factor in dict.fromkeys(groups.values())],
                **options)


def gradient(name, update):
    generator = torch.Generator().manual_seed(1000 * update + list(SHAPES).index(name))
    return torch.randn(SHAPES[name], generator=generator)


def fresh():
    generator = torch.Generator().manual_seed(5)
    return {n: torch.nn.Parameter(torch.randn(s, generator=generator)) for n, s in SHAPES.items()}


def values(params):
    return {name: p.detach().clone() for name, p in params.items()}


def copied(state):
    return {"state": {i: {k: v.clone() if torch.is_tensor(v) else v for k, v in s.items()}
                      for i, s in state["state"].items()}, "param_groups": state["param_groups"]}


def step(params, optimizer, update):
    for name, p in params.items():
        p.grad = gradient(name, update)
    torch.nn.utils.clip_grad_norm_(params.values(), 5.0)
    optimizer.step()


def main():
    mode, folder = sys.argv[1:]
    torch.set_num_threads(1)
    if mode == "steps":
        out = {"gradients": {n: torch.stack([gradient(n, u) for u in range(100)]) for n in SHAPES},
               "start": values(fresh()), "cases": {}}
        for case, (kind, options) in CASES.items():
            params = fresh()
            optimizer = make(kind, params, options)
            for update in range(100):
                step(params, optimizer, update)
                if update == 49:
                    middle, state = values(params), copied(optimizer.state_dict())
            out["cases"][case] = {"middle": middle, "state": state, "end": values(params)}
        torch.save(out, f"{folder}/steps.pth")
        return
    ours = json.load(open(f"{folder}/ours.json"))
    out = {}
    for case, (kind, options) in CASES.items():
        params = fresh()
        optimizer = make(kind, params, options)
        expected_keys = set(optimizer.state_dict()["param_groups"][0])
        found = ours[case]
        assert set(found["param_groups"][0]) == expected_keys, (
            case, set(found["param_groups"][0]) ^ expected_keys)
        for name, flat in found["params"].items():
            params[name].data = torch.tensor(flat).reshape(SHAPES[name])
        for group in found["param_groups"]:
            if "betas" in group:
                group["betas"] = tuple(group["betas"])
        names = list(SHAPES)
        state = {int(i): {k: torch.tensor(v).reshape(SHAPES[names[int(i)]] if k != "step" else ())
                          for k, v in s.items()} for i, s in found["state"].items()}
        optimizer.load_state_dict({"state": state, "param_groups": found["param_groups"]})
        for update in range(50, 100):
            step(params, optimizer, update)
        out[case] = values(params)
    torch.save(out, f"{folder}/loaded.pth")


main()
