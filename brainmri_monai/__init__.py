"""Brain-tumour imaging with MONAI: data, networks, metrics and reports for the bundles of this project."""

__version__ = "0.1.0"
