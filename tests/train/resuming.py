"""What the tests of resuming old files share: running programs, and comparing the update that train makes next with
PyTorch's own."""

import json
import subprocess

import torch


def run(*command, code=0):
    result = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    assert result.returncode == code, f"{command}: exit {result.returncode}\n{result.stdout}{result.stderr}"
    return result


def normalised(images, ckpt, work):
    """Less the mean and over the deviation that a run of train wrote down."""
    derived = json.loads(run(ckpt, "show", work / "<last>", "--config").stdout)["derived"]
    mean, deviation = (torch.tensor(derived[k], dtype=torch.float32).view(3, 1, 1) for k in ("mean", "deviation"))
    return (images - mean) / deviation


def relative(found, expected, before):
    """Error of an update, against its length."""
    moved = (expected - before).double().norm()
    return float((found - expected).double().norm() / moved) if moved > 0 else float((found - expected).abs().max())


def check_optimizer(label, ours, theirs):
    assert [g["params"] for g in ours["param_groups"]] == [g["params"] for g in theirs["param_groups"]], label
    assert set(ours["state"]) == set(theirs["state"]), label
    for index, entries in theirs["state"].items():
        for key, value in entries.items():
            mine = torch.as_tensor(ours["state"][index][key])
            assert mine.shape == value.shape, (label, index, key)
            assert torch.allclose(mine.double(), value.double(), rtol=1e-3, atol=2e-3 * float(value.abs().max())), (
                label, index, key)


def check_next_update(label, programs, sources, options, tensors_of, before, after, optimizer, work_of):
    """Resumes from each of `sources` into `work_of(source)`. What the run saves last has to be PyTorch's next update,
    from the tensors `before` to those `after` with the state `optimizer`, and the same for all sources to the bit.

    `tensors_of`: the tensors of a checkpoint, under the names of `before` and `after`."""
    ckpt, train = programs
    digests = []
    for source in sources:
        work = work_of(source)
        run(train, "--resume-from", source, *options, "--work-dir", work)
        result = work / "result.pth"
        run(ckpt, "convert", work / "<last>", result)
        checkpoint = torch.load(result, weights_only=True)
        result.unlink()
        found = tensors_of(checkpoint)
        assert found and set(found) == set(after), set(found) ^ set(after)
        worst = max((relative(found[k], after[k], before[k]), k) for k in after if after[k].is_floating_point())
        print(f"{label} from {source.name}: largest relative error of an update {worst[0]:.2e} ({worst[1]})")
        assert worst[0] < 2e-3, worst
        assert all(torch.equal(found[k], after[k]) for k in after if not after[k].is_floating_point())
        check_optimizer(label, checkpoint["optimizer"], optimizer)
        listing = json.loads(run(ckpt, "ls", "--digest", "--json", work / "<last>").stdout)
        digests.append([(tensor["name"], tensor["sha256"]) for tensor in listing["tensors"]])
    assert digests.count(digests[0]) == len(digests), "the migrated file and the old one go on differently"
    return found
