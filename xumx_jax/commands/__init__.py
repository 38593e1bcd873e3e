"""Commands of `xumx` that have a module of their own."""
