"""Shapes that several routes share: strings with a form, problems, pages."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Amount = Annotated[
    str,
    Field(
        pattern="^[1-9][0-9]{0,18}$",
        description="Minor units as digits: USD 96.80 is `9680`, JPY 500 is `500`. Never a JSON number.",
        examples=["9680"],
    ),
]
SignedAmount = Annotated[
    str, Field(pattern="^(0|-?[1-9][0-9]*)$", description="Minor units as digits, with a sign.", examples=["9680"])
]
Currency = Annotated[str, Field(pattern="^[A-Z]{3}$", description="ISO 4217.", examples=["USD"])]
AccountCode = Annotated[str, Field(description="Colon path.", examples=["assets:psp:stripe:clearing:usd"])]
Direction = Literal["debit", "credit"]
Timestamp = Annotated[
    str,
    Field(
        json_schema_extra={"format": "date-time"},
        description="RFC 3339 with a zone; answers are UTC with microseconds.",
        examples=["2026-11-22T08:00:00.000000Z"],
    ),
]
Hash = Annotated[str, Field(pattern="^[0-9a-f]{64}$", description="RFC 6962 leaf hash, hexadecimal.")]
Base64 = Annotated[str, Field(json_schema_extra={"contentEncoding": "base64"})]
SignedNote = Annotated[
    str,
    Field(
        description="A C2SP signed note: origin, size, root, blank line, signature lines.",
        examples=["counterfoil.localhost/development/main\n42\nmUEK...=\n\n— counterfoil.localhost/... AbCd...\n"],
    ),
]


class Wire(BaseModel):
    """A shape on the wire: unknown members are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Place(BaseModel):
    """Where in the request something is wrong."""

    model_config = ConfigDict(frozen=True)

    detail: str
    pointer: str | None = Field(
        default=None, description="RFC 6901 pointer into the body.", examples=["/postings/0/amount"]
    )
    parameter: str | None = Field(default=None, description="Name of the parameter.")
    location: str | None = Field(default=None, alias="in", description="`query`, `path` or `header`.")


class Problem(BaseModel):
    """RFC 9457. Switch on `code`; `detail` is for people."""

    model_config = ConfigDict(
        frozen=True,
        extra="allow",
        json_schema_extra={
            "examples": [
                {
                    "type": "/problems/unbalanced_entry",
                    "title": "Debits and credits differ",
                    "status": 422,
                    "code": "unbalanced_entry",
                    "detail": "USD: debits 10000, credits 9999.",
                    "errors": [{"pointer": "/postings", "detail": "USD: debits 10000, credits 9999."}],
                    "instance": "/finance/journal-entries",
                    "request_id": "5f0c9e7a41d2b86603c1aa90",
                }
            ]
        },
    )

    type: str
    title: str
    status: int
    code: str
    detail: str
    instance: str
    request_id: str
    remedy: str | None = None
    errors: list[Place] | None = None


class State(Wire):
    """What the answer is based on."""

    as_of_seq: int = Field(description="The answer includes every durable record below this number.")
    signed_size: int = Field(description="Records below this number carry a signature.")


Metadata = Annotated[
    dict[str, str],
    Field(description="Strings only; no personal data.", examples=[{"reference": "txn_1", "order": "o-17"}]),
]
Private = Annotated[
    dict[str, str],
    Field(
        description="Personal data by name: the log commits to it, a side table holds it until it is erased.",
        examples=[{"payer_name": "Ada Example"}],
    ),
]
JsonObject = dict[str, Any]
