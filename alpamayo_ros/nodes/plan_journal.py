"""What an annotation has done so far, on disk: a bag cannot be appended to, and a killed run must not begin again."""

from __future__ import annotations

import fcntl
import json
import shutil
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO
from zlib import crc32

from alpamayo_ros.datasets.staging import DatasetError
from alpamayo_ros.timeline import Refusal, RefusalReason

_LENGTHS = struct.Struct("<III")
"""Before each step: bytes of its head, bytes of its messages, CRC-32 of both."""


@dataclass(frozen=True)
class Step:
    """What came of one t0: serialized messages by topic, or the reason for none.

    gate: checks that the selected sample failed.
    """

    t0_ns: int
    messages: dict[str, bytes]
    gate: tuple[str, ...]
    refusal: Refusal | None


class PlanJournal:
    """Steps in a folder, in order. A step is kept from the moment that `append` returns, however the process ends.

    Raises DatasetError where the folder holds the journal of other work, or another process writes to it.
    """

    def __init__(self, folder: Path, command: dict[str, Any]) -> None:
        """command: all that decides about the steps, as JSON has it."""
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._file = (folder / "steps.bin").open("a+b")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._check_command(folder / "command.json", command)
        except BlockingIOError:
            self._file.close()
            raise DatasetError(f"{folder}: another process is writing to it; wait for it, or end it") from None
        except BaseException:
            self._file.close()
            raise
        self.count = sum(1 for _ in self._read(bodies=True))
        # Behind the last whole step is what a killed run was writing.
        self._file.truncate(self._end)

    def append(self, step: Step) -> None:
        refusal = step.refusal
        head = json.dumps(
            {
                "t0_ns": step.t0_ns,
                "topics": {topic: len(data) for topic, data in step.messages.items()},
                "gate": step.gate,
                "refusal": None if refusal is None else [refusal.reason, refusal.source, refusal.text],
            }
        ).encode()
        body = b"".join(step.messages.values())
        self._file.write(_LENGTHS.pack(len(head), len(body), crc32(body, crc32(head))) + head + body)
        self._file.flush()
        self.count += 1

    def steps(self, *, messages: bool = True) -> Iterator[Step]:
        """All whole steps of the time of the call. messages: with them; without, they are empty, which is quick."""
        return self._read(bodies=messages)

    def close(self) -> None:
        self._file.close()

    def remove(self) -> None:
        self.close()
        shutil.rmtree(self.folder)

    def _check_command(self, path: Path, command: dict[str, Any]) -> None:
        text = json.dumps(command, indent=1, sort_keys=True)
        if not path.exists():
            made = path.with_suffix(".partial")
            made.write_text(text)
            made.rename(path)
            return
        try:
            was: dict[str, Any] = json.loads(path.read_text())
        except ValueError:
            was = {}
        now = json.loads(text)
        other = sorted(name for name in {*was, *now} if was.get(name) != now.get(name))
        if other:
            raise DatasetError(
                f"{self.folder} holds the unfinished work of another command (it differs in {', '.join(other)}); "
                "finish that one, or remove the folder"
            )

    def _read(self, *, bodies: bool) -> Iterator[Step]:
        with (self.folder / "steps.bin").open("rb") as file:
            size = file.seek(0, 2)
            file.seek(0)
            self._end = 0
            while (step := _step(file, size, bodies)) is not None:
                self._end = file.tell()
                yield step


def _step(file: BinaryIO, size: int, bodies: bool) -> Step | None:
    """The next step, or None at the end or where it is not whole. bodies: read, and checked, with its messages."""
    lengths = file.read(_LENGTHS.size)
    if len(lengths) < _LENGTHS.size:
        return None
    head_length, body_length, checksum = _LENGTHS.unpack(lengths)
    if file.tell() + head_length + body_length > size:
        return None
    head = file.read(head_length)
    if bodies:
        body = file.read(body_length)
        if crc32(body, crc32(head)) != checksum:
            return None
    else:
        file.seek(body_length, 1)
    facts = json.loads(head)
    messages, place = {}, 0
    for topic, length in facts["topics"].items() if bodies else ():
        messages[topic] = body[place : place + length]
        place += length
    refused = facts["refusal"]
    refusal = None if refused is None else Refusal(RefusalReason(refused[0]), refused[1], refused[2])
    return Step(facts["t0_ns"], messages, tuple(facts["gate"]), refusal)
