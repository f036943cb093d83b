"""Rows of the tables of private values and erasures, and what is wrong with one in just one column."""

from __future__ import annotations

SOUND: dict[str, dict[str, object]] = {
    "private_keys": {"book": "b", "seq": 0, "name": "n", "salt": bytes(16), "key": bytes(32)},
    "erased_values": {"book": "b", "entry_seq": 0, "name": "n", "seq": 1},
    "erased_files": {
        "book": "b",
        "file_id": "01890a5d-ac96-774b-bcce-b302099a8057",
        "seq": 1,
    },
    "replays": {"book": "b", "first_seq": 0, "next_seq": 1},
}
WRONG: dict[str, list[dict[str, object]]] = {
    "private_keys_salt_check": [{"salt": bytes(15)}, {"salt": bytes(17)}],
    "private_keys_key_check": [{"key": bytes(31)}, {"key": bytes(33)}],
    "erased_values_check": [{"entry_seq": 1}, {"entry_seq": 2}],
    "replays_check": [{"next_seq": 0}, {"first_seq": 1}],
}
