"""Facts that are written down twice and must not drift: settings, events, states, problems, statements, versions."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.http.problems import HTTP, TABLE
from sluice import __version__
from sluice.adapters.event_meanings import MEANINGS
from sluice.adapters.postgres.connecting import SETTINGS
from sluice.adapters.postgres.statements import load_fragments, load_queries
from sluice.adapters.postgres.verifier import load_checks
from sluice.core import ports
from sluice.core.job import Job
from sluice.core.lifecycle import EDGES
from sluice.core.runtime.given_settings import PREFIX
from sluice.core.runtime.settings import Settings
from sluice.core.runtime.settings_example import default_text, example
from sluice.core.runtime.telemetry import Event
from sluice.core.schedule import Schedule

ROOT = Path(__file__).parents[2]
ROOMS = ("sluice", "api", "consumer", "infra")
LONGEST = 300
LONGEST_FUNCTION = 40
VAGUE = {"manager", "service", "util", "utils", "common", "base", "helper", "helpers"}
NEWER_THAN_THEIR_FLAWS = {"orjson": (3, 11, 6), "starlette": (1, 3, 1), "h11": (0, 16)}

EVERYWHERE = sorted(path for room in (*ROOMS, "loadtests", "tests") for path in (ROOT / room).rglob("*.py"))
PRODUCT = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
PAGES = sorted(
    each for where in ("*.md", "docs/**/*.md", "loadtests/**/*.md", "tests/*.md") for each in ROOT.glob(where)
)
POSTGRES = ROOT / "sluice/adapters/postgres"
STATEMENTS = sorted((POSTGRES / "queries").rglob("*.sql"))
SCRIPTS = sorted((ROOT / "sluice/adapters/redis/scripts").glob("*.lua"))
PORTS = sorted(name for name in ports.__all__ if getattr(getattr(ports, name), "_is_protocol", False))
EXCEPTION = re.compile(r"[#]\s*(?:noqa|type:\s*ignore|pragma:\s*no cover)\b")
EXCEPTION_WITH_REASON = re.compile(
    r"[#] noqa: [A-Z]+\d+(?:, [A-Z]+\d+)*  \w|[#] type: ignore\[[\w, -]+\]  # \w"
)
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]*)#?([^)\s]*)\)")


def page(name: str) -> str:
    """The text of a page."""
    return (ROOT / name).read_text()


def table(name: str, heading: str) -> Iterator[list[str]]:
    """The cells of every row of the tables under this heading, without code marks."""
    section = page(name).split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    for line in section.splitlines():
        if line.startswith("| `"):
            yield [cell.strip().strip("`") for cell in line.strip("|").split(" | ")]


def anchors(path: Path) -> set[str]:
    """What a link may name behind `#`."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_example_of_the_environment_is_what_the_settings_print() -> None:
    assert page(".env.example") == example()


def test_the_operator_reads_of_every_setting_with_its_default() -> None:
    told = {cells[0]: cells[1] for cells in table("docs/operations.md", "Settings")}
    assert list(told) == [f"{PREFIX}{name.upper()}" for name in Settings.model_fields]
    short = {name: text for name, text in told.items() if text not in ("required", "empty", "see below")}
    assert short == {name: default_text(name.removeprefix(PREFIX).lower()) for name in short}


def test_the_operator_reads_which_settings_a_role_needs_behind_a_pooler() -> None:
    for name, value in SETTINGS.items():
        assert f"alter role sluice set {name} = {value};" in page("docs/operations.md").replace("'", "")


def test_every_event_is_emitted_somewhere_and_told_to_the_operator() -> None:
    lists = {ROOT / "sluice/core/runtime/telemetry.py", ROOT / "sluice/adapters/logs.py"}
    flows = "".join(path.read_text() for path in PRODUCT if path not in lists)
    assert set(re.findall(r"\bEvent\.([A-Z_]+)", flows)) == set(Event.__members__)
    told = [cells[0] for cells in table("docs/operations.md", "Metrics") if cells[0].endswith("_total")]
    with_labels = [f"sluice_{name}_total" for name in ("http_requests", "hosts_replaced", "stuck_handlers")]
    assert sorted(told) == sorted([*(f"sluice_{event}_total" for event in Event), *with_labels])


def test_a_scrape_says_of_every_event_what_the_operator_reads() -> None:
    told = {
        cells[0]: cells[1].replace("`", "")
        for cells in table("docs/operations.md", "Metrics")
        if len(cells) == 2
    }
    assert {
        f"sluice_{event}_total": MEANINGS[event].replace("`", "") for event in Event
    }.items() <= told.items()


