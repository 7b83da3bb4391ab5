"""nginx before an api, as the operations page has it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from infra.local.ports import free_port
from tests.support.waiting import until

CONFIG = """
daemon off;
pid {directory}/pid;
error_log {directory}/error.log;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    server {{
        listen 127.0.0.1:{port};
        location /jobs-api/ {{
            proxy_pass {url}/;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Prefix "";
            proxy_read_timeout 60s;
        }}
    }}
}}
"""


@asynccontextmanager
async def nginx_before(url: str, directory: Path) -> AsyncIterator[str]:
    """Run nginx for the block; yields the address under which it shows the api. Skips the test where there is none."""
    program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        pytest.skip("nginx is not installed: apt-get install --no-install-recommends nginx-light")
    port = free_port()
    config = directory / "nginx.conf"
    config.write_text(CONFIG.format(directory=directory, port=port, url=url))
    with subprocess.Popen(  # noqa: ASYNC220  it starts at once
        [program, "-p", str(directory), "-c", str(config), "-e", str(directory / "error.log")]
    ) as process:
        try:
            await until(lambda: _listens(port) or process.poll() is not None, 20)
            assert process.poll() is None, (directory / "error.log").read_text()
            yield f"http://127.0.0.1:{port}/jobs-api"
        finally:
            process.terminate()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
