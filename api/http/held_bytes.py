"""Count the bytes of bodies that are held, from the first one read until the answer is known, and bound them."""

from __future__ import annotations

from types import TracebackType

from api.http.errors import TenantOverloaded
from sluice.core.errors import Overloaded


class HeldBytes:
    """At most `most` bytes at once, and `most_of_tenant` of one tenant."""

    __slots__ = ("_by_tenant", "_held", "_most", "_most_of_tenant")

    def __init__(self, most: int, most_of_tenant: int) -> None:
        self._most, self._most_of_tenant = most, most_of_tenant
        self._held = 0
        self._by_tenant: dict[str, int] = {}

    def __repr__(self) -> str:
        return f"<HeldBytes: {self._held} of {len(self._by_tenant)} tenants>"

    def __len__(self) -> int:
        return self._held

    def add(self, tenant: str, size: int) -> None:
        """Count these bytes. Raises Overloaded, TenantOverloaded if they are too many."""
        mine = self._by_tenant.get(tenant, 0)
        if mine + size > self._most_of_tenant:
            raise TenantOverloaded
        if self._held + size > self._most:
            raise Overloaded
        self._held += size
        self._by_tenant[tenant] = mine + size

    def remove(self, tenant: str, size: int) -> None:
        """Stop counting these bytes."""
        self._held -= size
        left = self._by_tenant[tenant] - size
        if left:
            self._by_tenant[tenant] = left
        else:
            del self._by_tenant[tenant]  # tenants are never forgotten otherwise


class HeldBody:
    """The bytes of one body, counted until the `with` block ends."""

    __slots__ = ("_held", "_size", "_tenant")

    def __init__(self, held: HeldBytes, tenant: str) -> None:
        self._held, self._tenant, self._size = held, tenant, 0

    def __enter__(self) -> HeldBody:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._size:
            self._held.remove(self._tenant, self._size)

    def grow(self, size: int) -> None:
        """Say that it has so many bytes, or will have. Raises Overloaded, TenantOverloaded."""
        if size > self._size:
            self._held.add(self._tenant, size - self._size)
            self._size = size

    def shrink(self, size: int) -> None:
        """Say that only so many of its bytes are still held."""
        if size < self._size:
            self._held.remove(self._tenant, self._size - size)
            self._size = size
