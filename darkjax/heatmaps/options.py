"""Names of the encoder's and the decoder's options; no JAX is loaded here."""

from typing import Literal, get_args

Quantize = Literal["none", "floor", "round", "ceil"]
Method = Literal["argmax", "standard", "dark"]
Border = Literal["refine", "official"]
Standard = Literal["sign", "eq1"]
METHODS, BORDERS = get_args(Method), get_args(Border)
