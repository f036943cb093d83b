"""What banks write into the text of a BAI2 detail: who paid, under which ids.

Recognised are the labels of the ACH network (`ORIG CO NAME:`, `IND ID:`, `TRACE#:` and how others shorten them,
`DES:`, `ID:`, `INDN:`, `CO ID:`), and lines that begin with four capitals and a colon (`EREF: ..`). What is not
recognised stays a text: nothing is guessed.

Source: NACHA Operating Rules, the fields of a batch header and an entry, as US banks label them in reports.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_LABELS = (
    "ORIG CO NAME|ORIG ID|DESC DATE|CO ENTRY DESCR|SEC|TRACE#|EED|IND ID|IND NAME|TRN|"
    "DES|ID|INDN|CO ID|PMT INFO|ADDENDA|EFF DATE|COMPANY NAME|COMPANY ID"
)
_ACH = re.compile(rf"(?:^|(?<=\s))({_LABELS}):\s?")
_LINE = re.compile(r"(EREF|CREF|REMI|CRNM|DBNM|IDNM|CHKN|DACT|CACT|DABA|CABA|DBIC|CBIC): ?(.*)")
_NAMED = ("ORIG CO NAME", "COMPANY NAME")


@dataclass(slots=True, kw_only=True)
class Said:
    """What the text of a detail says; what it does not is empty."""

    remittance: str = ""
    name: str = ""
    end_to_end_id: str = ""
    trace_number: str = ""
    individual_id: str = ""
    company_id: str = ""
    references: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)


def read_text(lines: list[str], *, credit: bool) -> Said:
    """Return what the `lines` of a credit's or a debit's text say."""
    labelled: dict[str, str] = {}
    free: list[str] = []
    for each in lines:
        found = _LINE.fullmatch(each) if each[4:5] == ":" else None
        if found is None:
            free.append(each.strip())
        else:
            labelled.setdefault(found[1], found[2].strip())
    text = " ".join(" ".join(free).split())
    said = Said(remittance=text)
    if labelled:
        said.remittance = " ".join(filter(None, (text, labelled.get("REMI"))))
        said.name = labelled.get("DBNM" if credit else "CRNM", "")
        said.end_to_end_id = labelled.get("EREF", "")
        said.references = [labelled[name] for name in ("EREF", "CREF", "IDNM", "CHKN") if labelled.get(name)]
    if ":" in text:
        _read_ach(said, text)
    said.references = list(dict.fromkeys(said.references))
    said.texts = list(dict.fromkeys(filter(None, (said.remittance, *(free if len(free) > 1 else ())))))
    return said


def _read_ach(said: Said, text: str) -> None:
    before, *rest = _ACH.split(text)
    if not rest:
        return
    ach = {label: value.strip() for label, value in zip(reversed(rest[::2]), reversed(rest[1::2]), strict=True)}
    said.name = said.name or next((ach[label] for label in _NAMED if ach.get(label)), "")
    if "DES" in ach:
        said.name = said.name or before.strip()
    said.individual_id = ach.get("IND ID") or ach.get("ID", "")
    said.company_id = ach.get("ORIG ID") or ach.get("CO ID") or ach.get("COMPANY ID", "")
    said.trace_number = ach.get("TRACE#", "").partition(" ")[0]
    said.references += filter(None, (said.individual_id, said.trace_number))
