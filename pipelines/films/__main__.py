import sys

from pipelines.films.command import main

if __name__ == "__main__":
    sys.exit(main())
