"""What stands around the vouchers in the file of a run."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Frame:
    """The same for every batch of a run. ``head`` and ``tail`` stand before and after all vouchers."""

    extension: str
    media_type: str
    head: bytes = b""
    tail: bytes = b""

    def as_json(self) -> dict[str, str]:
        return {
            "extension": self.extension,
            "mediaType": self.media_type,
            "head": b64encode(self.head).decode("ascii"),
            "tail": b64encode(self.tail).decode("ascii"),
        }
