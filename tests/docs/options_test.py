"""Every command line in README and docs names programs, subcommands and options that there are.

Usage: options_test.py REPOSITORY PROGRAM...
"""

import json
import pathlib
import re
import shlex
import subprocess
import sys


def command_lines(text):
    """Command lines in fenced blocks, and in code spans that begin with a program."""
    fenced = re.findall(r"^```\w*\n(.*?)^```", text, re.S | re.M)
    for block in fenced:
        yield from block.replace("\\\n", " ").splitlines()
    yield from re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.S | re.M))


def has(text, option):
    return re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", text)


# Options of programs that we call, or that call us.
FOREIGN = ["--signal --no-python"]


def shown(option):
    """How help shows an option's choices and default, or nothing."""
    choices = ", ".join(choice for choice in option["choices"] if choice)
    default = f"default {option['default']}" if option["default"] else ""
    return f"({'; '.join(filter(None, [choices, default]))})" if choices or default else ""


def defaults_that_help_hides(train, help_text):
    """Options whose default in help is not the value that --print-config gives them."""
    describe = json.loads(subprocess.check_output([train, "--describe"]))
    config = json.loads(subprocess.check_output([train, "--print-config", "--json"]))
    flat = " ".join(help_text.split())
    follows = ["batch-size", "shards", "lr", "weight-decay", "weight-decay-end"]
    for option in describe["commands"][0]["options"]:
        names = option["names"].split(",")
        key = names[0].removeprefix("--")
        if key not in config:
            continue
        value, default = config.pop(key), option["default"]
        if isinstance(value, bool):
            right = default == names[0 if value else 1]
        elif isinstance(value, str):
            right = default == value or (key, default) == ("arch", "auto")
        else:
            right = default if key in follows else float(default) == value
        explained = " ".join(f"{option['help']} {shown(option)}".split())
        if not right or explained not in flat:
            yield f"train --help: {names[0]}: default '{default}', --print-config says {value}"
    yield from (f"train has no option for {key}" for key in config)


def main():
    repository, *programs = (pathlib.Path(p) for p in sys.argv[1:])
    binaries = {p.name: p for p in programs}
    helps = {}

    def help_of(*command):
        if command not in helps:
            result = subprocess.run([binaries[command[0]], *command[1:], "--help"], capture_output=True, text=True)
            helps[command] = result.stdout if result.returncode == 0 else ""
        return helps[command]

    def everything():
        for name in binaries:
            yield help_of(name)
            for command in re.findall(r"^  ([a-z]+)\b", help_of(name), re.M):
                yield help_of(name, command)
        yield from FOREIGN

    checked, problems = 0, []
    for path in [repository / "README.md", *sorted((repository / "docs").glob("*.md"))]:
        for line in command_lines(path.read_text()):
            words = re.sub(r"^\$ ", "", line.strip()).split("  #")[0]
            try:
                words = shlex.split(words, comments=True)
            except ValueError:
                continue  # prose with an apostrophe
            if words and re.fullmatch(r"--[a-z][a-z0-9-]*", words[0]):
                checked += 1
                if not any(has(text, words[0]) for text in everything()):
                    problems.append(f"{path.name}: no program has {words[0]}")
            if not words or words[0] not in binaries:
                continue
            program, rest = words[0], words[1:]
            commands = re.findall(r"^  ([a-z]+)\b", help_of(program), re.M)
            command = (program,)
            if program in ("ckpt", "repro") and rest and not rest[0].startswith("-"):
                if rest[0] not in commands:
                    if re.fullmatch(r"[a-z]+", rest[0]):
                        problems.append(f"{path.name}: no command {program} {rest[0]}: {line}")
                    continue
                command = (program, rest[0])
                if command == ("repro", "run") and "--" in rest:
                    rest = rest[: rest.index("--")]
            text = help_of(*command)
            for word in rest:
                for option in re.findall(r"^(--[a-z][a-z0-9-]*)", word):
                    checked += 1
                    if not has(text, option):
                        problems.append(f"{path.name}: {' '.join(command)} has no {option}: {line}")
    problems += defaults_that_help_hides(binaries["train"], help_of("train"))
    print(*problems, f"{checked} options checked", sep="\n")
    assert checked > 50
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
