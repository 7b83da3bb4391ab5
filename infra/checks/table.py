"""Every check of `make check-infra`: a new one is a row here."""

from infra.checks.check import Check
from infra.checks.tools import home

_TRIVY = (
    "trivy", "config", "--quiet", "--skip-check-update", "--skip-version-check", "--disable-telemetry",
    "--exit-code=1", f"--cache-dir={home() / 'trivy'}",
)  # fmt: skip
_KUBERNETES = ("--severity=MEDIUM,HIGH,CRITICAL", "--ignorefile=infra/checks/trivyignore.yaml")
_VALUES = [f"--helm-values=tests/infra/values/{name}.yaml" for name in ("minimal", "full")]
_MADE_UP = dict.fromkeys(
    ("POSTGRES_PASSWORD", "REDIS_PASSWORD", "RABBITMQ_PASSWORD", "SLUICE_KEY_PEPPER"), "made-up"
)
_WORKFLOWS = (".github/workflows/*.yml",)
_YAML = (*("*.yml", "*.yaml", ".*.yml", ".*.yaml"), "infra/**/*.yml", "infra/**/*.yaml", ".github/**/*.yml")
_PROMETHEUS = "infra/observability/prometheus"

CHECKS = (
    Check("Dockerfiles", ("hadolint",), ("infra/**/Dockerfile",)),
    # The stand-ins live for one trial, on an engine that is thrown away.
    Check("Dockerfiles, safety", (*_TRIVY, "--skip-dirs=**/standins", "infra/docker")),
    Check("Compose", ("docker-compose", "config", "--quiet"), env=_MADE_UP),
    Check(
        "Compose, monitored",
        ("docker-compose", "--profile=observability", "config", "--quiet"),
        env=_MADE_UP,
    ),
    Check(
        "Compose, schema",
        ("check-jsonschema", "--builtin-schema=vendor.compose-spec"),
        ("docker-compose.yml",),
    ),
    Check("shell scripts", ("shellcheck",), (".ci/run", "infra/**/*.sh")),
    Check("Prometheus", ("promtool", "check", "config"), (f"{_PROMETHEUS}/prometheus.yml",)),
    Check("alerts", ("promtool", "check", "rules"), (f"{_PROMETHEUS}/rules/*.yml",)),
    Check("alerts, tests", ("promtool", "test", "rules"), (f"{_PROMETHEUS}/tests/*.yml",)),
    Check("Alertmanager", ("amtool", "check-config"), ("infra/observability/alertmanager/*.yml",)),
    Check("dashboards", ("python", "-m", "infra.observability.dashboards", "--check")),
    Check("chart and overlays", ("python", "-m", "infra.checks.manifests")),
    Check("chart, safety", (*_TRIVY, *_KUBERNETES, *_VALUES, "infra/helm/sluice")),
    Check("servers, safety", (*_TRIVY, *_KUBERNETES, "infra/kubernetes/servers")),
    Check("Argo CD", ("argocd-source-lint", "infra/gitops")),
    Check("YAML", ("yamllint", "--strict"), _YAML, but=("infra/helm/sluice/templates/*",)),
    Check(
        "events, AsyncAPI",
        ("npm", "run", "--silent", "--prefix=infra/checks/asyncapi", "validate", "--"),
        ("docs/asyncapi.yaml",),
    ),
    Check("workflows", ("actionlint",), _WORKFLOWS),
    Check("workflows, schema", ("check-jsonschema", "--builtin-schema=vendor.github-workflows"), _WORKFLOWS),
    Check(
        "actions, schema",
        ("check-jsonschema", "--builtin-schema=vendor.github-actions"),
        (".github/actions/*/action.yml",),
    ),
    Check("workflows, safety", ("zizmor", "--offline", "--quiet", ".github")),
    Check("Renovate", ("check-jsonschema", "--builtin-schema=vendor.renovate"), (".github/renovate.json",)),
)
