"""What pyproject.toml cannot say: the wheel holds, in xumx_jax/recipes, what `xumx train` runs.

See `xumx_jax/commands/recipes.py` for why it lies there.
"""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

RECIPES = ("train.py", "configs", "pipelines")


class BuildWithRecipes(build_py):
    def run(self):
        super().run()
        if self.editable_mode:  # they are where they are
            return
        target = Path(self.build_lib, "xumx_jax", "recipes")
        for name in RECIPES:
            for source in [Path(name), *Path(name).rglob("*.py")]:
                if source.is_file():
                    (target / source.parent).mkdir(parents=True, exist_ok=True)
                    self.copy_file(str(source), str(target / source))


setup(cmdclass={"build_py": BuildWithRecipes})
