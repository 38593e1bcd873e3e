"""Data files that come with the package: the bundled model and a generated clip to try it on."""
