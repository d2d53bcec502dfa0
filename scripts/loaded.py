"""What of an ELF object ends up in memory: contents and relocations of its sections."""

from __future__ import annotations

import re
from pathlib import Path

from elftools.elf.constants import SH_FLAGS  # type: ignore[import-untyped]
from elftools.elf.elffile import ELFFile  # type: ignore[import-untyped]
from elftools.elf.relocation import RelocationSection  # type: ignore[import-untyped]


def sections(path: Path) -> dict[str, list[object]]:
    """Sections that are loaded, and the relocations of these, by the section's name.

    A symbol stands for what it means: its name if it is global, else the section and
    where in it, since what a compiler calls a local label is its own affair. So is the
    counter in names of sections such as .rodata.CSWTCH.195."""
    found: dict[str, list[object]] = {}
    with path.open("rb") as file:
        elf = ELFFile(file)
        every = list(elf.iter_sections())
        names = [re.sub(r"\.\d+$", "", s.name) for s in every]
        loaded = [bool(s["sh_flags"] & SH_FLAGS.SHF_ALLOC) for s in every]
        for section, name, kept in zip(every, names, loaded, strict=True):
            if not isinstance(section, RelocationSection):
                if kept:
                    size = section["sh_type"] == "SHT_NOBITS"
                    found.setdefault(name, []).append(section["sh_size"] if size else section.data())
            elif loaded[section["sh_info"]]:
                symbols = every[section["sh_link"]]
                meaning: dict[int, object] = {}
                relocations: list[object] = []
                for relocation in section.iter_relocations():
                    entry = dict(relocation.entry)
                    index = entry.pop("r_info_sym")
                    entry.pop("r_info")
                    if index not in meaning:
                        symbol = symbols.get_symbol(index)
                        where, kind = symbol["st_shndx"], symbol["st_info"]
                        if not isinstance(where, int):  # SHN_UNDEF, SHN_ABS, SHN_COMMON
                            meaning[index] = symbol.name, where
                        elif kind["type"] == "STT_SECTION":
                            meaning[index] = names[where]
                        elif kind["bind"] == "STB_LOCAL":
                            meaning[index] = names[where], symbol["st_value"]
                        else:
                            meaning[index] = symbol.name
                    relocations.append((meaning[index], sorted(entry.items())))
                found.setdefault(name, []).append(relocations)
    return found


def differing(before: Path, after: Path) -> list[str]:
    """The names of the sections that differ."""
    if before.read_bytes() == after.read_bytes():
        return []
    one, two = sections(before), sections(after)
    return sorted(name for name in one.keys() | two.keys() if one.get(name) != two.get(name))
