"""Make the folder of the page that upscales in a browser.

    python -m tools.web_folder FOLDER [--networks x4 photo-x4 ...] [--without-webgpu]

The folder needs no server: open its `index.html`, or put it on any web space. onnxruntime-web (MIT) comes from npm,
which must be installed; its files are checked by their SHA-256. The networks are exported as `mafdn export --plain`
does. Both are too large for the repository: `files/` holds them as scripts with base64 text, since a page that is
opened from a disk may load scripts, but neither modules nor data.
"""

import argparse
import base64
import importlib.util
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from mafdn._support.atomic import sha256
from mafdn.errors import MafdnError, UsageError
from mafdn.export.gates import TYPICAL, choose_gates
from mafdn.export.plain import export_plain
from mafdn.networks import load_network
from mafdn.weights.resolve import NAMES_OF_SCALES
from mafdn.weights.shipped import shipped

SOURCE = Path(__file__).parents[1] / "integrations" / "web"
PAGE = ("index.html", "style.css", "page.js")
NETWORKS = ("x2", "x4", "photo-x2", "photo-x4")
ENGINES = {
    "wasm": ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"),
    "webgpu": ("ort.webgpu.bundle.min.mjs", "ort-wasm-simd-threaded.asyncify.wasm"),
}
"""The code and the WebAssembly of onnxruntime-web for each engine."""
CHECKSUMS = {
    "ort.wasm.bundle.min.mjs": "11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90",
    "ort-wasm-simd-threaded.wasm": "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
    "ort.webgpu.bundle.min.mjs": "0730816731ce2cdfb06f273da065d4a1c7091eb9d1756a83b2916c8a89d015e2",
    "ort-wasm-simd-threaded.asyncify.wasm": "39f9f0894d478800487ed9f7dbe92618498db320cf55c8e3d89adff8dce658da",
}
EXPORTS = re.compile(r"export\{([^{}]*)\};?\s*(//# sourceMappingURL=.*\s*)?$")


def web_folder(
    target: Path, *, networks: Sequence[str] = NETWORKS, webgpu: bool = True, plain: dict[str, Path] | None = None
) -> None:
    """Make the folder.

    Args:
        target: The folder, which must not exist.
        networks: The shipped networks that the page offers.
        webgpu: Whether to include the engine for graphics processors, two thirds of the size.
        plain: Plain ONNX files by network that were exported before.

    Raises:
        UsageError: The folder exists, or npm is not installed or fails.
        MafdnError: A network cannot be exported, or a file is not the expected one.
    """
    if target.exists():
        raise UsageError(f"{target} exists; use another name")
    library = _library()
    with tempfile.TemporaryDirectory(dir=target.resolve().parent, prefix=".mafdn-web-") as made:
        folder = Path(made, "page")
        (folder / "files").mkdir(parents=True)
        for name in PAGE:
            shutil.copyfile(SOURCE / "page" / name, folder / name)
        for engine, (code, wasm) in ENGINES.items():
            if engine == "webgpu" and not webgpu:
                continue
            _store(folder, f"{engine}-code", _worker(_checked(library / code).read_text()).encode())
            _store(folder, f"{engine}-wasm", _checked(library / wasm).read_bytes())
        for network in networks:
            path = (plain or {}).get(network) or _exported(network, Path(made))
            _store(folder, network, path.read_bytes())
        (folder / "LICENSES.txt").write_text(_licenses())
        folder.rename(target)


def _library() -> Path:
    """The folder of onnxruntime-web, installed by npm if it is missing."""
    library = SOURCE / "node_modules" / "onnxruntime-web" / "dist"
    if not library.is_dir():
        command = ["npm", "install", "--ignore-scripts", "--no-package-lock", "--no-audit", "--no-fund"]
        try:
            subprocess.run(command, cwd=SOURCE, check=True, capture_output=True, text=True)
        except FileNotFoundError:
            raise UsageError("the page needs onnxruntime-web from npm, which is not installed") from None
        except subprocess.CalledProcessError as error:
            reason = (error.stderr.strip().splitlines() or [f"exit code {error.returncode}"])[0]
            raise UsageError(f"npm cannot install onnxruntime-web: {reason}") from None
    return library


def _checked(path: Path) -> Path:
    if sha256(path) != CHECKSUMS[path.name]:
        raise MafdnError(
            f"{path} is not the file of the pinned version; remove {SOURCE / 'node_modules'} and try again"
        )
    return path


def _worker(library: str) -> str:
    """The code of a worker: the library, with its exports as the object `ort`, and what uses it.

    It is a classic script, because browsers start no module from a page that is opened from a disk.
    """
    found = EXPORTS.search(library)
    assert found  # the file was checked
    names = ",".join(f"{public}:{own}" for own, public in (pair.split(" as ") for pair in found[1].split(",")))
    classic = library[: found.start()].replace("import.meta.url", "self.location.href")
    return f"{classic}\nconst ort={{{names}}};\n{(SOURCE / 'page' / 'worker.js').read_text()}"


def _store(folder: Path, name: str, content: bytes) -> None:
    text = base64.b64encode(content).decode()
    (folder / "files" / f"{name}.js").write_text(f'part("{name}", "{text}");\n')


def _exported(name: str, scratch: Path) -> Path:
    variant, scale = NAMES_OF_SCALES[name]
    weights = shipped(scale, ".safetensors", variant)
    network = load_network(weights)
    path = scratch / f"{name}.onnx"
    export_plain(network, path, gates=choose_gates(network, weights, TYPICAL))
    return path


def _licenses() -> str:
    """The license of the page and those of onnxruntime, as its Python package has them."""
    spec = importlib.util.find_spec("onnxruntime")
    assert spec
    assert spec.origin
    package = Path(spec.origin).parent
    texts = [SOURCE.parents[1] / "LICENSE", package / "LICENSE", package / "ThirdPartyNotices.txt"]
    titles = ("The page and the networks' code", "onnxruntime-web", "Libraries in onnxruntime-web")
    return "\n\n".join(
        f"{title}\n{'=' * len(title)}\n\n{path.read_text()}" for title, path in zip(titles, texts, strict=True)
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=list(NAMES_OF_SCALES))
    parser.add_argument("--without-webgpu", action="store_true")
    arguments = parser.parse_args()
    web_folder(arguments.folder, networks=arguments.networks, webgpu=not arguments.without_webgpu)
