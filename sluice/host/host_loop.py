"""The event loop of a shared host."""

from __future__ import annotations

from typing import Any

import uvloop

from sluice.host.child_watch import ChildWatch


class HostLoop(uvloop.Loop):
    """The event loop of all jobs, without the methods by which one would end what all of them use."""

    def __init__(self) -> None:
        super().__init__()
        self.children = ChildWatch()

    async def shutdown_asyncgens(self) -> None:
        """Do nothing."""

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """Do nothing."""

    async def subprocess_exec(self, *arguments: Any, **options: Any) -> Any:
        """Start a program, and watch over what is heard of it."""
        transport, protocol = await super().subprocess_exec(*arguments, **options)
        self.children.add(transport)
        return transport, protocol

    async def subprocess_shell(self, *arguments: Any, **options: Any) -> Any:
        """Start a shell, likewise."""
        transport, protocol = await super().subprocess_shell(*arguments, **options)
        self.children.add(transport)
        return transport, protocol
