"""Configurations: one file is one row of a results table.

Given as `--config=configs/NAME.py`, or with a variant as
`--config=configs/NAME.py:biased`. A configuration loads its parent by path, so
that it works as a file, as `configs.NAME`, and as `darkjax.configs.NAME`.
"""
