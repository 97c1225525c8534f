"""A variant: what is compared. An engine, a system prompt and how tokens are chosen, under a name.

It knows the settings by their names only, and starts nothing.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from webui.conversation import Sampling
from webui.errors import BadInput, BadSetting
from webui.settings import FIELDS

GREEDY = Sampling(temperature=0.0)  # what a variant says nothing of is so: the same answer each time
NAME = re.compile(r"[^\x00-\x1f/\\]{1,60}")
AT_MOST = 8  # in one run


@dataclass(frozen=True, slots=True)
class Variant:
    """One of those that are compared.

    Attributes:
        model: which of several engines answers, by the name that the page's menu has for it; empty: the usual one.
        engine: settings that differ from that engine's own; empty: the engine as it is running, or is configured.
    """

    name: str
    system: str = ""
    sampling: Sampling = GREEDY
    model: str = ""
    engine: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """As JSON types; `of` reads it back."""
        return {
            "name": self.name,
            "system": self.system,
            "sampling": self.sampling.as_dict(),
            "model": self.model,
            "engine": dict(self.engine),
        }

    @classmethod
    def of(cls, values: Mapping[str, Any], name: str = "") -> Variant:
        """Reads what a file or a page says.

        Args:
            values: name, system, sampling, model, engine.
            name: if the values have none.

        Raises:
            BadInput: naming the field.
        """
        for key in values:
            if key not in ("name", "system", "sampling", "model", "engine"):
                raise BadInput(field=key, reason="a variant has a name, system, sampling, model and engine")
        name, system, model = values.get("name", name), values.get("system", ""), values.get("model", "")
        sampling, engine = values.get("sampling", {}), values.get("engine", {})
        if not isinstance(name, str) or not NAME.fullmatch(name.strip()):
            raise BadInput(field="name", reason="a variant's name has 1 to 60 characters, and no slash")
        if not isinstance(system, str) or not isinstance(model, str):
            raise BadInput(field="model" if isinstance(system, str) else "system", reason="a text is wanted")
        if not isinstance(sampling, Mapping) or not isinstance(engine, Mapping):
            raise BadInput(field="sampling", reason="sampling and engine are tables")
        for key in engine:
            if key not in FIELDS or FIELDS[key].metadata["group"] == "app":
                raise BadInput(field=f"engine.{key}", reason="there is no such setting of an engine")
        return cls(name.strip(), system, Sampling.from_mapping(sampling, defaults=GREEDY), model, dict(engine))


def read_variant(path: Path) -> Variant:
    """Reads a TOML file; without a name in it, it has the file's.

    Raises:
        BadInput
    """
    try:
        return Variant.of(tomllib.loads(path.read_text(encoding="utf-8")), path.stem)
    except OSError as error:
        raise BadInput(field=str(path), reason=f"cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(field=str(path), reason=f"is not valid TOML: {error}") from None
    except BadInput as error:
        raise BadInput(field=f"{error.params['field']} in {path}", reason=error.params["reason"]) from None


def variants_folder(path: str | None) -> Path | None:
    """The folder of variants that --variants names.

    Raises:
        BadSetting, BadInput: if it is none, or one of them cannot be read.
    """
    if path is None:
        return None
    folder = Path(path)
    if not folder.is_dir():
        raise BadSetting(setting="--variants", reason=f"{folder} is no folder")
    for file in folder.glob("*.toml"):
        read_variant(file)
    return folder


def checked(variants: Sequence[Variant], at_least: int = 1, at_most: int = AT_MOST) -> list[Variant]:
    """The variants, if they can stand beside each other.

    Raises:
        BadInput
    """
    if not at_least <= len(variants) <= at_most:
        raise BadInput(field="variants", reason=f"{at_least} to {at_most} are wanted, not {len(variants)}")
    if len({variant.name for variant in variants}) < len(variants):
        raise BadInput(field="variants", reason="two have the same name")
    return list(variants)
