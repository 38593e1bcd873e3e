import sys

from pipelines.slicq_search.command import main

if __name__ == "__main__":
    sys.exit(main())
