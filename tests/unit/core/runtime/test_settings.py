"""Settings from the environment."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from sluice.core.runtime.given_settings import OF_TOOLS, PREFIX
from sluice.core.runtime.lane_settings import processors
from sluice.core.runtime.load_settings import load_settings
from sluice.core.runtime.settings import Settings
from sluice.core.runtime.settings_example import default_text, example
from sluice.errors import StartRefused

REQUIRED = {
    "POSTGRES_URL": "postgresql://u:hidden@localhost/d",
    "REDIS_URL": "redis://localhost/0",
    "RABBITMQ_URL": "amqp://localhost/",
    "KEY_PEPPER": "0123456789abcdef",
}


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith(PREFIX):
            monkeypatch.delenv(name)
    for name, value in REQUIRED.items():
        monkeypatch.setenv(PREFIX + name, value)
    monkeypatch.chdir(tmp_path)


def test_everything_but_addresses_and_pepper_has_a_default() -> None:
    settings = load_settings()
    assert (settings.api_port, settings.express, settings.wait_cap_s) == (8000, True, 55)
    assert "demo.sum" not in settings.handlers
    assert "sluice.kinds.demo_sum" in settings.handlers


def test_lists_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_HANDLERS", "mine.first, mine.second,")
    monkeypatch.setenv("SLUICE_SERVE_LANES", "heavy")
    settings = load_settings()
    assert settings.handlers == ("mine.first", "mine.second")
    assert [lane.name for lane in settings.served] == ["heavy"]


def test_origins_prefix_and_proxies_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "SLUICE_CORS_ORIGINS",
        "https://app.example.com, http://[::1]:3000,*,http://[fe80::80],https://a.example:80",
    )
    monkeypatch.setenv("SLUICE_ROOT_PATH", "/team-a/jobs_1/")
    monkeypatch.setenv("SLUICE_TRUSTED_PROXIES", "10.0.0.0/8, ::1")
    found = load_settings()
    assert found.cors_origins == (
        "https://app.example.com",
        "http://[::1]:3000",
        "*",
        "http://[fe80::80]",
        "https://a.example:80",
    )
    assert (found.root_path, found.trusted_proxies) == ("/team-a/jobs_1", ("10.0.0.0/8", "::1"))
    monkeypatch.setenv("SLUICE_ROOT_PATH", "/")
    assert load_settings().root_path == ""


def test_a_list_may_be_given_as_a_tuple() -> None:
    given = {"postgres_url": "p", "redis_url": "r", "key_pepper": REQUIRED["KEY_PEPPER"]}
    assert Settings(**given, handlers=("a", "b")).handlers == ("a", "b")


def test_a_lane_without_slots_has_one_per_processor() -> None:
    settings = load_settings()
    assert settings.lane("heavy").slots == processors()
    assert settings.lane("default").slots == 128
    assert [lane.name for lane in settings.served] == ["default", "heavy"]


def test_processors_are_counted_where_there_is_no_affinity(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert processors() == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("API_PORT", "70000"),
        ("WAIT_CAP_S", "0"),
        ("KEY_PEPPER", "short"),
        ("KEY_PEPPER_OTHER", "short"),
        ("KEY_PEPPER_OTHER", "0123456789abcdef"),
        ("LOG_LEVEL", "LOUD"),
        ("LANES", '{"not a word": {"slots": 1, "ids_per_message": 1}}'),
        ("LANES", "{}"),
        ("LANES", '{"heavy": {"slots": -1, "ids_per_message": 1}}'),
        ("LANES", "no json"),
        ("EXPRESS", "perhaps"),
        ("CORS_ORIGINS", "app.example.com"),
        ("CORS_ORIGINS", "https://app.example.com/"),
        ("CORS_ORIGINS", "https://app.example.com:443"),
        ("CORS_ORIGINS", "https://a.example,http://[::1]:80"),
        ("CORS_ORIGINS", "https://a.example,https://App.example"),
        ("ROOT_PATH", "jobs"),
        ("ROOT_PATH", "//jobs"),
        ("ROOT_PATH", "/v1"),
        ("ROOT_PATH", "/v1/jobs"),
        ("ROOT_PATH", "/a/../b"),
        ("ROOT_PATH", "/a b"),
        ("ROOT_PATH", "/" + "a" * 256),
        ("TRUSTED_PROXIES", "proxy.example"),
        ("TRUSTED_PROXIES", "10.0.0.0/33"),
        ("TRUSTED_PROXIES", "10.0.0.1/8"),
    ],
)
def test_a_wrong_value_stops_the_start_and_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(PREFIX + name, value)
    with pytest.raises(StartRefused) as refused:
        load_settings()
    assert name.lower() in str(refused.value).lower()
    assert "\n" not in str(refused.value)


def test_a_missing_address_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLUICE_REDIS_URL")
    with pytest.raises(StartRefused, match="SLUICE_REDIS_URL"):
        load_settings()


def test_two_peppers_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_KEY_PEPPER_OTHER", "another-pepper-0123456789abcdef0")
    assert load_settings().key_pepper_other.get_secret_value().startswith("another")
    monkeypatch.setenv("SLUICE_KEY_PEPPER_OTHER", load_settings().key_pepper.get_secret_value())
    with pytest.raises(StartRefused, match=r"SLUICE_KEY_PEPPER_OTHER.*the same as SLUICE_KEY_PEPPER"):
        load_settings()


def test_events_need_rabbitmq(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings().events == "off"
    monkeypatch.setenv("SLUICE_EVENTS", "live")
    assert load_settings().events == "live"
    monkeypatch.setenv("SLUICE_RABBITMQ_URL", "")
    with pytest.raises(StartRefused, match="SLUICE_EVENTS: events go over RabbitMQ"):
        load_settings()
    monkeypatch.setenv("SLUICE_EVENTS", "loud")
    with pytest.raises(StartRefused, match="SLUICE_EVENTS"):
        load_settings()


def test_rabbitmq_can_be_done_without(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings().rabbitmq_url
    monkeypatch.delenv("SLUICE_RABBITMQ_URL")
    assert not load_settings().rabbitmq_url
    monkeypatch.setenv("SLUICE_RABBITMQ_URL", "")
    assert not load_settings().rabbitmq_url


def test_a_wrong_secret_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_KEY_PEPPER", "tooshort")
    with pytest.raises(StartRefused) as refused:
        load_settings()
    assert "tooshort" not in str(refused.value)


def test_secrets_do_not_show() -> None:
    assert "hidden" not in repr(load_settings())


def test_the_example_names_every_setting_and_reads_back_as_the_defaults(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lines = dict(line.split("=", 1) for line in example().splitlines() if line and not line.startswith("#"))
    assert lines.keys() == {PREFIX + name.upper() for name in Settings.model_fields}
    expected = load_settings()
    for name, value in lines.items():
        if value:
            monkeypatch.setenv(name, value)
    assert load_settings() == expected
    assert default_text("redis_url") == ""


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("SLUICE_LEASES_S", "do you mean SLUICE_LEASE_S?"),
        ("SLUICE_POSTGRESS_URL", "do you mean SLUICE_POSTGRES_URL?"),
        ("sluice_api_port", "do you mean SLUICE_API_PORT?"),
        ("SLUICE_THREADS", "`sluice settings` prints them all"),
        ("SLUICE_", "`sluice settings` prints them all"),
    ],
)
@pytest.mark.parametrize("place", ["environment", ".env"])
def test_a_name_that_is_no_setting_is_refused_with_the_nearest_that_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, words: str, place: str
) -> None:
    if place == "environment":
        monkeypatch.setenv(name, "1")
    else:
        (tmp_path / ".env").write_text(f"{name}=1\n")
    with pytest.raises(StartRefused) as refused:
        load_settings()
    assert str(refused.value) == f"{name}: there is no such setting; {words}"


def test_variables_of_our_tools_and_of_kubernetes_are_no_misspelt_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in (
        *OF_TOOLS,
        "SLUICE_API_SERVICE_HOST",
        "SLUICE_API_SERVICE_PORT_HTTP",
        "SLUICE_API_PORT_8000_TCP_ADDR",
    ):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("SLUICE_PORT", "tcp://10.0.0.1:8000")
    load_settings()


def test_every_variable_that_a_tool_of_the_tree_reads_is_known() -> None:
    root = Path(__file__).parents[4]
    files = [file for room in ("infra", "loadtests") for file in (root / room).rglob("*.py")]
    read = {
        found
        for file in [*files, *root.glob("infra/**/*.sh"), root / "Makefile"]
        for found in re.findall(r"""(?<=["'$\[{])SLUICE_[A-Z_]+(?=["'\]}:])""", file.read_text())
    }
    assert sorted(read - {PREFIX + name.upper() for name in Settings.model_fields} - {*OF_TOOLS}) == []


def test_a_link_to_a_service_of_kubernetes_is_no_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_API_PORT", "tcp://10.0.0.1:8000")
    with pytest.raises(StartRefused, match=r"^SLUICE_API_PORT: Kubernetes .*enableServiceLinks: false[^;]*$"):
        load_settings()


@pytest.mark.parametrize("name", ["POSTGRES_URL", "REDIS_URL", "RABBITMQ_URL"])
def test_a_wrong_address_is_refused_and_a_line_break_at_its_end_is_not(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(PREFIX + name, f"{REQUIRED[name]}\n")
    assert load_settings().model_dump()[name.lower()].get_secret_value() == REQUIRED[name]
    monkeypatch.setenv(PREFIX + name, "mysql://u:hidden@h/d")
    with pytest.raises(StartRefused, match=f"^SLUICE_{name}: an address with mysql://") as refused:
        load_settings()
    assert "hidden" not in str(refused.value)


@pytest.mark.parametrize("name", ["KEY_PEPPER", "SERVE_LANES", "API_PORT", "RABBITMQ_URL"])
@pytest.mark.parametrize("place", ["the environment", ".env"])
def test_a_comment_behind_an_empty_value_is_no_value(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, place: str
) -> None:
    monkeypatch.delenv(PREFIX + name, raising=False)
    if place == ".env":
        (tmp_path / ".env").write_text(f"{PREFIX}{name}=   # what it is, for those who read this\n")
    else:
        monkeypatch.setenv(PREFIX + name, "# what it is, for those who read this")
    with pytest.raises(StartRefused, match=f"^SLUICE_{name}: a comment behind an empty value") as refused:
        load_settings()
    assert ";" not in str(refused.value)


def test_a_secret_may_begin_with_a_number_sign(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_KEY_PEPPER", "#0123456789abcdef")
    assert load_settings().key_pepper.get_secret_value() == "#0123456789abcdef"


def test_everything_that_is_wrong_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_LANES", '{"heavy": {"slots": 1, "ids_per_mesage": 1}}')
    monkeypatch.setenv("SLUICE_REDIS_URL", "")
    monkeypatch.setenv("SLUICE_NONSENSE", "1")
    with pytest.raises(StartRefused) as refused:
        load_settings()
    lines = str(refused.value).split("; ")
    assert [line.partition(":")[0] for line in lines if line.startswith("SLUICE_")] == [
        "SLUICE_NONSENSE", "SLUICE_REDIS_URL", "SLUICE_LANES", "SLUICE_LANES",
    ]  # fmt: skip
    assert "SLUICE_LANES: heavy.ids_per_mesage: Extra inputs are not permitted" in lines


def test_the_environment_wins_over_the_file_also_where_it_is_empty(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("SLUICE_RABBITMQ_URL=amqp://elsewhere/\nSLUICE_API_PORT=9000\n")
    monkeypatch.setenv("SLUICE_RABBITMQ_URL", "")
    settings = load_settings()
    assert (settings.rabbitmq_url.get_secret_value(), settings.api_port) == ("", 9000)
