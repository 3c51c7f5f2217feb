"""What the device in use decides: the precision of training, the use of XLA, and how layers compute.

Every decision of this kind is made here. It depends on the device that the work runs on, which need not be the best
one of the machine: training with `device="cpu"` beside a GPU is work on a CPU.

What is said of CPUs was measured, see the table in docs/measured.md. What is said of GPUs follows the documentation of
TensorFlow and NVIDIA; `make gpu-check` shows on a machine with a GPU whether it holds there.
"""

import contextlib
import contextvars
import dataclasses
import functools
from collections.abc import Iterator
from pathlib import Path

import tensorflow as tf

_MEGABYTE = 2**20


@dataclasses.dataclass(frozen=True)
class Device:
    """What the decisions need to know of a device."""

    is_gpu: bool
    """Whether it is a GPU; everything else counts as a CPU."""
    multiplies_bfloat16: bool = False
    """Of a CPU: whether it has instructions for products of bfloat16 matrices."""
    compute_capability: tuple[int, int] | None = None
    """Of an NVIDIA GPU: the version of what it can do, such as (8, 0) for an A100; None if it is not known."""

    def precision(self, bfloat16_helps_on_cpu: bool, keeps_digits: bool = True, alone: bool = True) -> str:
        """The Keras dtype policy to train with.

        Args:
            bfloat16_helps_on_cpu: whether the network gains from bfloat16 on a CPU that has instructions for it.
            keeps_digits: whether what the network sums up stays float32 in mixed precision.
            alone: whether one replica trains, and not several together.

        Returns:
            "float32", "mixed_bfloat16" or "mixed_float16". NVIDIA's GPUs have fast units for float16 from compute
            capability 7.0 on, and for bfloat16, which needs no loss scaling, from 8.0 on. Replicas do not train in
            mixed_float16, because Keras looks for an overflow on the first of them alone.
        """
        if not keeps_digits:
            return "float32"
        if not self.is_gpu:
            return "mixed_bfloat16" if bfloat16_helps_on_cpu and self.multiplies_bfloat16 else "float32"
        capability = self.compute_capability or (0, 0)
        if capability >= (8, 0):
            return "mixed_bfloat16"
        return "mixed_float16" if capability >= (7, 0) and alone else "float32"

    def compiles_steps(self, precision: str, even: bool, helps_on_cpu: bool, possible_on_gpu: bool) -> bool:
        """Whether XLA compiles the whole training step.

        Args:
            precision: the dtype policy of the training. XLA multiplies bfloat16 matrices slowly on CPUs.
            even: whether all batches have one shape. XLA compiles anew, for seconds, for every shape that it meets.
            helps_on_cpu: whether XLA was measured to make this network faster on CPUs.
            possible_on_gpu: whether all operations of the network on a GPU can be compiled; cuDNN's cannot.
        """
        if not even:
            return False
        return possible_on_gpu if self.is_gpu else helps_on_cpu and precision == "float32"

    def fuses(self, dtype: str) -> bool:
        """Whether layers that compute in this precision make small clusters for XLA of what is between products.

        On CPUs this makes bfloat16 fast without compiling whole steps; on GPUs the whole step is compiled.
        """
        return dtype == "bfloat16" and not self.is_gpu

    @property
    def adds_rows_by_sorting(self) -> bool:
        """Whether an embedding's gradient adds up its rows by their ids before a norm, without becoming dense.

        In what XLA compiles for GPUs, finding equal ids is a loop with a step for every id.
        """
        return not self.is_gpu

    @property
    def rounds_products(self) -> bool:
        """Whether float32 products may round their factors, as GPUs do to TF32, so that a mean must not be one."""
        return self.is_gpu

    @property
    def logits_bytes(self) -> int:
        """The most memory that logits take at a time while the loss over a vocabulary is computed in chunks.

        A chunk must have rows enough to keep the device busy, and the cores of a GPU are hundreds of times as many.
        """
        return (512 if self.is_gpu else 64) * _MEGABYTE

    @property
    def runs_ahead(self) -> bool:
        """Whether the device works on an update after TensorFlow has returned, so that reading its loss waits."""
        return self.is_gpu


_device: contextvars.ContextVar[Device | None] = contextvars.ContextVar("device", default=None)
_without_cudnn = contextvars.ContextVar("without_cudnn", default=False)


def device_in_use() -> Device:
    """The device of the context `working_on`; outside it the one that TensorFlow chooses: the first GPU, else the CPU.

    Layers ask for it when they are called or traced.
    """
    return _device.get() or _chosen_by_tensorflow(tuple(tf.config.get_visible_devices("GPU")))


@contextlib.contextmanager
def working_on(device: Device) -> Iterator[None]:
    """A context in which `device` is the one in use. It only says so: `tf.device` puts operations there."""
    token = _device.set(device)
    try:
        yield
    finally:
        _device.reset(token)


@contextlib.contextmanager
def without_cudnn() -> Iterator[None]:
    """A context in which recurrent layers do without cuDNN's kernel.

    For graphs that are exported, since they must run without a GPU too; and for masks that cuDNN does not take.
    """
    token = _without_cudnn.set(True)
    try:
        yield
    finally:
        _without_cudnn.reset(token)


def uses_cudnn() -> bool:
    """Whether recurrent layers run by cuDNN's kernel: on GPUs, except in the context `without_cudnn`."""
    return device_in_use().is_gpu and not _without_cudnn.get()


@functools.cache
def _chosen_by_tensorflow(gpus: tuple) -> Device:
    return gpu(gpus[0]) if gpus else cpu()


def gpu(device: tf.config.PhysicalDevice) -> Device:
    """The description of a GPU that TensorFlow lists."""
    return Device(True, compute_capability=tf.config.experimental.get_device_details(device).get("compute_capability"))


@functools.cache
def cpu() -> Device:
    """The description of this machine's CPU. Where there is no /proc/cpuinfo, no special instructions are assumed."""
    try:
        flags = Path("/proc/cpuinfo").read_text().split()
    except OSError:
        flags = []
    return Device(False, multiplies_bfloat16="amx_bf16" in flags or "avx512_bf16" in flags)


def take_gpu_memory_as_needed() -> None:
    """Tells TensorFlow to take the memory of GPUs as it is needed; by default it takes all of it at once.

    TensorFlow can be told so only before it uses a GPU for the first time, so importing this module does it. To have
    it otherwise, call `tf.config.experimental.set_memory_growth(gpu, False)` after importing lmkeras' networks.
    """
    for device in tf.config.list_physical_devices("GPU"):
        # RuntimeError: a GPU is in use already; ValueError: the user has divided the GPU into logical ones
        with contextlib.suppress(RuntimeError, ValueError):
            tf.config.experimental.set_memory_growth(device, True)


take_gpu_memory_as_needed()
