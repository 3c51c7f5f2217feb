"""Which rows of each batch a replica gets, where several replicas share the batches of a training."""

from typing import NamedTuple, TypeVar

Rows = TypeVar("Rows")


class Share(NamedTuple):
    """The part of each batch that one of several replicas gets.

    Attributes:
        number: which replica, from 0.
        of: how many there are.
    """

    number: int = 0
    of: int = 1

    def part(self, rows: Rows) -> Rows:
        """The rows of this share, from a sequence of B rows: those from B · number / of to B · (number + 1) / of.

        Example:
            >>> [Share(number, 3).part([1, 2, 3, 4, 5]) for number in range(3)]
            [[1], [2, 3], [4, 5]]
        """
        total = len(rows)
        return rows[total * self.number // self.of : total * (self.number + 1) // self.of]


#: all rows, for a training on one device
WHOLE = Share()
