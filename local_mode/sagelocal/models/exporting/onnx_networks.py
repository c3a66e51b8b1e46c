"""MXNet's networks in ONNX: operator by operator, with the parameters beside them.

Inputs and outputs have MXNet's names: `data`, `softmax_output`. Batch normalisation and dropout are
those of predictions, and what a loss layer answers is its function: a SoftmaxOutput is a softmax.
"""

from __future__ import annotations

import numpy as np
from sagelocal_formats.mxnet_symbol import Entry, Symbol

from sagelocal.models.errors import ModelError, NoExport
from sagelocal.models.exporting.onnx_graph import GraphBuilder
from sagelocal.models.exporting.onnx_operators import OPERATORS, Call
from sagelocal.models.model import Model
from sagelocal.models.networks import Network, Shape


def network(model: Model, graph: GraphBuilder) -> None:
    """Its outputs; raises NoExport where an operator has no form."""
    if model.symbol is None or model.network is None:
        raise NoExport(f"{model.says}: there is no network beside them")
    unknown = sorted({node.op for node in model.symbol.nodes} - OPERATORS.keys() - {"null"})
    if unknown:
        raise NoExport(
            f"its operators {', '.join(unknown)} have no form in ONNX here; serve it with the "
            f"{model.family} image"
        )
    _Writing(model, model.symbol, model.network, graph).write()


class _Writing:
    def __init__(self, model: Model, symbol: Symbol, network: Network, graph: GraphBuilder) -> None:
        self._model = model
        self._symbol = symbol
        self._network = network
        self._graph = graph
        self._values: dict[int, str] = {}
        self._shapes: dict[str, Shape | None] = {
            **{name: array.shape for name, array in model.arrays.items()},
            **network.inputs,
            **{operator.name: operator.shape for operator in network.operators},
        }

    def write(self) -> None:
        for name, shape in self._network.inputs.items():
            if shape is None:
                raise NoExport(
                    f"nothing says the shape of its input {name!r}; put model-shapes.json beside "
                    f'it, such as [{{"name": "{name}", "shape": [1, 3, 224, 224]}}]'
                )
            self._graph.input(name, shape)
        for index, node in enumerate(self._symbol.nodes):
            if node.is_variable:
                continue
            inputs = [Entry(each.node, each.output) for each in node.inputs]
            shapes = [self._shapes.get(self._symbol.nodes[each.node].name) for each in inputs]
            call = Call(self._graph, node, inputs, shapes, self._value, self._numbers)
            try:
                value = OPERATORS[node.op](call)
            except (KeyError, IndexError, ValueError, TypeError, OverflowError) as error:
                raise ModelError(
                    f"the operator {node.name} ({node.op}) lacks or garbles {error}"
                ) from error
            self._values[index] = value
        for head in self._symbol.heads:
            node = self._symbol.nodes[head.node]
            name = f"{node.name}_output{head.output or ''}"
            value = self._value(Entry(head.node, head.output))
            self._graph.output(name, value, self._shapes.get(node.name))

    def _value(self, entry: Entry) -> str:
        """What carries an input's numbers; parameters are put into the graph when first asked."""
        if entry.node not in self._values:
            name = self._symbol.nodes[entry.node].name
            if name in self._network.inputs:
                self._values[entry.node] = name
            else:
                self._values[entry.node] = self._graph.constant(name, self._numbers(entry))
        value = self._values[entry.node]
        return f"{value}:{entry.output}" if entry.output else value

    def _numbers(self, entry: Entry) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        """The numbers of a parameter."""
        name = self._symbol.nodes[entry.node].name
        found = self._model.arrays.get(name)
        if not isinstance(found, np.ndarray):
            raise ModelError(f"there are no numbers for the parameter {name!r} of its network")
        return found.astype(np.float32)
