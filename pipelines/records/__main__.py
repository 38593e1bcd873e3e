"""`tfds build` for this folder: python -m pipelines.records --manual_dir=ROOT --data_dir=OUT ...

The `tfds` program of tensorflow_datasets 4.9.10 cannot start without Apache Beam and mlcroissant,
which other of its commands use; this is the same `build` with all its options, and neither is
needed. Where both are installed, `PYTHONPATH=. tfds build pipelines/records` does the same.
"""

import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


def main() -> int:
    from absl import app
    from tensorflow_datasets.scripts.cli import build, cli_utils

    parse = cli_utils.make_flags_parser(build.Args, __doc__.partition("\n")[0])
    here = str(Path(__file__).parent)
    app.run(lambda args: args.execute(), [sys.argv[0], here, *sys.argv[1:]], parse)
    return 0


if __name__ == "__main__":
    sys.exit(main())
