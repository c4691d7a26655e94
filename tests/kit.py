"""A rule pack made for a test, installed as far as Python's import system can tell."""

from __future__ import annotations

from pathlib import Path

# Reports the tensor that is assigned to one name; its fix calls an unknown function instead.
RULE = """
from collections.abc import Iterator

from shapecheck.engine.facts import Assigned, Facts
from shapecheck.findings.rule import Edit, Finding, Fix, Rule, Severity
from shapecheck.engine.values import Tensor

META = Rule("{code}", "{name}", Severity.{severity}, "{summary}")


@META.on(Assigned)
def check(fact: Assigned, facts: Facts) -> Iterator[Finding]:
    if fact.name == "{wanted}" and isinstance(fact.value, Tensor) and fact.value.made:
        site = fact.value.made.site
        fix = Fix("write good()", (Edit(site, "good()"),), safe={safe}) if {safe} is not None else None
        yield META.finding(site, "{wanted} is assigned", help="do not", fix=fix)
"""


def write_rule(
    pack: Path,
    folder: str,
    code: str,
    wanted: str,
    *,
    severity: str = "ERROR",
    safe: bool | None = None,
    text: str | None = None,
    readme: str | None = None,
) -> Path:
    """One rule's folder. Its name is `folder` with hyphens."""
    place = pack / folder
    place.mkdir(parents=True, exist_ok=True)
    name = folder.replace("_", "-")
    rule = RULE.format(code=code, name=name, severity=severity, summary=f"finds {wanted}", wanted=wanted, safe=safe)
    (place / "rule.py").write_text(rule if text is None else text)
    if readme is not None:
        (place / "README.md").write_text(readme)
    return place


def install_pack(site: Path, package: str = "made_rules", entry: str = "made") -> Path:
    """An empty pack in the folder `site`, with the entry point that makes it known once `site` is on the path."""
    info = site / f"{package}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package.replace('_', '-')}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[shapecheck.rules]\n{entry} = {package}\n")
    (site / package).mkdir()
    (site / package / "__init__.py").write_text("")
    return site / package
