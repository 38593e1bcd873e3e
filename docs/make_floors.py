"""Draw the floors of the library, as `pyproject.toml` has them: docs/images/floors.svg.

python docs/make_floors.py
"""

import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "docs" / "images" / "floors.svg"
WIDTH, HEAD, HEIGHT, GAP = 860, 96, 46, 6
ROOMS_END, WORDS_START = 376, 392
# What a floor is for, by the first of its rooms.
WORDS = {
    "cli": "xumx: one entry for all commands",
    "commands": "what people and other programs call",
    "web": "xumx serve: jobs over HTTP",
    "evaluation": "scores and reports; the step, the loop, checkpoints",
    "separation": "from a mixture of any length, rate and channels to stems",
    "augment": "changes of examples; what training minimises; weights in and out",
    "models": "networks: a mixture in, Stems out",
    "layers": "what networks are made of; the Wiener filter",
    "transforms": "STFT and bands; files and resampling; SDR and BSSEval",
    "stems": "the type that all layers pass on; atomic files; JAX's settings",
    "errors": "imported everywhere; import nothing",
}
COLOURS = (
    "#b7c9e8", "#c6d4ec", "#cfe3d6", "#dcebd2", "#eaf0cd", "#f6efc8", "#f8e4c6", "#f6d8c8",
    "#eccfd2", "#e0cbdc", "#d6cfe6",
)  # fmt: skip


def floors(project: dict) -> list[list[str]]:
    """The rooms of each floor, the highest first, from the contents of pyproject.toml."""
    contracts = project["tool"]["importlinter"]["contracts"]
    (layers,) = (c["layers"] for c in contracts if c.get("containers") == ["xumx_jax"])
    rooms = [[room.strip() for room in layer.split("|")] for layer in layers]
    return [floor for floor in rooms if floor != ["__main__"]]


def draw(rooms: list[list[str]]) -> str:
    """Floors of rooms -> SVG."""
    bottom = HEAD + len(rooms) * (HEIGHT + GAP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom + 58}" '
        'font-family="sans-serif" font-size="14" role="img" '
        'aria-label="The layers of the code: imports only go downwards">',
        f'<rect width="{WIDTH}" height="{bottom + 58}" fill="#ffffff"/>',
    ]
    for number, name in enumerate(("separate.py", "train.py", "evaluate.py")):
        parts += box(16 + number * 136, 12, 128, 30, "#ffffff", name)
    parts += box(16, 50, 264, 34, "#ffffff", "pipelines, configs", dashes=' stroke-dasharray="5 3"')
    parts.append(words(296, 65, "beside the library: training data, test sets, recipes."))
    parts.append(words(296, 82, "They import the library; it never imports them."))
    for number, floor in enumerate(rooms):
        top, colour = HEAD + number * (HEIGHT + GAP), COLOURS[number % len(COLOURS)]
        parts.append(
            f'<rect x="16" y="{top}" width="{WIDTH - 32}" height="{HEIGHT}" fill="{colour}" '
            'opacity="0.55"/>'
        )
        width = (ROOMS_END - 16 - 8 * (len(floor) + 1)) / len(floor)
        for place, room in enumerate(floor):
            parts += box(24 + place * (width + 8), top + 7, width, HEIGHT - 14, colour, room)
        parts.append(words(WORDS_START, top + HEIGHT / 2 + 5, WORDS[floor[0]]))
    x = WIDTH - 40
    parts += [
        f'<path d="M {x} {HEAD + 8} V {bottom - 18}" stroke="#a33" stroke-width="2"/>',
        f'<path d="M {x - 6} {bottom - 26} L {x} {bottom - 12} L {x + 6} {bottom - 26} Z" '
        'fill="#a33"/>',
        words(
            16,
            bottom + 20,
            "Each layer may import those below it, never those above; make lint checks this.",
        ),
        words(
            16,
            bottom + 40,
            "Separating a file needs no package that only training, evaluation or plots need.",
        ),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def box(x, y, width, height, fill, text, dashes="") -> list[str]:
    """A rectangle with a name in it."""
    return [
        f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{height}" rx="4" fill="{fill}" '
        f'stroke="#555"{dashes}/>',
        f'<text x="{x + width / 2:.1f}" y="{y + height / 2 + 5}" text-anchor="middle" '
        f'font-weight="bold" fill="#111">{text}</text>',
    ]


def words(x, y, text) -> str:
    """A line of text."""
    return f'<text x="{x}" y="{y}" font-size="13" fill="#333">{text}</text>'


if __name__ == "__main__":
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    OUT.write_text(draw(floors(project)))
    print(OUT)
