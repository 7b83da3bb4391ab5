"""sluice.core.ports.BulkStore in memory: acts that no keeper carries on."""

from __future__ import annotations

from sluice.core.access import Actor
from sluice.core.bulk import ENDED, MOST_UNFINISHED, BulkAct, NewBulkAct
from sluice.core.job import IdempotencyKeyUse
from sluice.core.listing import ABOVE_ALL
from tests.support.fake_record import FakeRecord


class FakeBulkStore:
    """What was begun; a test moves acts on by `acts`."""

    def __init__(self, record: FakeRecord) -> None:
        self._record = record
        self.acts: dict[str, BulkAct] = {}
        self.keys: dict[tuple[str, str], IdempotencyKeyUse] = {}

    async def open_act(self, new: NewBulkAct, by: Actor) -> BulkAct | None:
        """As it begins."""
        self._record.check()
        mine = [act for act in self.acts.values() if act.tenant == new.tenant and act.state not in ENDED]
        if len(mine) >= MOST_UNFINISHED or (new.tenant, new.key) in self.keys:
            return None
        state = "counting" if new.dry_run else "canary" if new.canary else "running"
        act = BulkAct(
            *new[:7], state, None, 1, ABOVE_ALL, 0 if new.dry_run else None, 0, None, self._record.now, None, 0.0
        )  # fmt: skip
        if new.key is not None and new.request_hash is not None:
            self.keys[new.tenant, new.key] = IdempotencyKeyUse(new.request_hash, new.id)
        self.acts[new.id] = act
        return act

    async def find_act_by_key(self, tenant: str, key: str) -> IdempotencyKeyUse | None:
        """What the key stands for."""
        self._record.check()
        return self.keys.get((tenant, key))

    async def find_act(self, tenant: str, act_id: str) -> BulkAct | None:
        """As it stands."""
        self._record.check()
        act = self.acts.get(act_id)
        return act if act and act.tenant == tenant else None

    async def list_acts(self, tenant: str, below: str, limit: int) -> list[BulkAct]:
        """Newest first."""
        self._record.check()
        mine = [act for act in self.acts.values() if act.tenant == tenant and act.id < below]
        return sorted(mine, reverse=True)[:limit]

    async def go(self, tenant: str, act_id: str, version: int | None, by: Actor) -> BulkAct | None:
        """If it waits."""
        act = await self.find_act(tenant, act_id)
        if act is None or act.state != "waiting" or version not in (None, act.version):
            return None
        state = "canary" if act.changed < act.canary else "running"
        return self.move(act, state=state, reason=None, due_in_s=0.0)

    async def abort(self, tenant: str, act_id: str, by: Actor) -> BulkAct | None:
        """If it has not ended."""
        act = await self.find_act(tenant, act_id)
        if act is None or act.state in ENDED:
            return None
        return self.move(act, state="aborted", reason=None, finished_at=self._record.now, due_in_s=None)

    def move(self, act: BulkAct, **changes: object) -> BulkAct:
        """As a step does."""
        self.acts[act.id] = act._replace(version=act.version + 1, **changes)  # type: ignore[arg-type]  # a test's
        return self.acts[act.id]
