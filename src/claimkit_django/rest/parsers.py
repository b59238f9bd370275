"""Reads request bodies: JSON without surprises, forms, files; each within a limit.

DRF's own JSON parser reads bodies of any size into memory, takes the last of two equal keys, and
lets text through that no database stores.
"""

from __future__ import annotations

import codecs
import io
import json
from typing import IO, TYPE_CHECKING, Any, NoReturn

from django.core.exceptions import RequestDataTooBig
from rest_framework import exceptions
from rest_framework.parsers import BaseParser, MultiPartParser
from rest_framework.parsers import FormParser as UnlimitedFormParser

from claimkit_django.conf import config

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["JSON_ONLY", "PARSERS", "FormParser", "StrictJsonParser"]

_MAX_DEPTH = 64


class StrictJsonParser(BaseParser):
    """UTF-8 JSON with each key once, finite numbers, valid text, and limited size and depth."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return the value that the body holds.

        Raises:
            RequestDataTooBig: longer than ``CLAIMKIT["REST"]["MAX_BODY_BYTES"]``.
            ParseError: not JSON, or JSON with one of the surprises.
        """
        del media_type, parser_context
        body = _read(stream)
        try:
            text = codecs.decode(body, "utf-8")
            value = json.loads(text, object_pairs_hook=_once, parse_constant=_refuse_constant)
        except UnicodeDecodeError:
            raise exceptions.ParseError("the body is not UTF-8") from None
        except RecursionError:
            raise exceptions.ParseError("the body is nested too deep") from None
        except ValueError as error:
            raise exceptions.ParseError(f"the body is not JSON: {_place(error)}") from None
        _refuse_depth(value)
        return value


class FormParser(UnlimitedFormParser):
    """URL-encoded forms, as DRF reads them, of limited size."""

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return the fields.

        Raises:
            RequestDataTooBig: longer than ``CLAIMKIT["REST"]["MAX_BODY_BYTES"]``.
        """
        return super().parse(io.BytesIO(_read(stream)), media_type, parser_context)


#: What a view reads unless it says otherwise.
PARSERS = (StrictJsonParser, FormParser, MultiPartParser)
#: What a view reads whose bodies hold objects, empty lists or null: no form can write them.
JSON_ONLY = (StrictJsonParser,)


def _read(stream: IO[bytes]) -> bytes:
    limit = config().rest.max_body_bytes
    body = stream.read(limit + 1)
    if len(body) > limit:
        raise RequestDataTooBig(f"more than {limit} bytes")
    return body


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise exceptions.ParseError("the body names a key twice")
    return found


def _refuse_constant(text: str) -> NoReturn:
    raise exceptions.ParseError(f"{text} is not a number that JSON has")


def _place(error: ValueError) -> str:
    """Say where it went wrong, without quoting the body, which may be about a patient."""
    if isinstance(error, json.JSONDecodeError):
        return f"line {error.lineno}, column {error.colno}"
    return "a number is too long"


def _refuse_depth(value: Any) -> None:
    """Refuse nesting that somebody else's recursion would choke on, and text that cannot be stored.

    Raises:
        ParseError: deeper than 64, or half a surrogate pair.
        ValidationError: a NUL, which JSON can write and no database keeps.
    """
    level = [value]
    for _ in range(_MAX_DEPTH):
        following: list[Any] = []
        for one in level:
            if isinstance(one, dict):
                following += [*one, *one.values()]
            elif isinstance(one, list):
                following += one
            elif isinstance(one, str):
                _refuse_text(one)
        if not following:
            return
        level = following
    raise exceptions.ParseError("the body is nested too deep")


def _refuse_text(text: str) -> None:
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise exceptions.ParseError("the body holds text that is not valid Unicode")
    if "\0" in text:
        raise exceptions.ValidationError(
            "the body holds a NUL character, which cannot be kept", "null_characters_not_allowed"
        )
