"""What the installation runs on and how it is set up, without servers; and that no secret is shown."""

from __future__ import annotations

import httpx2
import pytest
from pydantic import SecretStr

from api.app import wrap_middleware
from api.installation.installation import list_settings
from sluice import __version__
from sluice.adapters.metrics import Metrics
from sluice.core.runtime.settings import Settings
from tests.unit.api.in_memory_api import Clock, InMemoryApi, Record, build_state, settings

PATH = "/v1/system"
SECRET = "a-word-that-nobody-may-see"


@pytest.fixture
def operator(api: InMemoryApi) -> dict[str, str]:
    """Headers with a key that may do this."""
    return api.as_tenant("ops", "operate")


async def test_releases_sizes_and_settings_are_shown(api: InMemoryApi, operator: dict[str, str]) -> None:
    shown = (await api.client.get(PATH, headers=operator)).json()
    assert shown["version"] == __version__
    assert shown["servers"] == []
    assert shown["record"] == {
        "release": "15.14", "revision": "0011", "newest_revision": "0011", "oldest_transaction_s": None,
        "tables": [{"name": "jobs", "rows": 0, "bytes": 8_192}],
    }  # fmt: skip
    found = {each["name"]: each for each in shown["settings"]}
    assert len(found) == len(Settings.model_fields)
    assert found["SLUICE_UI"] == {"name": "SLUICE_UI", "value": "false", "is_default": True}
    assert found["SLUICE_KEY_PEPPER"] == {"name": "SLUICE_KEY_PEPPER", "value": None, "is_default": False}
    assert found["SLUICE_OTLP_URL"] == {"name": "SLUICE_OTLP_URL", "value": "", "is_default": True}


def test_no_secret_is_shown_whichever_setting_holds_it() -> None:
    kinds_of_secrets = [
        name
        for name, field in Settings.model_fields.items()
        if field.annotation is SecretStr or isinstance(field.default, SecretStr)
    ]
    assert {"postgres_url", "redis_url", "rabbitmq_url", "key_pepper", "key_pepper_other", "otlp_url"} <= set(
        kinds_of_secrets
    )
    chosen = settings(**{name: f"{SECRET}-{name}" for name in kinds_of_secrets})
    listed = {each.name: each.value for each in list_settings(chosen)}
    assert not any(SECRET in (value or "") for value in listed.values())
    assert all(listed[f"SLUICE_{name.upper()}"] is None for name in kinds_of_secrets)


async def test_no_secret_is_in_the_answer() -> None:
    record = Record()
    chosen = settings(postgres_url=SECRET, redis_url=SECRET, rabbitmq_url=SECRET, otlp_url=SECRET)
    key = record.add_key("ops", "operate")
    transport = httpx2.ASGITransport(wrap_middleware(build_state(record, chosen, Clock()), Metrics()))
    async with httpx2.AsyncClient(transport=transport, base_url="http://sluice") as client:
        answer = await client.get(PATH, headers={"authorization": f"Bearer {key}"})
    assert answer.status_code == 200
    assert SECRET not in answer.text


async def test_only_operators_see_the_system(api: InMemoryApi) -> None:
    everything_else = api.as_tenant("acme", "submit", "read", "payloads", "admin")
    answer = await api.client.get(PATH, headers=everything_else)
    assert (answer.status_code, answer.json()["type"]) == (403, "forbidden")


async def test_it_is_shown_while_the_record_is_away(api: InMemoryApi, operator: dict[str, str]) -> None:
    await api.client.get(PATH, headers=operator)
    api.record.away = True
    answer = await api.client.get(PATH, headers=operator)
    assert answer.status_code == 200
    assert answer.json()["record"] is None
