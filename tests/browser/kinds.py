"""Kinds whose jobs fill the pages of the dashboard: some fail, some log, some say what a page must not believe."""

from __future__ import annotations

import asyncio
from typing import Literal

from pydantic import BaseModel, Field

from sluice import Context, GiveUp, handler

SCRIPT = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"


class Order(BaseModel):
    """An order to settle."""

    order_id: int = Field(description="Number of the order", examples=[4711], ge=1)
    customer: str = Field(description="Who pays", examples=["ada@example.com"], max_length=200)
    method: Literal["card", "transfer"] = Field("card", description="How it is paid")
    gift: bool = Field(False, description="Wrap it up")
    lines: list[dict[str, int]] = Field([], description="Articles and how many", examples=[[{"tea": 2}]])
    delay_s: float = Field(0.0, ge=0, le=600, description="Seconds that settling takes")


class Receipt(BaseModel):
    """What came of an order."""

    number: int
    total: float
    text: str


@handler("orders.settle", searchable=("order_id",), lane="default")
async def settle(order: Order, context: Context) -> Receipt:
    """Settle an order with the bank, and write a receipt.

    Receipts have the largest numbers that every reader of JSON takes.
    """
    context.log.info("asking the bank", extra={"order": order.order_id, "method": order.method})
    if order.delay_s:
        for step in range(10):
            context.progress(10 * step, f"waiting for the bank, part {step + 1} of 10")
            await asyncio.sleep(order.delay_s / 10)
    if order.customer.startswith("unknown"):
        raise GiveUp(f"the bank does not know {order.customer}")
    if order.customer.startswith("slow"):
        context.log.warning("the bank did not answer", extra={"waited_s": 3})
        raise TimeoutError("bank.example did not answer within 3 s")
    context.log.info("settled")
    return Receipt(number=9_007_199_254_740_991, total=0.1, text="Thank you.")


@handler("hostile.words", lane="default")
async def speak(order: Order, context: Context) -> Receipt:
    """Say <script>document.title='owned'</script><img src=x onerror="document.title='owned'"> wherever it can."""
    context.log.info(SCRIPT, extra={"field": SCRIPT})
    if order.gift:
        raise GiveUp(SCRIPT)
    return Receipt(number=1, total=1e300, text=SCRIPT)
