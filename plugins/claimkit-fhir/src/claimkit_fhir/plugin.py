"""The reader ``fhir``: Claim, ClaimResponse and ExplanationOfBenefit of FHIR R4."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, BinaryIO

from claimkit import hookimpl
from claimkit.claims.model import Claim, ClaimBatch, ClaimKind, Notice, RowProblem
from claimkit.claims.readers import Confidence, ReadOptions
from claimkit.errors import FileRefused
from claimkit_fhir.documents import MAX_DOCUMENT, Documents, Parsed
from claimkit_fhir.nodes import Node, Spoiled
from claimkit_fhir.references import Links
from claimkit_fhir.resources import RESOURCES, Resources

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from claimkit.claims.readers import ClaimReader

__all__ = ["FhirReader", "claimkit_register_readers"]

#: A batch ends after this many bytes of the file, however few claims they hold.
_BATCH_BYTES = 2 << 20
#: Rejected resources have a share only where there are some.
_SHARE_FROM = 1_000
_MAX_KINDS = 100
_TYPE = re.compile(rb'"resourceType"\s*:\s*"([A-Za-z]{1,64})"')
_NAME = re.compile(r"[A-Za-z]{1,64}", re.ASCII)
_OWN = frozenset(one.encode() for one in (*RESOURCES, "Bundle"))


@hookimpl
def claimkit_register_readers() -> Iterable[ClaimReader]:
    """Register the FHIR reader."""
    return [FhirReader()]


class FhirReader:
    """Reads FHIR R4 claims as a resource, a Bundle or NDJSON."""

    name = "fhir"
    kinds: tuple[ClaimKind, ...] = (ClaimKind.FHIR,)

    def sniff(self, head: bytes, filename: str) -> Confidence:  # noqa: ARG002
        """Be certain of what a claim or Bundle says of itself, likely of any other resource.

        Other JSON is POSSIBLE, so that :meth:`read` refuses it by name.
        """
        start = head.lstrip(b"\xef\xbb\xbf \t\r\n")
        if start[:1] not in (b"{", b"["):
            return Confidence.NO
        types = set(_TYPE.findall(head))
        if types & _OWN:
            return Confidence.CERTAIN
        return Confidence.LIKELY if types else Confidence.POSSIBLE

    def read(self, stream: BinaryIO, options: ReadOptions) -> Iterator[ClaimBatch]:
        """Yield batches of claims; see :class:`claimkit.claims.readers.ClaimReader`.

        With ``max_problems`` or ``max_problem_share`` exceeded, reading stops, and the last batch
        says so in ``stopped``; where no claim was read until then, the file is refused.

        Raises:
            FileRefused: this is no JSON, no FHIR, a document that is too large, or there is none
                of the three resources in it.
        """
        yield from _File(Documents(stream), options).batches()


class _File:
    """One file on its way: JSON in, batches out."""

    def __init__(self, documents: Documents, options: ReadOptions) -> None:
        self._documents = documents
        self._options = options
        self._links = Links()
        self._resources = Resources(self._links)
        self._claims: list[Claim] = []
        self._problems: list[RowProblem] = []
        self._notices: list[Notice] = []
        self._position = 0
        self._told: set[str] = set()
        #: Resources that were read, those that belong here, and those that could not be taken.
        self._read = self._own = self._rejected = 0
        self._accepted = 0
        self._cut_at = 0

    def batches(self) -> Iterator[ClaimBatch]:
        """Yield the file's batches; at least one."""
        stopped = ""
        size = max(1, self._options.batch_size)
        for parsed in self._documents:
            for position, resource in self._resources_of(parsed):
                self._take(position, resource)
                if self._is_full(size):
                    yield self._cut()
            if stopped := self._limit():
                break
        if stopped and not self._accepted:
            raise FileRefused(
                stopped, remedy="Ask the sender for FHIR R4 resources", code="too_many_problems"
            )
        if stopped:
            self._position = 0
            self._note("file_stopped", stopped)
        elif not self._own and (self._read or self._rejected):
            raise FileRefused(
                "this FHIR file holds no Claim, ClaimResponse or ExplanationOfBenefit",
                remedy="Ask the sender for these resources",
            )
        batch = self._cut()
        batch.stopped = stopped
        yield batch

    def _resources_of(self, parsed: Parsed) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield the resources of one JSON value, each with where it stands."""
        self._links.forget()
        self._position = parsed.line or 1
        if parsed.error == "resource_too_long":
            self._reject(
                Spoiled(
                    "resource_too_long",
                    f"the line is longer than {MAX_DOCUMENT >> 20} MiB",
                    "Ask the sender for one resource per line",
                    "",
                )
            )
        elif parsed.error:
            self._reject(
                Spoiled(
                    "json_invalid",
                    "the line is not JSON",
                    "Ask the sender for the file again; a line was damaged or cut off",
                    "",
                )
            )
        elif not isinstance(parsed.value, dict) or not _kind(parsed.value):
            self._refuse_foreign(parsed)
        elif parsed.value["resourceType"] == "Bundle":
            self._links.know(parsed.value)
            yield from self._entries(parsed)
        else:
            yield self._position, parsed.value

    def _entries(self, parsed: Parsed) -> Iterator[tuple[int, dict[str, Any]]]:
        entries = parsed.value.get("entry", [])
        if not isinstance(entries, list):
            self._own += 1
            self._reject(_not_fhir("Bundle.entry"))
            return
        for at, entry in enumerate(entries):
            self._position = parsed.line or at + 1
            resource = entry.get("resource") if isinstance(entry, dict) else entry
            if isinstance(resource, dict) and _kind(resource):
                yield self._position, resource
            elif resource is not None or not isinstance(entry, dict):
                self._reject(_not_fhir(f"Bundle.entry[{at}].resource"))

    def _refuse_foreign(self, parsed: Parsed) -> None:
        if parsed.line:
            self._reject(_not_fhir("resourceType"))
            return
        raise FileRefused(
            "this is JSON and no FHIR: it has no resourceType"
            if isinstance(parsed.value, dict)
            else "this is JSON and no FHIR: it is not an object",
            remedy="FHIR comes as a resource, a Bundle, or NDJSON with one resource per line",
        )

    def _take(self, position: int, resource: dict[str, Any]) -> None:
        kind = _kind(resource)
        self._read += 1
        if kind not in RESOURCES:
            if kind not in self._told and len(self._told) < _MAX_KINDS:
                self._told.add(kind)
                self._note("resource_ignored", f"{kind} is no claim and no decision about one")
            return
        self._own += 1
        try:
            claim = self._resources.claim_of(Node(resource, kind, self._note), position)
        except Spoiled as spoiled:
            self._reject(spoiled)
        else:
            if claim is not None:
                self._accepted += 1
                self._claims.append(claim)

    def _reject(self, spoiled: Spoiled) -> None:
        self._rejected += 1
        self._problems.append(
            RowProblem(
                code=spoiled.code,
                message=spoiled.message,
                remedy=spoiled.remedy,
                position=self._position,
                kind=ClaimKind.FHIR,
                field_name=spoiled.where,
            )
        )

    def _note(self, code: str, message: str) -> None:
        self._notices.append(
            Notice(code=code, message=message, position=self._position, kind=ClaimKind.FHIR)
        )

    def _limit(self) -> str:
        """Return why the file must stop here, or an empty text."""
        if self._rejected > self._options.max_problems:
            return f"more than {self._options.max_problems:,} resources cannot be taken"
        read = self._accepted + self._rejected
        if read >= _SHARE_FROM and self._rejected > self._options.max_problem_share * read:
            return (
                f"more than {self._options.max_problem_share:.0%} of the resources cannot be taken"
            )
        return ""

    def _is_full(self, size: int) -> bool:
        if not self._own:
            # The file may still be refused, and then it must be before the first batch.
            return False
        held = max(len(self._claims), len(self._problems), len(self._notices))
        return held >= size or self._documents.bytes_read - self._cut_at > _BATCH_BYTES

    def _cut(self) -> ClaimBatch:
        batch = ClaimBatch(
            claims=self._claims,
            problems=self._problems,
            notices=self._notices,
            kinds=(ClaimKind.FHIR,),
            bytes_read=self._documents.bytes_read,
        )
        self._claims, self._problems, self._notices = [], [], []
        self._cut_at = self._documents.bytes_read
        return batch


def _kind(resource: dict[str, Any]) -> str:
    """Return the type of a resource, ``""`` where it says none."""
    kind = resource.get("resourceType")
    return kind if isinstance(kind, str) and _NAME.fullmatch(kind) else ""


def _not_fhir(where: str) -> Spoiled:
    return Spoiled(
        "resource_invalid",
        "there is no FHIR resource here",
        "Ask the sender for resources that follow FHIR R4",
        where,
    )
