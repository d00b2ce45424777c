"""Export of networks to StableHLO, ONNX and SavedModel."""

from darkjax.export.formats import to_savedmodel, to_stablehlo, write
from darkjax.inference.onnx.convert import to_onnx
from darkjax.inference.predictor import Predictor

__all__ = ["Predictor", "to_onnx", "to_savedmodel", "to_stablehlo", "write"]
