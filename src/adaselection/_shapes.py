"""The one home of shape types: ``Float[Tensor, " b"]`` reads "a float tensor with one axis named b".

Where jaxtyping is installed these are its types, and the tests check every shape as they run. Where it is
not, they are inert: ``Float[Tensor, "m b"]`` is ``Tensor``. Type checkers see ``Tensor`` in both cases.
The letters are those of the whole library: ``b`` window or batch, ``k`` kept, ``m`` methods, ``n`` instances
of the data set.
"""

from typing import TYPE_CHECKING, Any

__all__ = ["Bool", "Float", "Int", "Shaped"]

if TYPE_CHECKING:
    from typing import Annotated as Bool
    from typing import Annotated as Float
    from typing import Annotated as Int
    from typing import Annotated as Shaped
else:
    try:
        from jaxtyping import Bool, Float, Int, Shaped
    except ImportError:

        class _Inert:
            """Stands in for a jaxtyping type: subscripting it gives back the array type alone."""

            def __class_getitem__(cls, item: tuple[Any, str]) -> Any:
                """Return the array type of ``(array type, shape)``."""
                return item[0]

        Bool = Float = Int = Shaped = _Inert
