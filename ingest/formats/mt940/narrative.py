"""What banks write into `:86:`: who, what for, and under which references.

Three ways are known: subfields `?00` to `?63` (German banks and those that follow them, also with another separator),
codes between slashes (`/EREF/../REMI/..`, Dutch banks and the SEPA usage of others), and free text. Lines are put
together as they were before they were broken: a line or a subfield that is full goes on in the next, a shorter one
ended.

Source: DFÜ-Abkommen, Anlage 3, chapter 8 (business transaction codes and subfields of field 86); the format
descriptions of Rabobank, ABN AMRO and ING.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import pairwise

LINE_CHARS, SUBFIELD_CHARS = 61, 27
"""From how many characters on a line and a subfield are full: 65 and 27, of which some banks take the tag."""

_STRUCTURED = re.compile(r"\s?(\d{3})?([?><~^])(\d\d)", re.ASCII)
_KEYWORDS = frozenset(
    {
        *("EREF", "KREF", "MREF", "BREF", "RREF", "CRED", "DEBT", "COAM", "OAMT", "SVWZ", "ABWA", "ABWE"),
        *("IBAN", "SQTP", "ORCR", "ORMR", "DDAT", "MDAT", "PURP"),
    }
)
"""Of a SEPA payment, each with a plus sign behind it; BIC, which has three letters, besides."""
_MEMBERS = {
    "EREF": "end_to_end_id",
    "KREF": "instruction_id",
    "MREF": "mandate_id",
    "CRED": "creditor_id",
    "IBAN": "account",
    "BIC": "bic",
}
_CODES = re.compile(
    r"/(TRTP|TRCD|EREF|KREF|PREF|IREF|CREF|MREF|MARF|CSID|CNTP|IBAN|BIC|NAME|REMI|ORDP|BENM|ULTD|ULTC|ULTB|ADDR|ID|"
    r"ISDT|RTRN|PURP|SVCL|SVWZ|OCMT|EXCH|CHGS|INIT|CDTRREFTP|CDTRREF|NRTX|ACCW|BUSP|BO|TYPE)/"
)
_REMITTANCE = frozenset({*map(str, range(20, 30)), *map(str, range(60, 64))})
_KNOWN = _REMITTANCE | {"00", "10", "30", "31", "32", "33", "34", "38"}
_SPLIT = {each: re.compile(rf"[{each}](\d\d)", re.ASCII) for each in "?><~"} | {"^": re.compile(r"\^(\d\d)", re.ASCII)}
_NS_NARRATIVE = frozenset(f"{number:02d}" for number in range(1, 15))


@dataclass(slots=True)
class Narrative:
    """What a `:86:` says of one entry; what it does not is empty."""

    code: str = ""
    posting_text: str = ""
    remittance: str = ""
    end_to_end_id: str = ""
    instruction_id: str = ""
    mandate_id: str = ""
    creditor_id: str = ""
    structured_reference: str = ""
    name: str = ""
    account: str = ""
    bic: str = ""
    parties: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    extra: dict[str, str] = field(default_factory=dict)


def read_narrative(text: str, *, credit: bool, reversal: bool = False) -> Narrative:
    """Return what `text`, the content of `:86:`, says of a `credit` or a debit.

    The company's own side is no party; of a `reversal` both sides are.
    """
    structured = _STRUCTURED.match(text)
    if structured is not None:
        said, sides = _subfields(text, structured)
    elif text.startswith("/") and _CODES.match(text):
        said, sides = _slashes(unbroken(text))
        if "\n" in text:
            # Where a full line ended with a word nothing tells.
            said.texts = _distinct(*said.texts, *_slashes(_spaced(text))[0].texts)
    else:
        glued = unbroken(text)
        said, sides = Narrative(remittance=glued, texts=_distinct(glued, _spaced(text))), ("", "")
    others = sides if reversal else sides[:1] if credit else sides[1:]
    said.parties = _distinct(said.name, *others)
    said.name = said.name or next(filter(None, others), "")
    return said


def read_ns(text: str) -> Narrative:
    """Return what a `:NS:` says: lines that begin with two digits, 01 to 14 what for, 15 and 16 who."""
    lines = [(line[:2], line[2:]) for line in text.split("\n")]
    remittance = _spaced(" ".join(value for code, value in lines if code in _NS_NARRATIVE))
    name = " ".join(value.strip() for code, value in lines if code in ("15", "16"))
    account = next((value.strip() for code, value in lines if code == "34"), "")
    return Narrative(
        remittance=remittance,
        name=name,
        account=account,
        bic=next((value.strip() for code, value in lines if code == "33"), ""),
        parties=_distinct(name),
        texts=_distinct(remittance),
    )


def unbroken(text: str) -> str:
    """Return the lines of a text as one: a full line goes on in the next, another ended with a blank."""
    if "\n" not in text:
        return text.strip()
    lines = text.split("\n")
    joined = [lines[0]]
    joined += [line if len(before) >= LINE_CHARS else f" {line}" for before, line in pairwise(lines)]
    return _spaced("".join(joined))


def _subfields(text: str, structured: re.Match[str]) -> tuple[Narrative, tuple[str, str]]:
    # A separator that no two digits follow is of the text itself.
    _, *parts = _SPLIT[structured[2]].split(text[structured.start(2) :].replace("\n", ""))
    said = Narrative(code=structured[1] or "")
    first: dict[str, str] = {}
    written: list[str] = []
    more: list[str] = []
    for code, value in zip(parts[::2], parts[1::2], strict=True):
        if code in _REMITTANCE:
            written.append(value)
        elif code in _KNOWN:
            first.setdefault(code, value)
        else:
            more.append(value)
    sides = _keywords(said, _joined(written, "\n"))
    said.posting_text = first.get("00", "").strip()
    said.account = first.get("38", "").strip() or first.get("31", "").strip() or said.account
    said.bic = first.get("30", "").strip() or said.bic
    said.name = _spaced(_joined([first[code] for code in ("32", "33") if code in first], " "))
    for code, name in (("10", "prima_nota"), ("34", "text_key")):
        if first.get(code):
            said.extra[name] = first[code].strip()
    said.texts = _distinct(said.remittance, _parted(written), said.posting_text, _spaced(_joined(more, " ")))
    return said, sides


def _keywords(said: Narrative, text: str) -> tuple[str, str]:
    """Read what a remittance of SEPA holds by keyword; `\\n` stands where a subfield ended.

    Return whom the payment acts for: the debtor, the creditor.
    """
    remittance, sides = [], ["", ""]
    for keyword, value in _by_keyword(text):
        if keyword in ("", "SVWZ"):
            remittance.append(value)
        elif keyword in ("ABWA", "ABWE"):
            sides[keyword == "ABWE"] = _spaced(value)
        else:
            # What follows a reference in a subfield of its own is none of it.
            own, _, more = value.partition("\n")
            remittance.append(more)
            name = _MEMBERS.get(keyword)
            if name is not None and not getattr(said, name):
                setattr(said, name, own.strip())
    said.remittance = _spaced(" ".join(remittance))
    return sides[0], sides[1]


def _by_keyword(text: str) -> list[tuple[str, str]]:
    """Return the values of a text, each with the keyword before it; what stands before the first has none."""
    head, *tails = text.split("+")
    found, keyword = [], ""
    for tail in tails:
        word = head[-4:] if head[-4:] in _KEYWORDS else head[-3:] if head.endswith("BIC") else ""
        if word:
            found.append((keyword, head[: -len(word)]))
            keyword, head = word, tail
        else:
            head = f"{head}+{tail}"
    return [*found, (keyword, head)]


def _parted(written: list[str]) -> str:
    """Return the remittance with a blank after every subfield, for where a full one ended with a word nothing tells."""
    for before, after in pairwise(written):
        if len(before) >= SUBFIELD_CHARS and after[:4] not in _KEYWORDS:
            found = _by_keyword(" ".join(written))
            return _spaced(" ".join([value for keyword, value in found if keyword in ("", "SVWZ")]))
    return ""


def _slashes(text: str) -> tuple[Narrative, tuple[str, str]]:
    """Read codes between slashes. Return whom the payment acts for: the debtor, the creditor."""
    said = Narrative()
    before, *rest = _CODES.split(text)
    remittance, sides = [before.strip()], ["", ""]
    for code, raw in zip(rest[::2], rest[1::2], strict=True):
        value = raw.strip("/ ")
        match code:
            case "EREF":
                said.end_to_end_id = said.end_to_end_id or value
            case "KREF" | "PREF" | "IREF":
                said.instruction_id = said.instruction_id or value
            case "MREF" | "MARF":
                said.mandate_id = value
            case "CSID":
                said.creditor_id = value
            case "CDTRREF":
                said.structured_reference = value
            case "IBAN":
                said.account = value
            case "BIC":
                said.bic = value
            case "NAME":
                said.name = said.name or value
            case "CNTP":
                account, bic, name, *_ = [*(each.strip() for each in raw.split("/")), "", "", ""]
                said.account, said.bic, said.name = account or said.account, bic or said.bic, name or said.name
            case "ORDP" | "ULTD" | "BENM" | "ULTC":
                place = code in ("BENM", "ULTC")
                sides[place] = sides[place] or value
            case "TRTP":
                said.posting_text = value
            case "TRCD":
                said.code = value
            case "REMI" | "SVWZ":
                _take_remittance(said, value, remittance)
            case _:
                said.extra[code.lower()] = value
    said.remittance = _spaced(" ".join(remittance))
    said.texts = _distinct(said.remittance, said.posting_text, said.extra.get("rtrn", ""))
    return said, (sides[0], sides[1])


def _take_remittance(said: Narrative, value: str, remittance: list[str]) -> None:
    """Take a `/REMI/`: `USTD//text`, `STRD/CUR/reference`, or text alone."""
    if value.startswith("USTD/"):
        value = value.removeprefix("USTD/").strip("/ ")
    elif value.startswith("STRD/"):
        said.structured_reference = value.rstrip("/").rpartition("/")[2].strip()
    remittance.append(value)


def _joined(values: list[str], border: str) -> str:
    """Return subfields as one text: a full one goes on in the next, between others stands `border`."""
    if len(values) < 2:
        return values[0] if values else ""
    *before, last = values
    return "".join([each if len(each) >= SUBFIELD_CHARS else each + border for each in before]) + last


def _spaced(text: str) -> str:
    return " ".join(text.split())


def _distinct(*values: str) -> list[str]:
    return list(dict.fromkeys(filter(None, values)))
