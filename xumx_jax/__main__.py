"""`python -m xumx_jax` is `xumx`."""

import sys

from xumx_jax.cli import main

if __name__ == "__main__":
    sys.exit(main())
