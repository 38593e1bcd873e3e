"""Data files that come with the package: the bundled model and a generated clip to try it on."""

from pathlib import Path

DEMO = "demo"  # the bundled model's name
DEMO_FILE = Path(__file__).with_name("demo.safetensors")
DEMO_LICENCE = "MIT, like the program"
DEMO_CLIP = Path(__file__).with_name("demo.flac")
