"""Kernels of a compiled program, from XLA's text; the plugin is not needed."""

import gpu_program

TEXT = """HloModule jit_step

%fused (p: f32[2,3]) -> f32[2,3] {
  %inner.1 = f32[2,3]{1,0} multiply(%p, %p)
}

ENTRY %main (a: f32[2,3], b: bf16[4]) -> (f32[2,3], f32[]) {
  %a = f32[2,3]{1,0} parameter(0)
  %b = bf16[4]{0} parameter(1)
  %loop_fusion.7 = f32[2,3]{1,0} fusion(%a), kind=kLoop, calls=%fused
  %conv.12 = (bf16[4]{0}, u8[10]{0}) custom-call(%b, %b), window={size=1}
  %part.1 = bf16[4]{0} get-tuple-element(%conv.12), index=0
  %loop_fusion.8 = f32[] fusion(%part.1, %a), kind=kLoop
  ROOT %tuple.3 = (f32[2,3]{1,0}, f32[]) tuple(%loop_fusion.7, %loop_fusion.8)
}
"""


def test_kernels_are_those_of_the_entry():
  # Hand: 24 bytes in and out; twice 8 in, 8 + 10 out; 8 + 24 in, 4 out.
  assert list(gpu_program.kernels(TEXT)) == [
    ("loop_fusion", 48),
    ("conv", 34),
    ("loop_fusion", 36),
  ]
