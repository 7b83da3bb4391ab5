"""What the chart and the overlays come to, rendered by helm and kubectl, and whether Kubernetes would take it.

`python -m infra.checks.manifests` renders everything, lints the chart, and validates each object: built-in kinds against the
oldest and the newest release that the chart allows, kinds of operators against infra/checks/kinds.schema.yaml.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import yaml  # type: ignore[import-untyped]  # it ships no types

from infra.checks.tools import ROOT, home, program

CHART = ROOT / "infra/helm/sluice"
OVERLAYS = ROOT / "infra/kubernetes/overlays"
GITOPS = ROOT / "infra/gitops"
VALUES = ROOT / "tests/infra/values"
TRIAL = ROOT / "infra/helm/kind.yaml"
OLDEST, NEWEST = "1.29.0", "1.37.0"
"""Of the chart's kubeVersion, and of what kubernetes-validate knows."""

Manifest = dict[str, Any]
_SCHEMAS = Path(__file__).with_name("kinds.schema.yaml")
_QUICKLY = """
import functools, yaml
yaml.SafeLoader = yaml.CSafeLoader
from kubernetes_validate import __main__, utils
utils.schema_contents = functools.cache(utils.schema_contents)
raise SystemExit(__main__.main())
"""
"""kubernetes-validate as it is, except that it reads its definitions, a megabyte, once and not for each object."""

_UNKNOWN = "Couldn't find schema for kind"


class Refused(Exception):
    """A tool did not take what it was given; the message is what it said."""


def sets_of_values() -> dict[str, list[Path]]:
    """Return the files of values that the chart is rendered with, by a name; those of the environments are the overlays'."""
    minimal, full = VALUES / "minimal.yaml", VALUES / "full.yaml"
    on_top = {
        each.stem: [minimal, each] for each in sorted(VALUES.glob("*.yaml")) if each not in (minimal, full)
    }
    return {"minimal": [minimal], "full": [full], **on_top}


def lint(files: Sequence[Path]) -> None:
    """Let helm judge the chart with these values. Raises Refused."""
    run("helm", "lint", "--strict", "--quiet", str(CHART), *_values(files))


def render(files: Sequence[Path], *words: str) -> str:
    """Return what the chart comes to with these files of values, for the oldest release of Kubernetes. Raises Refused."""
    where = ("--namespace=jobs", f"--kube-version={OLDEST}")
    return run("helm", "template", "sluice", str(CHART), *where, *_values(files), *words)


def build(directory: Path) -> str:
    """Return what a kustomization comes to. Raises Refused."""
    options = ("--enable-helm", "--load-restrictor=LoadRestrictionsNone")
    return run("kubectl", "kustomize", *options, str(directory))


def parse(text: str) -> list[Manifest]:
    """Read the objects of a rendered file."""
    return [each for each in yaml.load_all(text, yaml.CSafeLoader) if each]


def find_flaws(manifest: Manifest) -> Iterator[str]:
    """Say what is wrong with an object of an operator's kind; Kubernetes' own kinds are not looked at."""
    known = _schemas()
    name = f"{manifest['apiVersion']} {manifest['kind']}"
    if name in known["properties"]:
        schema = {**known, "properties": {}, "allOf": [known["properties"][name]]}
        for error in jsonschema_rs.Draft7Validator(schema).iter_errors(manifest):
            place = ".".join(map(str, error.instance_path))
            yield f"{name} {manifest['metadata']['name']}: {place}: {error.message}"


@cache
def _schemas() -> dict[str, Any]:
    schemas: dict[str, Any] = yaml.load(_SCHEMAS.read_text(), yaml.CSafeLoader)
    return schemas


def is_known(line: str) -> bool:
    """Say whether a kind without a schema of Kubernetes, in a line of kubernetes-validate, has one of ours."""
    words = line.split(_UNKNOWN)[1].split()
    kind, version = words[0], words[words.index("version") + 1]
    return f"{version} {kind}" in _schemas()["properties"]


def main() -> int:
    """Exit status 1 if anything is refused, after all of it was said."""
    flaws: list[str] = []
    manifests: list[Manifest] = []
    for name, source in _sources():
        try:
            if not isinstance(source, Path):
                lint(source)
            manifests += parse(build(source) if isinstance(source, Path) else render(source))
        except Refused as refused:
            flaws.append(f"{name}: {refused}")
    for path in sorted(GITOPS.glob("*/*.yaml")):
        manifests += parse(path.read_text())
    different = {_shape(each): each for each in manifests}.values()
    flaws += [flaw for each in different for flaw in find_flaws(each)]
    flaws += validate(list(different))
    print("\n".join(flaws) or f"{len(different)} objects")
    return 1 if flaws else 0


def _sources() -> Iterator[tuple[str, Sequence[Path] | Path]]:
    """Yield what is rendered; the overlays have the values of the environments."""
    yield from sets_of_values().items()
    yield "trial cluster", [TRIAL]
    for overlay in sorted(OVERLAYS.iterdir()):
        yield f"overlay {overlay.name}", overlay


def _shape(manifest: Manifest) -> str:
    """Return what an object comes to apart from where it is and how it is labelled, in which copies of it differ."""
    names = {"metadata": {"name": manifest["metadata"]["name"]}}
    return json.dumps({**manifest, **names}, sort_keys=True)


def validate(manifests: Sequence[Manifest]) -> Iterator[str]:
    """Let kubernetes-validate judge the kinds that it may know; a kind that neither it nor we know is a flaw."""
    versions = [word for version in (OLDEST, NEWEST) for word in ("-k", version)]
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(yaml.dump_all(manifests, Dumper=yaml.CSafeDumper))
        file.flush()
        command = [str(program("python")), "-c", _QUICKLY, "--strict", "--quiet", *versions, file.name]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = (done.stdout + done.stderr).splitlines()
    said = [line for line in lines if _UNKNOWN not in line or not is_known(line)]
    if done.returncode and not said:
        yield f"kubernetes-validate ended with {done.returncode}"
    yield from said


def _values(files: Sequence[Path]) -> list[str]:
    return [f"--values={file}" for file in files]


def run(tool: str, *words: str) -> str:
    """Run helm, or kubectl which looks for helm on the PATH, and return what it printed. Raises Refused.

    Nothing of the user's own configuration counts.
    """
    with tempfile.TemporaryDirectory() as empty:
        env = {**os.environ, "PATH": f"{home() / 'bin'}:{os.environ['PATH']}", "HELM_CONFIG_HOME": empty}
        done = subprocess.run(
            [program(tool), *words], cwd=ROOT, env=env, capture_output=True, text=True, check=False
        )
    if done.returncode:
        raise Refused(done.stderr.strip() + done.stdout)
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
