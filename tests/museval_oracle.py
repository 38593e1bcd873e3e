"""museval, the program that our scores are compared with, imported without what it does not need.

Importing museval imports musdb, whose stempeg looks for the program ffmpeg. Its metrics, its
stores of scores and `eval_mus_track` need neither, so empty modules stand in for the two.
"""

import functools
import sys
import types

STANDINS = ("stempeg", "musdb")


@functools.cache
def load():
    """Return the module museval; what other tests see of `STANDINS` stays as it was."""
    before = {name: sys.modules.get(name) for name in STANDINS}
    sys.modules.update({name: types.ModuleType(name) for name in STANDINS})
    try:
        import museval
    finally:
        for name, module in before.items():
            sys.modules.pop(name) if module is None else sys.modules.update({name: module})
    return museval