def test_every_flight_whose_batches_are_counted_is_told_to_the_operator() -> None:
    flows = "".join(path.read_text() for path in PRODUCT)
    found = set(re.findall(r"(?:= (?:Split)?Batcher|count_batch)\(\s*\"([a-z-]+)\"", flows))
    told = [cells[0] for cells in table("docs/operations.md", "Metrics") if len(cells) == 3]
    assert sorted(told) == sorted(found)


def test_the_drawing_of_the_life_cycle_has_the_edges_of_the_machine() -> None:
    drawing = page("docs/lifecycle.md").split("```mermaid", 1)[1].split("```", 1)[0]
    drawn = re.findall(r"^ *(\w+) --> (\w+)", drawing, re.MULTILINE)
    assert sorted(drawn) == sorted(EDGES)
    told = [
        tuple(re.findall(r"\w+", cells[0]))
        for cells in table("docs/lifecycle.md", "Who makes each transition")
    ]
    assert sorted(set(told)) == sorted(EDGES)


def test_the_problems_of_the_http_page_are_those_of_the_tables() -> None:
    told = {(cells[0], int(cells[1])) for cells in table("docs/http-api.md", "Problems")}
    assert told == {(kind.type, kind.status) for kind in [*TABLE.values(), *HTTP.values()]}


