"""The page of the documentation: its Python is run, block after block."""

import re
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "sdk-python.md"


def test_every_block_of_the_page_runs(unstale_sidecar, unstale_cache, monkeypatch):
    monkeypatch.setenv("UNSTALE_ENDPOINT", unstale_sidecar.endpoint)
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.M | re.S)
    assert len(blocks) >= 8
    names = {}
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), names)
    names["test_a_user_is_read_once"](unstale_cache)
    assert names["users"].find.key_for(7) == "shop/user:7"
    assert names["cache"].counts.failed_open == 0
