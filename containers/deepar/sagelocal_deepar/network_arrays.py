"""The arrays of the network: their names, as MXNet gives them, and their shapes."""

from __future__ import annotations

from sagelocal_deepar.shape import Shape

PREFIX = "deepar_"


def shapes(shape: Shape) -> dict[str, tuple[int, ...]]:
    """All arrays of a network. The gates of the LSTM are input, forget, new, output."""
    gates, cells = 4 * shape.num_cells, shape.num_cells
    found: dict[str, tuple[int, ...]] = {
        f"embedding{number}_weight": (count, shape.embedding_dimension)
        for number, count in enumerate(shape.cardinality)
    }
    for number in range(shape.num_layers):
        inputs = cells if number else shape.inputs
        found |= {
            f"lstm_l{number}_i2h_weight": (gates, inputs),
            f"lstm_l{number}_h2h_weight": (gates, cells),
            f"lstm_l{number}_i2h_bias": (gates,),
            f"lstm_l{number}_h2h_bias": (gates,),
        }
    found["output_weight"] = (shape.outputs, cells)
    found["output_bias"] = (shape.outputs,)
    found["direct_weight"] = (1, shape.lag_inputs)
    return {PREFIX + name: size for name, size in found.items()}
