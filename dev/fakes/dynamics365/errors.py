"""What Business Central says when it refuses: ``{"error": {"code", "message"}}``, a correlation id in the message.

The shape, the codes [MS] and some of the sentences are known; a status beside a code is there where it was observed,
and an inference elsewhere.
"""

from __future__ import annotations

from uuid import uuid4

from dev.fakes.exchange import Answer

ENGLISH = "en-US"
ELSEWHERE = "Handlingen kan ikke utføres."
"""What every error says in a language other than English."""


class BcError(Exception):
    """A refusal. Whatever the operation has written is taken back."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message

    def body(self, language: str = ENGLISH) -> dict[str, dict[str, str]]:
        """The doubled spaces are Microsoft's own [MS sample]. The text is in the reader's language [MS tips page]."""
        message = self.message if language == ENGLISH else ELSEWHERE
        return {"error": {"code": self.code, "message": f"{message}  CorrelationId:  {uuid4()}."}}

    def answer(self, language: str = ENGLISH) -> Answer:
        return Answer.of_json(self.status, self.body(language))


def malformed(message: str) -> BcError:
    return BcError(400, "BadRequest", message)


def dialog(message: str) -> BcError:
    """What the application's own code says with ``Error()``."""
    return BcError(400, "Application_DialogException", message)


def no_such_resource(what: str) -> BcError:
    return BcError(404, "BadRequest_NotFound", f"No HTTP resource was found that matches the request URI '{what}'.")


def no_such_record(entity: str) -> BcError:
    return BcError(404, "BadRequest_ResourceNotFound", f"The {entity} does not exist.")


def not_allowed(method: str, entity: str) -> BcError:
    """A read-only entity answers 405 [LIVE-3P]."""
    message = f"The method {method} is not allowed for the resource {entity}."
    return BcError(405, "BadRequest_MethodNotAllowed", message)


def not_related(field: str, table: str, value: str, related: str) -> BcError:
    """[MS] with the very words of A7."""
    message = (
        f"The field {field} of table {table} contains a value ({value}) that cannot be found in the related table"
        f" ({related})."
    )
    return BcError(400, "Internal_InvalidTableRelation", message)


def same_key(table: str, key: str) -> BcError:
    """400 [3P x2]."""
    message = f"The record in table {table} already exists. Identification fields and values: {key}"
    return BcError(400, "Internal_EntityWithSameKeyExists", message)


def too_long(value: str, most: int) -> BcError:
    message = (
        f"The length of the string is {len(value)}, but it must be less than or equal to {most} characters."
        f" Value: {value}"
    )
    return BcError(400, "Application_StringExceededLength", message)


def read_only(name: str) -> BcError:
    return BcError(400, "BadRequest_InvalidOperation", f"Control '{name}' is read-only.")
