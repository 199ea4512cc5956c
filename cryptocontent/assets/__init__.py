"""The software-defined assets: the road from references to exports."""
