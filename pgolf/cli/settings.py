"""`--set section.field=value`: any field of a nested frozen config, by its name."""

from __future__ import annotations

import dataclasses
import json
from typing import Any, TypeVar

Config = TypeVar("Config")


def with_settings(config: Config, assignments: list[str] | None) -> Config:
    """The config with each `name=value` or `section.name=value` replaced; values are JSON or plain words.

    Raises:
        ValueError: no `=`, a name that the config has not, a value of another type or one that it refuses.
    """
    for assignment in assignments or ():
        path, equals, text = assignment.partition("=")
        if not equals:
            raise ValueError(f"--set {assignment}: expected name=value, such as ttt.lr=0.001")
        config = _replaced(config, path.split("."), text, path)
    return config


def _replaced(config: Any, names: list[str], text: str, path: str) -> Any:
    known = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    name, *deeper = names
    if name not in known:
        raise ValueError(f"--set {path}: no setting {name!r}; known here: {', '.join(known)}")
    now = known[name]
    if deeper and dataclasses.is_dataclass(now):
        return dataclasses.replace(config, **{name: _replaced(now, deeper, text, path)})
    if deeper or dataclasses.is_dataclass(now):
        raise ValueError(
            f"--set {path}: {name} is {'one value' if deeper else 'a section: name a field of it'}"
        )
    return dataclasses.replace(config, **{name: _value(text, now, path)})


def _value(text: str, now: Any, path: str) -> Any:
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        value = text
    if isinstance(now, tuple) and isinstance(value, list):
        return tuple(value)
    if isinstance(now, float) and type(value) is int:
        return float(value)
    if now is not None and type(value) is not type(now):
        raise ValueError(f"--set {path}: {text!r} is no {type(now).__name__} as {now!r} is")
    return value
