"""Facts about this machine, its libraries and the cache, for `xumx doctor`, which judges them.

Nothing here raises: what cannot be determined is None, and an error is a text among the facts.
"""

import os
import platform
import re
import shutil
import subprocess
import tempfile
from importlib import metadata
from pathlib import Path

from xumx_jax.runtime import cores
from xumx_jax.versions import OURS, checkout, installed

# Packages whose versions are reported: CORE is required, EXTRA is optional.
CORE = ("jax", "jaxlib", "flax", "numpy", "h5py", "orbax-checkpoint", "safetensors")
CORE += ("flatbuffers", "soundfile", "soxr", "av", "tqdm")
EXTRA = ("optax", "tensorflow-cpu", "tensorflow", "tensorflow-datasets", "matplotlib", "scipy")
ACCELERATORS = r"^(jax-(cuda|rocm)\d+-p(lugin|jrt)|libtpu)$"
VARIABLES = r"^(JAX_|XLA_|CUDA_VISIBLE_DEVICES|XUMX_|LIBTPU|TPU_|OMP_NUM_THREADS)"
ENCODERS = ("flac", "libmp3lame", "aac", "libopus")


def gather() -> dict:
    """Gather all facts, as JSON values."""
    return {
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "environment": {k: v for k, v in sorted(os.environ.items()) if re.match(VARIABLES, k)},
        "versions": versions(),
        "wanted": wanted(),
        "cores": cores(),
        "memory": memory(),
        "gpus": gpus(),
        "jax": about_jax(),
        "soundfile": about_soundfile(),
        "encoders": encoders(),
        "cache": about_cache(),
        "temporary": about_place(Path(tempfile.gettempdir())),
    }


def versions() -> dict[str, str]:
    """Versions of the installed packages, including plugins for accelerators."""
    plugins = sorted(
        name
        for each in metadata.distributions()
        if re.match(ACCELERATORS, name := (each.metadata["Name"] or "").replace("_", "-"))
    )
    found = installed((OURS, *CORE, *EXTRA, *plugins))
    if checkout():
        found[OURS] += " (run from a folder)"
    return found


def wanted() -> dict[str, str]:
    """{package: least version} of required and optional packages."""
    if project := checkout():
        extras = project.get("optional-dependencies", {}).values()
        lines = [*project["dependencies"], *(line for group in extras for line in group)]
    else:
        try:
            lines = metadata.requires(OURS) or []
        except metadata.PackageNotFoundError:
            return {}
    pairs = (re.match(r"([\w.-]+)\s*>=\s*([\d.]+)", line) for line in lines)
    return {pair[1]: pair[2] for pair in pairs if pair}


def memory() -> dict:
    """Bytes of main memory: `total`, `free` for new programs, `limit` of the container."""
    found: dict[str, int | None] = {"total": None, "free": None, "limit": None}
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            name, value = line.split(":")
            if key := {"MemTotal": "total", "MemAvailable": "free"}.get(name):
                found[key] = int(value.split()[0]) * 1024
    except (OSError, ValueError):
        try:
            found["total"] = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        except (OSError, ValueError, AttributeError):
            return found
    for path in ("memory.max", "memory/memory.limit_in_bytes"):
        try:
            limit = int(Path("/sys/fs/cgroup", path).read_text())
        except (OSError, ValueError):
            continue
        if found["total"] and limit < found["total"]:
            found["limit"] = limit
    return found


def gpus() -> list[str]:
    """Graphics cards as their driver names them, or their device files."""
    try:
        made = subprocess.run(
            ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=20,
        )
        if made.returncode == 0 and made.stdout.strip():
            return made.stdout.strip().splitlines()
    except (OSError, subprocess.SubprocessError):
        pass
    return [str(path) for path in sorted(Path("/dev").glob("nvidia[0-9]*"))]


