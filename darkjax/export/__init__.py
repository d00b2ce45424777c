"""Export of networks to StableHLO, ONNX and SavedModel."""
