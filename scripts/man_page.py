#!/usr/bin/env python3
"""Writes the man page of one tool from its --help: man_page.py PROGRAM NAME VERSION > NAME.1

The help is the one text about options; the page is the same text, command by command.
"""

import re
import subprocess
import sys


def help_of(program, *command):
    return subprocess.run([program, *command, "--help"], check=True, text=True,
                          stdin=subprocess.DEVNULL, capture_output=True).stdout


def escape(line):
    line = line.replace("\\", "\\e").replace("-", "\\-")
    return "\\&" + line if line[:1] in (".", "'") else line


def section(title, text):
    return [f'.SH "{title}"', ".nf", *(escape(line) for line in text.rstrip().splitlines()), ".fi"]


def commands_in(text):
    match = re.search(r"^commands:\n((?:  .*\n)+)", text, re.MULTILINE)
    return re.findall(r"^  ([a-z][a-z-]*) ", match.group(1), re.MULTILINE) if match else []


def main():
    program, name, version = sys.argv[1:]
    text = help_of(program)
    # After the usage lines comes what the tool does; its first sentence is the summary.
    paragraphs = text.split("\n\n")
    summary = " ".join(paragraphs[1].split()).split(". ")[0].rstrip(".")
    page = [f'.TH "{name.upper()}" 1 "" "reprise {version}"', ".SH NAME",
            escape(f"{name} - {summary[0].lower()}{summary[1:]}")]
    page += section("DESCRIPTION", text)
    for command in commands_in(text):
        page += section(f"{name} {command}", help_of(program, command))
    print("\n".join(page))


if __name__ == "__main__":
    sys.exit(main())
