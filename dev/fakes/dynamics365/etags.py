"""ETags: ``If-Match`` is required to change or delete, ``*`` is allowed, a mismatch is a conflict (A9)."""

from __future__ import annotations

import base64
from uuid import UUID

from dev.fakes.dynamics365.errors import BcError


def etag(record: UUID, version: int) -> str:
    return f'W/"{base64.b64encode(f"19;{record.hex[:16]};{version};".encode()).decode()}"'


def check(given: str | None, record: UUID, version: int, mismatch: int) -> None:
    """Raises BcError when the record may not be changed under this header; ``mismatch`` is the status for another one.

    The status and code without a header are an inference.
    """
    if given is None:
        raise BcError(400, "BadRequest_RequiredParamNotProvided", "The If-Match header must be provided.")
    if given == "*":
        return
    if not given.startswith(('W/"', '"')):
        raise BcError(400, "BadRequest_InvalidToken", f"The ETag '{given}' is not valid.")
    if given != etag(record, version):
        raise BcError(mismatch, "Request_EntityChanged", "Another user has already changed the record.")
