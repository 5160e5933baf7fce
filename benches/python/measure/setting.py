"""How a run is set: how often, how large, and where the programs are. Values only, any thread."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

from .report import Row

HERE = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Setting:
    """What each row is given."""

    programs: Path
    """The folder with `fanout`, `limit` and `members`, and `examples/rooms` below it."""
    burn: Path
    """The library that burns a core."""
    runs: int = 3
    smoke: bool = False

    def few(self, full: int, tiny: int) -> int:
        return tiny if self.smoke else full

    @property
    def members(self) -> Path:
        return self.programs / "members"

    def host(self, name: str, *arguments: str) -> list[str]:
        """The command of one of our hosts."""
        return [sys.executable, str(HERE / "hosts" / name), *arguments]


@dataclass
class Outcome:
    """What a row found: lines of the table, and what was lost, if anything."""

    rows: list[Row] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def check(self, holds: bool, fault: str) -> None:
        if not holds:
            self.faults.append(fault)
