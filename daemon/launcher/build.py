"""Put the launcher beside the packages of a wheel; an editable install has it on its path."""

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Launcher(BuildHookInterface[Any]):  # type: ignore[misc]  # it is there while hatch builds
    """Hatch includes what pyproject.toml forces into an editable install as copies, which age."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "standard":
            build_data["force_include"]["daemon/launcher/photomend"] = "photomend"
