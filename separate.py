"""Split tracks into stems: `python separate.py track.wav` is `xumx separate track.wav`."""

import sys

from xumx_jax.cli import main

if __name__ == "__main__":
    sys.exit(main(["separate", *sys.argv[1:]]))
