"""Prometheus and Alertmanager with the files of infra/observability, quick enough for a test."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import httpx2
import yaml  # type: ignore[import-untyped]  # it ships no types

from infra.local.ports import LOOPBACK
from infra.local.programs import find
from infra.local.server import Server

FILES = Path(__file__).parents[2] / "infra/observability"
INTERVAL = "500ms"


class Watcher(Server):
    """A program of the Prometheus project; it is ready when it says so."""

    password = ""

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://{LOOPBACK}:{self.port}"

    def _answers(self) -> bool:
        try:
            return httpx2.get(f"{self.url}/-/ready", verify=False).status_code == 200
        except httpx2.TransportError:
            return False

    def _start(self, file: Path, config: Any, *words: str) -> None:
        self.data.mkdir(exist_ok=True)
        file.write_text(yaml.safe_dump(config))
        listen = f"--web.listen-address={LOOPBACK}:{self.port}"
        self._spawn([str(find(self.program)), f"--config.file={file}", listen, *words])


class Alertmanager(Watcher):
    """Calls `receiver` instead of whom the file names, without waiting for more."""

    name = "Alertmanager"
    program = "prometheus-alertmanager"

    def __init__(self, directory: Path, receiver: str) -> None:
        super().__init__(directory)
        self._receiver = receiver

    def _launch(self) -> None:
        text = (FILES / "alertmanager/alertmanager.yml").read_text()
        quick = re.sub(r"(group_wait|group_interval): \w+", r"\1: 1s", text)
        config = yaml.safe_load(quick.replace("http://127.0.0.1:9095", self._receiver))
        self._start(
            self.directory / "alertmanager.yml",
            config,
            f"--storage.path={self.data}",
            "--cluster.listen-address=",
        )


class Prometheus(Watcher):
    """Scrapes `targets` (addresses by job) twice a second; its alerts wait for a second and go to `alertmanager`."""

    name = "Prometheus"
    program = "prometheus"

    def __init__(self, directory: Path, targets: dict[str, list[str]], alertmanager: Alertmanager) -> None:
        super().__init__(directory)
        self._targets, self._alertmanager = targets, alertmanager

    def ask(self, query: str) -> list[float]:
        """Return the value of each series that the query finds now."""
        answer = httpx2.post(f"{self.url}/api/v1/query", data={"query": query}, verify=False)
        assert answer.status_code == 200, answer.text
        return [float(each["value"][1]) for each in answer.json()["data"]["result"]]

    def _launch(self) -> None:
        config = yaml.safe_load((FILES / "prometheus/prometheus.yml").read_text())
        config["global"] = dict.fromkeys(config["global"], INTERVAL)
        for job in config["scrape_configs"]:
            job.pop("dns_sd_configs", None)
            job["static_configs"] = [{"targets": self._targets.get(job["job_name"], [])}]
        managers = [{"static_configs": [{"targets": [f"{LOOPBACK}:{self._alertmanager.port}"]}]}]
        config["alerting"] = {"alertmanagers": managers}
        rules = self.directory / "rules"
        rules.mkdir(exist_ok=True)
        for path in (FILES / "prometheus/rules").iterdir():
            (rules / path.name).write_text(re.sub(r"\bfor: \w+", "for: 1s", path.read_text()))
        self._start(self.directory / "prometheus.yml", config, f"--storage.tsdb.path={self.data}")
