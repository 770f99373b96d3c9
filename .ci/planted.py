"""Mistakes that are written down in lists, and a copy of the workspace to plant them in.

The form of a list is that of loom-tests/mutants: `mutant: <name>`, lines `<key>: <value>`, and one or more
edits from `file:` and `find:` over `replace:` to `end`. What an edit looks for must be in its file exactly
once, white space aside; so a list cannot fall behind the source unnoticed.
"""

import os
import pathlib
import re
import shutil
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def target(name):
    """Where a tool of this name keeps its copy and its builds."""
    return ROOT.joinpath(os.environ.get("CARGO_TARGET_DIR", "target"), name)


def die(message):
    sys.exit(f"{pathlib.Path(sys.argv[0]).name}: {message}")


def read_list(path):
    mutants, file, into, find, replace = [], None, None, "", ""
    for line in path.read_text().splitlines():
        if into == "find" and line != "replace:":
            find += line + "\n"
        elif into == "find":
            into = "replace"
        elif into == "replace" and line != "end":
            replace += line + "\n"
        elif into == "replace":
            mutants[-1].edits.append((file, find, replace))
            into, find, replace = None, "", ""
        elif line.startswith("mutant: "):
            mutants.append(Mutant(line.removeprefix("mutant: ")))
        elif line.startswith("file: "):
            file = line.removeprefix("file: ")
        elif line == "find:":
            into = "find"
        elif line and not line.startswith("#"):
            key, colon, value = line.partition(": ")
            if not colon or not mutants:
                die(f"{path}: {line!r} is not understood")
            mutants[-1].notes[key] = value
    if into or not mutants or any(not mutant.edits for mutant in mutants):
        die(f"{path}: a mutant is not complete")
    return mutants


class Mutant:
    """A mistake that is written down in a list."""

    def __init__(self, name):
        self.name, self.edits, self.notes = name, [], {}

    def changed(self, read):
        """The files of the workspace with this mistake in them."""
        texts = {}
        for file, find, replace in self.edits:
            text = texts.get(file) or read(file)
            pattern = r"\s+".join(re.escape(word) for word in find.split())
            places = list(re.finditer(pattern, text))
            if len(places) != 1:
                die(f"{self.name}: {file} has this {len(places)} times, not once: {find!r}")
            start, end = places[0].span()
            texts[file] = text[:start] + replace.strip() + text[end:]
        return texts


def write(path, text):
    """Files that do not change keep their time, so that cargo builds only what it must."""
    if not path.exists() or path.read_text() != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


class Copy:
    """A copy of some members of the workspace."""

    def __init__(self, place, members, without_dev_dependencies=False):
        self.place, self.members, self.bare = place, members, without_dev_dependencies

    def restore(self):
        """Makes the copy equal to the workspace, as far as its members go."""
        wanted = set()
        for member in self.members:
            files = (ROOT / member).rglob("*")
            wanted |= {file for file in files if file.suffix in (".rs", ".toml")}
        for member in self.members:
            for old in (self.place / member).rglob("*.rs"):
                if ROOT / old.relative_to(self.place) not in wanted:
                    old.unlink()
        for path in wanted:
            text = path.read_text()
            if path.name == "Cargo.toml" and self.bare:
                text = re.sub(r"^\[dev-dependencies\]\n(?:(?!\[).*\n)*", "", text, flags=re.MULTILINE)
            write(self.place / path.relative_to(ROOT), text)
        manifest = (ROOT / "Cargo.toml").read_text()
        members = ", ".join(f'"{member}"' for member in self.members)
        manifest = re.sub(r"members = \[[^\]]*\]", f"members = [{members}]", manifest)
        write(self.place / "Cargo.toml", manifest)
        if not (self.place / "Cargo.lock").exists():
            shutil.copy(ROOT / "Cargo.lock", self.place / "Cargo.lock")

    def plant(self, *mutants):
        """The workspace, with these mistakes in it."""
        self.restore()
        for mutant in mutants:
            for file, text in mutant.changed(lambda file: (self.place / file).read_text()).items():
                write(self.place / file, text)
