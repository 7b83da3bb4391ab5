"""Every check of `make check-infra`: a new one is a row here."""

from infra.checks.check import Check
from infra.checks.tools import home

_TRIVY = (
    "trivy", "config", "--quiet", "--skip-check-update", "--skip-version-check", "--disable-telemetry",
    "--exit-code=1", f"--cache-dir={home() / 'trivy'}",
)  # fmt: skip
_MADE_UP = dict.fromkeys(
    ("POSTGRES_PASSWORD", "REDIS_PASSWORD", "RABBITMQ_PASSWORD", "SLUICE_KEY_PEPPER"), "made-up"
)
_YAML = (*("*.yml", "*.yaml", ".*.yml", ".*.yaml"), "infra/**/*.yml", "infra/**/*.yaml")

CHECKS = (
    Check("Dockerfiles", ("hadolint",), ("infra/**/Dockerfile",)),
    # The stand-ins live for one trial, on an engine that is thrown away.
    Check("Dockerfiles, safety", (*_TRIVY, "--skip-dirs=**/standins", "infra/docker")),
    Check("Compose", ("docker-compose", "config", "--quiet"), env=_MADE_UP),
    Check(
        "Compose, schema",
        ("check-jsonschema", "--builtin-schema=vendor.compose-spec"),
        ("docker-compose.yml",),
    ),
    Check("shell scripts", ("shellcheck",), (".ci/run", "infra/**/*.sh")),
    Check("YAML", ("yamllint", "--strict"), _YAML),
)
