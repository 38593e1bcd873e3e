"""Score a model on a test set: `python evaluate.py --model demo --root MUSDB18 --evaldir scores`."""

import sys

from pipelines.evaluation.command import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
