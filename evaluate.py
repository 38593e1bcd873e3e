"""Score separations of a test set by museval's protocol, and report.

python evaluate.py --model demo --root MUSDB18 --evaldir scores --outdir estimates
"""

import sys

from pipelines.evaluation.command import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
