# SPDX-License-Identifier: MIT
"""The table of malformed frames of ws-echo-lab(7): what goes out, and what the libraries of Debian do with it."""

import concurrent.futures

import framing
import heads
import launch
import malformed
import pytest
from rule import rule

ROWS = malformed.rows()


@rule("ws-echo-lab(7) MALFORMED FRAMES", "The bytes of each row go out as they are.")
def test_each_row_is_sent_to_the_byte():
    def run(row):
        offers = ["Sec-WebSocket-Extensions: permessage-deflate"] * row.compressed
        agreed = heads.switching(extension="permessage-deflate" if row.compressed else None)
        result = launch.run(heads.head(*offers, path=row.path), "--lab=/lab", *["--deflate"] * row.compressed)
        assert result.returncode == 0, result
        framing.same(result.stdout, agreed + row.raw, f"row {row.number}")

    with concurrent.futures.ThreadPoolExecutor() as threads:
        list(threads.map(run, ROWS))


@rule("ws-echo-lab(7) WHAT CLIENTS DO")
@pytest.mark.parametrize("client", malformed.LIBRARIES, ids=lambda client: client.name)
def test_a_client_of_the_pages_version_does_what_the_page_says(client):
    malformed.compare(client())


@rule("ws-echo-lab(7) WHAT CLIENTS DO", "Each client of the page's version does with each row what the page says.")
def test_each_row_has_an_outcome_of_each_client():
    known = malformed.outcomes()
    assert list(known) == [*(library.name for library in malformed.LIBRARIES), "Chromium", "Firefox"]
    for name, (version, did) in known.items():
        assert version[0].isdigit(), name
        assert list(did) == [row.number for row in ROWS], name
        assert all(outcome in ("accepts", "empty", "end", "waits") or outcome.isdigit() for outcome in did.values()), name
