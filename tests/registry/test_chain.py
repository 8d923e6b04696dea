import json

import pytest

from vaeline.errors import VaelineError
from vaeline.registry.chain import FIELDS, broken_links, champions, entry_digest, export_ledger, from_line, to_line


def chain(length):
    entries = []
    for number in range(1, length + 1):
        seal = entry_digest(entries[-1]) if entries else ""
        entries.append(dict.fromkeys(FIELDS, "some") | {"number": number, "previous_sha256": seal})
    return entries


def test_every_entry_seals_the_one_before_and_the_note_of_its_end_the_last():
    entries = chain(3)
    assert broken_links(entries) == []
    assert broken_links(entries, carried_out=entry_digest(entries[2])) == []
    assert broken_links([]) == []
    assert [from_line(entry["number"], to_line(entry)) for entry in entries] == entries


@pytest.mark.parametrize("key", sorted(set(FIELDS) - {"number", "previous_sha256"}))
@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_changed_entry_breaks_the_chain_where_it_is(number, key):
    entries = chain(3)
    carried_out = entry_digest(entries[2])
    entries[number - 1][key] = "other"
    then = "is not the one that was carried out"
    then = then if number == 3 else f"does not have the digest that entry {number + 1} records"
    assert broken_links(entries, carried_out) == [f"entry {number} {then}"]


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda entries: entries.pop(0), "entry 1 is missing"),
        (lambda entries: entries.pop(1), "entry 2 is missing"),
        (lambda entries: entries.pop(), "entry 2 is not the one that was carried out"),
        (
            lambda entries: entries[0].update(previous_sha256="0" * 64),
            "entry 1 records an earlier entry, which is miss",
        ),
        (lambda entries: entries[1].update(previous_sha256="0" * 64), "entry 1 does not have the digest that entry 2"),
        (lambda entries: entries[1].update(more="than there was"), "entry 2 has missing or additional keys: more"),
        (lambda entries: entries[1].pop("who"), "entry 2 has missing or additional keys: who"),
        (lambda entries: entries.__setitem__(1, from_line(2, "no JSON")), "entry 2 cannot be read: 'no JSON'"),
        (lambda entries: entries.__setitem__(1, from_line(2, "[]")), r"entry 2 cannot be read: '[]'"),
    ],
)
def test_what_is_missing_or_no_entry_breaks_the_chain(spoil, sentence):
    entries = chain(3)
    carried_out = entry_digest(entries[2])
    spoil(entries)
    assert broken_links(entries, carried_out)[0].startswith(sentence)


def test_an_export_grows_and_tells_a_rewritten_ledger(tmp_path):
    file, entries = tmp_path / "ledger.jsonl", chain(2)
    export_ledger(entries[:1], file)
    export_ledger(entries, file)
    lines = file.read_text().splitlines()
    assert [json.loads(line) for line in lines] == entries
    with pytest.raises(VaelineError, match="line 2 is not entry 2 of the ledger; the ledger was rewritten"):
        export_ledger(entries[:1], file)
    with pytest.raises(VaelineError, match="line 1 is not entry 1 of the ledger"):
        export_ledger([{**entries[0], "reason": "another"}, entries[1]], file)
    assert file.read_text().splitlines() == lines


@pytest.mark.parametrize(
    ("moves", "path"),
    [
        ("", []),
        ("p1 p2 p3", ["1", "2", "3"]),
        ("p1 p2 p3 r2", ["1", "2"]),
        ("p1 p2 p3 r2 r1", ["1"]),
        ("p1 p2 p3 r1", ["1"]),
        ("p1 p2 r1 r2", ["1", "2"]),
        ("p1 p2 p1", ["1", "2", "1"]),
        ("p1 p2 p1 r2", ["1", "2"]),
        ("p1 p2 r1 p3", ["1", "3"]),
        ("p1 p2 p3 r1 r3", ["1", "3"]),
    ],
)
def test_rollbacks_go_further_and_further_back(moves, path):
    actions = {"p": "promote", "r": "rollback"}
    assert champions([{"action": actions[move[0]], "to": move[1:]} for move in moves.split()]) == path
