"""What drew a figure: each drawing function leaves its name and its arguments on the figure that it returns.

With them, which :mod:`meagan_lib.workflow.drawings` keeps beside the picture, a figure can be drawn again.
"""

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from pathlib import Path

FUNCTIONS: dict[str, Callable] = {}
"""The drawing functions of the modules imported so far, by module and name: ``models.samples``."""


@dataclass(frozen=True)
class Drawing:
    """A call of a drawing function: its key in ``FUNCTIONS``, and its arguments by name."""

    function: str
    arguments: Mapping[str, object]

    def __call__(self) -> object:
        """Draw again: return the figure, or the bytes of the animation.

        ``LookupError``: no such function.
        """
        return named(self.function)(**{name: _drawn(value) for name, value in self.arguments.items()})


class Moving(bytes):
    """An animation, as the bytes of a GIF, that knows what drew it."""


def drawing(function: Callable) -> Callable:
    """Decorate a function that returns a ``Figure`` or the bytes of an animation: the result has ``drawn_by``.

    Containers among the arguments are copied, arrays and tables are not.
    """
    name = f"{function.__module__.rpartition('.')[2]}.{function.__name__}"
    signature = inspect.signature(function)

    @wraps(function)
    def drawn(*args: object, **options: object) -> object:
        call = Drawing(name, {key: _copied(value) for key, value in _by_name(signature.bind(*args, **options)).items()})
        made = function(*args, **options)
        made = Moving(made) if isinstance(made, bytes) else made
        made.drawn_by = call
        return made

    FUNCTIONS[name] = drawn
    return drawn


def named(name: str) -> Callable:
    """Return the drawing function of a name such as ``models.samples``; only those of the plots can be had.

    ``LookupError``: no such function.
    """
    module = name.partition(".")[0]
    if module in {found.name for found in pkgutil.iter_modules([str(Path(__file__).parent)])}:
        importlib.import_module(f"{__package__}.{module}")
    return FUNCTIONS[name]


def _by_name(call: inspect.BoundArguments) -> dict[str, object]:
    """Return the arguments of a call by name; those that ``**options`` take stand beside the others."""
    given = dict(call.arguments)
    for parameter in call.signature.parameters.values():
        if parameter.kind is parameter.VAR_KEYWORD:
            given |= given.pop(parameter.name, {})
    return given


def _copied(value: object) -> object:
    """Return containers anew, with what they hold: whoever drew may change them. Figures become their drawings."""
    if hasattr(value, "drawn_by"):
        return value.drawn_by
    if isinstance(value, Mapping):
        return {key: _copied(item) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map(_copied, value))
    return value


def _drawn(value: object) -> object:
    """Return a value in which figures stand in the place of their drawings: the frames of an animation."""
    if isinstance(value, Drawing):
        return value()
    return type(value)(map(_drawn, value)) if type(value) in (list, tuple) else value
