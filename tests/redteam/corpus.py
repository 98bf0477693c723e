"""All attacks."""

from __future__ import annotations

from tests.redteam import escaping, evidence, folders, hiding, looking
from tests.redteam.attack import Attack

ATTACKS: tuple[Attack, ...] = (
    *evidence.ATTACKS,
    *looking.ATTACKS,
    *hiding.ATTACKS,
    *escaping.ATTACKS,
    *folders.ATTACKS,
)