@pytest.mark.parametrize("path", PRODUCT, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_can_be_read_in_one_sitting_and_says_by_its_name_what_it_holds(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= LONGEST
    assert VAGUE.isdisjoint(path.relative_to(ROOT).with_suffix("").parts)


def test_a_function_fits_on_a_screen() -> None:
    long = [
        f"{path.relative_to(ROOT)}: {each.name}"
        for path in EVERYWHERE
        for each in ast.walk(ast.parse(path.read_text()))
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
        and (each.end_lineno or 0) - each.lineno >= LONGEST_FUNCTION
    ]
    assert long == []


def test_every_exception_to_a_rule_says_why() -> None:
    silent = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in EVERYWHERE
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if EXCEPTION.search(line) and not EXCEPTION_WITH_REASON.search(line)
    ]
    assert silent == []


def test_the_product_runs_without_infra() -> None:
    product = [path for path in PRODUCT if path.relative_to(ROOT).parts[0] != "infra"]
    assert [
        path for path in product if re.search(r"^\s*(?:from|import) infra\b", path.read_text(), re.MULTILINE)
    ] == []


@pytest.mark.parametrize("path", STATEMENTS, ids=lambda path: path.stem)
def test_a_statement_says_what_it_is_for(path: Path) -> None:
    assert path.read_text().startswith("-- ")


def test_every_statement_is_used_and_every_used_one_is_there() -> None:
    adapters = "".join(path.read_text() for path in POSTGRES.rglob("*.py"))
    assert set(re.findall(r'\.(?:fetch|commit)\(\s*"(\w+)"', adapters)) <= set(load_queries())
    assert [name for name in load_queries() if f'"{name}"' not in adapters] == []


def test_a_statement_stands_in_the_folder_of_the_file_that_sends_it() -> None:
    for folder in (POSTGRES / "queries").iterdir():
        sent_by = {name: senders(name) for name in load_queries() if (folder / f"{name}.sql").exists()}
        if folder.name == "shared":
            assert [name for name, files in sent_by.items() if len(files) < 2] == []
        else:
            assert sent_by == {name: {folder.name} for name in sent_by}


def senders(name: str) -> set[str]:
    """The files that send a statement."""
    return {path.stem for path in POSTGRES.glob("*.py") if f'"{name}"' in path.read_text()}


def test_no_two_statements_share_a_name() -> None:
    assert len({path.stem for path in STATEMENTS}) == len(STATEMENTS)


def test_the_columns_that_statements_read_are_the_fields_of_what_they_become() -> None:
    for fragment, fields in (("job", Job._fields[:-4]), ("schedule", Schedule._fields)):
        columns = load_fragments()[fragment].replace("jobs.", "").replace("::text", "").split(",")
        assert tuple(map(str.strip, columns)) == fields


def test_every_fragment_is_used_and_is_there() -> None:
    texts = "".join(path.read_text() for path in [*STATEMENTS, *POSTGRES.glob("*.py")])
    assert [name for name in load_fragments() if not re.search(rf':{name}\b|"{name}"', texts)] == []


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_says_what_it_is_for_and_is_run(path: Path) -> None:
    assert path.read_text().startswith("-- ")
    adapters = "".join(each.read_text() for each in path.parents[1].glob("*.py"))
    assert f'Script(connection, "{path.stem}"' in adapters


def test_every_port_has_a_suite() -> None:
    """Together with its fake where it has one, else among the tests of its adapter."""
    suites = [*ROOT.glob("tests/contract/*.py"), *ROOT.glob("tests/integration/record/*.py")]
    texts = "".join(path.read_text() for path in suites)
    assert [port for port in PORTS if not re.search(rf"\b{port}\b", texts)] == []


def test_every_method_of_a_port_is_described_there_as_its_adapters_leave_that_to_it() -> None:
    methods = {
        f"{name}.{method}": value for name in PORTS for method, value in vars(getattr(ports, name)).items()
    }
    public = {name: value for name, value in methods.items() if callable(value) and "._" not in name}
    assert public
    assert [name for name, value in public.items() if not value.__doc__] == []


def test_every_fake_is_held_to_the_suite_of_its_port() -> None:
    support = "".join(path.read_text() for path in ROOT.glob("tests/support/*.py"))
    suites = "".join(path.read_text() for path in ROOT.glob("tests/contract/*.py"))
    fakes = set(re.findall(r"^class (Fake\w+)", support, re.MULTILINE))
    bases = set(re.findall(r"^class Fake\w+\((Fake\w+)\)", support, re.MULTILINE))
    assert [fake for fake in sorted(fakes - bases) if fake not in suites] == []


def test_nothing_is_taken_for_a_port_that_is_none() -> None:
    disguise = re.compile(rf"\bcast\((?:{'|'.join(PORTS)})\b")
    tests = (path for path in EVERYWHERE if path.relative_to(ROOT).parts[0] == "tests")
    assert [str(path.relative_to(ROOT)) for path in tests if disguise.search(path.read_text())] == []


def test_the_operator_reads_of_every_invariant_what_its_file_says() -> None:
    told = [tuple(cells) for cells in table("docs/operations.md", "Verify")]
    assert told == [(each.name, each.means, each.do) for each in load_checks().values()]


def test_no_client_holds_a_transaction_or_a_lock_over_which_it_could_freeze() -> None:
    # What verifies the record only reads, and PostgreSQL ends its transaction where it freezes.
    apart = {"migrate.py", "verifier.py"}
    drivers = [path for path in POSTGRES.glob("*.py") if path.name not in apart]
    opening = re.compile(r"""\.transaction\(|["'](?:begin|start transaction)\b""", re.IGNORECASE)
    assert [path.name for path in drivers if opening.search(path.read_text())] == []
    code = {path.stem: re.sub("--.*", "", path.read_text()) for path in STATEMENTS}
    lasting = re.compile(r"\b(?:begin|commit|savepoint)\b|advisory_(?:un)?lock")
    assert [name for name, text in code.items() if lasting.search(text)] == []


def test_the_version_is_the_same_everywhere() -> None:
    told = tomllib.loads(page("pyproject.toml"))
    assert told["project"]["dynamic"] == ["version"]
    assert f'\n__version__ = "{__version__}"\n' in page(told["tool"]["hatch"]["version"]["path"])
    assert f"\n## [{__version__}]" in page("CHANGELOG.md")


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    inside = [link for link in LINK.findall(path.read_text()) if "://" not in link[0]]
    lost = [link for link in inside if not (path.parent / link[0]).exists()]
    lost += [
        (target, anchor)
        for target, anchor in inside
        if anchor and (target or path.name).endswith(".md")
        and anchor not in anchors(path.parent / target if target else path)
    ]  # fmt: skip
    assert lost == []


@pytest.mark.parametrize(("name", "least"), NEWER_THAN_THEIR_FLAWS.items())
def test_the_lock_holds_no_release_with_a_known_flaw(name: str, least: tuple[int, ...]) -> None:
    found = re.search(rf"^{name}==([\d.]+)", page("requirements.txt"), re.MULTILINE)
    assert found is not None
    assert tuple(map(int, found[1].split("."))) >= least


def test_the_lock_names_extras_as_old_releases_of_pip_need_them() -> None:
    """Debian 12's pip 23.0 refuses a hashed lock if a package asks for `coverage[toml]` and the lock names `coverage`."""
    assert re.search(r"^sqlalchemy\[asyncio\]==", page("requirements.txt"), re.MULTILINE)
    assert re.search(r"^coverage\[toml\]==", page("requirements-dev.txt"), re.MULTILINE)
