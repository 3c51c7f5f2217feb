"""What a task gives a training: the names of its metrics, and the batches to train and to validate on."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import tensorflow as tf

    from lmkeras.datasets.sharing import Share


class Metric(NamedTuple):
    """A number that training reports beside the loss.

    Attributes:
        name: as in metrics.jsonl, where the value on the validation part has val_ before its name.
        higher_is_better: whether a higher value is better.
    """

    name: str
    higher_is_better: bool


class Defaults(NamedTuple):
    """What a task takes for a corpus where its user says nothing.

    Attributes:
        network: the name of the body.
        tokenizer: the name of the tokenizer; None for what suits network and text.
        vocabulary_size: the most ids that this tokenizer may have; None for its default.
        sizes: those of the network, by name.
        settings: those of the training, by name: of epochs and minutes, what ends first.
        reason: what all of it follows from, for people; "" if it follows from nothing.
    """

    network: str
    tokenizer: str | None = None
    vocabulary_size: int | None = None
    sizes: Mapping[str, Any] = MappingProxyType({})
    settings: Mapping[str, Any] = MappingProxyType({})
    reason: str = ""


class TrainingData(NamedTuple):
    """The batches to train on.

    Attributes:
        dataset: a function that takes a number of updates and perhaps a Share, and returns the batches that come after
            these updates, without end: all rows of each, or those of the share. A batch is (dictionary of inputs,
            targets, weights).
        steps_per_epoch: how many batches make one pass over the corpus.
        digest: gives a fingerprint of the corpus, in hexadecimal.
        noted: what the task's `findings` needs to know of the corpus; None for nothing.
        amount: how much there is to train on, for people, such as "900 texts".
    """

    dataset: Callable[..., "tf.data.Dataset"]
    steps_per_epoch: int
    digest: Callable[[], str]
    noted: Any = None
    amount: str = ""


class ValidationData(NamedTuple):
    """The batches on which a network is evaluated during training.

    Attributes:
        dataset: a function that takes a Share and returns batches of the same form as in training, all rows of each or
            those of the share; their number is known.
        digest: gives a fingerprint of the corpus, in hexadecimal.
        noted: as in TrainingData.
        amount: how much there is to validate on, for people, such as "100 texts".
        written: gives the values of `Task.written_metrics` by name, with the network as it is; None if there are none.
    """

    dataset: "Callable[[Share], tf.data.Dataset]"
    digest: Callable[[], str]
    noted: Any = None
    amount: str = ""
    written: Callable[[], Mapping[str, float]] | None = None
