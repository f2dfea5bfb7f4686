"""everysite keeps files and records the same at every site."""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["AsyncProject", "Project", "__version__", "connect", "connect_async"]

if TYPE_CHECKING:
    from everysite.client.project import AsyncProject, Project, connect, connect_async
else:

    def __getattr__(name: str) -> Any:
        """The client is loaded when it is asked for: the command line and the tracker start without it."""
        if name in __all__:
            from everysite.client import project

            return getattr(project, name)
        raise AttributeError(f"module 'everysite' has no attribute {name!r}")
