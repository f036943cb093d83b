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
    labelled = dict(reversed([(found[1], found[2].strip()) for each in lines if (found := _LINE.fullmatch(each))]))
    free = [each.strip() for each in lines if _LINE.fullmatch(each) is None]
    text = " ".join(" ".join(free).split())
    said = Said(
        remittance=" ".join(filter(None, (text, labelled.get("REMI")))),
        name=labelled.get("DBNM" if credit else "CRNM", ""),
        end_to_end_id=labelled.get("EREF", ""),
    )
    references = [labelled.get(name, "") for name in ("EREF", "CREF", "IDNM", "CHKN")]
    before, *rest = _ACH.split(text)
    if rest:
        ach = {label: value.strip() for label, value in reversed(list(zip(rest[::2], rest[1::2], strict=True)))}
        named = next((ach[label] for label in _NAMED if ach.get(label)), "")
        said.name = said.name or named or (before.strip() if "DES" in ach else "")
        said.individual_id = ach.get("IND ID", ach.get("ID", ""))
        said.company_id = next((ach[label] for label in ("ORIG ID", "CO ID", "COMPANY ID") if ach.get(label)), "")
        said.trace_number = ach.get("TRACE#", "").split(" ")[0]
        references += [said.individual_id, said.trace_number]
    said.references = list(dict.fromkeys(filter(None, references)))
    said.texts = list(dict.fromkeys(filter(None, (said.remittance, *(free if len(free) > 1 else ())))))
    return said
