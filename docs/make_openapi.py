"""Write what the interface of `xumx serve` is, for programs: docs/openapi.json.

python docs/make_openapi.py
"""

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "docs" / "openapi.json"


def text() -> str:
    """The OpenAPI document of the server as this code has it."""
    from xumx_jax.web.app import make_app

    return json.dumps(make_app().openapi(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    OUT.write_text(text())
    print(OUT)