def about_jax() -> dict:
    """The devices that JAX sees, each tried with a small computation, or why there are none."""
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # others may use the GPU
    try:
        import jax

        kept = {"x64": bool(jax.config.read("jax_enable_x64")), "devices": [], "error": None}
    except Exception as error:
        return {"x64": False, "devices": [], "error": _text(error)}
    try:
        for device in jax.local_devices():
            sizes = device.memory_stats() or {}
            kept["devices"].append(
                {
                    "platform": device.platform,
                    "kind": device.device_kind,
                    "memory": sizes.get("bytes_limit"),
                    "error": try_out(device),
                }
            )
    except Exception as error:
        kept["error"] = _text(error)
    return kept


def try_out(device) -> str | None:
    """Try a small product and FFT on a device -> what went wrong, None if nothing."""
    import jax
    import numpy as np

    try:
        x = np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32)

        @jax.jit
        def compute(x):
            return jax.numpy.fft.rfft(jax.numpy.matmul(x, x, precision="highest"))

        found = np.asarray(compute(jax.device_put(x, device)))
        off = float(np.abs(found - np.fft.rfft(x @ x)).max())
        return None if off < 1e-2 else f"a product and its transform are wrong by {off:.2g}"
    except Exception as error:
        return _text(error)


def about_soundfile() -> dict:
    """The version of libsndfile and the formats it supports, or the error."""
    try:
        import soundfile

        formats = soundfile.available_formats()
        able = [name for name in ("WAV", "RF64", "FLAC", "AIFF", "OGG") if name in formats]
        vorbis = "OGG" in formats and "VORBIS" in soundfile.available_subtypes("OGG")
        able += ["VORBIS"] if vorbis else []
        return {"libsndfile": soundfile.__libsndfile_version__, "able": able, "error": None}
    except Exception as error:  # an OSError where the library itself is missing
        return {"libsndfile": None, "able": [], "error": _text(error)}


def encoders() -> dict:
    """Which of the ENCODERS PyAV's FFmpeg has."""
    try:
        import av
    except Exception as error:
        return {"able": [], "error": _text(error)}
    able = []
    for name in ENCODERS:
        try:
            av.Codec(name, "w")
            able.append(name)
        except Exception:
            continue
    return {"able": able, "error": None}


def about_cache() -> dict:
    """The cache: sizes in bytes, and for each model "intact" or what is wrong with it."""
    try:
        from xumx_jax import assets, runtime
        from xumx_jax.weights import bag, safetensors, zoo

        found = about_place(folder := runtime.cache_folder())
        places = {name: zoo.cached(name) for name in zoo.PUBLISHED}
        places[assets.DEMO] = assets.DEMO_FILE
        compiled = Path(os.environ.get("JAX_COMPILATION_CACHE_DIR") or folder / "compiled")
    except Exception as error:  # where JAX or flax cannot be imported
        return {"error": _text(error)}
    found |= {"size": size_of(folder), "compiled": str(compiled), "models": {}}
    found["compiled_size"] = size_of(compiled)
    for name, path in places.items():
        if not path.exists():
            continue
        try:
            bag.load(path) if path.is_dir() else safetensors.read(path)
            found["models"][name] = "intact"
        except Exception as error:
            found["models"][name] = _text(error)
    return found


def size_of(folder: Path) -> int:
    """Total bytes of all files below a folder."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(place, name)).st_size
            except OSError:  # gone since
                continue
    return total


def about_place(folder: Path) -> dict:
    """A folder that exists or could be made: why it cannot be written to, and its free bytes."""
    nearest = next(place for place in (folder, *folder.parents) if place.exists())
    found = {"path": str(folder), "writable": None, "free": None}
    try:
        with tempfile.TemporaryFile(dir=nearest):
            pass
    except OSError as error:
        found["writable"] = error.strerror or str(error)
    try:
        found["free"] = shutil.disk_usage(nearest).free
    except OSError:
        pass
    return found


def _text(error: BaseException) -> str:
    text = " ".join(str(error).split())[:300]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
