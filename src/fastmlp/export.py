"""Nets as ONNX files, for every runtime that reads them.

Activations are told by what runtimes have for both dtypes. onnxruntime lacks LeakyRelu, Elu, Selu, Softplus and Erf in
float64, and attributes would round constants to float32. Its older versions, 1.17 among them, also refuse in float64 what
they make of Gemm with an activation behind it, and of a Sigmoid times its input: neither stands here.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import fastmlp
from fastmlp.network import Network
from fastmlp.options import Activation, Loss
from fastmlp.writing import written_whole

if TYPE_CHECKING:
    import onnx

# Of 2020, so that older runtimes read it too.
OPSET, IR_VERSION = 13, 7
# protobuf's limit is 2 GiB, and names and shapes need some room.
LARGEST = 2**31 - 2**20
# TensorProto's numbers for them.
INT64, STRING = 7, 8
# Below this silu is 0 for all that is near it, and exp(-z) has room in float32.
SILU_END = -80.0


def to_onnx(network: Network, path: str | os.PathLike[str]) -> Path:
    """See :meth:`fastmlp.Network.to_onnx`."""
    content = model_of(network).SerializeToString(deterministic=True)
    place = Path(path)
    with written_whole(place) as file:
        file.write(content)
    return place


def model_of(network: Network) -> onnx.ModelProto:
    """The net as an ONNX model.

    Raises
    ------
    ImportError
        If onnx is not installed.
    TypeError, ValueError
        If ONNX cannot express the labels, or the parameters have no room in a file.
    """
    try:
        from onnx import helper
    except ImportError:
        raise ImportError('to_onnx needs onnx: pip install "fastmlp[onnx]"') from None
    if network.params.nbytes > LARGEST:
        raise ValueError(
            f"the net's parameters take {network.params.nbytes:,} bytes, but an ONNX file holds {LARGEST:,}: train with "
            "fewer units, or with dtype='float32'"
        )
    labels = None if network.classes is None else onnx_labels(network.classes)
    graph = Graph(network.dtype)
    z = graph.forward(network)
    outputs = graph.classify(z, network, labels) if network.is_classifier else graph.regress(z, network)
    shape = "-".join(map(str, network.sizes))
    names = ", ".join(activation.name.lower() for activation in network.activations) or "linear"
    told = f"Multi-layer perceptron {shape} ({names}), trained by fastmlp on the loss {network.loss.name.lower()}."
    model: onnx.ModelProto = helper.make_model(
        helper.make_graph(
            graph.nodes, "fastmlp", [graph.value("X", network.dtype, network.sizes[0])], outputs, graph.tensors, told
        ),
        producer_name="fastmlp",
        producer_version=fastmlp.__version__,
        doc_string=told,
        ir_version=IR_VERSION,
        opset_imports=[helper.make_opsetid("", OPSET)],
    )
    return model


def onnx_labels(classes: NDArray[Any]) -> NDArray[Any]:
    """The labels in a dtype that ONNX has: int64 (uint64 where they are too large), bool, floats as they are, or strings.

    Raises
    ------
    TypeError
        If they are neither numbers, truth values nor strings, or are of several types.
    ValueError
        If they are integers or strings that ONNX has no room for.
    """
    values = [value.item() if isinstance(value, np.generic) else value for value in classes.tolist()]
    types = {type(value) for value in values}
    # Times in nanoseconds would pass for integers.
    if classes.dtype.kind in "mM" or len(types) != 1 or not types <= {bool, int, float, str}:
        names = ", ".join(sorted(each.__name__ for each in types))
        raise TypeError(
            f"labels of dtype {classes.dtype} ({names}) have no place in ONNX: use integers, floats, truth values or "
            "strings, all of one type"
        )
    if types == {int}:
        if min(values) >= -(2**63) and max(values) < 2**63:
            return np.array(values, np.int64)
        if min(values) >= 0 and max(values) < 2**64:
            return np.array(values, np.uint64)
        raise ValueError(
            f"the labels {min(values)} and {max(values)} do not fit into 64 bits, as ONNX needs them: use strings"
        )
    if types == {str}:
        unwritable = [value for value in values if not _is_unicode(value)]
        if unwritable:
            raise ValueError(f"the label {unwritable[0]!r} is no Unicode text, as ONNX needs it: use another")
        return np.array(values, object)
    return np.array(values, classes.dtype.newbyteorder("=") if classes.dtype.kind == "f" else types.pop())


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


class Graph:
    """Nodes and constants, put together one after the other; what a node puts out goes by its name."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self.dtype = dtype
        self.nodes: list[onnx.NodeProto] = []
        self.tensors: list[onnx.TensorProto] = []
        self._known: set[str] = set()

    def node(self, operator: str, *inputs: str | float, output: str | None = None, **attributes: Any) -> str:
        """Add a node; a number among its inputs is a constant in the net's dtype."""
        from onnx import helper

        name = output or f"{operator.lower()}_{len(self.nodes)}"
        taken = [each if isinstance(each, str) else self.tensor(repr(each), np.array(each, self.dtype)) for each in inputs]
        self.nodes.append(helper.make_node(operator, taken, [name], name=name, **attributes))
        return name

    def tensor(self, name: str, values: NDArray[Any]) -> str:
        """Add a constant, once."""
        import onnx
        from onnx import numpy_helper

        if name not in self._known:
            self._known.add(name)
            if values.dtype.kind == "O":
                texts = [text.encode() for text in values]
                tensor = onnx.TensorProto(name=name, data_type=STRING, dims=values.shape, string_data=texts)
            else:
                tensor = numpy_helper.from_array(np.ascontiguousarray(values).reshape(values.shape), name)
            self.tensors.append(tensor)
        return name

    def value(self, name: str, dtype: np.dtype[Any], *columns: int) -> onnx.ValueInfoProto:
        """An input or output, a row for each sample, however many there are."""
        from onnx import helper

        element = STRING if dtype.kind == "O" else helper.np_dtype_to_tensor_dtype(dtype)
        return helper.make_tensor_value_info(name, element, ["n_samples", *columns])

    def forward(self, network: Network) -> str:
        """The output layer's weighted sums."""
        a = z = "X"
        for layer, (weights, biases) in enumerate(zip(network.weights, network.biases, strict=True)):
            product = self.node("MatMul", a, self.tensor(f"weights.{layer}", weights))
            z = self.node("Add", product, self.tensor(f"biases.{layer}", biases), output=f"z.{layer}")
            if layer < len(network.activations):
                a = self.activate(network.activations[layer], z)
        return z

    def activate(self, activation: Activation, z: str) -> str:
        """a = f(z)."""
        from fastmlp.kernels import curves

        if activation == Activation.LOGISTIC:
            return self.node("Sigmoid", z)
        if activation == Activation.TANH:
            return self.node("Tanh", z)
        if activation == Activation.RELU:
            return self.node("Relu", z)
        if activation == Activation.LEAKY_RELU:
            return self.node("Max", z, self.node("Mul", z, curves.LEAK))
        if activation == Activation.ELU:
            return self._elu(z, 1.0)
        if activation == Activation.SELU:
            return self.node("Mul", self._elu(z, curves.SELU_ALPHA), curves.SELU_SCALE)
        if activation == Activation.SOFTPLUS:
            return self._softplus(z)
        if activation == Activation.GELU:
            return self.node("Mul", z, self._normal_cdf(z, curves.TAIL_64, curves.TAIL_ENDS[1]))
        if activation == Activation.SILU:
            return self._silu(z)
        if activation == Activation.MISH:
            return self._mish(z, curves.MISH_ENDS[1])
        return z

    def _elu(self, z: str, alpha: float) -> str:
        """Z, or alpha (exp(z) - 1) where it is negative: the latter as tanh(z / 2) (exp(z) + 1), which cancels nowhere."""
        negative = self.node("Min", z, 0.0)
        rise = self.node(
            "Mul", self.node("Tanh", self.node("Mul", negative, 0.5)), self.node("Add", self.node("Exp", negative), 1.0)
        )
        return self.node("Add", self.node("Relu", z), rise if alpha == 1 else self.node("Mul", rise, alpha))

    def _softplus(self, z: str) -> str:
        """max(z, 0) + log(1 + e) with e = exp(-|z|), where what 1 + e loses is put back."""
        e = self.node("Exp", self.node("Neg", self.node("Abs", z)))
        u = self.node("Add", e, 1.0)
        lost = self.node("Sub", e, self.node("Sub", u, 1.0))
        return self.node("Add", self.node("Relu", z), self.node("Add", self.node("Log", u), self.node("Div", lost, u)))

    def _silu(self, z: str) -> str:
        """Z / (1 + exp(-z))."""
        return self.node("Div", z, self.node("Add", self.node("Exp", self.node("Neg", self.node("Max", z, SILU_END))), 1.0))

    def _mish(self, z: str, end: float) -> str:
        """Z tanh(log(1 + e)) with e = exp(z), which is z n / (n + 2) with n = e (e + 2)."""
        e = self.node("Exp", self.node("Min", z, end))
        n = self.node("Mul", e, self.node("Add", e, 2.0))
        return self.node("Mul", z, self.node("Div", n, self.node("Add", n, 2.0)))

    def _normal_cdf(self, z: str, tail_64: tuple[float, ...], end: float) -> str:
        """The share of a standard normal distribution below z: by erf, and in float64 as the kernels have it."""
        if self.dtype == np.float32:
            return self.node("Mul", self.node("Add", self.node("Erf", self.node("Mul", z, math.sqrt(0.5))), 1.0), 0.5)
        size = self.node("Min", self.node("Abs", z), end)
        density = self.node("Exp", self.node("Mul", self.node("Mul", size, size), -0.5))
        beyond = self.node("Add", size, 4.0)
        u = self.node("Div", self.node("Sub", size, 4.0), beyond)
        polynomial: str | float = tail_64[-1]
        for coefficient in tail_64[-2::-1]:
            polynomial = self.node("Add", self.node("Mul", u, polynomial), coefficient)
        tail = self.node("Mul", density, self.node("Div", polynomial, beyond))
        return self.node("Where", self.node("Greater", z, 0.0), self.node("Sub", 1.0, tail), tail)

    def regress(self, z: str, network: Network) -> list[onnx.ValueInfoProto]:
        """The values, in the shape that `predict` gives."""
        if network.loss == Loss.POISSON:
            z = self.node("Exp", z)
        if network.flat_targets:
            self.node("Squeeze", z, self._last_axis(), output="variable")
            return [self.value("variable", network.dtype)]
        self.node("Identity", z, output="variable")
        return [self.value("variable", network.dtype, network.sizes[-1])]

    def classify(self, z: str, network: Network, labels: NDArray[Any] | None) -> list[onnx.ValueInfoProto]:
        """The labels and their probabilities, as `predict` and `predict_proba` give them."""
        n_outputs = network.sizes[-1]
        if labels is None:
            p = self.node("Sigmoid", z, output="probabilities")
            above = self.node("Greater", p, 0.5)
            self.node("Cast", above, to=INT64, output="label")
            return [self.value("label", np.dtype(np.int64), n_outputs), self.value(p, network.dtype, n_outputs)]
        if network.loss == Loss.CROSS_ENTROPY or len(labels) == 1:
            # Of a single class softmax makes 1, as it should be.
            p = self.node("Softmax", z, axis=1, output="probabilities")
            place = self.node("ArgMax", p, axis=1, keepdims=0)
        else:
            second = self.node("Sigmoid", z)
            p = self.node("Concat", self.node("Sub", 1.0, second), second, axis=1, output="probabilities")
            above = self.node("Squeeze", self.node("Greater", second, 0.5), self._last_axis())
            place = self.node("Cast", above, to=INT64)
        self.node("Gather", self.tensor("classes", labels), place, axis=0, output="label")
        return [self.value("label", labels.dtype), self.value(p, network.dtype, len(labels))]

    def _last_axis(self) -> str:
        return self.tensor("last_axis", np.array([1], np.int64))
