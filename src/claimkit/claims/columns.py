"""Which column of a CSV holds what: header aliases, the header row, the decisions of one file.

Headers are folded and looked up; two columns for one field are an error that names both, because
choosing one would be a guess. Columns that identify people are never read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from claimkit.claims.values import clean
from claimkit.errors import FileRefused, UnknownName

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["FIELDS", "ColumnMap", "find_header", "fold_header", "map_columns"]

#: Canonical field → folded headers that billing systems use for it.
_ALIASES: dict[str, str] = {
    "claim_id": "claim id, claim number, claim no, claim num, encounter id, encounter number, "
    "visit id, visit number, invoice number, invoice no, bill id, account number, acct number, "
    "acct no, patient control number, pcn, clm01, clp01, hospital account id, har, voucher, "
    "voucher number, charge id",
    "line_number": "line, line number, line no, service line, charge line, tx id, procedure id",
    "payer_name": "payer, payer name, insurance, insurance name, primary insurance, "
    "primary payer, primary payer name, carrier, carrier name, insurance company, "
    "insurance company name, plan name, ins co name, payor, payor name, coverage, "
    "insurance package name",
    "payer_id": "payer id, payor id, insurance id, carrier id, electronic payer id, edi number, "
    "plan code, payer number",
    "line_of_business": "financial class, payer class, insurance type, fin class, product, "
    "line of business, lob",
    "procedure_code": "cpt, cpt code, cpt hcpcs, cpt hcpcs code, hcpcs, hcpcs code, cpt4, proc, "
    "proc code, procedure, procedure code, service code, charge code",
    "modifiers": "mod, modifier, modifiers, mods",
    "revenue_code": "rev code, revenue code, rev cd, rev",
    "units": "units, unit, qty, quantity, days units, service units, units billed",
    "service_date": "dos, date of service, service date, from date, from dos, dos from, "
    "service from, service from date, svc date, service start, service start date, "
    "start date of service, visit date, claim date of service, service date from",
    "service_to": "to date, thru date, through date, service to, service to date, dos to, to dos, "
    "end date of service, service end, service end date, service date to",
    "submitted_date": "submit date, submitted, submission date, date submitted, submitted date, "
    "bill date, billed date, date billed, claim date, transmitted, first bill date, "
    "claim created date, filed date",
    "received_date": "received date, payer received date, date received, received",
    "decided_date": "decision date, adjudication date, adjudicated date, processed date, "
    "date processed, denial date, denied date, finalized date, decided, decided on, date decided, "
    "date of decision, adjudicated on, date adjudicated, processed on, date denied, denied on, "
    "date finalized, finalized on, determination date, claim decision date, "
    "claim processed date, claim adjudication date",
    "paid_date": "paid date, payment date, date paid, check date, eft date, posted date, "
    "post date, remit date, era date, deposit date, remittance date, payment posted date",
    "billed": "billed, billed amount, charge, charges, charge amount, total charge, "
    "total charges, total charge amount, submitted amount, gross charge, gross charges, "
    "total billed, amount billed, billed charges",
    "allowed": "allowed, allowed amount, approved amount, contract amount, ins allowed, "
    "contracted amount, amount allowed, total allowed",
    "paid": "paid, paid amount, payment, payments, payment amount, insurance paid, ins paid, "
    "ins payment, ins payments, insurance payment, insurance payments, payer paid, net paid, "
    "amount paid, total paid, payer payment",
    "patient_resp": "patient responsibility, patient resp, pt resp, patient portion, "
    "member liability, patient liability, patient responsibility amount, member responsibility",
    "copay": "copay, copay amount, co pay, copayment",
    "deductible": "deductible, deductible amount, ded",
    "coinsurance": "coinsurance, coinsurance amount, coins, co insurance",
    "adjustment": "adjustment, adjustments, write off, writeoff, adjustment amount, adj amount",
    "contractual": "contractual, contractual adj, contractual adjustment, contractual amount",
    "status": "status, claim status, outcome, disposition, claim state, current status, "
    "claim status code",
    "denial_code": "denial code, denial codes, reason code, reason codes, carc, carc code, "
    "adj reason, adj reason code, adjustment reason, adjustment reason code, "
    "denial reason code, group reason, claim adjustment reason code",
    "remark_code": "rarc, rarc code, remark, remarks, remark code, remark codes, "
    "remittance remark, remittance remark code",
    "denial_text": "denial reason, denial description, reason, denial reason description",
    "rendering_npi": "rendering npi, provider npi, servicing provider npi, rendering provider npi",
    "billing_npi": "billing npi, group npi, facility npi, billing provider npi",
    "diagnosis": "dx, icd, icd10, icd 10, diagnosis, primary diagnosis, diagnosis code, dx code, "
    "primary dx, principal diagnosis",
    "auth_number": "auth, auth number, authorization number, authorization, auth no, prior auth, "
    "prior auth number, prior authorization, prior authorization number, precert, "
    "precert number, referral number",
    "place_of_service": "pos, place of service, pos code, place of service code",
    "facility": "facility, facility name, location, department, service location, clinic, site",
    "member_id": "member id, subscriber id, policy number, member number, insured id, "
    "subscriber number",
    "patient_id": "patient id, mrn, patient account, chart number, medical record number, "
    "patient number, patient account number",
    "icn": "icn, tcn, dcn, payer claim number, payer claim control number, claim control number, "
    "payer claim id, payer icn",
    "original_reference": "original reference, original reference number, original claim number, "
    "original icn, replaces",
    "frequency": "frequency, claim frequency, frequency code, claim frequency code, "
    "resubmission code",
    "claim_type": "form type, claim type, claim form, form",
    "payment_reference": "check number, check no, eft number, trace number, payment reference, "
    "check eft number, payment number, remit number",
}
#: Every canonical field, for mapping templates and ``--column``.
FIELDS = tuple(_ALIASES)
#: Fields that may come in several columns: modifier 1..4, dx 1..12, reason 1..n.
_REPEATABLE = frozenset({"modifiers", "diagnosis", "denial_code", "remark_code"})
_NUMBERED = {
    "mod": "modifiers", "modifier": "modifiers", "dx": "diagnosis", "icd": "diagnosis",
    "diagnosis": "diagnosis", "diagnosis code": "diagnosis", "denial code": "denial_code",
    "reason code": "denial_code", "carc": "denial_code", "adj reason": "denial_code",
    "adjustment reason": "denial_code", "adjustment reason code": "denial_code",
    "rarc": "remark_code", "remark code": "remark_code", "remark": "remark_code",
}  # fmt: skip
_BY_HEADER = {
    alias.strip(): name for name, aliases in _ALIASES.items() for alias in aliases.split(",")
} | {name.replace("_", " "): name for name in _ALIASES}
#: Could be several fields; the user has to say which.
_AMBIGUOUS = frozenset({"date", "amount", "balance", "id", "code", "account", "number", "type"})
_IDENTIFYING = frozenset(
    {"ssn", "dob", "birth", "birthdate", "birthday", "phone", "telephone", "mobile", "cell",
     "address", "addr", "street", "email", "mail", "zip", "fax", "social"}
)  # fmt: skip
_PERSON = frozenset(
    {"patient", "member", "subscriber", "insured", "guarantor", "first", "last", "middle", "full",
     "pt", "dependent"}
)  # fmt: skip
#: A row with fewer known headers than this is a title line or data.
_MIN_KNOWN = 3
#: Columns of our own repair files, read again without a word.
_OWN_PREFIX = "claimkit "


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnMap:
    """Where each field of one file is."""

    header: tuple[str, ...]
    #: Field → column numbers; one, but for fields that may repeat.
    fields: Mapping[str, tuple[int, ...]]
    #: Whether the procedure column promises CPT/HCPCS by its name.
    strict_procedure: bool
    #: Headers that no field wants, and headers that identify people.
    unknown: tuple[str, ...]
    identifying: tuple[str, ...]

    def one(self, name: str) -> int:
        """Return the (first) column of a field, or the number after the last column."""
        return self.fields.get(name, (len(self.header),))[0]

    def __contains__(self, name: object) -> bool:
        return name in self.fields


def fold_header(header: str) -> str:
    """Fold a header for lookup: ``" Billed_Amt "`` and ``billed amount`` are the same.

    >>> fold_header(" Acct # "), fold_header("CPT/HCPCS"), fold_header("BilledAmt")
    ('acct number', 'cpt hcpcs', 'billed amount')
    """
    text = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", clean(header)).casefold().replace("#", " number ")
    words = re.sub(r"[^a-z0-9]+", " ", text).split()
    return " ".join("amount" if word in {"amt", "amnt"} else word for word in words)


def _field_of(folded: str) -> str:
    found = _BY_HEADER.get(folded) or _BY_HEADER.get(folded.replace(" amount", "").strip())
    if found:
        return found
    stem = re.sub(r" ?\d{1,2}$", "", folded)
    return _NUMBERED.get(stem, "") if stem != folded else ""


def _is_identifying(folded: str) -> bool:
    words = set(folded.split())
    return bool(words & _IDENTIFYING or "name" in words or folded in {"patient", "guarantor"})


def find_header(
    rows: Iterable[tuple[int, Sequence[str]]], wanted: Mapping[str, str]
) -> tuple[int, int]:
    """Return the index of the most header-like row and how many headers of it are known.

    Args:
        rows: The first rows of the file with their line numbers.
        wanted: Header → field, as the user maps them.
    """
    best, known = -1, 0
    chosen = {fold_header(header) for header in wanted}
    for index, (_, row) in enumerate(rows):
        folded = [fold_header(cell) for cell in row if len(cell) <= 80]
        # Distinct ones: a header that is there twice in one line is no better header.
        count = len({one if one in chosen else _field_of(one) for one in folded} - {""})
        if count > known:
            best, known = index, count
    return (best, known) if known >= min(_MIN_KNOWN, len(wanted) or _MIN_KNOWN) else (-1, known)


def map_columns(
    header: Sequence[str], wanted: Mapping[str, str], *, undecided: bool = False
) -> ColumnMap:
    """Decide which column holds which field.

    Args:
        header: The header row as read.
        wanted: Header → field, as the user maps them; wins over the aliases.
        undecided: No column needs to tell of a decision.

    Raises:
        FileRefused: two columns for one field, a required field is missing, or the user maps a
            column that identifies people.
        UnknownName: ``wanted`` names a field that there is not.
    """
    chosen = _chosen(wanted)
    fields: dict[str, list[int]] = {}
    unknown, identifying = [], []
    names = [clean(cell) for cell in header]
    folded = [fold_header(cell) for cell in header]
    taken = {name for one, name in chosen.items() if one in folded}
    for index, one in enumerate(folded):
        name = chosen.get(one) or _field_of(one)
        if name in taken and one not in chosen and name not in _REPEATABLE:
            name = ""
        if name:
            fields.setdefault(name, []).append(index)
        elif _is_identifying(one):
            identifying.append(names[index])
        elif one and not one.startswith(_OWN_PREFIX):
            unknown.append(names[index])
    if "claim_id" not in fields and "icn" in fields:
        fields["claim_id"] = fields.pop("icn")
    _refuse_doubles(fields, names)
    _refuse_missing(fields, unknown, undecided=undecided)
    procedure = fields.get("procedure_code", [0])[0]
    return ColumnMap(
        header=tuple(names),
        fields={name: tuple(where) for name, where in fields.items()},
        strict_procedure="cpt" in folded[procedure] or "hcpcs" in folded[procedure],
        unknown=tuple(unknown),
        identifying=tuple(identifying),
    )


def _chosen(wanted: Mapping[str, str]) -> dict[str, str]:
    chosen = {}
    for header, name in wanted.items():
        if name not in _ALIASES:
            raise UnknownName.of("claim field", name, FIELDS)
        folded = fold_header(header)
        words = set(folded.split())
        if words & _IDENTIFYING or ("name" in words and words & _PERSON):
            raise FileRefused(
                f"column {header!r} identifies people and cannot be mapped",
                remedy="Map the member id instead; it is kept as a keyed hash only",
                code="column_identifying",
            )
        chosen[folded] = name
    return chosen


def _refuse_doubles(fields: Mapping[str, list[int]], names: Sequence[str]) -> None:
    for name, where in fields.items():
        if len(where) > 1 and name not in _REPEATABLE:
            both = " and ".join(
                f"{names[index] or '(blank)'!r} (column {index + 1})" for index in where
            )
            raise FileRefused(
                f"columns {both} both hold {name.replace('_', ' ')}",
                remedy=f"Remove or rename one, or say which with a column mapping to {name!r}",
                code="column_twice",
            )


def _refuse_missing(
    fields: Mapping[str, list[int]], unknown: Sequence[str], *, undecided: bool
) -> None:
    missing = [
        what
        for what, names in (
            ("claim id", ("claim_id",)),
            ("payer", ("payer_name", "payer_id")),
            ("service date", ("service_date", "submitted_date")),
            ("billed", ("billed",)),
        )
        if not any(name in fields for name in names)
    ]
    tells_decisions = any(name in fields for name in ("paid_date", "allowed"))
    if "paid" not in fields and (tells_decisions or not (undecided or "status" in fields)):
        missing.append("paid")
    if not missing:
        return
    open_ones = [name for name in unknown if fold_header(name) in _AMBIGUOUS]
    hint = f" ({', '.join(map(repr, open_ones))} may be several things)" if open_ones else ""
    raise FileRefused(
        f"no column holds {', '.join(missing)}{hint}",
        remedy="Add it to the export, or map the column that holds it",
        code="column_missing",
    )
