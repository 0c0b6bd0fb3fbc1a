# LibTorch as one imported target, reprise::torch, made from the files of the PyPI wheel or of an
# unpacked LibTorch.
