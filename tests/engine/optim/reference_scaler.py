"""Scales of the real GradScaler over updates of which some overflow; saved for loss_scaler_test."""

import pathlib
import sys

import torch

UPDATES = 9000


def overflows(update):
    return update < 3 or update % 4500 == 4321


def main():
    weight = torch.nn.Parameter(torch.ones(1))
    optimizer = torch.optim.SGD([weight], lr=0)
    scaler = torch.amp.GradScaler("cpu")
    scales, trackers = [], []
    for update in range(UPDATES):
        scaler.scale(weight.sum())  # makes the scale, as a loss does
        weight.grad = torch.full((1,), float("inf") if overflows(update) else 1.0)
        scaler.step(optimizer)
        scaler.update()
        state = scaler.state_dict()
        scales.append(state["scale"])
        trackers.append(state["_growth_tracker"])
    folder = pathlib.Path(sys.argv[-1])
    torch.save({"scales": torch.tensor(scales, dtype=torch.float64),
                "trackers": torch.tensor(trackers)}, folder / "scaler.pth")
    torch.save({"scaler": scaler.state_dict()}, folder / "state.pth")


main()
