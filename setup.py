"""What pyproject.toml cannot say: configs/ is packaged as darkjax.configs."""

import setuptools

setuptools.setup(
  packages=[
    *setuptools.find_packages(include=["darkjax", "darkjax.*"]),
    "darkjax.configs",
  ],
  package_dir={"darkjax.configs": "configs"},
  package_data={"darkjax": ["assets/*", "py.typed"]},
)
